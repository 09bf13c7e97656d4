package invitation

// UpdateParams says what changes about a pending invitation, and who changes it.
type UpdateParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" for the back end

	Role Role // "" leaves it as it is

	PublicMetadata, PrivateMetadata Metadata // merge patches (RFC 7396); the zero value changes nothing

	Version int64 `wire:"version" validate:"min=0"` // the one that was shown; 0 is not compared
}

package invitation

import "time"

// ResendParams says who sends again, and for how long the invitation is pending then.
type ResendParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" for the back end

	ExpiresIn time.Duration // 1 second to 365 days; 0 for Config.ExpiresIn. On the wire expires_in_days
}

package storage

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The two statuses that storage knows. All other statuses belong to the service; a store treats them as plain text.
const (
	// Pending is the status of a record that holds the pending slot (see [Storage]). It counts as Expired from
	// ExpiresAt on.
	Pending = "pending"
	// Expired is the effective status of a pending record from ExpiresAt on. The service stores this status later.
	Expired = "expired"
)

// The maximum sizes of a record's text, in bytes. Within these bounds every index fits on every supported database.
const (
	MaxID        = 64   // ID
	MaxReference = 128  // OrganizationID, OrganizationDomainID, InviterUserID, ResolvedBy, and the keys of Lock
	MaxEmail     = 320  // EmailAddress and EmailKey: 64 + 1 + 255, RFC 5321 section 4.5.3.1
	MaxRole      = 64   // Role
	MaxStatus    = 32   // Status
	MaxURL       = 2048 // RedirectURL
)

// Record is one invitation as a store keeps it. All text is valid UTF-8 without NUL. Sizes are in bytes. Times are in
// the years 1 to 9999.
type Record struct {
	ID                   string // unique; at most [MaxID]
	OrganizationID       string // the organization that invites; at most [MaxReference]
	OrganizationDomainID string // the organization domain that generated the invitation, or ""; at most [MaxReference]
	EmailAddress         string // as the inviter wrote it, trimmed; at most [MaxEmail]
	EmailKey             string // canonical form, used for lookup, matching and the pending slot; at most [MaxEmail]
	Role                 string // the role offered; at most [MaxRole]
	Status               string // as stored, see [Record.EffectiveStatus]; at most [MaxStatus]

	// JSON objects, kept byte for byte. nil and empty are stored as {}, so they are never nil after a read.
	PublicMetadata, PrivateMetadata []byte

	InviterUserID string // "" if the back end itself invited; at most [MaxReference]
	RedirectURL   string // "" if the service's default applies; at most [MaxURL]
	Generation    int64  // a ticket of an older generation is void

	CreatedAt, UpdatedAt, ExpiresAt, SentAt time.Time // UTC, microseconds

	ResolvedAt time.Time // UTC, microseconds; zero while pending (NULL in SQL)
	ResolvedBy string    // the user who accepted, declined or revoked, or ""; at most [MaxReference]

	Version int64 // for optimistic locking: Insert always stores 1, Update compares it and adds 1
}

// EffectiveStatus returns the status that counts at now. A record stored as [Pending] counts as [Expired] from
// ExpiresAt on; nothing needs to be written.
func (r Record) EffectiveStatus(now time.Time) string {
	if r.Status == Pending && !r.ExpiresAt.After(now) {
		return Expired
	}
	return r.Status
}

// Stored returns r in the form in which a store keeps it: a copy that shares no memory with r, with times in UTC
// truncated to the microsecond, and {} for empty metadata. Version is unchanged.
func (r Record) Stored() Record {
	for _, t := range []*time.Time{&r.CreatedAt, &r.UpdatedAt, &r.ExpiresAt, &r.SentAt, &r.ResolvedAt} {
		*t = time.UnixMicro(t.UnixMicro()).UTC()
	}
	for _, m := range []*[]byte{&r.PublicMetadata, &r.PrivateMetadata} {
		if len(*m) == 0 {
			*m = []byte("{}")
		} else {
			*m = bytes.Clone(*m)
		}
	}
	return r
}

// Validate returns an error for a record that no store can keep unaltered: an empty ID, text over its size limit, text
// or metadata that is not valid UTF-8 or contains a NUL, and a time outside the years 1 to 9999. Some databases would
// replace or truncate such values. The error names the field and the limit, never the value.
func (r Record) Validate() error {
	if r.ID == "" {
		return fmt.Errorf("storage: record without an ID")
	}
	for _, f := range [...]struct {
		name, value string
		most        int
	}{
		{"ID", r.ID, MaxID},
		{"OrganizationID", r.OrganizationID, MaxReference},
		{"OrganizationDomainID", r.OrganizationDomainID, MaxReference},
		{"EmailAddress", r.EmailAddress, MaxEmail},
		{"EmailKey", r.EmailKey, MaxEmail},
		{"Role", r.Role, MaxRole},
		{"Status", r.Status, MaxStatus},
		{"InviterUserID", r.InviterUserID, MaxReference},
		{"RedirectURL", r.RedirectURL, MaxURL},
		{"ResolvedBy", r.ResolvedBy, MaxReference},
	} {
		if len(f.value) > f.most {
			return fmt.Errorf("storage: record's %s is longer than %d bytes", f.name, f.most)
		}
		if !ValidText(f.value) {
			return fmt.Errorf("storage: record's %s is not valid UTF-8 or holds a NUL", f.name)
		}
	}
	if !utf8.Valid(r.PublicMetadata) || bytes.IndexByte(r.PublicMetadata, 0) >= 0 {
		return fmt.Errorf("storage: record's PublicMetadata is not valid UTF-8 or holds a NUL")
	}
	if !utf8.Valid(r.PrivateMetadata) || bytes.IndexByte(r.PrivateMetadata, 0) >= 0 {
		return fmt.Errorf("storage: record's PrivateMetadata is not valid UTF-8 or holds a NUL")
	}
	for _, f := range [...]struct {
		name  string
		value time.Time
	}{
		{"CreatedAt", r.CreatedAt},
		{"UpdatedAt", r.UpdatedAt},
		{"ExpiresAt", r.ExpiresAt},
		{"SentAt", r.SentAt},
		{"ResolvedAt", r.ResolvedAt},
	} {
		if !validTime(f.value) {
			return fmt.Errorf("storage: record's %s is not between the years 1 and 9999", f.name)
		}
	}
	return nil
}

// ValidText reports whether a record can hold s: whether s is valid UTF-8 without NUL. A store that writes values into
// SQL must not write any other text.
func ValidText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// The first and the last instant that a record can hold.
var (
	firstInstant = time.Time{}
	lastInstant  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// Instant returns t in the form in which a Filter evaluates its times: in UTC, truncated to the microsecond, and within
// the years 1 to 9999. A time outside these years becomes the first or the last instant in them.
func Instant(t time.Time) time.Time {
	switch t = t.UTC().Truncate(time.Microsecond); {
	case t.Before(firstInstant):
		return firstInstant
	case t.After(lastInstant):
		return lastInstant
	}
	return t
}

// validTime reports whether a record can hold t.
func validTime(t time.Time) bool {
	return !t.Before(firstInstant) && !t.Truncate(time.Microsecond).After(lastInstant)
}

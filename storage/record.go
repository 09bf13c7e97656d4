package storage

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The two statuses storage knows. Every other one is the service's, and plain text here.
const (
	// Pending holds the pending slot and turns into Expired when ExpiresAt has come.
	Pending = "pending"
	// Expired is what a pending record counts as from ExpiresAt on, and what the service writes for it later.
	Expired = "expired"
)

// The longest text a record may hold, in bytes. With these every index fits on every engine.
const (
	MaxID        = 64   // ID
	MaxReference = 128  // OrganizationID, OrganizationDomainID, InviterUserID, ResolvedBy, and the keys of Lock
	MaxEmail     = 320  // EmailAddress and EmailKey: 64 + 1 + 255, RFC 5321 section 4.5.3.1
	MaxRole      = 64   // Role
	MaxStatus    = 32   // Status
	MaxURL       = 2048 // RedirectURL
)

// Record is one invitation as a store keeps it. All text is valid UTF-8 without NUL; lengths are in bytes.
type Record struct {
	ID                   string // unique; at most [MaxID]
	OrganizationID       string // at most [MaxReference]
	OrganizationDomainID string // set where an organization domain generated it; "" otherwise; at most [MaxReference]
	EmailAddress         string // as the inviter wrote it, trimmed; at most [MaxEmail]
	EmailKey             string // canonical form: what is looked up, matched and unique; at most [MaxEmail]
	Role                 string // at most [MaxRole]
	Status               string // as stored; [Record.EffectiveStatus] is what counts; at most [MaxStatus]

	// JSON objects, kept byte for byte; never nil after a read. nil and empty are stored as {}.
	PublicMetadata, PrivateMetadata []byte

	InviterUserID string // "" where the back end itself invited; at most [MaxReference]
	RedirectURL   string // at most [MaxURL]
	Generation    int64  // tickets of an older generation are void

	CreatedAt, UpdatedAt, ExpiresAt, SentAt time.Time // UTC, microseconds

	ResolvedAt time.Time // UTC, microseconds; zero while pending (NULL in SQL)
	ResolvedBy string    // user who accepted, declined or revoked; at most [MaxReference]

	Version int64 // Insert stores 1 whatever it is given; Update compares and adds 1
}

// EffectiveStatus is the status that counts at now: a record stored as [Pending] is [Expired] from the instant
// ExpiresAt on, without anything being written.
func (r Record) EffectiveStatus(now time.Time) string {
	if r.Status == Pending && !r.ExpiresAt.After(now) {
		return Expired
	}
	return r.Status
}

// Stored returns r as a store keeps it: a copy that shares no memory with r, times in UTC and cut to the
// microsecond, and {} for empty metadata. Version is left as it is.
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

// Validate refuses what no store can keep unaltered: an empty ID, text over its limit, and text or metadata that
// is not valid UTF-8 or holds a NUL (engines replace, strip or cut at them). The error names the field and the
// limit, never the value.
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
	return nil
}

// ValidText reports whether s is text that a record can hold: valid UTF-8 without NUL. A store that writes
// values into SQL text keeps anything else out of it; no record matches it.
func ValidText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// holds reports whether list, as part of a Filter, lets s pass: nil is any, empty is none.
func holds(list []string, s string) bool { return list == nil || slices.Contains(list, s) }

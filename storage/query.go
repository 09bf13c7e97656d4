package storage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Filter selects records. The zero value selects all of them; each field that is set narrows the selection. In every
// list, nil selects any value and an empty list selects no record. A text that no record can hold (see [ValidText])
// selects no record. Now, ResolvedBefore, SentAfter and the bounds of the ranges count as [Instant] returns them.
type Filter struct {
	IDs            []string  // any of these
	OrganizationID string    // "" selects any
	EmailKeys      []string  // any of these
	EmailContains  string    // substring of EmailKey, byte for byte; "" selects any
	Statuses       []string  // any of these effective statuses at Now
	StoredStatuses []string  // any of these statuses as stored
	Roles          []string  // any of these
	InviterUserID  string    // "" selects any
	Direct         bool      // only records without an OrganizationDomainID
	ResolvedBefore time.Time // only records resolved before this instant; zero selects any
	SentAfter      time.Time // only records with a SentAt after this instant; zero selects any
	CreatedFrom    time.Time // only records created at this instant or later; zero selects any
	CreatedBefore  time.Time // only records created before this instant; zero selects any
	ExpiresFrom    time.Time // only records with ExpiresAt at this instant or later; zero selects any
	ExpiresBefore  time.Time // only records with ExpiresAt before this instant; zero selects any
	Now            time.Time // the instant at which Statuses are evaluated; zero is the year 1, not the current time
}

// Match defines the meaning of a Filter: a store returns and counts exactly the records that Match accepts.
func (f Filter) Match(r Record) bool {
	return holds(f.IDs, r.ID) &&
		accepts(f.OrganizationID, r.OrganizationID) &&
		holds(f.EmailKeys, r.EmailKey) &&
		strings.Contains(r.EmailKey, f.EmailContains) && ValidText(f.EmailContains) &&
		(f.Statuses == nil || holds(f.Statuses, r.EffectiveStatus(Instant(f.Now)))) &&
		holds(f.StoredStatuses, r.Status) &&
		holds(f.Roles, r.Role) &&
		accepts(f.InviterUserID, r.InviterUserID) &&
		within(f.CreatedFrom, f.CreatedBefore, r.CreatedAt) &&
		within(f.ExpiresFrom, f.ExpiresBefore, r.ExpiresAt) &&
		(!f.Direct || r.OrganizationDomainID == "") &&
		(f.ResolvedBefore.IsZero() || !r.ResolvedAt.IsZero() && r.ResolvedAt.Before(Instant(f.ResolvedBefore))) &&
		(Instant(f.SentAfter).IsZero() || r.SentAt.After(Instant(f.SentAfter)))
}

// holds reports whether the list of a Filter accepts s.
func holds(list []string, s string) bool {
	return list == nil || slices.Contains(list, s) && ValidText(s)
}

// accepts reports whether a text of a Filter accepts s.
func accepts(text, s string) bool { return text == "" || text == s && ValidText(s) }

// within reports whether a range of a Filter accepts t.
func within(from, before, t time.Time) bool {
	return (from.IsZero() || !t.Before(Instant(from))) && (before.IsZero() || t.Before(Instant(before)))
}

// Field is a field that records can be sorted by.
type Field string

// The fields of a [Sort].
const (
	FieldCreatedAt    Field = "created_at"    // Record.CreatedAt
	FieldEmailAddress Field = "email_address" // Record.EmailKey, compared byte for byte
	FieldExpiresAt    Field = "expires_at"    // Record.ExpiresAt
)

// Sort is one field of a sort order.
type Sort struct {
	Field      Field // the field to compare
	Descending bool  // largest value first
}

// Query selects one page of records in a sort order.
type Query struct {
	Filter

	// Sort is the sort order, most significant field first. An empty Sort means created_at descending. Ties are broken
	// by ID in the direction of the last field, so every order is total.
	Sort []Sort

	// After skips every record up to and including this position. Only its sort fields and its ID are read. The record
	// does not need to be stored. Unlike Offset, After neither repeats nor skips unchanged records while other records are
	// added or removed.
	After *Record

	// Offset skips that many records, counted from After. Limit is the maximum number of records returned; 0 means no
	// limit. A negative Offset or Limit is an error.
	Offset, Limit int

	// ForUpdate locks the rows that List returns, in ID order regardless of Sort. They stay locked for as long as a key
	// that is locked with [Storage].Lock. A store may also lock rows of IDs that List does not return. List then reads the
	// latest committed data. If the transaction's snapshot is too old for that, List returns [ErrAborted]. ForUpdate
	// without IDs or outside a transaction is an error.
	ForUpdate bool
}

// Validate returns an error for a negative Limit or Offset, a Sort by an unknown Field, ForUpdate without IDs, and an
// After whose text or times no record can hold.
func (q Query) Validate() error {
	if q.Limit < 0 || q.Offset < 0 {
		return fmt.Errorf("storage: negative Limit %d or Offset %d", q.Limit, q.Offset)
	}
	for _, s := range q.Sort {
		switch s.Field {
		case FieldCreatedAt, FieldEmailAddress, FieldExpiresAt:
		default:
			return fmt.Errorf("storage: no such sort field: %q", string(s.Field))
		}
	}
	if q.ForUpdate && q.IDs == nil {
		return errors.New("storage: ForUpdate needs IDs")
	}
	if a := q.After; a != nil {
		switch {
		case !ValidText(a.ID) || !ValidText(a.EmailKey):
			return errors.New("storage: the text of After is not valid UTF-8 or holds a NUL")
		case !validTime(a.CreatedAt) || !validTime(a.ExpiresAt):
			return errors.New("storage: a time of After is not between the years 1 and 9999")
		}
	}
	return nil
}

// Order returns q.Sort, or the default order (created_at descending) if q.Sort is empty.
func (q Query) Order() []Sort {
	if len(q.Sort) == 0 {
		return []Sort{{Field: FieldCreatedAt, Descending: true}}
	}
	return q.Sort
}

// Compare defines the sort order of a Query. It is negative if a comes before b, positive if a comes after b, and 0
// only if both have the same ID and sort fields. Strings compare byte for byte, as in Go. Times compare to the
// microsecond.
func (q Query) Compare(a, b Record) int {
	var last bool
	for _, s := range q.Order() {
		last = s.Descending
		if c := s.compare(a, b); c != 0 {
			return c
		}
	}
	return directed(cmp.Compare(a.ID, b.ID), last)
}

func (s Sort) compare(a, b Record) int {
	var c int
	switch s.Field {
	case FieldCreatedAt:
		c = cmp.Compare(a.CreatedAt.UnixMicro(), b.CreatedAt.UnixMicro())
	case FieldEmailAddress:
		c = cmp.Compare(a.EmailKey, b.EmailKey)
	case FieldExpiresAt:
		c = cmp.Compare(a.ExpiresAt.UnixMicro(), b.ExpiresAt.UnixMicro())
	}
	return directed(c, s.Descending)
}

func directed(c int, descending bool) int {
	if descending {
		return -c
	}
	return c
}

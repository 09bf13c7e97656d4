package storage

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Filter selects records. The zero value selects all of them; each field that is set narrows the selection. In every
// list, nil selects any value and an empty list selects no record.
type Filter struct {
	IDs            []string  // any of these
	OrganizationID string    // "" selects any
	EmailKeys      []string  // any of these
	EmailContains  string    // substring of EmailKey, byte for byte; "" selects any
	Statuses       []string  // any of these effective statuses at Now
	StoredStatuses []string  // any of these statuses as stored
	InviterUserID  string    // "" selects any
	Direct         bool      // only records without an OrganizationDomainID
	ResolvedBefore time.Time // only records resolved before this instant, which is not truncated; zero selects any
	Now            time.Time // the instant at which Statuses are evaluated; zero is the year 1, not the current time
}

// Match defines the meaning of a Filter: a store returns and counts exactly the records that Match accepts.
func (f Filter) Match(r Record) bool {
	return holds(f.IDs, r.ID) &&
		(f.OrganizationID == "" || f.OrganizationID == r.OrganizationID) &&
		holds(f.EmailKeys, r.EmailKey) &&
		strings.Contains(r.EmailKey, f.EmailContains) &&
		holds(f.Statuses, r.EffectiveStatus(f.Now)) &&
		holds(f.StoredStatuses, r.Status) &&
		(f.InviterUserID == "" || f.InviterUserID == r.InviterUserID) &&
		(!f.Direct || r.OrganizationDomainID == "") &&
		(f.ResolvedBefore.IsZero() || !r.ResolvedAt.IsZero() && r.ResolvedAt.Before(f.ResolvedBefore))
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

	// After skips every record up to and including this position. Only its sort fields and its ID are read; its times are
	// not truncated to the microsecond. The record does not need to be stored, but its text must be text that a record can
	// hold (see [ValidText]). Unlike Offset, After neither repeats nor skips unchanged records while other records are
	// added or removed.
	After *Record

	// Offset skips that many records, counted from After. Limit is the maximum number of records returned; 0 means no
	// limit. A negative Offset or Limit is an error.
	Offset, Limit int

	// ForUpdate locks the rows until the transaction ends, in ID order regardless of Sort. List then reads the latest
	// committed data, regardless of the transaction's snapshot. ForUpdate without IDs or outside a transaction is an
	// error.
	ForUpdate bool
}

// Validate returns an error for a negative Limit or Offset, a Sort by an unknown Field, and ForUpdate without IDs.
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
// only if both have the same ID and sort fields. Strings compare byte for byte, as in Go.
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
		c = a.CreatedAt.Compare(b.CreatedAt)
	case FieldEmailAddress:
		c = cmp.Compare(a.EmailKey, b.EmailKey)
	case FieldExpiresAt:
		c = a.ExpiresAt.Compare(b.ExpiresAt)
	}
	return directed(c, s.Descending)
}

func directed(c int, descending bool) int {
	if descending {
		return -c
	}
	return c
}

package storage

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Filter says which records are meant. Its zero value means all of them; every field that is set narrows it.
// In each list nil means any, and empty means none.
type Filter struct {
	IDs            []string  // any of these
	OrganizationID string    // "" any
	EmailKeys      []string  // any of these
	EmailContains  string    // substring of EmailKey, byte for byte; "" any
	Statuses       []string  // effective at Now, any of these
	StoredStatuses []string  // as written, any of these
	InviterUserID  string    // "" any
	Direct         bool      // leave out records with an OrganizationDomainID
	ResolvedBefore time.Time // resolved, and earlier than this, to the nanosecond; zero any
	Now            time.Time // the instant Statuses are judged at, taken as it is: zero is the zero time
}

// Match is the meaning of a Filter: a store returns and counts exactly the records it accepts.
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

// Field is what records can be sorted by.
type Field string

// The fields of a [Sort].
const (
	FieldCreatedAt    Field = "created_at"
	FieldEmailAddress Field = "email_address" // by EmailKey, byte for byte
	FieldExpiresAt    Field = "expires_at"
)

// Sort is one field of an order.
type Sort struct {
	Field      Field
	Descending bool
}

// Query asks for records in an order, a page at a time.
type Query struct {
	Filter

	// Sort is the order, the most significant field first; none means created_at descending. Ties end by ID, in
	// the direction of the last field, so that every order is total.
	Sort []Sort

	// After leaves out every record up to and including the position of this one. Only its sort fields and ID
	// are read, its times to the nanosecond; no such record needs to be stored. Its text must be such as a record
	// can hold. Unlike Offset, pages by After neither repeat nor skip records
	// that stay put while others come and go.
	After *Record

	// Offset leaves out that many records, counted after After. Limit bounds how many are returned, 0 not at all.
	// A negative one is an error.
	Offset, Limit int

	// ForUpdate makes List a current read (it sees what is committed, whatever the transaction's snapshot) and
	// locks the rows, in ID order whatever Sort says, until the transaction ends. It is an error outside a
	// transaction and without IDs.
	ForUpdate bool
}

// Validate refuses a negative Limit or Offset, a Sort by an unknown Field, and ForUpdate without IDs.
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

// Order returns q.Sort, or the default order where it is empty. Ties end by ID in the direction of the last one.
func (q Query) Order() []Sort {
	if len(q.Sort) == 0 {
		return []Sort{{Field: FieldCreatedAt, Descending: true}}
	}
	return q.Sort
}

// Compare is the meaning of an order: negative where a comes before b, positive where it comes after, 0 only
// where they have the same ID and sort fields. Strings compare byte for byte, as Go compares them.
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

package storagekit

import (
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// FieldID is the [storage.Field] of the tie-break: ID, compared byte for byte.
const FieldID storage.Field = "id"

// Term is one field of an order.
type Term struct {
	Field      storage.Field // FieldEmailAddress compares EmailKey
	Descending bool

	// Value is the value of After: a string, or a time.Time in UTC to the microsecond. It is nil without After.
	Value any
}

// Terms returns the order of q, whose Validate has returned nil. Each field occurs once, where q.Sort has it first. The
// last term is that of FieldID, so the order is total. It has the direction of the last Sort, even if the field of that
// Sort has occurred before.
//
// A record comes after q.After if it does so in a term, and equals After in all terms before that one.
func Terms(q storage.Query) []Term {
	order := q.Order()
	terms := make([]Term, 0, len(order)+1)
	last := order[len(order)-1].Descending
	for _, s := range append(slices.Clip(order), storage.Sort{Field: FieldID, Descending: last}) {
		if slices.ContainsFunc(terms, func(t Term) bool { return t.Field == s.Field }) {
			continue
		}
		t := Term{Field: s.Field, Descending: s.Descending}
		if a := q.After; a != nil {
			switch s.Field {
			case storage.FieldCreatedAt:
				t.Value = storage.Instant(a.CreatedAt)
			case storage.FieldExpiresAt:
				t.Value = storage.Instant(a.ExpiresAt)
			case storage.FieldEmailAddress:
				t.Value = a.EmailKey
			case FieldID:
				t.Value = a.ID
			}
		}
		terms = append(terms, t)
	}
	return terms
}

// Page returns the records of found that List returns for q: those after q.After, in the order of q, without the first
// q.Offset, and at most q.Limit. found has all records that q.Filter accepts, in any order; Page may reorder it. record
// returns the record of an element. Page is for stores that sort in Go.
func Page[E any](q storage.Query, found []E, record func(E) storage.Record) []E {
	if q.After != nil {
		found = slices.DeleteFunc(found, func(e E) bool { return q.Compare(record(e), *q.After) <= 0 })
	}
	slices.SortFunc(found, func(a, b E) int { return q.Compare(record(a), record(b)) })
	found = found[min(q.Offset, len(found)):]
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	return found
}

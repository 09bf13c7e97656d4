package storagekit

import (
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// Search is a filter that a database can evaluate. All conditions of the embedded Filter apply, except Statuses and
// StoredStatuses: Conditions replaces them. A nil list, "" and the zero time still select anything. Filter.Match still
// accepts the same records, for a store that reads more records than match.
type Search struct {
	storage.Filter // with valid texts only, each once in its list, and with times as storage.Instant returns them

	// A record must meet one of Conditions. If Conditions is nil, any status will do. No two of them have the same Status.
	Conditions []Condition
}

// Condition is a condition on the stored status of a record, and on its expiry.
type Condition struct {
	Status string
	Expiry Expiry // other than AnyExpiry only if Status is storage.Pending
}

// Expiry is a condition on the ExpiresAt of a record.
type Expiry int

const (
	AnyExpiry  Expiry = iota
	NotExpired        // ExpiresAt is after the Now of the filter
	Expired           // ExpiresAt is not after the Now of the filter
)

// NewSearch returns f as a Search. It returns false if no record can match f. Then there is nothing to ask the
// database.
func NewSearch(f storage.Filter) (Search, bool) {
	for _, s := range []string{f.OrganizationID, f.EmailContains, f.InviterUserID} {
		if !storage.ValidText(s) {
			return Search{}, false
		}
	}
	f.IDs, f.EmailKeys, f.Roles = Texts(f.IDs), Texts(f.EmailKeys), Texts(f.Roles)
	f.Now, f.SentAfter = storage.Instant(f.Now), storage.Instant(f.SentAfter)
	f.CreatedFrom, f.ExpiresFrom = storage.Instant(f.CreatedFrom), storage.Instant(f.ExpiresFrom)
	for _, before := range []*time.Time{&f.ResolvedBefore, &f.CreatedBefore, &f.ExpiresBefore} {
		if before.IsZero() {
			continue
		}
		if *before = storage.Instant(*before); before.IsZero() {
			return Search{}, false // it is not after the first instant
		}
	}
	s := Search{Filter: f, Conditions: conditions(f)}
	for _, list := range [][]string{f.IDs, f.EmailKeys, f.Roles} {
		if list != nil && len(list) == 0 {
			return Search{}, false
		}
	}
	return s, s.Conditions == nil || len(s.Conditions) > 0
}

// conditions returns nil if f accepts any status.
func conditions(f storage.Filter) []Condition {
	if f.Statuses == nil && f.StoredStatuses == nil {
		return nil
	}
	wanted := func(status string) bool { return f.Statuses == nil || slices.Contains(f.Statuses, status) }
	stored := f.StoredStatuses
	if stored == nil {
		stored = append(slices.Clone(f.Statuses), storage.Pending) // pending may count as expired
	}
	list := make([]Condition, 0, len(stored))
	for _, status := range Texts(stored) {
		c := Condition{Status: status}
		if status == storage.Pending {
			switch open, lapsed := wanted(storage.Pending), wanted(storage.Expired); {
			case !open && !lapsed:
				continue
			case !lapsed:
				c.Expiry = NotExpired
			case !open:
				c.Expiry = Expired
			}
		} else if !wanted(status) {
			continue
		}
		list = append(list, c)
	}
	return list
}

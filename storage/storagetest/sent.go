package storagetest

import (
	"time"

	"github.com/orginvite/orginvite/storage"
)

// filterSentAfter tests that Filter.SentAfter is exact to the microsecond and combines with what the service limits:
// an organization, an inviter and an address.
func filterSentAfter(t *trial, s storage.Storage) {
	sentAt := func(at time.Time) func(*storage.Record) {
		return func(r *storage.Record) { r.SentAt = at }
	}
	instant := at(50)
	moon := time.Date(1969, 7, 20, 20, 17, 40, 1000, time.UTC)
	seed(t, s,
		record("a", sentAt(instant.Add(-time.Microsecond))),
		record("b", sentAt(instant), resolved("revoked")),
		record("c", sentAt(instant.Add(time.Microsecond)), in("org-2"), to("user.d@example.com")),
		record("d", sentAt(instant.Add(time.Hour)), func(r *storage.Record) { r.InviterUserID = "inviter-2" }),
		record("moon", sentAt(moon)),
		record("unsent", sentAt(time.Time{})))
	byID(t, s, storage.Filter{}, "a", "b", "c", "d", "moon", "unsent")
	zero := time.Time{}.In(time.FixedZone("", 3600))
	byID(t, s, storage.Filter{SentAfter: zero}, "a", "b", "c", "d", "moon", "unsent")
	byID(t, s, storage.Filter{SentAfter: time.Time{}.Add(time.Microsecond)}, "a", "b", "c", "d", "moon")
	byID(t, s, storage.Filter{SentAfter: moon}, "a", "b", "c", "d")
	byID(t, s, storage.Filter{SentAfter: moon.Add(-time.Microsecond)}, "a", "b", "c", "d", "moon")
	byID(t, s, storage.Filter{SentAfter: instant.Add(-time.Microsecond)}, "b", "c", "d")
	byID(t, s, storage.Filter{SentAfter: instant.Add(-time.Nanosecond)}, "b", "c", "d") // truncated
	byID(t, s, storage.Filter{SentAfter: instant}, "c", "d")
	byID(t, s, storage.Filter{SentAfter: instant.Add(999 * time.Nanosecond).In(time.FixedZone("", -7200))}, "c", "d")
	byID(t, s, storage.Filter{SentAfter: instant.Add(time.Microsecond)}, "d")
	byID(t, s, storage.Filter{SentAfter: instant.Add(time.Hour)})
	byID(t, s, storage.Filter{SentAfter: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)})
	byID(t, s, storage.Filter{OrganizationID: "org-1", SentAfter: instant.Add(-time.Microsecond)}, "b", "d")
	byID(t, s, storage.Filter{
		OrganizationID: "org-1", InviterUserID: "inviter-2", SentAfter: instant.Add(-time.Microsecond),
	}, "d")
	byID(t, s, storage.Filter{
		OrganizationID: "org-1", EmailKeys: []string{"user.d@example.com", "user.b@example.com"}, SentAfter: instant,
	}, "d")
	byID(t, s, storage.Filter{IDs: []string{"a", "c"}, SentAfter: instant}, "c")
	byID(t, s, storage.Filter{Statuses: []string{"revoked"}, SentAfter: instant.Add(-time.Microsecond)}, "b")
}

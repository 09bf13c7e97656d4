package storagetest

import (
	"time"

	"github.com/orginvite/orginvite/storage"
)

var stateCases = []testCase{
	{name: "a pending record counts as expired from ExpiresAt on", test: stateExpiry},
	{name: "a zero Now is the zero time, and a Now of any year is one", test: stateNow},
	{name: "only pending lapses, and lapsing changes nothing stored", test: stateLapses},
	{name: "StoredStatuses are as written", test: stateStored},
	{name: "statuses count by organization and address together", test: stateCombined},
}

// [storage.Filter] counts a pending record as expired from the instant ExpiresAt on.
func stateExpiry(t *trial, s storage.Storage) {
	seed(t, s, record("a", expires(100)))
	tokyo := time.FixedZone("Tokyo", 9*60*60)
	for _, c := range []struct {
		now  time.Time
		want string
	}{
		{time.Time{}, storage.Pending},
		{at(0), storage.Pending},
		{at(100).Add(-time.Microsecond), storage.Pending},
		{at(100).Add(-time.Nanosecond), storage.Pending},
		{at(100).Add(-time.Nanosecond).In(tokyo), storage.Pending},
		{at(100), storage.Expired},
		{at(100).In(tokyo), storage.Expired},
		{at(100).Add(time.Nanosecond), storage.Expired},
		{at(100).Add(time.Microsecond), storage.Expired},
		{at(1e6), storage.Expired},
	} {
		for _, status := range []string{storage.Pending, storage.Expired} {
			var want []string
			if status == c.want {
				want = []string{"a"}
			}
			byID(t, s, storage.Filter{Statuses: []string{status}, Now: c.now}, want...)
			byID(t, s, storage.Filter{OrganizationID: "org-1", Statuses: []string{status}, Now: c.now}, want...)
			byID(t, s, storage.Filter{
				OrganizationID: "org-1", Statuses: []string{status}, Now: c.now, Direct: true,
			}, want...)
			byID(t, s, storage.Filter{
				EmailKeys: []string{"user.a@example.com"}, Statuses: []string{status}, Now: c.now,
			}, want...)
		}
	}
}

// A zero Filter.Now is not replaced by the current time. A Now outside the years of a record counts as the nearest time
// in them.
func stateNow(t *trial, s storage.Storage) {
	seed(t, s,
		record("zero", func(r *storage.Record) { r.ExpiresAt = time.Time{} }),
		record("later", func(r *storage.Record) { r.ExpiresAt = time.Time{}.Add(time.Microsecond) }))
	byID(t, s, storage.Filter{Statuses: []string{storage.Pending}}, "later")
	byID(t, s, storage.Filter{Statuses: []string{storage.Expired}}, "zero")
	byID(t, s, storage.Filter{Statuses: []string{storage.Pending}, Now: farPast}, "later")
	byID(t, s, storage.Filter{Statuses: []string{storage.Expired}, Now: farPast}, "zero")
	byID(t, s, storage.Filter{Statuses: []string{storage.Expired}, Now: lastInstant}, "later", "zero")
	byID(t, s, storage.Filter{Statuses: []string{storage.Pending}, Now: farFuture})
	byID(t, s, storage.Filter{Statuses: []string{storage.Expired}, Now: farFuture}, "later", "zero")
}

// Only records that are stored as [storage.Pending] lapse, and nothing is written when they do.
func stateLapses(t *trial, s storage.Storage) {
	records := []storage.Record{
		record("accepted", expires(0), resolved("accepted")),
		record("case", expires(0), resolved("Pending")),
		record("expired", expires(500), resolved(storage.Expired)),
		record("lapsed", expires(0)),
		record("live", expires(500)),
		record("space", expires(0), resolved("pending ")),
	}
	seed(t, s, records...)
	now := at(100)
	byID(t, s, storage.Filter{Statuses: []string{"accepted"}, Now: now}, "accepted")
	byID(t, s, storage.Filter{Statuses: []string{"Pending"}, Now: now}, "case")
	byID(t, s, storage.Filter{Statuses: []string{"pending "}, Now: now}, "space")
	byID(t, s, storage.Filter{Statuses: []string{storage.Pending}, Now: now}, "live")
	byID(t, s, storage.Filter{Statuses: []string{storage.Expired}, Now: now}, "expired", "lapsed")
	byID(t, s, storage.Filter{Statuses: []string{storage.Expired, storage.Pending}, Now: now},
		"expired", "lapsed", "live")
	byID(t, s, storage.Filter{Statuses: []string{"accepted", storage.Expired, "Pending"}, Now: now},
		"accepted", "case", "expired", "lapsed")
	holds(t, s, records...)
}

// Filter.StoredStatuses compares the status that was written, and combines with Statuses.
func stateStored(t *trial, s storage.Storage) {
	seed(t, s,
		record("expired", expires(500), resolved(storage.Expired)),
		record("lapsed", expires(0)),
		record("live", expires(500)))
	pending, expired := []string{storage.Pending}, []string{storage.Expired}
	now := at(100)
	byID(t, s, storage.Filter{StoredStatuses: pending, Now: now}, "lapsed", "live")
	byID(t, s, storage.Filter{StoredStatuses: expired, Now: now}, "expired")
	byID(t, s, storage.Filter{StoredStatuses: pending, Statuses: expired, Now: now}, "lapsed")
	byID(t, s, storage.Filter{StoredStatuses: pending, Statuses: pending, Now: now}, "live")
	byID(t, s, storage.Filter{StoredStatuses: expired, Statuses: pending, Now: now})
	byID(t, s, storage.Filter{StoredStatuses: expired, Statuses: expired, Now: now}, "expired")
	byID(t, s, storage.Filter{OrganizationID: "org-1", StoredStatuses: pending, Statuses: expired, Now: now}, "lapsed")
	byID(t, s, storage.Filter{OrganizationID: "org-1", StoredStatuses: expired, Statuses: pending, Now: now})
}

// Filter.Statuses combines with the other fields of the filter.
func stateCombined(t *trial, s storage.Storage) {
	domain := func(r *storage.Record) { r.OrganizationDomainID = "domain" }
	seed(t, s,
		record("a", in("o1"), to("x"), expires(100)),
		record("b", in("o2"), to("x"), expires(200)),
		record("c", in("o1"), to("y"), expires(200), domain),
		record("d", in("o1"), to("x"), resolved("accepted")),
		record("e", in("o1"), to("z"), resolved(storage.Expired)),
		record("f", in("o1"), to("w"), expires(300), domain),
		record("g", in("o10"), to("x"), expires(300)))
	both := []string{storage.Pending, storage.Expired}
	pending, expired := both[:1], both[1:]
	now := at(150)
	byID(t, s, storage.Filter{OrganizationID: "o1", Statuses: pending, Now: now}, "c", "f")
	byID(t, s, storage.Filter{OrganizationID: "o1", Statuses: expired, Now: now}, "a", "e")
	byID(t, s, storage.Filter{OrganizationID: "o1", Statuses: both, Now: now}, "a", "c", "e", "f")
	byID(t, s, storage.Filter{OrganizationID: "o1", Statuses: both, Now: now, Direct: true}, "a", "e")
	byID(t, s, storage.Filter{OrganizationID: "o1", Statuses: pending, Now: now, Direct: true})
	byID(t, s, storage.Filter{OrganizationID: "o1", Direct: true}, "a", "d", "e")
	byID(t, s, storage.Filter{OrganizationID: "o1"}, "a", "c", "d", "e", "f")
	byID(t, s, storage.Filter{OrganizationID: "o1", Statuses: []string{"accepted", "accepted"}, Now: now}, "d")
	byID(t, s, storage.Filter{EmailKeys: []string{"x"}, Statuses: pending, Now: now}, "b", "g")
	byID(t, s, storage.Filter{EmailKeys: []string{"x", "z"}, Statuses: expired, Now: now}, "a", "e")
	byID(t, s, storage.Filter{
		EmailKeys: []string{"x", "y", "z"}, OrganizationID: "o1", Statuses: both, Now: now,
	}, "a", "c", "e")
}

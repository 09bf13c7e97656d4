package storagetest

import (
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// These cases belong to the group Filters.
var rangeCases = []testCase{
	{name: "Roles is any of the list, byte for byte", test: filterRoles},
	{name: "ranges begin with their first instant and end before their last", test: filterRanges},
	{name: "the bounds of a range count to the microsecond", test: filterRangeBounds},
	{name: "random roles and ranges find what Filter.Match says", test: filterRangesModel},
}

// Filter.Roles selects the records with any of these roles.
func filterRoles(t *trial, s storage.Storage) {
	seed(t, s, record("a", role("org:admin")), record("b", role("org:member")), record("c", role("Org:member")),
		record("d", role("")), record("e", role("org:member "), in("org-2")))
	byID(t, s, storage.Filter{Roles: []string{"org:member"}}, "b")
	byID(t, s, storage.Filter{Roles: []string{"org:member", "org:admin", "org:member", "none"}}, "a", "b")
	byID(t, s, storage.Filter{Roles: []string{""}}, "d")
	byID(t, s, storage.Filter{Roles: []string{"org:%", "org_admin"}})
	byID(t, s, storage.Filter{Roles: []string{}})
	byID(t, s, storage.Filter{OrganizationID: "org-2", Roles: []string{"org:member", "org:member "}}, "e")
	byID(t, s, storage.Filter{OrganizationID: "org-2", Roles: []string{"org:member"}})
	for _, text := range impossible {
		byID(t, s, storage.Filter{Roles: []string{text}})
		byID(t, s, storage.Filter{Roles: []string{text, "org:admin"}}, "a")
	}
	given := []string{"org:member", "org:admin", "org:member"}
	copied := slices.Clone(given)
	finds(t, s, storage.Query{Filter: storage.Filter{Roles: given}}, "b", "a")
	if !slices.Equal(given, copied) {
		t.Error("List or Count changed the Roles that the caller passed in")
	}
	for _, text := range confusing {
		seed(t, s, record("role"+text, role("\u00d7"+text)))
	}
	for _, text := range confusing {
		byID(t, s, storage.Filter{Roles: []string{"\u00d7" + text}}, "role"+text)
	}
}

// Filter.CreatedFrom and ExpiresFrom are inclusive, CreatedBefore and ExpiresBefore are exclusive.
func filterRanges(t *trial, s storage.Storage) {
	seed(t, s,
		record("a", created(1), expires(11)), record("b", created(2), expires(12)), record("c", created(3), expires(13)),
		record("d", created(2), expires(11), resolved("accepted"), in("org-2")))
	byID(t, s, storage.Filter{CreatedFrom: at(2)}, "b", "c", "d")
	byID(t, s, storage.Filter{CreatedBefore: at(2)}, "a")
	byID(t, s, storage.Filter{CreatedFrom: at(2), CreatedBefore: at(3)}, "b", "d")
	byID(t, s, storage.Filter{CreatedFrom: at(2), CreatedBefore: at(2)})
	byID(t, s, storage.Filter{CreatedFrom: at(3), CreatedBefore: at(2)})
	byID(t, s, storage.Filter{ExpiresFrom: at(12)}, "b", "c")
	byID(t, s, storage.Filter{ExpiresBefore: at(12)}, "a", "d")
	byID(t, s, storage.Filter{ExpiresFrom: at(11), ExpiresBefore: at(12)}, "a", "d")
	byID(t, s, storage.Filter{ExpiresFrom: at(11), ExpiresBefore: at(11)})
	byID(t, s, storage.Filter{CreatedFrom: at(2), ExpiresBefore: at(13)}, "b", "d")
	byID(t, s, storage.Filter{OrganizationID: "org-1", CreatedFrom: at(2), ExpiresBefore: at(13)}, "b")
	byID(t, s, storage.Filter{OrganizationID: "org-1", CreatedBefore: at(3)}, "a", "b")
	byID(t, s, storage.Filter{OrganizationID: "org-1", ExpiresFrom: at(12)}, "b", "c")
	byID(t, s, storage.Filter{
		Statuses: []string{storage.Pending}, Now: at(11), ExpiresFrom: at(11), ExpiresBefore: at(13),
	}, "b")
	byID(t, s, storage.Filter{Statuses: []string{storage.Expired}, Now: at(12), ExpiresFrom: at(12)}, "b")
	byID(t, s, storage.Filter{EmailKeys: []string{"user.a@example.com", "user.d@example.com"}, CreatedFrom: at(2)}, "d")
	q := storage.Query{
		Filter: storage.Filter{CreatedFrom: at(1), CreatedBefore: at(3)}, Limit: 2,
		Sort: []storage.Sort{{Field: storage.FieldCreatedAt}},
	}
	finds(t, s, q, "a", "b")
	q.After = &storage.Record{ID: "b", CreatedAt: at(2)}
	finds(t, s, q, "d")
	zone := time.FixedZone("", -7200)
	byID(t, s, storage.Filter{CreatedFrom: at(2).In(zone), CreatedBefore: at(3).In(zone)}, "b", "d")
	zero := time.Time{}.In(zone)
	byID(t, s, storage.Filter{CreatedFrom: zero, CreatedBefore: zero, ExpiresFrom: zero, ExpiresBefore: zero},
		"a", "b", "c", "d")
}

// The bounds of a range count as [storage.Instant] returns them.
func filterRangeBounds(t *trial, s storage.Storage) {
	first, last := time.Time{}, time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	spans := func(created, expires time.Time) func(*storage.Record) {
		return func(r *storage.Record) { r.CreatedAt, r.ExpiresAt = created, expires }
	}
	noon := at(0)
	seed(t, s, record("first", spans(first, first)), record("last", spans(last, last)),
		record("a", spans(noon.Add(-time.Microsecond), noon)), record("b", spans(noon, noon.Add(time.Microsecond))))
	byID(t, s, storage.Filter{CreatedFrom: noon}, "b", "last")
	byID(t, s, storage.Filter{CreatedFrom: noon.Add(999)}, "b", "last")
	byID(t, s, storage.Filter{CreatedFrom: noon.Add(1000)}, "last")
	byID(t, s, storage.Filter{CreatedFrom: noon.Add(-1)}, "a", "b", "last")
	byID(t, s, storage.Filter{CreatedBefore: noon.Add(999)}, "a", "first")
	byID(t, s, storage.Filter{CreatedBefore: noon.Add(1000)}, "a", "b", "first")
	byID(t, s, storage.Filter{ExpiresFrom: noon.Add(999)}, "a", "b", "last")
	byID(t, s, storage.Filter{ExpiresBefore: noon.Add(999)}, "first")
	for _, far := range []time.Time{last, last.Add(1), time.Unix(1<<60, 0)} {
		byID(t, s, storage.Filter{CreatedFrom: far}, "last")
		byID(t, s, storage.Filter{ExpiresFrom: far}, "last")
		byID(t, s, storage.Filter{CreatedBefore: far, ExpiresBefore: far}, "a", "b", "first")
	}
	for _, ago := range []time.Time{first.Add(1), first.Add(-1), time.Unix(-1<<60, 0)} {
		byID(t, s, storage.Filter{CreatedFrom: ago, ExpiresFrom: ago}, "a", "b", "first", "last")
		byID(t, s, storage.Filter{CreatedBefore: ago})
		byID(t, s, storage.Filter{ExpiresBefore: ago})
	}
	byID(t, s, storage.Filter{CreatedBefore: first.Add(time.Microsecond)}, "first")
}

// List and Count answer random filters with roles and ranges as Filter.Match defines.
func filterRangesModel(t *trial, s storage.Storage) {
	d, m := roll(7), model{}
	var records []storage.Record
	var names []string
	for i := range 160 {
		r := d.record(number(i))
		r.Role = pick(d, "r1", "r2", "R1", "r1 ", "")
		if m.insert([]storage.Record{r}) == nil {
			seed(t, s, r)
			records, names = append(records, r.Stored()), append(names, r.ID)
		}
	}
	found := 0
	for range 400 {
		q := d.query(names)
		if d.IntN(3) > 0 { // a few conditions, so that something is left to find
			q.Filter = storage.Filter{OrganizationID: q.OrganizationID, Statuses: q.Statuses, Now: q.Now}
		}
		q.Roles = d.some("r1", "r2", "R1", "r1 ", "", "none", "a\x00")
		for _, bound := range []*time.Time{&q.CreatedFrom, &q.CreatedBefore, &q.ExpiresFrom, &q.ExpiresBefore} {
			if d.IntN(3) == 0 {
				*bound = d.time()
			}
		}
		want := answer(records, q)
		found += len(want)
		finds(t, s, q, ids(want)...)
		q.After, q.Offset, q.Limit = nil, 0, 0
		if n, err := s.Count(t.Context(), q.Filter); n != len(answer(records, q)) || err != nil {
			t.Errorf("Count(%s) = %d, %v; want %d", show(q), n, err, len(answer(records, q)))
		}
		if _, ok := storage.As[storage.StatusCounter](s); ok {
			tally(t, s, q.Filter, census(records, q.Filter))
		}
		if t.Failed() {
			return
		}
	}
	if found < 200 {
		t.Fatalf("the queries found only %d records in total, too few to prove anything", found)
	}
}

package storagetest

import (
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

var filterCases = []testCase{
	{name: "every field narrows by itself", test: filterFields},
	{name: "a nil list is any, an empty one none", test: filterEmptyLists},
	{name: "what a list names twice is found once", test: filterDuplicates},
	{name: "long lists are answered in full", test: filterLongLists},
	{name: "empty text in a list is text like any other", test: filterEmptyText},
	{name: "ResolvedBefore counts to the microsecond and leaves out what is not resolved", test: filterResolvedBefore},
	{name: "SentAfter is exact, whatever else is asked", test: filterSentAfter},
	{name: "text no record can have matches nothing", test: filterImpossibleText},
	{name: "a query is read, not written", test: filterReadOnly},
}

// Each field of [storage.Filter] narrows the result by itself, and fields combine.
func filterFields(t *trial, s storage.Storage) {
	seed(t, s,
		record("a", in("o1"), to("ann@example.com")),
		record("b", in("o2"), to("bob@example.com"), func(r *storage.Record) { r.InviterUserID = "inviter-2" }),
		record("c", in("o1"), to("cat@example.net"), resolved("accepted"),
			func(r *storage.Record) { r.OrganizationDomainID = "domain" }))
	byID(t, s, storage.Filter{}, "a", "b", "c")
	byID(t, s, storage.Filter{IDs: []string{"c", "a"}}, "a", "c")
	byID(t, s, storage.Filter{OrganizationID: "o1"}, "a", "c")
	byID(t, s, storage.Filter{OrganizationID: "o"})
	byID(t, s, storage.Filter{EmailKeys: []string{"bob@example.com", "cat@example.net"}}, "b", "c")
	byID(t, s, storage.Filter{EmailContains: "@example.c"}, "a", "b")
	byID(t, s, storage.Filter{Statuses: []string{"accepted"}, Now: epoch}, "c")
	byID(t, s, storage.Filter{StoredStatuses: []string{storage.Pending}}, "a", "b")
	byID(t, s, storage.Filter{Roles: []string{"member", "none"}}, "a", "b", "c")
	byID(t, s, storage.Filter{Roles: []string{"Member", ""}})
	byID(t, s, storage.Filter{InviterUserID: "inviter-2"}, "b")
	byID(t, s, storage.Filter{Direct: true}, "a", "b")
	byID(t, s, storage.Filter{ResolvedBefore: at(11)}, "c")
	byID(t, s, storage.Filter{IDs: []string{"a", "b"}, OrganizationID: "o1"}, "a")
	byID(t, s, storage.Filter{IDs: []string{"a", "b"}, EmailKeys: []string{"cat@example.net"}})
	byID(t, s, storage.Filter{IDs: []string{"a", "c"}, ResolvedBefore: at(11)}, "c")
}

// In a Filter, a nil list matches any record and an empty list matches none.
func filterEmptyLists(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b", resolved("accepted")))
	byID(t, s, storage.Filter{}, "a", "b")
	for _, empty := range [][]string{{}, make([]string, 0, 4)} {
		byID(t, s, storage.Filter{IDs: empty})
		byID(t, s, storage.Filter{EmailKeys: empty})
		byID(t, s, storage.Filter{Roles: empty})
		byID(t, s, storage.Filter{Statuses: empty})
		byID(t, s, storage.Filter{StoredStatuses: empty})
		byID(t, s, storage.Filter{OrganizationID: "org-1", Statuses: empty})
		byID(t, s, storage.Filter{OrganizationID: "org-1", StoredStatuses: empty})
		byID(t, s, storage.Filter{IDs: []string{"a"}, EmailKeys: empty})
		byID(t, s, storage.Filter{IDs: empty, EmailKeys: []string{"user.a@example.com"}})
	}
}

// A record is found once even if a list of the Filter repeats its value.
func filterDuplicates(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"), record("c"))
	byID(t, s, storage.Filter{IDs: []string{"b", "a", "b", "none", "a"}}, "a", "b")
	byID(t, s, storage.Filter{
		EmailKeys: []string{"user.a@example.com", "user.a@example.com", "none", "user.b@example.com"},
	}, "a", "b")
	byID(t, s, storage.Filter{Statuses: []string{storage.Pending, storage.Pending}, Now: epoch}, "a", "b", "c")
	byID(t, s, storage.Filter{StoredStatuses: []string{storage.Pending, storage.Pending}}, "a", "b", "c")
	byID(t, s, storage.Filter{
		OrganizationID: "org-1", StoredStatuses: []string{storage.Pending, storage.Pending},
	}, "a", "b", "c")
	finds(t, s, storage.Query{
		Filter: storage.Filter{IDs: []string{"c", "a", "c", "b"}}, Limit: 2,
	}, "c", "b")
}

// The lists of a Filter and the ids of a Delete may be longer than one SQL statement allows.
func filterLongLists(t *trial, s storage.Storage) {
	records := crowded(manyRecords())
	var list, keys []string
	for _, r := range records {
		list, keys = append(list, r.ID), append(keys, r.EmailKey)
	}
	if err := s.Insert(t.Context(), records...); err != nil {
		t.Fatalf("Insert of %d records: %v", len(records), err)
	}
	// Whatever part of a list is left out, one of these misses a record.
	finds := func(what string, f storage.Filter, want []storage.Record) {
		t.Helper()
		q := storage.Query{Filter: f, Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}}
		got, err := s.List(t.Context(), q)
		if err != nil || !slices.Equal(ids(got), ids(want)) {
			t.Errorf("List by %s returns %d records, error %v; want %d", what, len(got), err, len(want))
		}
		if n, err := s.Count(t.Context(), f); n != len(want) || err != nil {
			t.Errorf("Count by %s = %d, %v; want %d", what, n, err, len(want))
		}
	}
	finds("all ids", storage.Filter{IDs: list}, records)
	finds("all addresses", storage.Filter{EmailKeys: keys}, records)
	finds("all ids and one address", storage.Filter{IDs: list, EmailKeys: keys[len(keys)-1:]}, records[len(records)-1:])
	q := storage.Query{Filter: storage.Filter{IDs: list}, Offset: len(list) - 3, Limit: 2}
	page, err := s.List(t.Context(), q)
	if err != nil || !slices.Equal(ids(page), []string{list[2], list[1]}) {
		t.Errorf("List by all ids, at the end, returns %q, %v", ids(page), err)
	}
	if n, err := s.Delete(t.Context(), list[1:]...); n != len(list)-1 || err != nil {
		t.Errorf("Delete = %d, %v; want %d", n, err, len(list)-1)
	}
	byID(t, s, storage.Filter{}, list[0])
}

// An empty string in a list of a Filter is a value like any other.
func filterEmptyText(t *trial, s storage.Storage) {
	seed(t, s, record("a", to("")), record("b"), record("c", resolved("")))
	byID(t, s, storage.Filter{IDs: []string{""}})
	byID(t, s, storage.Filter{EmailKeys: []string{""}}, "a")
	byID(t, s, storage.Filter{EmailKeys: []string{"", "user.b@example.com"}}, "a", "b")
	byID(t, s, storage.Filter{Statuses: []string{""}, Now: epoch}, "c")
	byID(t, s, storage.Filter{StoredStatuses: []string{""}}, "c")
}

// Filter.ResolvedBefore counts to the microsecond, also outside the years of a record. It excludes records that are not
// resolved.
func filterResolvedBefore(t *trial, s storage.Storage) {
	resolvedAt := func(at time.Time) func(*storage.Record) {
		return func(r *storage.Record) { r.Status, r.ResolvedAt = "accepted", at }
	}
	instant := at(50)
	seed(t, s,
		record("a", resolvedAt(instant.Add(-time.Microsecond))),
		record("b", resolvedAt(instant)),
		record("c", resolvedAt(instant.Add(time.Microsecond))),
		record("pending"),
		record("unresolved", resolvedAt(time.Time{})),
		record("ancient", resolvedAt(time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC))),
		record("moon", resolvedAt(time.Date(1969, 7, 20, 20, 17, 40, 1000, time.UTC))),
		record("never", resolvedAt(lastInstant)))
	byID(t, s, storage.Filter{}, "a", "ancient", "b", "c", "moon", "never", "pending", "unresolved")
	zero := time.Time{}.In(time.FixedZone("", 3600))
	byID(t, s, storage.Filter{ResolvedBefore: zero}, "a", "ancient", "b", "c", "moon", "never", "pending", "unresolved")
	byID(t, s, storage.Filter{ResolvedBefore: farPast})
	byID(t, s, storage.Filter{ResolvedBefore: time.Time{}.Add(-time.Nanosecond)})
	byID(t, s, storage.Filter{ResolvedBefore: time.Time{}.Add(time.Nanosecond)})
	byID(t, s, storage.Filter{ResolvedBefore: time.Time{}.Add(time.Microsecond)})
	byID(t, s, storage.Filter{ResolvedBefore: time.Time{}.Add(1999 * time.Nanosecond)})
	byID(t, s, storage.Filter{ResolvedBefore: time.Time{}.Add(2000 * time.Nanosecond)}, "ancient")
	moon := time.Date(1969, 7, 20, 20, 17, 40, 1000, time.UTC)
	byID(t, s, storage.Filter{ResolvedBefore: moon}, "ancient")
	byID(t, s, storage.Filter{ResolvedBefore: moon.Add(999 * time.Nanosecond)}, "ancient")
	byID(t, s, storage.Filter{ResolvedBefore: moon.Add(time.Microsecond)}, "ancient", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: moon.Add(-time.Nanosecond)}, "ancient")
	byID(t, s, storage.Filter{ResolvedBefore: instant}, "a", "ancient", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: instant.Add(-time.Nanosecond)}, "ancient", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: instant.Add(-time.Microsecond)}, "ancient", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: instant.Add(time.Nanosecond)}, "a", "ancient", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: instant.Add(999 * time.Nanosecond).In(time.FixedZone("", -7200))},
		"a", "ancient", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: instant.Add(time.Microsecond)}, "a", "ancient", "b", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: instant.Add(time.Hour)}, "a", "ancient", "b", "c", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: lastInstant}, "a", "ancient", "b", "c", "moon")
	byID(t, s, storage.Filter{ResolvedBefore: farFuture}, "a", "ancient", "b", "c", "moon")
}

// Text that [storage.ValidText] refuses matches nothing in a Filter, Get or Delete, and causes no error there.
func filterImpossibleText(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b", resolved("accepted")), record("c", to("\u00e9@x")))
	for _, text := range impossible {
		byID(t, s, storage.Filter{IDs: []string{text}})
		byID(t, s, storage.Filter{IDs: []string{text, "a"}}, "a")
		byID(t, s, storage.Filter{OrganizationID: text})
		byID(t, s, storage.Filter{EmailKeys: []string{text}})
		byID(t, s, storage.Filter{EmailKeys: []string{text, "user.a@example.com"}}, "a")
		byID(t, s, storage.Filter{EmailContains: text})
		byID(t, s, storage.Filter{Statuses: []string{text}, Now: epoch})
		byID(t, s, storage.Filter{Statuses: []string{text, storage.Pending}, Now: epoch}, "a", "c")
		byID(t, s, storage.Filter{StoredStatuses: []string{text}})
		byID(t, s, storage.Filter{StoredStatuses: []string{"accepted", text}}, "b")
		byID(t, s, storage.Filter{InviterUserID: text})
		missing(t, s, text)
		if n, err := s.Delete(t.Context(), text, "a"+text); n != 0 || err != nil {
			t.Errorf("Delete(%q) = %d, %v", text, n, err)
		}
		refused(t, "Update", s.Update(t.Context(), record(text)), nil)
	}
	holds(t, s, record("a"), record("b", resolved("accepted")), record("c", to("\u00e9@x")))
}

// A store does not modify the lists and records of a query, and keeps no reference to them.
func filterReadOnly(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"), record("c"))
	after := record("c", version(7))
	after.CreatedAt = after.CreatedAt.In(time.FixedZone("", 3600))
	before := after
	q := storage.Query{
		Filter: storage.Filter{
			IDs:            []string{"c", "a", "b", "a"},
			EmailKeys:      []string{"user.c@example.com", "user.a@example.com", "user.b@example.com", ""},
			Statuses:       []string{storage.Pending, "accepted", storage.Expired},
			StoredStatuses: []string{storage.Pending, "accepted", ""},
			Now:            epoch,
		},
		Sort:  []storage.Sort{{Field: storage.FieldExpiresAt}, {Field: storage.FieldCreatedAt, Descending: true}},
		After: &after,
	}
	copied := q
	copied.IDs, copied.EmailKeys = slices.Clone(q.IDs), slices.Clone(q.EmailKeys)
	copied.Statuses, copied.StoredStatuses = slices.Clone(q.Statuses), slices.Clone(q.StoredStatuses)
	copied.Sort = slices.Clone(q.Sort)
	finds(t, s, q, "b", "a")
	if _, err := s.Count(t.Context(), q.Filter); err != nil {
		t.Error(err)
	}
	if !slices.Equal(q.IDs, copied.IDs) || !slices.Equal(q.EmailKeys, copied.EmailKeys) ||
		!slices.Equal(q.Statuses, copied.Statuses) || !slices.Equal(q.StoredStatuses, copied.StoredStatuses) ||
		!slices.Equal(q.Sort, copied.Sort) {
		t.Error("List or Count changed a list that the caller passed in")
	}
	same(t, after, before)
	q.IDs[0], q.EmailKeys[0] = "a", "user.a@example.com"
	finds(t, s, copied, "b", "a")
}

// impossible lists texts that no record can hold. One of them is a part of a valid text.
var impossible = []string{
	"\x00", "a\x00", "\x00a", "a\xff", "\xc3\x28", "\xed\xa0\x80", "user.a\x00@example.com", "\xa9@x",
}

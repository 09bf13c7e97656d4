package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/orginvite/orginvite/storage"
)

var writeCases = []testCase{
	{name: "Insert stores Version 1 whatever it is given", test: writeInsertVersion},
	{name: "Update adds 1 to Version", test: writeUpdateVersion},
	{name: "Update writes every field", test: writeUpdateFields},
	{name: "Update moves a record in every order and filter", test: writeUpdateMoves},
	{name: "Delete counts the records there were", test: writeDelete},
	{name: "no arguments is a no-op", test: writeNothing},
	{name: "a missing id is ErrNotFound", test: writeNotFound},
	{name: "a stale Version is ErrConflict", test: writeConflict},
	{name: "an id twice in one Update is ErrConflict", test: writeTwice},
	{name: "ErrNotFound goes before ErrConflict, which goes before ErrExists", test: writePrecedence},
	{name: "Insert names every argument whose id or slot is held", test: writeExists},
	{name: "an address has one slot in each organization", test: writeSlots},
	{name: "a slot is held by what is stored as pending, lapsed or not", test: writeLapsedSlot},
	{name: "a slot is held by whoever holds it before the Update", test: writeHeld},
	{name: "Insert and Update of several are all or none", test: writeAllOrNone},
	{name: "many records in one call", test: writeMany},
}

// Insert stores Version 1 whatever it is given.
func writeInsertVersion(t *trial, s storage.Storage) {
	a, b, c := record("a", version(0)), record("b", version(7)), record("c", version(-1))
	given := []storage.Record{a, b, c}
	if err := s.Insert(t.Context(), given...); err != nil {
		t.Fatal(err)
	}
	for i, r := range []storage.Record{a, b, c} {
		same(t, given[i], r)
	}
	holds(t, s, edit(a, version(1)), edit(b, version(1)), edit(c, version(1)))
}

// Update adds 1 to Version in the store, and leaves its argument unchanged.
func writeUpdateVersion(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	for n := range int64(3) {
		given := []storage.Record{record("a", version(n+1), role(fmt.Sprint("role-", n)))}
		update(t, s, given...)
		same(t, given[0], record("a", version(n+1), role(fmt.Sprint("role-", n))))
		holds(t, s, record("a", version(n+2), role(fmt.Sprint("role-", n))))
	}
}

// Update writes every field except ID and Version.
func writeUpdateFields(t *trial, s storage.Storage) {
	// Reflection covers fields that are added to Record later.
	other := func(v reflect.Value, n int) {
		switch x := v.Interface().(type) {
		case string:
			v.SetString(fmt.Sprint("other-", n))
		case int64:
			v.SetInt(int64(1)<<60 + int64(n))
		case []byte:
			v.SetBytes(fmt.Appendf(nil, `{"other":%d}`, n))
		case time.Time:
			v.Set(reflect.ValueOf(at(5000 + n)))
		default:
			t.Fatalf("this test has no other value for a field of type %T", x)
		}
	}
	var want []storage.Record
	fields := reflect.TypeFor[storage.Record]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if name == "ID" || name == "Version" {
			continue
		}
		// One field alone.
		r := record("one-" + name)
		seed(t, s, r)
		other(reflect.ValueOf(&r).Elem().Field(i), i)
		update(t, s, r)
		want = append(want, edit(r, version(2)))
	}
	// All of them, then back to almost nothing.
	changed, zero := record("all"), storage.Record{ID: "all", Version: 2, EmailKey: "zero", Status: "zero"}
	seed(t, s, changed)
	for i := range fields.NumField() {
		if name := fields.Field(i).Name; name != "ID" && name != "Version" {
			other(reflect.ValueOf(&changed).Elem().Field(i), 100+i)
		}
	}
	update(t, s, changed)
	holds(t, s, append(slices.Clone(want), edit(changed, version(2)))...)
	update(t, s, zero)
	holds(t, s, append(slices.Clone(want), edit(zero, version(3)))...)
}

// After an Update, every order and filter uses the new values and none of the old ones.
func writeUpdateMoves(t *trial, s storage.Storage) {
	seed(t, s, record("a", created(1), expires(1)), record("b", created(2), expires(2)))
	moved := record("a", in("o2"), to("zz"), created(3), expires(3), resolved("accepted"),
		func(r *storage.Record) { r.OrganizationDomainID, r.InviterUserID = "domain", "inviter-2" })
	update(t, s, moved)
	for _, field := range sortFields {
		finds(t, s, storage.Query{Sort: []storage.Sort{{Field: field}}}, "b", "a")
		finds(t, s, storage.Query{Sort: []storage.Sort{{Field: field, Descending: true}}}, "a", "b")
	}
	byID(t, s, storage.Filter{OrganizationID: "org-1"}, "b")
	byID(t, s, storage.Filter{OrganizationID: "o2"}, "a")
	byID(t, s, storage.Filter{EmailKeys: []string{"user.a@example.com"}})
	byID(t, s, storage.Filter{EmailKeys: []string{"zz"}}, "a")
	byID(t, s, storage.Filter{EmailContains: "zz"}, "a")
	byID(t, s, storage.Filter{Statuses: []string{storage.Pending, storage.Expired}}, "b")
	byID(t, s, storage.Filter{StoredStatuses: []string{"accepted"}}, "a")
	byID(t, s, storage.Filter{Direct: true}, "b")
	byID(t, s, storage.Filter{InviterUserID: "inviter-1"}, "b")
	byID(t, s, storage.Filter{InviterUserID: "inviter-2"}, "a")
	byID(t, s, storage.Filter{ResolvedBefore: at(500)}, "a")
}

// Delete returns how many records it deleted, and ignores an id that is missing or repeated.
func writeDelete(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"), record("c"), record("d"))
	for _, c := range []struct {
		ids  []string
		want int
	}{
		{[]string{"none"}, 0}, {[]string{"a", "none", "b"}, 2}, {[]string{"a", "b"}, 0}, {[]string{"c", "c"}, 1},
		{[]string{"", "D", "d "}, 0},
	} {
		given := slices.Clone(c.ids)
		if n, err := s.Delete(t.Context(), given...); n != c.want || err != nil {
			t.Errorf("Delete(%q) = %d, %v; want %d", c.ids, n, err, c.want)
		}
		if !slices.Equal(given, c.ids) {
			t.Errorf("Delete changed the caller's ids to %q", given)
		}
	}
	holds(t, s, record("d"))
	missing(t, s, "a")
	byID(t, s, storage.Filter{OrganizationID: "org-1"}, "d")
	byID(t, s, storage.Filter{EmailKeys: []string{"user.a@example.com"}})
	byID(t, s, storage.Filter{StoredStatuses: []string{storage.Pending}}, "d")
	refused(t, "Update of a deleted record", s.Update(t.Context(), record("a")), storage.ErrNotFound)
	seed(t, s, record("a"))
	holds(t, s, record("a"), record("d"))
}

// Insert, Update and Delete without arguments do nothing.
func writeNothing(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	if err := s.Insert(t.Context()); err != nil {
		t.Errorf("Insert(): %v", err)
	}
	if err := s.Update(t.Context()); err != nil {
		t.Errorf("Update(): %v", err)
	}
	if n, err := s.Delete(t.Context()); n != 0 || err != nil {
		t.Errorf("Delete() = %d, %v", n, err)
	}
	if err := s.Insert(t.Context(), []storage.Record{}...); err != nil {
		t.Errorf("Insert([]...): %v", err)
	}
	holds(t, s, record("a"))
}

// Get and Update of a missing id return [storage.ErrNotFound].
func writeNotFound(t *trial, s storage.Storage) {
	missing(t, s, "none")
	missing(t, s, "")
	seed(t, s, record("a"))
	missing(t, s, "none")
	refused(t, "Update", s.Update(t.Context(), record("none")), storage.ErrNotFound)
	refused(t, "Update of two", s.Update(t.Context(), record("a", role("x")), record("none")), storage.ErrNotFound)
	refused(t, "Update of two", s.Update(t.Context(), record("none"), record("a", role("x"))), storage.ErrNotFound)
	holds(t, s, record("a"))
}

// Update with a Version other than the stored one returns [storage.ErrConflict].
func writeConflict(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	update(t, s, record("a"))
	want := []storage.Record{record("a", version(2)), record("b")}
	for _, n := range []int64{-1, 0, 1, 3} {
		refused(t, fmt.Sprint("Update at version ", n), s.Update(t.Context(), record("a", version(n), role("x"))),
			storage.ErrConflict)
		refused(t, "Update of two", s.Update(t.Context(), record("b", role("x")), record("a", version(n))),
			storage.ErrConflict)
		refused(t, "Update of two", s.Update(t.Context(), record("a", version(n)), record("b", role("x"))),
			storage.ErrConflict)
	}
	holds(t, s, want...)
}

// Update with the same id twice returns [storage.ErrConflict].
func writeTwice(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"))
	for _, records := range [][]storage.Record{
		{record("a"), record("a")},
		{record("a"), record("a", version(2))},
		{record("a", role("x")), record("b"), record("a", role("y"))},
		{record("a", version(2)), record("a")},
	} {
		refused(t, "Update", s.Update(t.Context(), records...), storage.ErrConflict)
	}
	holds(t, s, record("a"), record("b"))
}

// If several errors apply, ErrNotFound takes precedence over ErrConflict, and ErrConflict over ErrExists.
func writePrecedence(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"), record("c"))
	slot := to("user.c@example.com")
	for _, c := range []struct {
		what    string
		records []storage.Record
		want    error
	}{
		{"missing, stale", []storage.Record{record("none"), record("a", version(9))}, storage.ErrNotFound},
		{"stale, missing", []storage.Record{record("a", version(9)), record("none")}, storage.ErrNotFound},
		{"twice, missing", []storage.Record{record("a"), record("a"), record("none")}, storage.ErrNotFound},
		{"missing twice", []storage.Record{record("none"), record("none")}, storage.ErrNotFound},
		{"held, missing", []storage.Record{record("a", slot), record("none")}, storage.ErrNotFound},
		{"missing and held", []storage.Record{record("none", slot)}, storage.ErrNotFound},
		{"held, stale", []storage.Record{record("a", slot), record("b", version(9))}, storage.ErrConflict},
		{"stale and held", []storage.Record{record("a", slot, version(9))}, storage.ErrConflict},
		{"held, twice", []storage.Record{record("a", slot), record("b"), record("b")}, storage.ErrConflict},
		{"all", []storage.Record{record("a", slot), record("b", version(9)), record("none")}, storage.ErrNotFound},
	} {
		refused(t, c.what, s.Update(t.Context(), c.records...), c.want)
	}
	holds(t, s, record("a"), record("b"), record("c"))
}

// The [storage.ExistsError] of Insert lists every argument whose id or slot is held.
func writeExists(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b", resolved("accepted")))
	insert := func(what string, want []int, records ...storage.Record) {
		t.Helper()
		taken(t, what, s.Insert(t.Context(), records...), want...)
		holds(t, s, record("a"), record("b", resolved("accepted")))
	}
	slotA, slotX := to("user.a@example.com"), to("x")
	insert("id held by a pending record", []int{0}, record("a", to("other")))
	insert("id held by a resolved record", []int{0}, record("b"))
	insert("id held in another organization", []int{0}, record("a", in("o2"), to("other")))
	insert("slot held", []int{0}, record("c", slotA))
	insert("id and slot held", []int{0}, record("a"))
	insert("among others", []int{1, 3}, record("c"), record("d", slotA), record("e"), record("b"))
	insert("id within the call", []int{1}, record("c"), record("c", to("other")))
	insert("slot within the call", []int{1}, record("c", slotX), record("d", slotX))
	insert("three of a slot", []int{1, 2}, record("c", slotX), record("d", slotX), record("e", slotX))
	insert("three of an id", []int{1, 2}, record("c"), record("c", to("d")), record("c", to("e")))
	insert("a refused argument holds no slot", []int{0}, record("a", slotX), record("c", slotX))
	insert("a refused argument holds no id", []int{0},
		record("c", slotA), record("c", slotX))
	insert("an argument refused within the call holds nothing either", []int{1, 3},
		record("c", slotX), record("d", slotX), record("d", to("y")), record("d", to("z")))
	insert("an accepted argument after a refused one holds its slot", []int{0, 2},
		record("a", slotX), record("c", slotX), record("d", slotX))
	insert("resolved records hold no slot, but an id", []int{3},
		record("c", slotA, resolved("accepted")), record("d", slotA, resolved("revoked")),
		record("e", slotX), record("c", slotX, resolved("accepted")))
}

// A pending slot belongs to one organization and one EmailKey.
func writeSlots(t *trial, s storage.Storage) {
	seed(t, s, record("a", in("o1"), to("x")), record("b", in("o2"), to("x")), record("c", in("o1"), to("y")))
	// Slots differ even if organization and address are the same when concatenated.
	seed(t, s, record("d", in("o1x"), to("")), record("e", in("o1"), to("xx")), record("f", in("o1x"), to("x")),
		record("g", in(""), to("o1x")), record("h", in(""), to("")))
	for i, taker := range []storage.Record{
		record("i", in("o1"), to("x")), record("i", in("o2"), to("x")), record("i", in("o1x"), to("")),
		record("i", in(""), to("o1x")), record("i", in(""), to("")),
	} {
		taken(t, fmt.Sprint("slot ", i), s.Insert(t.Context(), taker), 0)
	}
}

// A pending record that has lapsed holds its slot until it is written.
func writeLapsedSlot(t *trial, s storage.Storage) {
	lapsed := record("a", to("x"), func(r *storage.Record) { r.ExpiresAt = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) })
	seed(t, s, lapsed)
	taken(t, "Insert", s.Insert(t.Context(), record("b", to("x"))), 0)
	seed(t, s, record("b", to("x"), resolved("accepted")), record("c", to("x"), resolved(storage.Expired)),
		record("d", to("x"), resolved("Pending")))
	update(t, s, edit(lapsed, resolved(storage.Expired)))
	seed(t, s, record("e", to("x")))
	taken(t, "Insert", s.Insert(t.Context(), record("f", to("x"))), 0)
	taken(t, "Update back to pending", s.Update(t.Context(), edit(lapsed, version(2))), 0)
	taken(t, "Update to pending", s.Update(t.Context(), record("b", to("x"))), 0)
	update(t, s, record("b", to("y"))) // a resolved record, pending again in another slot
	taken(t, "Insert", s.Insert(t.Context(), record("f", to("y"))), 0)
	if n, err := s.Delete(t.Context(), "e"); n != 1 || err != nil {
		t.Fatalf("Delete = %d, %v", n, err)
	}
	update(t, s, edit(lapsed, version(2)))
	taken(t, "Insert", s.Insert(t.Context(), record("f", to("x"))), 0)
}

// Update refuses a slot that another stored record holds before the call, even if that record is in the same call and
// releases it.
func writeHeld(t *trial, s storage.Storage) {
	x, y, z := to("x"), to("y"), to("z")
	seed(t, s, record("a", x), record("b", y), record("c", z), record("out", to("w")))
	update(t, s, record("a", x), record("b", y)) // each keeps its own
	now := []storage.Record{
		record("a", x, version(2)), record("b", y, version(2)), record("c", z), record("out", to("w")),
	}
	a := func(with ...func(*storage.Record)) storage.Record { return edit(record("a", version(2)), with...) }
	b := func(with ...func(*storage.Record)) storage.Record { return edit(record("b", version(2)), with...) }
	c := func(with ...func(*storage.Record)) storage.Record { return edit(record("c"), with...) }
	free, accepted := to("free"), resolved("accepted")
	fails := func(what string, want []int, records ...storage.Record) {
		t.Helper()
		taken(t, what, s.Update(t.Context(), records...), want...)
		holds(t, s, now...)
	}
	fails("onto a slot held outside the call", []int{0}, a(to("w")))
	fails("onto a slot that another keeps", []int{1}, a(x), c(x))
	fails("onto a slot that a later one keeps", []int{0}, c(x), a(x))
	fails("two onto one free slot", []int{1}, a(free), c(free))
	fails("three onto one free slot", []int{1, 2}, a(free), c(free), b(free))
	fails("a swap", []int{0, 1}, a(y), b(x))
	fails("a ring of three", []int{0, 1, 2}, a(y), b(z), c(x))
	fails("onto a slot that a later one releases", []int{0}, a(y), b(free))
	fails("onto a slot that an earlier one releases", []int{1}, b(free), a(y))
	fails("onto a slot whose holder is resolved later", []int{0}, a(y), b(y, accepted))
	fails("onto a slot whose holder was resolved earlier", []int{1}, b(y, accepted), a(y))
	fails("onto a slot whose holder leaves the organization", []int{1}, b(y, in("org-2")), a(y))
	fails("two onto one slot that a third releases", []int{1, 2}, record("out", free), a(to("w")), c(to("w")))
	fails("a refused argument releases nothing", []int{0, 1}, a(to("w")), b(x))
	fails("among others", []int{1, 3}, c(free), a(y), b(to("other")), record("out", free))

	// In one call after another, all of this is possible.
	update(t, s, b(y, accepted))
	update(t, s, a(y))
	fails = func(what string, want []int, records ...storage.Record) {
		t.Helper()
		taken(t, what, s.Update(t.Context(), records...), want...)
	}
	fails("pending again in a slot that another has taken", []int{0}, b(y, version(3)))
	fails("pending again in a slot that another releases", []int{0}, b(y, version(3)), a(x, version(3)))
	update(t, s, a(y, in("org-2"), version(3)))
	update(t, s, b(y, version(3)), c(x))
	holds(t, s, a(y, in("org-2"), version(4)), b(y, version(4)), c(x, version(2)), record("out", to("w")))
}

// Insert and Update write all of their records or none.
func writeAllOrNone(t *trial, s storage.Storage) {
	seed(t, s, record("a"), record("b"), record("c"))
	want := []storage.Record{record("a"), record("b"), record("c")}
	taken(t, "Insert, last bad", s.Insert(t.Context(), record("d"), record("e"), record("a")), 2)
	holds(t, s, want...)
	taken(t, "Insert, first bad", s.Insert(t.Context(), record("a"), record("d"), record("e")), 0)
	holds(t, s, want...)
	refused(t, "Update, last missing",
		s.Update(t.Context(), record("a", role("x")), record("b", role("x")), record("none")), storage.ErrNotFound)
	refused(t, "Update, last stale",
		s.Update(t.Context(), record("a", role("x")), record("b", role("x")), record("c", version(2))), storage.ErrConflict)
	taken(t, "Update, last held",
		s.Update(t.Context(), record("a", to("free")), record("b", role("x"), to("user.c@example.com"))), 1)
	holds(t, s, want...)
	// The slots that the refused calls would have taken are free; those that they would have released are held.
	taken(t, "Insert", s.Insert(t.Context(), record("d", to("user.a@example.com"))), 0)
	seed(t, s, record("d", to("free")), record("e"))
}

// manyRecords is the greatest number of records, ids or addresses in one call of the suite.
func manyRecords() int {
	if testing.Short() {
		return 1_500
	}
	return 10_000
}

// crowded returns n records, each with a slot of its own and a second after the one before.
func crowded(n int) []storage.Record {
	records := make([]storage.Record, n)
	for i := range records {
		records[i] = record(number(i), created(i))
	}
	return records
}

// holdsMany is holds for many records. It reads them with one List.
func holdsMany(t *trial, s storage.Storage, want []storage.Record) {
	t.Helper()
	got := all(t, s)
	if len(got) != len(want) {
		t.Fatalf("List returns %d records, want %d", len(got), len(want))
	}
	for i := range want {
		if same(t, got[i], want[i].Stored()); t.Failed() {
			return
		}
	}
	if n, err := s.Count(t.Context(), storage.Filter{}); n != len(want) || err != nil {
		t.Errorf("Count = %d, %v; want %d", n, err, len(want))
	}
}

// Insert and Update take more records than one SQL statement allows.
func writeMany(t *trial, s storage.Storage) {
	records := crowded(manyRecords())
	if err := s.Insert(t.Context(), records...); err != nil {
		t.Fatalf("Insert of %d records: %v", len(records), err)
	}
	extra := append(slices.Clone(records), record("new"))
	slices.Reverse(extra)
	var want []int
	for i := range records {
		want = append(want, i+1)
	}
	takenMany(t, "Insert", s.Insert(t.Context(), extra...), want)
	for i := range records {
		records[i].EmailKey, records[i].Role = "new."+records[i].EmailKey, "updated"
	}
	update(t, s, records...)
	stale := slices.Clone(records)
	for i := range stale {
		stale[i].Role, stale[i].Version = "stale", 2
	}
	stale[len(stale)-1].Version = 1
	refused(t, "Update", s.Update(t.Context(), stale...), storage.ErrConflict)
	for i := range records {
		records[i].Version = 2
	}
	holdsMany(t, s, records)
	// Each takes the slot of the next one.
	for i := range stale {
		stale[i].Version, stale[i].EmailKey = 2, records[(i+1)%len(records)].EmailKey
		want[i] = i
	}
	takenMany(t, "Update", s.Update(t.Context(), stale...), want)
	holdsMany(t, s, records)
}

// takenMany is taken for many indexes, with a message that does not list them.
func takenMany(t *trial, what string, err error, want []int) {
	t.Helper()
	var e *storage.ExistsError
	if !errors.As(err, &e) {
		t.Errorf("%s: %v; want an *ExistsError", what, err)
	} else if !slices.Equal(e.Indexes, want) {
		t.Errorf("%s: %d Indexes, not all of the %d wanted ones", what, len(e.Indexes), len(want))
	}
}

package storagetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

func compareIDs(a, b storage.Record) int { return cmp.Compare(a.ID, b.ID) }

// number returns i in six digits, so that texts order as their numbers do.
func number(i int) string { return fmt.Sprintf("%06d", i) }

var sortFields = []storage.Field{storage.FieldCreatedAt, storage.FieldEmailAddress, storage.FieldExpiresAt}

// orders returns all orders by up to two fields in all directions, and a few longer ones.
func orders() [][]storage.Sort {
	list := [][]storage.Sort{nil, {}}
	for _, a := range sortFields {
		for _, down := range []bool{false, true} {
			first := storage.Sort{Field: a, Descending: down}
			list = append(list, []storage.Sort{first})
			for _, b := range sortFields {
				for _, down := range []bool{false, true} {
					list = append(list, []storage.Sort{first, {Field: b, Descending: down}})
				}
			}
		}
	}
	return append(list,
		[]storage.Sort{
			{Field: storage.FieldExpiresAt}, {Field: storage.FieldEmailAddress, Descending: true},
			{Field: storage.FieldCreatedAt},
		},
		[]storage.Sort{
			{Field: storage.FieldCreatedAt, Descending: true}, {Field: storage.FieldExpiresAt},
			{Field: storage.FieldEmailAddress, Descending: true},
		})
}

// answer returns the records that a store with these records must return for q.
func answer(records []storage.Record, q storage.Query) []storage.Record {
	var found []storage.Record
	for _, r := range records {
		if q.Match(r) && (q.After == nil || q.Compare(r, *q.After) > 0) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, q.Compare)
	found = found[min(q.Offset, len(found)):]
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	return found
}

// crowd returns records with many ties in every sort field.
func crowd() []storage.Record {
	var records []storage.Record
	for i := range 36 {
		records = append(records, record(number(i*7%36), in(fmt.Sprint("org-", i%2)), to(fmt.Sprint("key-", i%3)),
			created(i/3%3), expires(i/9%4), func(r *storage.Record) {
				if i >= 6 { // i%6 determines the slot
					r.Status, r.ResolvedAt = []string{"accepted", "revoked", storage.Expired}[i%3], at(i)
				}
			}))
	}
	return records
}

var pageCases = []testCase{
	{name: "no Sort means created_at descending, then id descending", test: pageDefaultOrder},
	{name: "ties end by id in the direction of the last field", test: pageTies},
	{name: "email_address orders by EmailKey, byte for byte", test: pageEmailOrder},
	{name: "times order as times, from year 1 to 9999", test: pageTimeOrder},
	{name: "pages by After and by Offset agree with Query.Compare in every order", test: pageWalks},
	{name: "After reads its sort fields and id, and need not be stored", test: pageAfterFields},
	{name: "After counts to the microsecond", test: pageAfterPrecision},
	{name: "After, Offset and Limit combine", test: pageCombined},
	{name: "Limit 0 is no limit", test: pageNoLimit},
	{name: "a query that cannot be answered is an error", test: pageInvalid},
	{name: "pages by After neither repeat nor skip what stays put", test: pageMoving},
}

// Without Sort, the order is created_at descending, then id descending.
func pageDefaultOrder(t *trial, s storage.Storage) {
	seed(t, s, record("b", created(1)), record("d", created(1)), record("a", created(2)), record("c"))
	finds(t, s, storage.Query{}, "a", "d", "b", "c")
	finds(t, s, storage.Query{Sort: []storage.Sort{}}, "a", "d", "b", "c")
	finds(t, s, storage.Query{Filter: storage.Filter{OrganizationID: "org-1"}}, "a", "d", "b", "c")
	finds(t, s, storage.Query{Filter: storage.Filter{IDs: []string{"b", "c", "d"}}}, "d", "b", "c")
}

// The order is total: ties are broken by ID, in the direction of the last sort field.
func pageTies(t *trial, s storage.Storage) {
	seed(t, s, record("b"), record("a"), record("d"), record("c"))
	for _, field := range []storage.Field{storage.FieldCreatedAt, storage.FieldExpiresAt} {
		finds(t, s, storage.Query{Sort: []storage.Sort{{Field: field}}}, "a", "b", "c", "d")
		finds(t, s, storage.Query{Sort: []storage.Sort{{Field: field, Descending: true}}}, "d", "c", "b", "a")
	}
	finds(t, s, storage.Query{Sort: []storage.Sort{
		{Field: storage.FieldCreatedAt, Descending: true}, {Field: storage.FieldExpiresAt},
	}}, "a", "b", "c", "d")
	finds(t, s, storage.Query{Sort: []storage.Sort{
		{Field: storage.FieldCreatedAt}, {Field: storage.FieldExpiresAt, Descending: true},
	}}, "d", "c", "b", "a")
}

// [storage.FieldEmailAddress] orders by EmailKey, byte for byte.
func pageEmailOrder(t *trial, s storage.Storage) {
	seed(t, s,
		record("1", func(r *storage.Record) { r.EmailKey, r.EmailAddress = "b", "a" }),
		record("2", func(r *storage.Record) { r.EmailKey, r.EmailAddress = "a", "c" }),
		record("3", func(r *storage.Record) { r.EmailKey, r.EmailAddress = "B", "b" }),
		record("4", func(r *storage.Record) { r.EmailKey, r.EmailAddress = "a-", "d" }),
		record("5", func(r *storage.Record) { r.EmailKey, r.EmailAddress = "\u00e9", "e" }))
	finds(t, s, storage.Query{Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}}, "3", "2", "4", "1", "5")
	finds(t, s, storage.Query{Sort: []storage.Sort{{Field: storage.FieldEmailAddress, Descending: true}}},
		"5", "1", "4", "2", "3")
}

// Times order chronologically over all the years that a record may hold.
func pageTimeOrder(t *trial, s storage.Storage) {
	for i, year := range []int{9999, 1, 1969, 2026, 1970, 0, 1000} {
		r := record(number(i))
		if year > 0 {
			r.CreatedAt = time.Date(year, 12, 31, 23, 59, 59, 999999000, time.UTC)
		} else {
			r.CreatedAt = time.Time{}
		}
		r.ExpiresAt = r.CreatedAt
		seed(t, s, r)
	}
	for _, field := range []storage.Field{storage.FieldCreatedAt, storage.FieldExpiresAt} {
		finds(t, s, storage.Query{Sort: []storage.Sort{{Field: field}}},
			number(5), number(1), number(6), number(2), number(4), number(3), number(0))
	}
}

// Paging by After and by Offset returns the records in the order of Query.Compare.
func pageWalks(t *trial, s storage.Storage) {
	records := crowd()
	for i := range records {
		records[i] = records[i].Stored()
	}
	if err := s.Insert(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	for i, order := range orders() {
		for _, f := range []storage.Filter{
			{},
			{OrganizationID: "org-1"},
			{OrganizationID: "org-1", Statuses: []string{"accepted", storage.Expired}, Now: at(1)},
			{EmailKeys: []string{"key-2", "key-0"}},
			{Statuses: []string{storage.Expired}, Now: at(1)},
		}[i%5:] {
			q := storage.Query{Filter: f, Sort: order}
			want := answer(records, q)
			finds(t, s, q, ids(want)...)
			q.Limit = 5
			for page := 0; ; page++ {
				got := list(t, s, q)
				from, to := min(page*q.Limit, len(want)), min((page+1)*q.Limit, len(want))
				if !slices.Equal(ids(got), ids(want[from:to])) {
					t.Fatalf("page %d of List(%s)\n got %q\nwant %q", page, show(q), ids(got), ids(want[from:to]))
				}
				byOffset := q
				byOffset.After, byOffset.Offset = nil, from
				finds(t, s, byOffset, ids(got)...)
				if len(got) == 0 {
					break
				}
				q.After = &got[len(got)-1]
			}
		}
	}
}

// Query.After is a position: only its sort fields and ID are read, and the record need not exist.
func pageAfterFields(t *trial, s storage.Storage) {
	seed(t, s, record("a", created(1)), record("b", created(2)), record("c", created(2)), record("d", created(3)))
	up := []storage.Sort{{Field: storage.FieldCreatedAt}}
	after := func(r storage.Record, want ...string) {
		t.Helper()
		finds(t, s, storage.Query{Sort: up, After: &r}, want...)
		finds(t, s, storage.Query{
			Filter: storage.Filter{OrganizationID: "org-1", StoredStatuses: []string{storage.Pending}}, Sort: up, After: &r,
		}, want...)
	}
	after(storage.Record{ID: "b", CreatedAt: at(2)}, "c", "d")
	after(storage.Record{ID: "bb", CreatedAt: at(2)}, "c", "d")
	after(storage.Record{ID: "", CreatedAt: at(2)}, "b", "c", "d")
	after(storage.Record{ID: "c", CreatedAt: at(1)}, "b", "c", "d")
	after(storage.Record{ID: "d", CreatedAt: at(1).In(time.FixedZone("", -3600))}, "b", "c", "d")
	after(storage.Record{ID: "z", CreatedAt: at(4)})
	after(storage.Record{}, "a", "b", "c", "d")
	after(record("b", in("other"), to("zzz"), created(2), expires(-5), version(9), resolved("accepted"),
		func(r *storage.Record) { r.OrganizationDomainID, r.InviterUserID, r.Role = "d", "i", "r" }), "c", "d")
	finds(t, s, storage.Query{After: &storage.Record{ID: "c", CreatedAt: at(2)}}, "b", "a")
	finds(t, s, storage.Query{
		Sort:  []storage.Sort{{Field: storage.FieldEmailAddress}},
		After: &storage.Record{ID: "zzz", EmailKey: "user.b@example.com", EmailAddress: "zzz"},
	}, "c", "d")
	finds(t, s, storage.Query{
		Sort:  []storage.Sort{{Field: storage.FieldExpiresAt}},
		After: &storage.Record{ID: "b", ExpiresAt: at(1000), CreatedAt: at(99)},
	}, "c", "d")
}

// The times of Query.After count to the microsecond; a finer one is cut, not rounded.
func pageAfterPrecision(t *trial, s storage.Storage) {
	moon := time.Date(1969, 7, 20, 20, 17, 40, 1000, time.UTC)
	for i, first := range []time.Time{at(1), moon} {
		organization := fmt.Sprint("org-", i)
		next := first.Add(time.Microsecond)
		for id, at := range map[string]time.Time{"b": first, "d": first, "f": next} {
			seed(t, s, record(id+organization, in(organization), func(r *storage.Record) { r.CreatedAt, r.ExpiresAt = at, at }))
		}
		after := func(id string, at time.Time, want ...string) {
			t.Helper()
			for _, order := range [][]storage.Sort{
				{{Field: storage.FieldCreatedAt}},
				{{Field: storage.FieldExpiresAt}},
				{{Field: storage.FieldCreatedAt}, {Field: storage.FieldExpiresAt}},
			} {
				q := storage.Query{
					Filter: storage.Filter{OrganizationID: organization}, Sort: order,
					After: &storage.Record{ID: id, CreatedAt: at, ExpiresAt: at},
				}
				var up, down []string
				for _, id := range want {
					up = append(up, id+organization)
				}
				for _, id := range []string{"f", "d", "b"} {
					if id += organization; !slices.Contains(up, id) {
						down = append(down, id)
					}
				}
				finds(t, s, q, up...)
				q.Sort = slices.Clone(order)
				for i := range q.Sort {
					q.Sort[i].Descending = true
				}
				finds(t, s, q, down...)
			}
		}
		for _, d := range []time.Duration{0, 1, 499, 500, 999} {
			after("a", first.Add(d), "b", "d", "f")
			after("c", first.Add(d), "d", "f")
			after("e", first.Add(d), "f")
			after("e", next.Add(d), "f")
			after("g", next.Add(d))
		}
		after("z", first.Add(-1), "b", "d", "f")
		after("a", next.Add(-1), "b", "d", "f")
		after("e", next.Add(-1), "f")
		after("z", time.Time{}, "b", "d", "f")
		after("", lastInstant.Add(999))
	}
}

// Query.After, Offset and Limit combine.
func pageCombined(t *trial, s storage.Storage) {
	for i := range 10 {
		seed(t, s, record(number(i), created(i)))
	}
	q := storage.Query{
		Sort:  []storage.Sort{{Field: storage.FieldCreatedAt}},
		After: &storage.Record{ID: number(3), CreatedAt: at(3)}, Offset: 2, Limit: 3,
	}
	finds(t, s, q, number(6), number(7), number(8))
	q.Limit = 0
	finds(t, s, q, number(6), number(7), number(8), number(9))
	q.Offset, q.Limit = 0, 1
	finds(t, s, q, number(4))
	q.Offset = 6
	finds(t, s, q)
	q.Offset = 1 << 40
	finds(t, s, q)
	finds(t, s, storage.Query{Offset: 9}, number(0))
	finds(t, s, storage.Query{Offset: 10})
	finds(t, s, storage.Query{Offset: 10, Limit: 10})
	finds(t, s, storage.Query{Offset: 8, Limit: 1 << 40}, number(1), number(0))
	finds(t, s, storage.Query{Limit: 2}, number(9), number(8))
}

// A Query.Limit of 0 means no limit, however many records there are.
func pageNoLimit(t *trial, s storage.Storage) {
	records := crowded(manyRecords())
	for chunk := range slices.Chunk(records, 500) {
		if err := s.Insert(t.Context(), chunk...); err != nil {
			t.Fatal(err)
		}
	}
	holdsMany(t, s, records)
	for _, most := range []int{len(records) - 1, len(records), len(records) + 1} {
		got := list(t, s, storage.Query{Filter: storage.Filter{OrganizationID: "org-1"}, Limit: most})
		if len(got) != min(most, len(records)) {
			t.Errorf("List with a limit of %d returns %d records", most, len(got))
		}
	}
}

// List refuses what [storage.Query.Validate] refuses, even if no record matches.
func pageInvalid(t *trial, s storage.Storage) {
	seed(t, s, record("a"))
	for _, q := range []storage.Query{
		{Limit: -1},
		{Offset: -1},
		{Sort: []storage.Sort{{Field: "id"}}},
		{Sort: []storage.Sort{{Field: ""}}},
		{Sort: []storage.Sort{{Field: storage.FieldCreatedAt}, {Field: "created_at desc"}}},
		{Sort: []storage.Sort{{Field: "Created_At"}}},
		{ForUpdate: true},
		{After: &storage.Record{ID: "a\x00"}},
		{After: &storage.Record{ID: "\xff"}},
		{After: &storage.Record{EmailKey: "a\x00"}},
		{After: &storage.Record{EmailKey: "\xed\xa0\x80"}},
		{After: &storage.Record{CreatedAt: farPast}},
		{After: &storage.Record{CreatedAt: time.Time{}.Add(-1)}},
		{After: &storage.Record{CreatedAt: lastInstant.Add(time.Microsecond)}},
		{After: &storage.Record{ExpiresAt: farFuture}},
		{After: &storage.Record{ExpiresAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}},
	} {
		_, err := s.List(t.Context(), q)
		refused(t, fmt.Sprintf("List(%s)", show(q)), err, nil)
		q.IDs, q.ForUpdate = []string{}, false
		if q.Limit < 0 || q.Offset < 0 || len(q.Sort) > 0 || q.After != nil {
			_, err := s.List(t.Context(), q)
			refused(t, fmt.Sprintf("List(%s) of no ids", show(q)), err, nil)
		}
	}
	holds(t, s, record("a"))
}

// Paging by After neither repeats nor skips records that stay in place while others are inserted and deleted.
func pageMoving(t *trial, s storage.Storage) {
	for n, order := range [][]storage.Sort{
		{{Field: storage.FieldCreatedAt}},
		{{Field: storage.FieldCreatedAt, Descending: true}},
		{{Field: storage.FieldEmailAddress}},
		{{Field: storage.FieldExpiresAt, Descending: true}, {Field: storage.FieldEmailAddress}},
	} {
		organization := fmt.Sprint("org-", n)
		stays := map[string]int{}
		for i := range 20 {
			name := organization + number(i)[3:]
			seed(t, s, record(name, in(organization), created(i/2), expires(i/4)))
			stays[name] = 0
		}
		q := storage.Query{Filter: storage.Filter{OrganizationID: organization}, Sort: order, Limit: 3}
		for step := 0; ; step++ {
			page := list(t, s, q)
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				stays[r.ID]++
			}
			// Delete the record at the cursor, and insert others before, beside and after it.
			last := page[len(page)-1]
			q.After = &last
			if n, err := s.Delete(t.Context(), last.ID); n != 1 || err != nil {
				t.Fatalf("Delete = %d, %v", n, err)
			}
			for i, offset := range []int{-1000, 0, 1} {
				if step < 5 {
					seed(t, s, edit(last, version(1), func(r *storage.Record) {
						r.ID = fmt.Sprintf("%s-new-%d-%d", organization, step, i)
						r.EmailKey = last.EmailKey + r.ID
						r.CreatedAt = last.CreatedAt.Add(time.Duration(offset) * time.Millisecond)
					}))
				}
			}
			if step > 60 {
				t.Fatal("paging does not end")
			}
		}
		for id, n := range stays {
			if len(id) == len(organization)+3 && n != 1 {
				t.Errorf("sorted by %v, record %s is returned %d times, want once", order, id, n)
			}
		}
	}
}

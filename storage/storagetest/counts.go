package storagetest

import (
	"fmt"

	"github.com/orginvite/orginvite/storage"
)

var countCases = []testCase{
	{name: "every record is counted under its effective status", test: countStatuses},
	{name: "a status of the Filter leaves the others out", test: countSomeStatuses},
	{name: "random counts are what Filter.Match and EffectiveStatus say", test: countModel},
}

// counter returns the [storage.StatusCounter] of s, which is the store in its wrapper of the suite. It skips the test if
// s has none, because that is optional.
func counter(t *trial, s storage.Storage) storage.StatusCounter {
	t.Helper()
	c, ok := storage.As[storage.StatusCounter](s)
	if !ok {
		t.Skip("the store is no storage.StatusCounter")
	}
	return c
}

// tally expects CountByStatus to agree with want. A status without records may be missing.
func tally(t *trial, s storage.Storage, f storage.Filter, want map[string]int) {
	t.Helper()
	c := counter(t, s)
	returned := t.calls.begin(func() string {
		return fmt.Sprintf("CountByStatus(%.200s)", show(storage.Query{Filter: f}))
	})
	got, err := c.CountByStatus(t.Context(), f)
	returned()
	if err != nil {
		t.Fatalf("CountByStatus(%s): %v", show(storage.Query{Filter: f}), err)
	}
	for _, counts := range []map[string]int{got, want} {
		for status := range counts {
			if got[status] != want[status] {
				t.Errorf("CountByStatus(%s) has %d %q, want %d", show(storage.Query{Filter: f}), got[status], status, want[status])
			}
		}
	}
}

// census returns what CountByStatus must return for these records.
func census(records []storage.Record, f storage.Filter) map[string]int {
	counts := map[string]int{}
	for _, r := range records {
		if f.Match(r) {
			counts[r.EffectiveStatus(storage.Instant(f.Now))]++
		}
	}
	return counts
}

func countStatuses(t *trial, s storage.Storage) {
	counter(t, s)
	tally(t, s, storage.Filter{}, nil)
	seed(t, s,
		record("a", expires(5)), record("b", expires(6)), record("c", expires(7)),
		record("d", resolved("accepted")), record("e", resolved("accepted"), in("org-2")),
		record("f", resolved(storage.Expired), expires(100)), record("g", resolved("Pending")),
		record("h", expires(1), func(r *storage.Record) { r.OrganizationDomainID = "domain" }))
	tally(t, s, storage.Filter{Now: at(6)},
		map[string]int{storage.Pending: 1, storage.Expired: 4, "accepted": 2, "Pending": 1})
	tally(t, s, storage.Filter{Now: at(6).Add(-1)},
		map[string]int{storage.Pending: 2, storage.Expired: 3, "accepted": 2, "Pending": 1})
	tally(t, s, storage.Filter{OrganizationID: "org-1", Direct: true, Now: at(6)},
		map[string]int{storage.Pending: 1, storage.Expired: 3, "accepted": 1, "Pending": 1})
	tally(t, s, storage.Filter{}, map[string]int{storage.Pending: 4, storage.Expired: 1, "accepted": 2, "Pending": 1})
	tally(t, s, storage.Filter{EmailContains: "user.b", Now: at(6)}, map[string]int{storage.Expired: 1})
	tally(t, s, storage.Filter{OrganizationID: "none"}, nil)
	tally(t, s, storage.Filter{EmailKeys: []string{}}, nil)
	tally(t, s, storage.Filter{OrganizationID: "\xff"}, nil)
}

func countSomeStatuses(t *trial, s storage.Storage) {
	counter(t, s)
	seed(t, s, record("a", expires(5)), record("b", expires(7)), record("c", resolved("accepted")),
		record("d", resolved(storage.Expired)))
	for _, organization := range []string{"", "org-1"} {
		f := storage.Filter{OrganizationID: organization, Now: at(6)}
		f.Statuses = []string{storage.Expired}
		tally(t, s, f, map[string]int{storage.Expired: 2})
		f.Statuses = []string{storage.Pending, "accepted"}
		tally(t, s, f, map[string]int{storage.Pending: 1, "accepted": 1})
		f.Statuses, f.StoredStatuses = nil, []string{storage.Pending}
		tally(t, s, f, map[string]int{storage.Pending: 1, storage.Expired: 1})
		f.Statuses = []string{storage.Expired}
		tally(t, s, f, map[string]int{storage.Expired: 1})
		f.Statuses = []string{}
		tally(t, s, f, nil)
	}
}

func countModel(t *trial, s storage.Storage) {
	counter(t, s)
	d, m := roll(3), model{}
	var records []storage.Record
	var names []string
	for i := range 160 {
		r := d.record(number(i))
		if m.insert([]storage.Record{r}) == nil {
			seed(t, s, r)
			records, names = append(records, r.Stored()), append(names, r.ID)
		}
	}
	found := 0
	for range 400 {
		f := d.filter(names)
		if d.IntN(2) == 0 { // what an organization's page asks for
			f = storage.Filter{OrganizationID: f.OrganizationID, Direct: f.Direct, Statuses: f.Statuses, Now: f.Now}
		}
		want := census(records, f)
		found += len(want)
		tally(t, s, f, want)
		if t.Failed() {
			return
		}
	}
	if found < 200 {
		t.Fatalf("the filters found only %d statuses in total, too few to prove anything", found)
	}
}

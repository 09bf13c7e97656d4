package memstore_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/btree"

	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

const million = 1_000_000

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// numbered returns one of a million records, in a thousand organizations. Ids are in the order of time, and one record
// in four is resolved.
func numbered(i int) storage.Record {
	r := storage.Record{
		ID:              numberedID(i),
		OrganizationID:  fmt.Sprintf("org_%04d", i*7919/13%1000),
		EmailAddress:    fmt.Sprintf("user%07d@example.com", i),
		Role:            "member",
		Status:          storage.Pending,
		PublicMetadata:  []byte("{}"),
		PrivateMetadata: []byte("{}"),
		InviterUserID:   "user_1",
		CreatedAt:       start.Add(time.Duration(i) * time.Second),
		ExpiresAt:       start.Add(time.Duration(i)*time.Second + 720*time.Hour),
	}
	r.EmailKey = r.EmailAddress
	if i%4 == 3 {
		r.Status, r.ResolvedAt = "accepted", r.CreatedAt.Add(time.Hour)
	}
	return r
}

// numberedID returns an id. Ids differ near their beginning, as ULIDs do.
func numberedID(i int) string { return fmt.Sprintf("orginv_%09d%017d", i, 0) }

// full returns a store of a million records, built once.
var full = sync.OnceValue(func() *memstore.Store {
	s := memstore.New()
	for i := 0; i < million; i += 1000 {
		records := make([]storage.Record, 1000)
		for j := range records {
			records[j] = numbered(i + j)
		}
		if err := s.Insert(context.Background(), records...); err != nil {
			panic(err)
		}
	}
	return s
})

// A floor is the baseline of perf.md: the minimal structure that can answer the same queries, with two maps and three
// trees, and without concurrent readers.
type floor struct {
	ids   map[string]*storage.Record
	slots map[[2]string]*storage.Record
	trees [3]*btree.BTreeG[*storage.Record]
}

func newFloor() *floor {
	f := &floor{ids: map[string]*storage.Record{}, slots: map[[2]string]*storage.Record{}}
	for i, less := range []func(a, b *storage.Record) int{
		func(a, b *storage.Record) int {
			return cmp.Or(strings.Compare(a.OrganizationID, b.OrganizationID), a.CreatedAt.Compare(b.CreatedAt),
				strings.Compare(a.ID, b.ID))
		},
		func(a, b *storage.Record) int {
			return cmp.Or(strings.Compare(a.EmailKey, b.EmailKey), strings.Compare(a.ID, b.ID))
		},
		func(a, b *storage.Record) int {
			return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), strings.Compare(a.ID, b.ID))
		},
	} {
		f.trees[i] = btree.NewBTreeGOptions(func(a, b *storage.Record) bool { return less(a, b) < 0 },
			btree.Options{NoLocks: true})
	}
	return f
}

func (f *floor) insert(r storage.Record) {
	f.ids[r.ID] = &r
	f.slots[[2]string{r.OrganizationID, r.EmailKey}] = &r
	for _, t := range f.trees {
		t.Set(&r)
	}
}

func (f *floor) page(organization string) (page []storage.Record) {
	f.trees[0].Descend(&storage.Record{OrganizationID: organization + "\x00"}, func(r *storage.Record) bool {
		if r.OrganizationID == organization {
			page = append(page, *r)
		}
		return len(page) < 10
	})
	return page
}

// BenchmarkFloor measures the time of the store relative to its floor. It alternates blocks of both and reports the
// quartiles of the ratios, to reduce the effect of other load on the machine.
func BenchmarkFloor(b *testing.B) {
	s, f, ctx := full(), newFloor(), context.Background()
	for i := range million {
		f.insert(numbered(i))
	}
	ids, organizations := make([]string, 4096), make([]string, 4096)
	for i := range ids {
		ids[i], organizations[i] = numberedID(i*7919*31%million), fmt.Sprintf("org_%04d", i*7919%1000)
	}
	next := map[bool]int{true: million, false: million}
	fresh := func(ours bool, n int) []storage.Record {
		records := make([]storage.Record, n)
		for i := range records {
			records[i] = numbered(next[ours])
			next[ours]++
		}
		return records
	}
	read := func(ours, floor func(i int)) (time.Duration, time.Duration) {
		timed := func(f func(int)) time.Duration {
			start := time.Now()
			for i := range ids {
				f(i)
			}
			return time.Since(start)
		}
		return timed(ours), timed(floor)
	}
	insert := func(n, calls int) (time.Duration, time.Duration) {
		mine, raw := fresh(true, n*calls), fresh(false, n*calls)
		start := time.Now()
		for i := range calls {
			if err := s.Insert(ctx, mine[i*n:(i+1)*n]...); err != nil {
				b.Fatal(err)
			}
		}
		middle := time.Now()
		for _, r := range raw {
			f.insert(r)
		}
		return middle.Sub(start), time.Since(middle)
	}
	var sink *storage.Record
	for name, round := range map[string]func() (time.Duration, time.Duration){
		"Insert":     func() (time.Duration, time.Duration) { return insert(1, 1000) },
		"Insert1000": func() (time.Duration, time.Duration) { return insert(1000, 1) },
		"Get": func() (time.Duration, time.Duration) {
			return read(func(i int) { _, _ = s.Get(ctx, ids[i]) }, func(i int) { r := *f.ids[ids[i]]; sink = &r })
		},
		"Page": func() (time.Duration, time.Duration) {
			return read(func(i int) {
				_, _ = s.List(ctx, storage.Query{Filter: storage.Filter{OrganizationID: organizations[i]}, Limit: 10})
			}, func(i int) { _ = f.page(organizations[i]) })
		},
	} {
		b.Run(name, func(b *testing.B) {
			var ratios []float64
			for b.Loop() {
				ours, floor := round()
				ratios = append(ratios, float64(ours)/float64(floor))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/4], "quartile1")
			b.ReportMetric(ratios[len(ratios)/2], "median")
			b.ReportMetric(ratios[len(ratios)*3/4], "quartile3")
		})
	}
	_ = sink
}

// BenchmarkMillion measures the operations for which perf.md sets limits.
func BenchmarkMillion(b *testing.B) {
	s, ctx := full(), context.Background()
	run := func(name string, op func(i int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := op(i); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
	org := func(i int) storage.Filter { return storage.Filter{OrganizationID: fmt.Sprintf("org_%04d", i%1000)} }
	pending := func(i int) storage.Filter {
		f := org(i)
		f.Statuses, f.Now, f.Direct = []string{storage.Pending}, start.Add(720*time.Hour), true
		return f
	}
	list := func(q storage.Query, want int) error {
		records, err := s.List(ctx, q)
		if err == nil && len(records) != want {
			err = fmt.Errorf("%d records, want %d", len(records), want)
		}
		return err
	}

	run("Get", func(i int) error {
		_, err := s.Get(ctx, numberedID(i*7919%million))
		return err
	})
	run("Page", func(i int) error { return list(storage.Query{Filter: org(i), Limit: 10}, 10) })
	run("PagePending", func(i int) error { return list(storage.Query{Filter: pending(i), Limit: 10}, 10) })
	run("PageDeep", func(i int) error {
		after := numbered(i * 7919 % (million / 2))
		up := []storage.Sort{{Field: storage.FieldCreatedAt}}
		return list(storage.Query{Filter: org(i), After: &after, Sort: up, Limit: 10}, 10)
	})
	run("PageByAddress", func(i int) error {
		return list(storage.Query{Filter: org(i), Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}, Limit: 10}, 10)
	})
	run("PageByExpiry", func(i int) error {
		return list(storage.Query{Filter: pending(i), Sort: []storage.Sort{{Field: storage.FieldExpiresAt}}, Limit: 10}, 10)
	})
	run("PageOfUser", func(i int) error {
		key := fmt.Sprintf("user%07d@example.com", i*7919%million)
		return list(storage.Query{Filter: storage.Filter{EmailKeys: []string{key}}, Limit: 10}, 1)
	})
	run("PageOfAll", func(int) error { return list(storage.Query{Limit: 10}, 10) })
	run("CountPending", func(i int) error { _, err := s.Count(ctx, pending(i)); return err })
	run("CountAll", func(i int) error { _, err := s.Count(ctx, org(i)); return err })
	n := million
	run("Insert", func(int) error { n++; return s.Insert(ctx, numbered(n)) })
	run("Insert1000", func(int) error {
		records := make([]storage.Record, 1000)
		for j := range records {
			n++
			records[j] = numbered(n)
		}
		return s.Insert(ctx, records...)
	})
	run("making a record", func(i int) error { _ = numbered(i); return nil }) // the overhead of the inserts above
}

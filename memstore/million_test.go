package memstore_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/btree"

	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

var records = flag.Int("records", 50_000, "how many records there are before the benchmarks begin")

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// numbered returns one of the records, in a thousand organizations. Ids are in the order of time, and one record
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

// full returns a store of -records, built once. inserted is how many have been inserted.
var (
	inserted = 0
	full     = sync.OnceValue(func() *memstore.Store {
		s := memstore.New()
		for inserted < *records {
			if err := s.Insert(context.Background(), more(1000, &inserted)...); err != nil {
				panic(err)
			}
		}
		return s
	})
)

// more returns n records that follow those counted in next.
func more(n int, next *int) []storage.Record {
	list := make([]storage.Record, n)
	for i := range list {
		list[i] = numbered(*next)
		*next++
	}
	return list
}

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

// BenchmarkFloor measures the time of the store relative to its floor. It alternates blocks of both, so that other load
// on the machine hits both. x/raw is the median of the ratios, between the quartiles q1 and q3.
func BenchmarkFloor(b *testing.B) {
	s, f, ctx := full(), newFloor(), context.Background()
	raw := 0
	for range *records {
		f.insert(more(1, &raw)[0])
	}
	ids, organizations := make([]string, 4096), make([]string, 4096)
	for i := range ids {
		ids[i], organizations[i] = numberedID(i*7919*31%*records), fmt.Sprintf("org_%04d", i*7919%1000)
	}
	each := func(call func(i int)) func() func() {
		return func() func() {
			return func() {
				for i := range ids {
					call(i)
				}
			}
		}
	}
	insert := func(n, calls int) func() func() {
		return func() func() {
			mine := more(n*calls, &inserted)
			return func() {
				for i := range calls {
					if err := s.Insert(ctx, mine[i*n:(i+1)*n]...); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	insertRaw := func() func() {
		list := more(1000, &raw)
		return func() {
			for _, r := range list {
				f.insert(r)
			}
		}
	}
	var sink *storage.Record
	for _, o := range []struct {
		name      string
		ours, raw func() func() // prepare a block
	}{
		{"Insert", insert(1, 1000), insertRaw},
		{"Insert1000", insert(1000, 1), insertRaw},
		{"Get", each(func(i int) { _, _ = s.Get(ctx, ids[i]) }), each(func(i int) { r := *f.ids[ids[i]]; sink = &r })},
		{"Page", each(func(i int) {
			_, _ = s.List(ctx, storage.Query{Filter: storage.Filter{OrganizationID: organizations[i]}, Limit: 10})
		}), each(func(i int) { _ = f.page(organizations[i]) })},
	} {
		b.Run(o.name, func(b *testing.B) {
			var ratios []float64
			for b.Loop() {
				ours, raw := o.ours(), o.raw()
				start := time.Now()
				ours()
				middle := time.Now()
				raw()
				ratios = append(ratios, float64(middle.Sub(start))/float64(time.Since(middle)))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x/raw")
			b.ReportMetric(ratios[len(ratios)/4], "x/raw-q1")
			b.ReportMetric(ratios[len(ratios)*3/4], "x/raw-q3")
		})
	}
	_ = sink
}

// BenchmarkMemory measures the memory of -records, with their own share in it, relative to that of the floor.
func BenchmarkMemory(b *testing.B) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		s, next := memstore.New(), 0
		for next < *records {
			if err := s.Insert(b.Context(), more(min(1000, *records-next), &next)...); err != nil {
				b.Fatal(err)
			}
		}
		ours := heap() - before
		f, next := newFloor(), 0
		for next < *records {
			f.insert(more(1, &next)[0])
		}
		raw := heap() - before - ours
		b.ReportMetric(float64(ours)/float64(*records), "B/record")
		b.ReportMetric(float64(ours)/float64(raw), "x/raw")
		runtime.KeepAlive(s)
		runtime.KeepAlive(f)
	}
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
		_, err := s.Get(ctx, numberedID(i*7919%*records))
		return err
	})
	run("Page", func(i int) error { return list(storage.Query{Filter: org(i), Limit: 10}, 10) })
	run("PagePending", func(i int) error { return list(storage.Query{Filter: pending(i), Limit: 10}, 10) })
	run("PageDeep", func(i int) error {
		after := numbered(i * 7919 % (*records / 2))
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
		key := fmt.Sprintf("user%07d@example.com", i*7919%*records)
		return list(storage.Query{Filter: storage.Filter{EmailKeys: []string{key}}, Limit: 10}, 1)
	})
	run("PageOfAll", func(int) error { return list(storage.Query{Limit: 10}, 10) })
	run("CountPending", func(i int) error { _, err := s.Count(ctx, pending(i)); return err })
	run("CountAll", func(i int) error { _, err := s.Count(ctx, org(i)); return err })
	run("Insert", func(int) error { return s.Insert(ctx, more(1, &inserted)...) })
	run("Insert1000", func(int) error { return s.Insert(ctx, more(1000, &inserted)...) })
	run("making a record", func(i int) error { _ = numbered(i); return nil }) // the overhead of the inserts above
}

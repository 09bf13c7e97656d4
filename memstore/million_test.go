package memstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

const million = 1_000_000

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// numbered is one of a million: a thousand organizations, ids in the order of time, one in four resolved.
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

// numberedID tells records apart as early as a ULID does.
func numberedID(i int) string { return fmt.Sprintf("orginv_%09d%017d", i, 0) }

// full is a store of a million records, made once.
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

// BenchmarkMillion measures what perf.md has bars for.
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
		return list(storage.Query{Filter: org(i * 7919), After: &after, Sort: []storage.Sort{{Field: storage.FieldCreatedAt}}, Limit: 10}, 10)
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
	run("numbered", func(i int) error { _ = numbered(i); return nil })
}

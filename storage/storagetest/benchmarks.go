package storagetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// RunBenchmarks measures the operations of the stores that newStorage returns. Each benchmark fills a store of its own
// with a few thousand records in ten organizations; the time for that is not measured.
func RunBenchmarks(b *testing.B, newStorage func(b *testing.B) storage.Storage) {
	const organizations, members = 10, 300
	ctx := context.Background()
	name := func(organization, i int) string { return fmt.Sprintf("seed-%02d-%06d", organization, i) }
	start := func(b *testing.B) storage.Storage {
		b.Helper()
		s := newStorage(b)
		for o := range organizations {
			var records []storage.Record
			for i := range members {
				r := record(name(o, i), in(fmt.Sprint("org-", o)), created(i), expires(1000+i))
				if i%3 == 2 {
					resolved("accepted")(&r)
				}
				records = append(records, r)
			}
			if err := s.Insert(ctx, records...); err != nil {
				b.Fatal(err)
			}
		}
		return s
	}
	run := func(name string, op func(s storage.Storage, i int) error) {
		b.Run(name, func(b *testing.B) {
			s := start(b)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := op(s, i); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
	pending := storage.Filter{OrganizationID: "org-3", Statuses: []string{storage.Pending}, Now: epoch, Direct: true}
	expect := func(got, want int, err error) error {
		if err == nil && got != want {
			err = fmt.Errorf("%d records, want %d", got, want)
		}
		return err
	}
	listed := func(s storage.Storage, q storage.Query, want int) error {
		records, err := s.List(ctx, q)
		return expect(len(records), want, err)
	}

	run("Insert", func(s storage.Storage, i int) error {
		return s.Insert(ctx, record(fmt.Sprintf("new-%09d", i), created(i)))
	})
	run("Insert 1000", func(s storage.Storage, i int) error {
		records := make([]storage.Record, 1000)
		for j := range records {
			records[j] = record(fmt.Sprintf("new-%09d-%03d", i, j), created(i))
		}
		return s.Insert(ctx, records...)
	})
	run("Get", func(s storage.Storage, i int) error {
		_, err := s.Get(ctx, name(i%organizations, i*7%members))
		return err
	})
	run("Update", func(s storage.Storage, i int) error {
		id := name(i%organizations, i/organizations*3%members)
		r, err := s.Get(ctx, id)
		if err != nil {
			return err
		}
		r.Generation++
		return s.Update(ctx, r)
	})
	run("Insert and Delete", func(s storage.Storage, i int) error {
		r := record(fmt.Sprintf("new-%09d", i))
		if err := s.Insert(ctx, r); err != nil {
			return err
		}
		n, err := s.Delete(ctx, r.ID)
		return expect(n, 1, err)
	})
	run("transaction of Count, Insert, Get and Update", func(s storage.Storage, i int) error {
		return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			r := record(fmt.Sprintf("new-%09d", i), in("org-new"))
			if err := tx.Lock(ctx, "org-new"); err != nil {
				return err
			}
			if _, err := tx.Count(ctx, pending); err != nil {
				return err
			}
			if err := tx.Insert(ctx, r); err != nil {
				return err
			}
			r, err := tx.Get(ctx, r.ID)
			if err != nil {
				return err
			}
			resolved("accepted")(&r)
			return tx.Update(ctx, r)
		})
	})
	run("List 10 of an organization", func(s storage.Storage, _ int) error {
		return listed(s, storage.Query{Filter: storage.Filter{OrganizationID: "org-3"}, Limit: 10}, 10)
	})
	run("List 10 pending", func(s storage.Storage, _ int) error {
		return listed(s, storage.Query{Filter: pending, Limit: 10}, 10)
	})
	run("List 10 pending by address", func(s storage.Storage, _ int) error {
		q := storage.Query{Filter: pending, Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}, Limit: 10}
		return listed(s, q, 10)
	})
	run("List 10 pending deep by After", func(s storage.Storage, _ int) error {
		after := record(name(3, 100), created(100))
		return listed(s, storage.Query{Filter: pending, After: &after, Limit: 10}, 10)
	})
	run("List 10 pending deep by Offset", func(s storage.Storage, _ int) error {
		return listed(s, storage.Query{Filter: pending, Offset: 150, Limit: 10}, 10)
	})
	run("List all of an organization", func(s storage.Storage, _ int) error {
		return listed(s, storage.Query{Filter: storage.Filter{OrganizationID: "org-3"}}, members)
	})
	run("List of a user", func(s storage.Storage, i int) error {
		id := name(i%organizations, i/organizations*3%members)
		return listed(s, storage.Query{Filter: storage.Filter{
			EmailKeys: []string{record(id).EmailKey, "other@example.com"}, Statuses: []string{storage.Pending}, Now: epoch,
		}, Limit: 10}, 1)
	})
	run("List by EmailContains", func(s storage.Storage, _ int) error {
		return listed(s, storage.Query{
			Filter: storage.Filter{OrganizationID: "org-3", EmailContains: "00029"}, Limit: 20,
		}, 11) // 000029, and 000290 to 000299
	})
	run("Count pending", func(s storage.Storage, _ int) error {
		n, err := s.Count(ctx, pending)
		return expect(n, members/3*2, err)
	})
	run("Count expired", func(s storage.Storage, _ int) error {
		f := pending
		f.Statuses, f.Now = []string{storage.Expired}, at(1030)
		n, err := s.Count(ctx, f)
		return expect(n, 21, err)
	})
}

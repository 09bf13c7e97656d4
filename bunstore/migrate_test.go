package bunstore_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// Several processes start at once, each with its own pool.
func TestMigrateConcurrently(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Single {
			t.Skip("no other process can share the database")
		}
		for i := range 3 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				is := is.New(t)
				address := e.New(t)
				var stores []*bunstore.Store
				for range 2 {
					s, err := bunstore.New(e.Connect(t, address), nil)
					is.NoErr(err)
					stores = append(stores, s)
				}
				var wg sync.WaitGroup
				for i := range 16 {
					wg.Go(func() { is.NoErr(stores[i%2].Migrate(t.Context())) })
				}
				wg.Wait()
				is.NoErr(stores[0].Check(t.Context()))
				is.NoErr(stores[1].Migrate(t.Context())) // a second time does nothing
			})
		}
	})
}

// In a host's transaction the tables are created, and rolled back, with it, or Migrate refuses to create them there.
func TestMigrateInTx(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		db := e.Open(t)
		is := is.New(t)
		s, err := bunstore.New(db, configFor(db))
		is.NoErr(err)
		if db.Dialect().Name() == dialect.MySQL {
			err := lib.runInTx(t.Context(), t, db, nil, func(ctx context.Context, tx hostTx) error {
				return tx.join(s).Migrate(ctx)
			})
			is.True(err != nil && strings.Contains(err.Error(), "outside"))
			is.True(s.Check(t.Context()) != nil)
			return
		}
		for _, fail := range []error{errors.New("undo"), nil} {
			is.True(s.Check(t.Context()) != nil)
			err := lib.runInTx(t.Context(), t, db, nil, func(ctx context.Context, tx hostTx) error {
				in := tx.join(s)
				is.NoErr(in.Migrate(ctx))
				is.NoErr(in.Insert(ctx, record("a")))
				return fail
			})
			is.Equal(err, fail)
		}
		is.NoErr(s.Check(t.Context()))
	})
}

// Two sets of tables share one database without affecting each other.
func TestPrefixAndSchema(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, engines.File(t), engines.Recommended, 1)
	_, err := db.ExecContext(t.Context(), "ATTACH ? AS other", engines.File(t))
	is.NoErr(err)
	var stores []*bunstore.Store
	for _, cfg := range []*bunstore.Config{
		nil, {TablePrefix: "a_"}, {Schema: "other"}, {Schema: "other", TablePrefix: strings.Repeat("9", 29)},
	} {
		s, err := bunstore.New(db, cfg)
		is.NoErr(err)
		is.True(s.Check(t.Context()) != nil)
		is.NoErr(s.Migrate(t.Context()))
		is.NoErr(s.Check(t.Context()))
		stores = append(stores, s)
	}
	for i, s := range stores {
		is.Equal(count(t, s), 0)
		r := record("a")
		r.Generation = int64(i)
		is.NoErr(s.Insert(t.Context(), r, record("b")))
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			both, err := tx.List(ctx, storage.Query{Filter: storage.Filter{
				IDs: []string{"a", "b"}, Statuses: []string{storage.Pending, "x"}, Now: now,
			}, Limit: 3, ForUpdate: true})
			is.NoErr(err)
			is.Equal(len(both), 2)
			return tx.Update(ctx, both...)
		}))
		is.True(errors.Is(s.Insert(t.Context(), record("c"), r), storage.ErrExists))
	}
	for i, s := range stores {
		r, err := s.Get(t.Context(), "a")
		is.NoErr(err)
		is.Equal(r.Generation, int64(i))
	}
	var names []string
	is.NoErr(db.NewRaw("SELECT name FROM other.sqlite_master UNION ALL SELECT name FROM sqlite_master").
		Scan(t.Context(), &names))
	for _, name := range names {
		is.True(len(name) <= 63 || strings.HasPrefix(name, "sqlite_"))
	}
}

// A host that runs the migrations with its own tool satisfies Check.
func TestMigrations(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		cfg := &bunstore.Config{TablePrefix: "app_"}
		s, err := bunstore.New(db, cfg)
		is.NoErr(err)
		list, err := bunstore.Migrations(db.Dialect().Name(), cfg)
		is.NoErr(err)
		is.True(slices.IsSortedFunc(list, func(a, b bunstore.Migration) int { return strings.Compare(a.ID, b.ID) }))
		for _, m := range list {
			for _, statement := range m.SQL {
				_, err := db.ExecContext(t.Context(), statement)
				is.NoErr(err)
			}
		}
		is.NoErr(s.Check(t.Context()))
		is.NoErr(s.Migrate(t.Context()))
		is.NoErr(s.Insert(t.Context(), record("a")))
	})
}

// Check names what is missing and how to fix it. Migrate creates it, or says why it does not.
func TestCheckNamesWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		damage, names, do string
		mends             bool
	}{
		{"DROP TABLE organization_invitation_migrations", "organization_invitation_migrations", "Migrate", false},
		{"DELETE FROM organization_invitation_migrations", "0001_create", "Migrate", false},
		{"DROP TABLE organization_invitations", "organization_invitations", "Migrations", false},
		{"DROP TABLE organization_invitation_locks", "organization_invitation_locks", "Migrations", false},
		{"DROP INDEX organization_invitations_slot", "organization_invitations_slot", "Migrations", false},
		{"DROP INDEX organization_invitations_due", "organization_invitations_due", "Migrations", false},
		{"INSERT INTO organization_invitation_migrations VALUES ('9999_later')", "", "", true},
	} {
		t.Run(c.damage, func(t *testing.T) {
			engines.Each(t, func(t *testing.T, db *bun.DB) {
				is := is.New(t)
				s := newStore(t, db)
				damage := c.damage
				if strings.HasPrefix(damage, "DROP INDEX") && db.Dialect().Name() == dialect.MySQL {
					damage += " ON organization_invitations"
				}
				_, err := db.ExecContext(t.Context(), damage)
				is.NoErr(err)
				err = s.Check(t.Context())
				if c.mends {
					is.NoErr(err)
					return
				}
				is.True(err != nil && strings.Contains(err.Error(), c.names) && strings.Contains(err.Error(), c.do))
				if db.Dialect().Name() == dialect.MySQL && strings.HasSuffix(damage, "_migrations") {
					is.NoErr(s.Migrate(t.Context())) // does nothing to a table that exists
					return
				}
				is.True(s.Migrate(t.Context()) != nil) // and nothing is written
				is.Equal(s.Check(t.Context()).Error(), err.Error())
			})
		})
	}
}

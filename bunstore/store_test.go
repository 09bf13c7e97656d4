package bunstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// record returns a pending record of the organization o, for an address made of its id.
func record(id string) storage.Record {
	return storage.Record{
		ID: id, OrganizationID: "o", EmailAddress: id + "@example.com", EmailKey: id + "@example.com",
		Role: "org:member", Status: storage.Pending, CreatedAt: now, UpdatedAt: now, SentAt: now,
		ExpiresAt: now.Add(time.Hour),
	}
}

func count(t *testing.T, s storage.Storage) int {
	t.Helper()
	n, err := s.Count(t.Context(), storage.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// otherDialect is SQLite's dialect under another name.
type otherDialect struct {
	schema.Dialect
	dialect dialect.Name
}

func (d otherDialect) Name() dialect.Name { return d.dialect }

type wrapped struct{ bun.IDB }

func TestNewRefuses(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, ":memory:", nil, 1)
	var noDB *bun.DB
	var noConn *bun.Conn
	var noTx *bun.Tx
	for _, nothing := range []bun.IDB{nil, noDB, noConn, noTx, &bun.DB{}, bun.Conn{}, bun.Tx{}, &bun.Tx{}} {
		_, err := bunstore.New(nothing, nil)
		is.True(err != nil)
	}
	_, err := bunstore.New(wrapped{db}, nil)
	is.True(err != nil) // this may be a transaction or not
	for _, cfg := range []bunstore.Config{
		{TablePrefix: "App_"}, {TablePrefix: `a"b`}, {TablePrefix: "a.b"}, {TablePrefix: strings.Repeat("x", 30)},
		{Schema: "a b"}, {Schema: strings.Repeat("x", 64)},
	} {
		_, err := bunstore.New(db, &cfg)
		is.True(err != nil)
		_, err = bunstore.Migrations(dialect.SQLite, &cfg)
		is.True(err != nil)
	}
	_, err = bunstore.New(db, &bunstore.Config{TablePrefix: strings.Repeat("x", 29)})
	is.NoErr(err)

	oracle := bun.NewDB(db.DB, otherDialect{sqlitedialect.New(), dialect.Oracle})
	_, err = bunstore.New(oracle, nil)
	is.True(err != nil && strings.Contains(err.Error(), "oracle") && strings.Contains(err.Error(), "sqlite"))
	_, err = bunstore.Migrations(dialect.Invalid, nil)
	is.True(err != nil)
}

func TestPointersToHandles(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, engines.File(t), engines.Recommended, 2)
	newStore(t, db)
	conn, err := db.Conn(t.Context())
	is.NoErr(err)
	s, err := bunstore.New(&conn, nil)
	is.NoErr(err)
	is.NoErr(s.Insert(t.Context(), record("a")))
	is.NoErr(conn.Close())
	err = s.RunInTx(t.Context(), nil)
	is.True(errors.Is(err, sql.ErrConnDone) && !errors.Is(err, storage.ErrAborted)) // another try would not help
	tx, err := db.BeginTx(t.Context(), nil)
	is.NoErr(err)
	s, err = bunstore.New(&tx, nil)
	is.NoErr(err)
	is.Equal(count(t, s), 1)
	is.NoErr(tx.Rollback())
}

// New works on a transaction of the host's, too.
func TestNewOnTx(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		ctx := t.Context()
		tx, err := db.BeginTx(ctx, nil)
		is.NoErr(err)
		of, err := bunstore.New(tx, nil)
		is.NoErr(err)
		is.NoErr(of.Insert(ctx, record("a")))
		is.NoErr(of.Migrate(ctx))
		is.NoErr(tx.Commit())
		is.True(errors.Is(of.Insert(ctx, record("b")), sql.ErrTxDone))
		is.Equal(count(t, s), 1)
	})
}

func TestWithTxRefuses(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, ":memory:", nil, 1)
	s := newStore(t, db)
	_, err := s.WithTx(bun.Tx{}).Count(t.Context(), storage.Filter{})
	is.True(err != nil)
	is.True(bunstore.DB(s.WithTx(bun.Tx{})) == nil)
	tx, err := bun.NewDB(db.DB, otherDialect{sqlitedialect.New(), dialect.PG}).BeginTx(t.Context(), nil)
	is.NoErr(err)
	defer func() { _ = tx.Rollback() }()
	is.True(s.WithTx(tx).RunInTx(t.Context(), nil) != nil)
}

type wrapper struct{ storage.Storage }

func (w wrapper) Unwrap() storage.Storage { return w.Storage }

// endless unwraps to itself.
type endless struct{ storage.Storage }

func (e endless) Unwrap() storage.Storage { return e }

func TestDB(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, ":memory:", nil, 1)
	s := newStore(t, db)
	is.Equal(bunstore.DB(s), db)
	is.Equal(bunstore.DB(wrapper{wrapper{s}}), db)
	is.True(bunstore.DB(nil) == nil)
	is.True(bunstore.DB((*bunstore.Store)(nil)) == nil)
	is.True(bunstore.DB(wrapper{}) == nil)
	is.True(bunstore.DB(endless{}) == nil)
	is.True(bunstore.DB(struct{ storage.Storage }{s}) == nil)
}

// Values reach the table unchanged, as text and numbers, whatever replacements the host has registered with bun.
func TestValuesAsStored(t *testing.T) {
	is := is.New(t)
	db := engines.SQLite(t, ":memory:", nil, 1).WithNamedArg("name", "replaced")
	s := newStore(t, db)
	r := record("a")
	r.Role = `'?name' ?0 \? ?(name) \' -- "; DROP TABLE x` + "\\"
	r.PublicMetadata = []byte(`{ "b":1,"a":12345678901234567890, "q":"it's \\ \u0000 ?name" }`)
	r.PrivateMetadata = nil
	r.UpdatedAt = time.Time{}
	r.Status = r.Role[:20]
	is.NoErr(s.Insert(t.Context(), r))
	got, err := s.Get(t.Context(), "a")
	is.NoErr(err)
	is.Equal(got.Role, r.Role)
	is.True(bytes.Equal(got.PublicMetadata, r.PublicMetadata))
	is.Equal(string(got.PrivateMetadata), "{}")
	is.True(got.UpdatedAt.IsZero())

	found, err := s.List(t.Context(), storage.Query{Filter: storage.Filter{StoredStatuses: []string{r.Status, "?name"}}})
	is.NoErr(err)
	is.Equal(len(found), 1)

	var metadata, created, resolved, updated, pending string
	is.NoErr(db.QueryRowContext(t.Context(), "SELECT typeof(public_metadata), typeof(created_at), typeof(resolved_at), "+
		"typeof(updated_at), typeof(pending_key) FROM organization_invitations").
		Scan(&metadata, &created, &resolved, &updated, &pending))
	is.Equal([]string{metadata, created, resolved, updated, pending},
		[]string{"text", "integer", "null", "integer", "null"})
}

// Filters and pages cut at times finer than a column exactly as Match and Compare do.
func TestFineTimes(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		var all []storage.Record
		for i := range 4 {
			r := record(fmt.Sprint(i))
			at := now.Add(time.Duration(i/2) * time.Microsecond)
			r.CreatedAt, r.ExpiresAt, r.ResolvedAt = at, at, at
			r.Version = 1
			all = append(all, r.Stored())
		}
		is.NoErr(s.Insert(t.Context(), all...))
		far := []time.Time{time.Unix(1<<60, 0), time.Unix(-1<<60, 0)}
		for ns := -1; ns <= 1002; ns++ {
			if ns > 2 && ns < 998 {
				continue
			}
			far = append(far, now.Add(time.Duration(ns)))
		}
		for _, at := range far {
			for _, f := range []storage.Filter{
				{ResolvedBefore: at}, {Statuses: []string{storage.Pending}, Now: at},
				{Statuses: []string{storage.Expired}, Now: at},
			} {
				want := 0
				for _, r := range all {
					if f.Match(r) {
						want++
					}
				}
				n, err := s.Count(t.Context(), f)
				is.NoErr(err)
				is.Equal(n, want)
			}
			for _, sort := range [][]storage.Sort{
				{{Field: storage.FieldCreatedAt}}, {{Field: storage.FieldCreatedAt, Descending: true}},
				{{Field: storage.FieldExpiresAt}, {Field: storage.FieldCreatedAt, Descending: true}},
				{{Field: storage.FieldEmailAddress, Descending: true}, {Field: storage.FieldExpiresAt}},
			} {
				after := record("1")
				after.CreatedAt, after.ExpiresAt = at, at
				q := storage.Query{Sort: sort, After: &after}
				if q.Validate() != nil {
					_, err := s.List(t.Context(), q)
					is.True(err != nil)
					continue
				}
				want := 0
				for _, r := range all {
					if q.Compare(r, after) > 0 {
						want++
					}
				}
				list, err := s.List(t.Context(), q)
				is.NoErr(err)
				is.Equal(len(list), want)
			}
		}
	})
}

func TestAfterWithImpossibleText(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		_, err := s.List(t.Context(), storage.Query{After: &storage.Record{ID: "\x00'"}})
		is.True(err != nil && !strings.Contains(err.Error(), "\x00"))
	})
}

// Lists of any length work, in one statement or several.
func TestManyAddressesAndStatuses(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		is.NoErr(s.Insert(t.Context(), record("a"), record("b"), record("c")))
		var keys, statuses []string
		for i := range 1000 {
			keys = append(keys, fmt.Sprint("k", i), record("b").EmailKey, record("c").EmailKey, "\xff")
			statuses = append(statuses, fmt.Sprint("s", i), storage.Pending)
		}
		for _, n := range []int{3, 8, 100, 1000} {
			list, err := s.List(t.Context(), storage.Query{
				Filter: storage.Filter{EmailKeys: keys[:n], Statuses: statuses[:n], Now: now}, Limit: 10,
			})
			is.NoErr(err)
			is.Equal(len(list), 2)
		}
	})
}

// A page at a large Offset has the right records.
func TestDeepOffset(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		is := is.New(t)
		s := newStore(t, db)
		var records []storage.Record
		for i := range 1200 {
			r := record(fmt.Sprintf("r%04d", i))
			r.CreatedAt = now.Add(time.Duration(i) * time.Second)
			records = append(records, r)
		}
		is.NoErr(s.Insert(t.Context(), records...))
		for _, statuses := range [][]string{nil, {storage.Pending, "accepted"}} {
			list, err := s.List(t.Context(), storage.Query{
				Filter: storage.Filter{OrganizationID: "o", StoredStatuses: statuses}, Limit: 3, Offset: 1100,
			})
			is.NoErr(err)
			is.Equal(len(list), 3)
			for i, r := range list {
				is.Equal(r.ID, records[1199-1100-i].ID)
			}
		}
	})
}

// The text of an error contains no value, least of all private metadata.
func TestErrorsHoldNoValues(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		const secret = "s3cret"
		ctx := t.Context()
		r := record(secret)
		r.PrivateMetadata = []byte(`{"k":"` + secret + `"}`)
		check := func(t *testing.T, err error) {
			t.Helper()
			if err == nil || strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), "bunstore: ") ||
				strings.Count(err.Error(), "bunstore: ") != 1 {
				t.Errorf("error: %v", err)
			}
		}
		empty, err := bunstore.New(e.Open(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		check(t, empty.Insert(ctx, r)) // no such table
		check(t, empty.Insert(ctx, r, r))
		check(t, empty.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.Count(ctx, storage.Filter{})
			return err
		}))
		s := newStore(t, e.Open(t))
		check(t, s.Update(ctx, r))
		if err := s.Insert(ctx, r); err != nil {
			t.Fatal(err)
		}
		check(t, s.Insert(ctx, r))
		check(t, s.Insert(ctx, r, r))
		check(t, s.Update(ctx, r))
		check(t, s.Lock(ctx, secret))
		_, err = s.Get(ctx, secret+"2")
		check(t, err)
		bad := r
		bad.Role = secret + "\xff"
		check(t, s.Insert(ctx, bad))
		check(t, s.Update(ctx, bad))
		db := e.Open(t)
		closed := newStore(t, db)
		_ = db.Close()
		check(t, closed.Insert(ctx, r))
		_, err = closed.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{secret}}})
		check(t, err)
		check(t, closed.RunInTx(ctx, func(context.Context, storage.Storage) error { return nil }))
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		err = s.Insert(cancelled, record("x"), record("y"))
		check(t, err)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// A database that is not writable says so, and can be read.
func TestReadOnly(t *testing.T) {
	is := is.New(t)
	file := engines.File(t)
	writable := newStore(t, engines.SQLite(t, file, engines.Plain, 1))
	is.NoErr(writable.Insert(t.Context(), record("a")))
	for _, settings := range []url.Values{{"_pragma": {"query_only(1)"}}, {"mode": {"ro"}}} {
		s := newStore(t, engines.SQLite(t, file, settings, 2)) // nothing to migrate, nothing written
		_, err := s.Get(t.Context(), "a")
		is.NoErr(err)
		for _, err := range []error{
			s.Insert(t.Context(), record("b")),
			s.Insert(t.Context(), record("b"), record("c")),
			s.RunInTx(t.Context(), func(context.Context, storage.Storage) error { t.Error("ran"); return nil }),
		} {
			is.True(err != nil && strings.Contains(err.Error(), "readonly"))
			is.True(!errors.Is(err, storage.ErrAborted))
		}
		is.Equal(count(t, s), 1)
	}
}

// hook counts statements and keeps their first words.
type hook struct{ statements []string }

func (h *hook) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }
func (h *hook) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	words := strings.Join(strings.Fields(e.Query)[:min(2, len(strings.Fields(e.Query)))], " ")
	h.statements = append(h.statements, strings.TrimRight(words, "0123456789")) // of a savepoint
}

// bun's hooks see every statement, including those that begin and end transactions and nested transactions.
func TestHooksSeeEveryStatement(t *testing.T) {
	is := is.New(t)
	h, driver := &hook{}, 0
	db := engines.Faulty(t, engines.File(t), engines.Recommended, 1, func(string) error { driver++; return nil })
	s := newStore(t, db.WithQueryHook(h))
	is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		h.statements, driver = nil, 2 // BEGIN and the write lock have been seen already
		is.NoErr(tx.Lock(ctx, "k"))
		is.NoErr(tx.Insert(ctx, record("a"), record("b")))
		_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return errors.New("undo") })
		return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			r, err := tx.Get(ctx, "a")
			is.NoErr(err)
			return tx.Update(ctx, r)
		})
	}))
	is.Equal(h.statements, []string{"INSERT INTO", "SAVEPOINT orginvite_", "ROLLBACK TO", "RELEASE SAVEPOINT",
		"SAVEPOINT orginvite_", "SELECT id,", "UPDATE \"organization_invitations\"", "RELEASE SAVEPOINT", "COMMIT"})
	is.Equal(len(h.statements)+2, driver) // there are no other statements
}

// The package adds no dialect, no driver and nothing of the domain to a build.
func TestImports(t *testing.T) {
	is := is.New(t)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	is.NoErr(err)
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		for _, banned := range []string{
			"bun/dialect/sqlitedialect", "bun/dialect/pgdialect", "bun/dialect/mysqldialect", "bun/driver/",
			"modernc.org/", "jackc/pgx", "go-sql-driver", "orginvite/invitation", "internal/engines",
			"internal/faults", "internal/servers",
		} {
			if strings.Contains(dep, banned) {
				t.Errorf("imports %s", dep)
			}
		}
	}
	_, err = os.Stat("sqlite.go")
	is.NoErr(err) // only what is specific to SQLite is there
}

// No record can hold an invalid text, so nothing is found by one.
func TestTextNoRecordHolds(t *testing.T) {
	is := is.New(t)
	s := newStore(t, engines.Named(t, "sqlite").Open(t))
	ctx := t.Context()
	is.NoErr(s.Insert(ctx, record("a")))
	for _, text := range []string{"\xff", "a\x00"} {
		_, err := s.Get(ctx, text)
		is.True(errors.Is(err, storage.ErrNotFound))
		f := storage.Filter{OrganizationID: text}
		n, err := s.Count(ctx, f)
		is.NoErr(err)
		is.Equal(n, 0)
		rs, err := s.List(ctx, storage.Query{Filter: f})
		is.NoErr(err)
		is.Equal(len(rs), 0)
		_, err = s.List(ctx, storage.Query{After: &storage.Record{ID: text}})
		is.True(err != nil)
	}
}

// An UPDATE in the transaction that has locked the record leaves out what stays the same, where that saves work, and
// never what has changed.
func TestUpdateOfALockedRecord(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "sqlite"), engines.Named(t, "postgres"), engines.Named(t, "mariadb")}
	engines.On(t, append(list, boundEngines(t)...), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		texts := &texts{}
		s := newStore(t, e.Open(t).WithQueryHook(texts))
		r := record("a")
		r.PublicMetadata = []byte(`{"n":1}`)
		is.NoErr(s.Insert(t.Context(), r))
		inTx := func(fn func(ctx context.Context, tx storage.Storage, r storage.Record) error) {
			texts.all = nil
			is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				list, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true})
				is.NoErr(err)
				return fn(ctx, tx, list[0])
			}))
		}
		stored := func() storage.Record {
			r, err := s.Get(t.Context(), "a")
			is.NoErr(err)
			return r
		}

		inTx(func(ctx context.Context, tx storage.Storage, r storage.Record) error {
			r.Role = "org:admin"
			return tx.Update(ctx, r)
		})
		is.Equal(stored().Role, "org:admin")
		all := strings.Join(texts.all, "\n")
		is.Equal(strings.Contains(all, "SET version = version + 1, role='org:admin' WHERE"),
			strings.HasPrefix(e.Name, "sqlite"))
		is.True(!strings.Contains(all, "SAVEPOINT")) // it keeps its slot

		inTx(func(ctx context.Context, tx storage.Storage, r storage.Record) error {
			copy(r.PublicMetadata, `{"n":2}`) // in place
			return tx.Update(ctx, r)
		})
		is.Equal(string(stored().PublicMetadata), `{"n":2}`)

		inTx(func(ctx context.Context, tx storage.Storage, r storage.Record) error {
			var inner storage.Record
			_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
				changed := r
				changed.Role = "org:inner"
				is.NoErr(tx.Update(ctx, changed))
				list, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true})
				is.NoErr(err)
				inner = list[0]
				return errors.New("undo")
			})
			is.NoErr(tx.Update(ctx, r)) // has the version that inner had
			return tx.Update(ctx, inner)
		})
		is.Equal(stored().Role, "org:inner")

		inTx(func(ctx context.Context, tx storage.Storage, r storage.Record) error {
			if _, err := tx.Delete(ctx, "a"); err != nil {
				return err
			}
			fresh := record("a")
			is.NoErr(tx.Insert(ctx, fresh))
			fresh.Version, fresh.Role, fresh.ResolvedBy = 1, r.Role, "u"
			return tx.Update(ctx, fresh)
		})
		is.Equal(stored().Role, "org:inner")
	})
}

// texts is a hook that keeps the statements.
type texts struct{ all []string }

func (h *texts) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }
func (h *texts) AfterQuery(_ context.Context, e *bun.QueryEvent)                    { h.all = append(h.all, e.Query) }

// CountUpTo stops at its bound, also with a wrapper around the store; so does the fallback for a store without it.
func TestCountUpTo(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "sqlite"), engines.Named(t, "postgres"), engines.Named(t, "mariadb")}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		texts := &texts{}
		s := newStore(t, e.Open(t).WithQueryHook(texts))
		is.NoErr(s.Insert(t.Context(), record("a"), record("b"), record("c"), record("d"), record("e")))
		for _, s := range []storage.Storage{s, struct{ storage.Storage }{s}} {
			for most, want := range map[int]int{1: 1, 4: 4, 5: 5, 6: 5} {
				n, err := storage.CountUpTo(t.Context(), s, storage.Filter{OrganizationID: "o"}, most)
				is.NoErr(err)
				is.Equal(n, want)
			}
		}
		texts.all = nil
		_, err := s.CountUpTo(t.Context(), storage.Filter{OrganizationID: "o"}, 4)
		is.NoErr(err)
		is.True(strings.Contains(texts.all[0], " LIMIT 4)")) // it reads no more
	})
}

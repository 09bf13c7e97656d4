package bunstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/dialect/mysqldialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/storage"
)

var golden = flag.Bool("golden", false, "write testdata instead of comparing with it")

// testdata holds every statement of every engine, so that a changed statement shows in review. Databases were created
// with the schema there: only another migration may change it.
func TestStatements(t *testing.T) {
	for _, e := range []struct {
		name    string
		dialect schema.Dialect
		taken   string // the engine's error when a unique index refuses a row
	}{
		{"sqlite", sqlitedialect.New(), "UNIQUE constraint failed: organization_invitations.id"},
		{"postgres", pgdialect.New(), "duplicate key value (SQLSTATE 23505)"},
		{"mysql", mysqldialect.New(), "Error 1062 (23000): Duplicate entry"},
	} {
		t.Run(e.name, func(t *testing.T) {
			is := is.New(t)
			r := &tape{taken: errors.New(e.taken)}
			db := bun.NewDB(sql.OpenDB(r), e.dialect)
			t.Cleanup(func() { _ = db.Close() })
			for _, cfg := range []*bunstore.Config{nil, {TablePrefix: "app_", Schema: "s"}} {
				list, err := bunstore.Migrations(e.dialect.Name(), cfg)
				is.NoErr(err)
				for _, m := range list {
					r.title("migration " + m.ID)
					for _, statement := range m.SQL {
						r.add(statement)
					}
				}
			}
			s, err := bunstore.New(db, nil)
			is.NoErr(err)
			schema := r.text.Len()
			script(t, r, db, s)

			file := filepath.Join("testdata", e.name+".sql")
			if *golden {
				is.NoErr(os.WriteFile(file, []byte(r.String()), 0o666))
			}
			want, err := os.ReadFile(file)
			is.NoErr(err)
			got, wanted := strings.Split(r.String(), "\n"), strings.Split(string(want), "\n")
			for i := range min(len(got), len(wanted)) {
				if got[i] != wanted[i] {
					t.Fatalf("%s, line %d:\n%s\nwant\n%s", file, i+1, got[i], wanted[i])
				}
			}
			is.Equal(len(got), len(wanted))
			if e.name == "mysql" {
				return
			}

			// With bound arguments the statements are the same. They are bound when they run for the second time.
			b := &tape{taken: r.taken, dialect: e.dialect}
			db = bun.NewDB(sql.OpenDB(b), e.dialect)
			t.Cleanup(func() { _ = db.Close() })
			s, err = bunstore.New(db, &bunstore.Config{BindArguments: true})
			is.NoErr(err)
			script(t, b, db, s)
			b.text.Reset()
			b.asText.Reset()
			b.bound = 0
			script(t, b, db, s)
			got, wanted = strings.Split(b.text.String(), "\n"), strings.Split(r.text.String()[schema:], "\n")
			wanted = slices.DeleteFunc(wanted, func(text string) bool { return checkOfConnection.MatchString(text) })
			for i := range min(len(got), len(wanted)) {
				if got[i] != wanted[i] {
					t.Fatalf("with bound arguments:\n%s\nwant\n%s", got[i], wanted[i])
				}
			}
			is.Equal(len(got), len(wanted))
			// Text are those without arguments, searches, and those with lists of several values.
			for statement := range strings.Lines(b.asText.String()) {
				if strings.Contains(statement, "'") && !search.MatchString(statement) && !severalValues.MatchString(statement) {
					t.Errorf("not bound: %s", statement)
				}
			}
			is.True(b.bound >= 10)
		})
	}
}

// checkOfConnection matches what a Store runs only once.
var checkOfConnection = regexp.MustCompile("^SHOW |^SELECT @@sql_mode")

var (
	search        = regexp.MustCompile(`^SELECT .* WHERE (1 = 1|id > '')`)
	severalValues = regexp.MustCompile(`',E?'|'\),\(`)
)

// script calls everything that a Store does.
func script(t *testing.T, r *tape, db *bun.DB, s *bunstore.Store) {
	t.Helper()
	ctx := t.Context()
	at := time.Date(2026, 3, 1, 12, 30, 45, 123456789, time.FixedZone("", 3600))
	full := func(id string) storage.Record {
		return storage.Record{
			ID: id, OrganizationID: "o", OrganizationDomainID: "d", EmailAddress: "A'" + id, EmailKey: "a'" + id,
			Role: `r\`, Status: storage.Pending, PublicMetadata: []byte(`{"a":"\n?"}`), InviterUserID: "i",
			RedirectURL: "https://example.com/?a=b", Generation: -2, CreatedAt: at, UpdatedAt: at.Add(time.Second),
			ExpiresAt: at.Add(time.Hour), SentAt: at.Add(time.Minute), Version: 7,
		}
	}
	resolved := full("z")
	resolved.Status, resolved.ResolvedAt, resolved.ResolvedBy = "accepted", at.Add(2*time.Hour), "u"
	a, b := full("a"), full("b")
	inTx := func(fn func(ctx context.Context, tx storage.Storage) error) func() error {
		return func() error { return s.RunInTx(ctx, fn) }
	}
	inHosts := func(fn func(tx storage.Storage) error) func() error {
		return func() error {
			return db.RunInTx(ctx, nil, func(_ context.Context, tx bun.Tx) error { return fn(s.WithTx(tx)) })
		}
	}
	list := func(q storage.Query) func() error {
		return func() error { _, err := s.List(ctx, q); return err }
	}
	locking := storage.Query{Filter: storage.Filter{IDs: []string{"b", "a"}}, ForUpdate: true}
	for _, c := range []struct {
		name    string
		written []int64 // rows that each INSERT … RETURNING and each UPDATE or DELETE writes; the last number repeats
		taken   bool    // a unique index refuses every INSERT and UPDATE
		call    func() error
	}{
		{"get", nil, false, func() error { _, err := s.Get(ctx, `a\'`); return err }},
		{"insert none", nil, false, func() error { return s.Insert(ctx) }},
		{"insert one", []int64{1}, false, func() error { return s.Insert(ctx, resolved) }},
		{"insert one that is taken", []int64{0}, true, func() error { return s.Insert(ctx, a) }},
		{"insert several", []int64{3}, false, func() error { return s.Insert(ctx, resolved, b, a) }},
		{"insert several, one taken", []int64{1}, true, func() error { return s.Insert(ctx, b, a) }},
		{"insert in a host's", []int64{2}, false,
			inHosts(func(tx storage.Storage) error { return tx.Insert(ctx, b, a) })},
		{"insert in a host's, one taken", []int64{0}, true,
			inHosts(func(tx storage.Storage) error { return tx.Insert(ctx, a) })},
		{"update one", []int64{1}, false, func() error { return s.Update(ctx, resolved) }},
		{"update one that is pending", []int64{1}, false, func() error { return s.Update(ctx, a) }},
		{"update one that is stale", []int64{0}, false, func() error { return s.Update(ctx, a) }},
		{"update one whose slot is held", []int64{0}, true, func() error { return s.Update(ctx, a) }},
		{"update several", []int64{2}, false, func() error { return s.Update(ctx, a, resolved) }},
		{"update several in a host's", []int64{2}, false,
			inHosts(func(tx storage.Storage) error { return tx.Update(ctx, a, resolved) })},
		{"delete", []int64{2}, false, func() error { _, err := s.Delete(ctx, "a", "b"); return err }},
		{"nested", []int64{1}, false, inTx(func(ctx context.Context, tx storage.Storage) error {
			_ = tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return io.EOF })
			return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.Update(ctx, a) })
		})},
		{"nested in a host's", nil, false, inHosts(func(tx storage.Storage) error {
			return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return nil })
		})},
		{"lock", nil, false, inTx(func(ctx context.Context, tx storage.Storage) error { return tx.Lock(ctx, "k") })},
		{"lock in a host's", nil, false, inHosts(func(tx storage.Storage) error { return tx.Lock(ctx, "k") })},
		{"for update", nil, false, inTx(func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.List(ctx, locking)
			return err
		})},
		{"for update in a host's", nil, false, inHosts(func(tx storage.Storage) error {
			one := locking
			one.IDs = one.IDs[:1]
			_, err := tx.List(ctx, one)
			return err
		})},
		{"after the host had its handle", []int64{1}, false, inTx(func(ctx context.Context, tx storage.Storage) error {
			_, err := bunstore.DB(tx).ExecContext(ctx, "SET x = 1")
			return errors.Join(err, tx.Update(ctx, resolved))
		})},
	} {
		r.title(c.name)
		r.written, r.refuse, r.held = c.written, c.taken, c.taken
		r.outcome(c.call())
	}

	after := &storage.Record{ID: "i", EmailKey: "e", CreatedAt: at, ExpiresAt: at}
	whole := &storage.Record{ID: "i", EmailKey: "e", CreatedAt: at.Truncate(time.Second), ExpiresAt: at}
	pending, expired := []string{storage.Pending}, []string{storage.Expired}
	some := []string{storage.Pending, "accepted", storage.Expired}
	for _, f := range []storage.Filter{
		{},
		{IDs: []string{"a", "b"}, Statuses: pending, Now: at},
		{OrganizationID: "o", Direct: true},
		{OrganizationID: "o", Statuses: pending, Now: at, EmailContains: `a%_\`},
		{OrganizationID: "o", Statuses: some, Now: at, InviterUserID: "i", ResolvedBefore: at},
		{OrganizationID: "o", EmailKeys: []string{"e", "f"}, StoredStatuses: pending},
		{EmailKeys: []string{"e"}, Statuses: pending, Now: at},
		{OrganizationID: "o", Roles: []string{"r", `s\`}, SentAfter: at},
		{EmailKeys: []string{"e", "f"}, Statuses: some, Now: at},
		{Statuses: expired, Now: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{StoredStatuses: pending, Statuses: expired, Now: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{StoredStatuses: []string{storage.Pending, "accepted"}},
		{OrganizationID: "o", Roles: []string{"r"}, CreatedFrom: at, CreatedBefore: at.Add(time.Hour)},
		{OrganizationID: "o", Roles: []string{"r", "s"}, Statuses: pending, Now: at, ExpiresFrom: at,
			ExpiresBefore: at.Add(time.Hour)},
	} {
		r.title("count")
		r.outcome(func() error { _, err := s.Count(ctx, f); return err }())
		r.title("count up to 10")
		r.outcome(func() error { _, err := s.CountUpTo(ctx, f, 10); return err }())
		r.title("count by status")
		r.outcome(func() error { _, err := s.CountByStatus(ctx, f); return err }())
		for _, q := range []storage.Query{
			{Filter: f},
			{Filter: f, Limit: 10},
			{Filter: f, Limit: 10, Offset: 20000, After: whole},
			{Filter: f, Offset: 3, After: after},
			{Filter: f, Limit: 10, Sort: []storage.Sort{{Field: storage.FieldExpiresAt}}},
			{Filter: f, Limit: 10, After: whole, Sort: []storage.Sort{
				{Field: storage.FieldCreatedAt}, {Field: storage.FieldEmailAddress, Descending: true}}},
		} {
			r.title("list")
			r.outcome(list(q)())
		}
	}
}

// tape is a driver that runs nothing. It keeps the text of every statement, and answers like a database without faults.
type tape struct {
	taken   error
	dialect schema.Dialect // to write arguments
	written []int64
	refuse  bool // refuse every write
	held    bool // another invitation holds the slot of a

	mu     sync.Mutex
	text   strings.Builder
	asText strings.Builder // the statements without arguments
	bound  int             // how many had some
}

func (r *tape) title(name string) {
	r.add("\n-- " + name)
}

// outcome writes the result of a call, reduced to what a caller would compare.
func (r *tape) outcome(err error) {
	for _, kind := range []error{storage.ErrExists, storage.ErrConflict, storage.ErrNotFound, storage.ErrAborted} {
		if errors.Is(err, kind) {
			err = kind
		}
	}
	if err != nil {
		r.add("-- " + err.Error())
	}
}

var savepoint = regexp.MustCompile(`orginvite_[0-9]+`)

func (r *tape) add(statement string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(savepoint.ReplaceAllString(statement, "orginvite_N") + "\n")
}

var placeholder = regexp.MustCompile(`\$[0-9]+|\?`)

// statement adds a statement with its arguments in their places.
func (r *tape) statement(text string, args []driver.NamedValue) {
	r.mu.Lock()
	if len(args) > 0 {
		r.bound++
	} else {
		r.asText.WriteString(text + "\n")
	}
	r.mu.Unlock()
	if len(args) > 0 {
		text = placeholder.ReplaceAllStringFunc(text, func(string) string {
			v := args[0].Value
			args = args[1:] // they are numbered in the order of the text
			switch v := v.(type) {
			case string:
				if r.dialect.Name() == dialect.PG && strings.Contains(v, `\`) {
					return string(r.dialect.AppendString([]byte("E"), strings.ReplaceAll(v, `\`, `\\`)))
				}
				return string(r.dialect.AppendString(nil, v))
			case time.Time:
				if r.dialect.Name() == dialect.PG {
					return v.UTC().Format("'2006-01-02 15:04:05.999999+00'")
				}
				return v.UTC().Format("'2006-01-02 15:04:05.000000'")
			default:
				return fmt.Sprint(v)
			}
		})
	}
	r.add(text)
}

func (r *tape) String() string { return strings.TrimPrefix(r.text.String(), "\n") }

func (r *tape) Connect(context.Context) (driver.Conn, error) { return recording{r}, nil }
func (r *tape) Driver() driver.Driver                        { return nil }

// rows returns the number of rows that the next statement writes.
func (r *tape) rows() int64 {
	if len(r.written) == 0 {
		return 0
	}
	n := r.written[0]
	if len(r.written) > 1 {
		r.written = r.written[1:]
	}
	return n
}

// refused returns the error for a statement that is to be refused.
func (r *tape) refused(statement string) error {
	if r.refuse && !strings.Contains(statement, "_locks") &&
		!strings.Contains(statement, "ON CONFLICT") &&
		(strings.HasPrefix(statement, "INSERT") || strings.HasPrefix(statement, "UPDATE")) {
		return r.taken
	}
	return nil
}

type recording struct{ r *tape }

func (c recording) Prepare(text string) (driver.Stmt, error) { return recordedStmt{c, text}, nil }
func (c recording) Close() error                             { return nil }
func (c recording) Begin() (driver.Tx, error)                { return nil, driver.ErrSkip }
func (c recording) Commit() error                            { c.r.add("COMMIT"); return nil }
func (c recording) Rollback() error                          { c.r.add("ROLLBACK"); return nil }

func (c recording) BeginTx(_ context.Context, opts driver.TxOptions) (driver.Tx, error) {
	begin := "BEGIN"
	if level := sql.IsolationLevel(opts.Isolation); level != sql.LevelDefault {
		begin += " " + strings.ToUpper(level.String())
	}
	c.r.add(begin)
	return c, nil
}

func (c recording) ExecContext(_ context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	c.r.statement(text, args)
	if text == "BEGIN" {
		return nil, errors.New("cannot start a transaction within a transaction")
	}
	if err := c.r.refused(text); err != nil {
		return nil, err
	}
	return driver.RowsAffected(c.r.rows()), nil
}

func (c recording) QueryContext(_ context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	c.r.statement(text, args)
	if err := c.r.refused(text); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(text, "SHOW standard"):
		return replayed([]driver.Value{"on"}), nil
	case strings.HasPrefix(text, "SHOW client"):
		return replayed([]driver.Value{"UTF8"}), nil
	case strings.HasPrefix(text, "SELECT @@sql_mode"):
		return replayed([]driver.Value{"STRICT_TRANS_TABLES", "utf8mb4", "utf8mb4", int64(1), "2026-03-29 02:30:00"}), nil
	case strings.HasPrefix(text, "SELECT status, count"):
		return replayed([]driver.Value{"accepted", int64(1), int64(0)}), nil
	case strings.HasPrefix(text, "SELECT @@in_"), strings.HasPrefix(text, "SELECT n "), strings.Contains(text, "count("):
		return replayed([]driver.Value{int64(1)}), nil
	case strings.Contains(text, " RETURNING "):
		var ids [][]driver.Value
		for i := range c.r.rows() {
			ids = append(ids, []driver.Value{string(rune('a' + i))})
		}
		return replayed(ids...), nil
	case c.r.held && strings.Contains(text, "organization_id, t.pending_key"), // which invitation holds a slot
		c.r.held && strings.Contains(text, "SELECT id, organization_id, pending_key "):
		return replayed([]driver.Value{"other", "o", "a'a"}), nil
	case strings.Contains(text, "SELECT id, version, organization_id, email_key, status "):
		return replayed([]driver.Value{"a", int64(7), "o", "a'a", "pending"},
			[]driver.Value{"z", int64(7), "o", "z'z", "accepted"}), nil
	case strings.HasPrefix(text, "SELECT id FROM ") && strings.Contains(text, "WHERE id = "): // its version differs
		return replayed([]driver.Value{"a"}), nil
	}
	return replayed(), nil
}

// recordedStmt is a prepared statement.
type recordedStmt struct {
	c    recording
	text string
}

func (s recordedStmt) Close() error                               { return nil }
func (s recordedStmt) NumInput() int                              { return -1 }
func (s recordedStmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (s recordedStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }

func (s recordedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.text, args)
}

func (s recordedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.text, args)
}

// replay is the result of a SELECT.
type replay struct{ rows [][]driver.Value }

func replayed(rows ...[]driver.Value) driver.Rows { return &replay{rows} }

func (a *replay) Columns() []string {
	if len(a.rows) == 0 {
		return nil
	}
	return make([]string, len(a.rows[0]))
}

func (a *replay) Close() error { return nil }

func (a *replay) Next(dest []driver.Value) error {
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(dest, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}

package bunstore_test

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// unavailable checks that every call fails, and that each error says so and how to fix it.
func unavailable(t *testing.T, db *bun.DB, remedy string) {
	t.Helper()
	is := is.New(t)
	s, err := bunstore.New(db, configFor(db))
	is.NoErr(err)
	check := func(err error) {
		t.Helper()
		is.True(errors.Is(err, storage.ErrUnavailable))
		is.True(!errors.Is(err, storage.ErrAborted) && !errors.Is(err, storage.ErrOutcomeUnknown))
		if !strings.Contains(fmt.Sprint(err), remedy) {
			t.Errorf("%v does not contain %q", err, remedy)
		}
	}
	check(s.Insert(t.Context(), record("new")))
	check(s.Insert(t.Context(), record("new1"), record("new2")))
	check(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		err := tx.Insert(ctx, record("new"))
		check(err)
		check(tx.Insert(ctx, record("new"))) // and the error stays
		return nil                           // even if the host ignores it
	}))
	idle(t, db)
}

// closedPort returns an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// A server that cannot be reached is unavailable, for the service's callbacks too.
func TestServerUnreachable(t *testing.T) {
	engines.On(t, onServers(), func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		address := e.New(t)
		if u, err := url.Parse(address); err == nil && u.Scheme == "postgres" {
			u.Host = closedPort(t)
			address = u.String()
		} else {
			address, _, _ = strings.Cut(address, ",")
			cfg, err := gomysql.ParseDSN(address)
			is.NoErr(err)
			cfg.Addr = closedPort(t)
			address = cfg.FormatDSN()
		}
		db := e.Connect(t, address)
		s, err := bunstore.New(db, configFor(db))
		is.NoErr(err)
		is.True(errors.Is(s.Insert(t.Context(), record("a")), storage.ErrUnavailable))
		is.True(errors.Is(s.RunInTx(t.Context(), nil), storage.ErrUnavailable))
		_, err = s.Get(t.Context(), "a")
		is.True(errors.Is(err, storage.ErrUnavailable))
		is.True(errors.Is(s.Check(t.Context()), storage.ErrUnavailable))

		// Get as a user calls Directory.Role before it reads, so the host's own statement is the first to fail.
		svc, err := invitation.NewService(s, &sqlHost{}, nil)
		is.NoErr(err)
		_, err = svc.As("ann").Get(t.Context(), "acme", "i")
		is.True(errors.Is(err, invitation.ErrUnavailable))
		is.Equal(invitation.HTTPStatus(err), http.StatusServiceUnavailable)
		is.True(strings.Contains(string(invitation.ErrorBody(err)), `"code":"service_unavailable"`))
		_, err = svc.WithStorage(wrapper{s}).As("ann").Get(t.Context(), "acme", "i") // through a wrapper
		is.True(errors.Is(err, invitation.ErrUnavailable))
	})
}

// A server that is read-only, as a replica is, or that has no connection left.
func TestServerRefuses(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		onPostgres(t, func(t *testing.T, e engines.Engine) {
			is := is.New(t)
			address := e.New(t)
			admin := e.Connect(t, address)
			newStore(t, admin)
			name := "ro_" + strings.ToLower(rand.Text())
			_, err := admin.ExecContext(t.Context(), "CREATE ROLE "+name+" SUPERUSER LOGIN")
			is.NoErr(err)
			t.Cleanup(func() { _, _ = admin.ExecContext(context.Background(), "DROP ROLE "+name) })
			u, err := url.Parse(address)
			is.NoErr(err)
			u.User = url.User(name)

			_, err = admin.ExecContext(t.Context(), "ALTER ROLE "+name+" SET default_transaction_read_only = on")
			is.NoErr(err)
			if !readWrite(e) {
				unavailable(t, e.Connect(t, u.String()), "connect to the primary")
			}
			unavailable(t, e.Connect(t, with(t, u.String(), "target_session_attrs", "read-write")), "connect to the primary")
			_, err = admin.ExecContext(t.Context(), "ALTER ROLE "+name+" NOSUPERUSER CONNECTION LIMIT 0")
			is.NoErr(err)
			unavailable(t, e.Connect(t, u.String()), "raise max_connections")
		})
	})
	t.Run("mariadb", func(t *testing.T) {
		engines.On(t, []engines.Engine{engines.Named(t, "mariadb")}, func(t *testing.T, e engines.Engine) {
			is := is.New(t)
			address := e.New(t)
			admin := e.Connect(t, address)
			newStore(t, admin)
			cfg, err := gomysql.ParseDSN(address)
			is.NoErr(err)
			cfg.Params = map[string]string{"tx_read_only": "1"}
			unavailable(t, e.Connect(t, cfg.FormatDSN()), "begin one that may write")

			cfg.Params = nil
			cfg.User = strings.ToLower("u" + cfg.DBName[:20])
			_, err = admin.ExecContext(t.Context(), "CREATE USER "+cfg.User+"@'%' WITH MAX_CONNECTIONS_PER_HOUR 1")
			is.NoErr(err)
			t.Cleanup(func() { _, _ = admin.ExecContext(context.Background(), "DROP USER "+cfg.User+"@'%'") })
			db := e.Connect(t, cfg.FormatDSN())
			db.SetMaxIdleConns(0) // bun's dialect has used the only connection that this user may open
			unavailable(t, db, "raise its limit")
		})
	})
}

// SQLite's errors say what is wrong with the file, and how to fix it.
func TestSQLiteFileTrouble(t *testing.T) {
	prepared := func(t *testing.T) (file string) {
		file = engines.File(t)
		db := engines.SQLite(t, file, url.Values{}, 1) // without WAL, so that the file is complete
		if err := newStore(t, db).Insert(t.Context(), record("a")); err != nil {
			t.Fatal(err)
		}
		_ = db.Close()
		return file
	}
	t.Run("read-only", func(t *testing.T) {
		unavailable(t, engines.SQLite(t, prepared(t), url.Values{"mode": {"ro"}}, 1), "without mode=ro")
	})
	t.Run("full", func(t *testing.T) {
		is := is.New(t)
		db := engines.SQLite(t, prepared(t), url.Values{"_pragma": {"max_page_count(1)"}}, 1) // the file is full
		s, err := bunstore.New(db, configFor(db))
		is.NoErr(err)
		big := record("big")
		big.PublicMetadata = []byte(`{"k":"` + strings.Repeat("x", 100_000) + `"}`)
		err = s.Insert(t.Context(), big)
		is.True(errors.Is(err, storage.ErrUnavailable))
		is.True(strings.Contains(err.Error(), "free space or raise it"))
		is.Equal(count(t, s), 1)
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.Delete(ctx, "a") // the connection still works
			return err
		}))
	})
	t.Run("no folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "none", "app.db")
		unavailable(t, engines.SQLite(t, file, url.Values{}, 1), "create its folder")
	})
	t.Run("damaged", func(t *testing.T) {
		is := is.New(t)
		file := prepared(t)
		b, err := os.ReadFile(file)
		is.NoErr(err)
		for i := 100; i < len(b); i++ { // after the header
			b[i] = 0xa5
		}
		is.NoErr(os.WriteFile(file, b, 0o600))
		s, err := bunstore.New(engines.SQLite(t, file, url.Values{}, 1), nil)
		is.NoErr(err)
		err = s.Insert(t.Context(), record("b"))
		is.True(err != nil && strings.Contains(err.Error(), "restore a backup"))
		is.True(!errors.Is(err, storage.ErrAborted))
		_, err = s.Get(t.Context(), "a")
		is.True(err != nil && strings.Contains(err.Error(), "restore a backup"))
	})
	t.Run("no database", func(t *testing.T) {
		is := is.New(t)
		file := engines.File(t)
		is.NoErr(os.WriteFile(file, []byte(strings.Repeat("something else altogether ", 100)), 0o600))
		s, err := bunstore.New(engines.SQLite(t, file, url.Values{}, 1), nil)
		is.NoErr(err)
		err = s.Insert(t.Context(), record("b"))
		is.True(err != nil && strings.Contains(err.Error(), "is not a database"))
	})
}

// Classify maps a host's own errors as the store maps its own, and returns all others unchanged. In a transaction the
// connection works, so a network error there concerns another service.
func TestClassify(t *testing.T) {
	is := is.New(t)
	s, db, _ := faulty(t)
	tx, err := db.BeginTx(t.Context(), nil)
	is.NoErr(err)
	defer func() { _ = tx.Rollback() }()
	network := func(op, text string) error { return &net.OpError{Op: op, Err: errors.New(text)} }
	for _, c := range []struct {
		err     error
		kind    error // ErrAborted, ErrUnavailable, or nil
		remedy  string
		outside bool // this holds only outside a transaction
	}{
		{busy, storage.ErrAborted, "", false},
		{driver.ErrBadConn, storage.ErrAborted, "", false},
		{full, storage.ErrUnavailable, "free space or raise it", false},
		{&sqliteError{8, "attempt to write a readonly database"}, storage.ErrUnavailable, "without mode=ro", false},
		{&sqliteError{14, "unable to open database file"}, storage.ErrUnavailable, "create its folder", false},
		{errors.New("database is locked"), nil, "", false}, // the host's own words
		{network("dial", "connection refused"), storage.ErrUnavailable, "", true},
		{network("read", "i/o timeout"), storage.ErrAborted, "", true},
		{io.EOF, storage.ErrAborted, "", true},
		{&sqliteError{11, "database disk image is malformed"}, nil, "restore a backup", false},
		{&sqliteError{26, "file is not a database"}, nil, "restore a backup", false},
		{&sqliteError{5, "over quota"}, nil, "", false},
		{errUndo, nil, "", false},
	} {
		for _, inside := range []bool{false, true} {
			store, kind, remedy := s, c.kind, c.remedy
			if inside {
				store = s.WithTx(tx)
				if c.outside {
					kind, remedy = nil, ""
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range 2 { // the second time for a caller that has stopped waiting
				err := store.Classify(ctx, fmt.Errorf("role: %w", c.err))
				t.Log(inside, err)
				is.True(errors.Is(err, c.err))
				is.Equal(errors.Is(err, storage.ErrAborted), kind == storage.ErrAborted)
				is.Equal(errors.Is(err, storage.ErrUnavailable), kind == storage.ErrUnavailable)
				is.True(strings.Contains(err.Error(), remedy))
				is.Equal(errors.Is(err, context.Canceled), ctx.Err() != nil && (kind != nil || remedy != ""))
				cancel()
			}
		}
	}
	is.NoErr(s.Classify(t.Context(), nil))
	is.Equal((*bunstore.Store)(nil).Classify(t.Context(), errUndo), errUndo)
	is.NoErr((*bunstore.Store)(nil).Classify(t.Context(), nil))
	is.Equal(bunstore.DB((*bunstore.Store)(nil)), nil)
}

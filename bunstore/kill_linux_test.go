package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/internal/servers"
	"github.com/orginvite/orginvite/storage"
)

// Servers that the test starts itself are killed under load. Not parallel: these tests need the whole machine.

// underLoad runs a load on the database and injects faults while it runs, once per round. After each fault the server
// answers again. At the end it checks everything.
func underLoad(t *testing.T, engine, address string, rounds int, bound time.Duration, fault func(l *load, round int)) {
	t.Helper()
	db := engines.Named(t, engine).Connect(t, address)
	buildLoad(t, db)
	j := newJournal()
	l := startLoad(t, loadService(t, db), "w", 8, j.note)
	for round := range rounds {
		l.proceed(t, bySize[int64](0, 100, 300))
		l.away()
		fault(l, round)
		l.returned()
		l.settle(t)
	}
	t.Logf("faults: %d", rounds)
	l.finish(t, j, db, bound)
}

// quickly is how soon calls must succeed after a single server is back.
const quickly = 5 * time.Second

// killOrStop kills a server without warning, or in odd rounds stops it as an administrator does, and starts it again.
func killOrStop(t testing.TB, s *servers.Server) func(*load, int) {
	return func(_ *load, round int) {
		if round%2 == 0 {
			s.Kill(t)
		} else {
			s.Stop(t)
		}
		s.Start(t)
	}
}

// postgresDrivers lists the PostgreSQL engines, one for each driver, with their connection parameters.
var postgresDrivers = []struct {
	engine     string
	parameters url.Values
}{
	{"postgres", url.Values{"default_query_exec_mode": {"simple_protocol"}}},
	{"postgres-bound", nil},
	{"postgres-pq", nil},
}

func TestPostgresKilled(t *testing.T) {
	serverSize(t)
	server := servers.NewPostgres(t)
	for i, d := range postgresDrivers {
		t.Run(d.engine, func(t *testing.T) {
			database := fmt.Sprintf("load%d", i)
			server.Exec(t, "postgres", "CREATE DATABASE "+database)
			underLoad(t, d.engine, server.URL(database, d.parameters), bySize(0, 2, 10), quickly,
				killOrStop(t, server.Server))
		})
	}
}

// If a connection is lost in a host's own statement, the transaction is aborted, as it is for one of ours, although the
// host may have used other connections too.
func TestServerKilledInHostsStatement(t *testing.T) {
	serverSize(t)
	test := func(t *testing.T, s *servers.Server, engine, address, sleep, running string) {
		is := is.New(t)
		db := engines.Named(t, engine).Connect(t, address)
		store := newStore(t, db)
		ended := make(chan error, 1)
		go func() {
			ended <- store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				_, err := bunstore.DB(tx).ExecContext(ctx, sleep)
				return err
			})
		}()
		within(t, quickly, "the statement does not run", func() bool {
			var n int
			is.NoErr(db.QueryRowContext(t.Context(), running).Scan(&n))
			return n > 0
		})
		s.Kill(t)
		if err := <-ended; !errors.Is(err, storage.ErrAborted) {
			t.Errorf("not aborted: %v", err)
		}
		s.Start(t)
		is.NoErr(store.Insert(t.Context(), record("a")))
	}
	t.Run("postgres", func(t *testing.T) {
		server := servers.NewPostgres(t)
		for i, d := range postgresDrivers {
			t.Run(d.engine, func(t *testing.T) {
				database := fmt.Sprintf("load%d", i)
				server.Exec(t, "postgres", "CREATE DATABASE "+database)
				test(t, server.Server, d.engine, server.URL(database, d.parameters), "SELECT pg_sleep(60)",
					"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")
			})
		}
	})
	t.Run("mariadb", func(t *testing.T) {
		server := servers.NewMariaDB(t)
		test(t, server.Server, "mariadb", server.DSN(t, "hosted"), "DO SLEEP(60)",
			"SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'")
	})
}

// A server does not answer for a while and then goes on. Callers wait, and nothing fails permanently.
func TestServerFrozen(t *testing.T) {
	serverSize(t)
	pause := func(t testing.TB, s *servers.Server) func(*load, int) {
		return func(*load, int) {
			s.Freeze(t)
			time.Sleep(time.Second) // the outage under test
			s.Thaw(t)
		}
	}
	t.Run("postgres", func(t *testing.T) {
		server := servers.NewPostgres(t)
		server.Exec(t, "postgres", "CREATE DATABASE load")
		underLoad(t, "postgres-bound", server.URL("load", nil), bySize(0, 1, 5), quickly, pause(t, server.Server))
	})
	t.Run("mariadb", func(t *testing.T) {
		server := servers.NewMariaDB(t)
		underLoad(t, "mariadb", server.DSN(t, "frozen"), bySize(0, 1, 5), quickly, pause(t, server.Server))
	})
}

func TestMariaDBKilled(t *testing.T) {
	serverSize(t)
	server := servers.NewMariaDB(t)
	underLoad(t, "mariadb", server.DSN(t, "killed"), bySize(0, 2, 10), quickly, killOrStop(t, server.Server))
}

// PgBouncer reports an unreachable server in its own words, and may go away itself.
func TestPgBouncerKilled(t *testing.T) {
	serverSize(t)
	server := servers.NewPostgres(t)
	for i, c := range []struct{ mode, engine string }{
		{"transaction", "postgres"},
		{"transaction", "postgres-pq"},
		{"session", "postgres"},
		{"session", "postgres-bound"},
		{"session", "postgres-pq"},
	} {
		t.Run(c.mode+"/"+c.engine, func(t *testing.T) {
			pool := servers.NewPgBouncer(t, server, c.mode)
			database := fmt.Sprintf("load%d", i)
			server.Exec(t, "postgres", "CREATE DATABASE "+database)
			var parameters url.Values
			for _, d := range postgresDrivers {
				if d.engine == c.engine {
					parameters = d.parameters
				}
			}
			underLoad(t, c.engine, pool.URL(database, parameters), bySize(0, 2, 10), quickly, func(_ *load, round int) {
				killed := server.Server
				if round%2 == 1 {
					killed = pool.Server
				}
				killed.Kill(t)
				killed.Start(t)
			})
		})
	}
}

// replicated is a primary with its replica. The primary acknowledges only what the replica has, and the replica does
// not wait for its readers.
func replicated(t testing.TB) (primary, replica *servers.Postgres) {
	t.Helper()
	primary = servers.NewPostgres(t, "synchronous_standby_names=*", "synchronous_commit=on")
	return primary, primary.Replica(t, "max_standby_streaming_delay=0", "hot_standby_feedback=off")
}

// The primary is killed and a replica is promoted. Clients that know both go on. No acknowledged change is lost,
// because the primary acknowledges only what the replica has.
func TestPostgresPromoted(t *testing.T) {
	serverSize(t)
	for i := range bySize(0, 1, 4) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			primary, replica := replicated(t)
			primary.Exec(t, "postgres", "CREATE DATABASE load")
			address := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=postgres dbname=load sslmode=disable "+
				"target_session_attrs=read-write default_query_exec_mode=simple_protocol", primary.Port, replica.Port)
			underLoad(t, "postgres", address, 1, quickly, func(*load, int) {
				primary.Kill(t)
				replica.Promote(t)
			})
		})
	}
}

// On a replica reads succeed, writes are refused, and records that have not arrived yet are not found.
func TestPostgresReplica(t *testing.T) {
	serverSize(t)
	is := is.New(t)
	primary, replica := replicated(t)
	primary.Exec(t, "postgres", "CREATE DATABASE load")
	e := engines.Named(t, "postgres")
	db := e.Connect(t, primary.URL("load", nil))
	buildLoad(t, db)
	s := newStore(t, db)
	is.NoErr(s.Insert(t.Context(), record("a"), record("b")))

	far := e.Connect(t, replica.URL("load", nil))
	r, err := bunstore.New(far, configFor(far))
	is.NoErr(err)
	reads := func(ids int) func() bool {
		return func() bool {
			all, err := r.List(t.Context(), storage.Query{}) // fails until the replica has the database and its tables
			return err == nil && len(all) == ids
		}
	}
	within(t, quickly, "the replica lags", reads(2))
	is.NoErr(r.Check(t.Context()))

	t.Run("writes", func(t *testing.T) {
		is := is.New(t)
		a, err := r.Get(t.Context(), "a")
		is.NoErr(err)
		for name, write := range map[string]func(storage.Storage) error{
			"insert": func(s storage.Storage) error { return s.Insert(t.Context(), record("c")) },
			"update": func(s storage.Storage) error { return s.Update(t.Context(), a) },
			"delete": func(s storage.Storage) error { _, err := s.Delete(t.Context(), "a"); return err },
		} {
			for where, err := range map[string]error{
				"alone": write(r),
				"in a transaction": r.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
					return write(tx)
				}),
				"swallowed": r.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
					_ = write(tx)
					return nil
				}),
			} {
				if !errors.Is(err, storage.ErrUnavailable) {
					t.Errorf("%s %s: %v", name, where, err)
				}
			}
		}
		is.NoErr(r.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error { // reads only
			_, err := tx.Get(ctx, "a")
			return err
		}))
	})

	t.Run("lag", func(t *testing.T) {
		is := is.New(t)
		replica.Exec(t, "postgres", "SELECT pg_wal_replay_pause()")
		is.NoErr(s.Insert(t.Context(), record("late")))
		_, err := r.Get(t.Context(), "late")
		is.True(errors.Is(err, storage.ErrNotFound))
		is.True(reads(2)())
		replica.Exec(t, "postgres", "SELECT pg_wal_replay_resume()")
		within(t, quickly, "the replica lags", reads(3))
	})

	conflicts := func(what string) (n int) {
		const ask = "SELECT confl_lock + confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'load'"
		if err := far.QueryRowContext(t.Context(), ask).Scan(&n); err != nil {
			t.Fatal(what, err)
		}
		return n
	}

	// The replica aborts a transaction that has read a table which the primary has locked since.
	t.Run("conflict with a lock", func(t *testing.T) {
		is := is.New(t)
		runs, before := 0, conflicts("before")
		err := r.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			runs++
			if _, err := tx.List(ctx, storage.Query{}); err != nil {
				return err
			}
			if runs == 1 {
				primary.Exec(t, "load", "BEGIN; LOCK TABLE organization_invitations; COMMIT")
				within(t, quickly, "there is no conflict", func() bool { return conflicts("after") > before })
			}
			_, err := tx.List(ctx, storage.Query{})
			return err
		})
		is.NoErr(err)
		is.Equal(runs, 2) // it was retried
	})

	// The replica cancels a statement that reads rows which the primary has vacuumed.
	t.Run("conflict with a vacuum", func(t *testing.T) {
		is := is.New(t)
		runs := 0
		err := r.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			runs++
			if runs > 1 {
				_, err := tx.List(ctx, storage.Query{})
				return err
			}
			done := make(chan error, 1)
			go func() {
				_, err := bunstore.DB(tx).ExecContext(ctx, "SELECT count(*), pg_sleep(20) FROM organization_invitations")
				done <- err
			}()
			const asks = "SELECT count(*) FROM pg_stat_activity " +
				"WHERE query LIKE 'SELECT count(*), pg_sleep%' AND state = 'active'"
			within(t, quickly, "the statement does not run", func() bool {
				var n int
				is.NoErr(far.QueryRowContext(ctx, asks).Scan(&n))
				return n > 0
			})
			primary.Exec(t, "load", "DELETE FROM organization_invitations WHERE id = 'b'")
			primary.Exec(t, "load", "VACUUM organization_invitations")
			return <-done
		})
		is.NoErr(err)
		is.Equal(runs, 2)
	})
	is.Equal(leftInTransaction(t, far), 0)
}

// eventually is how soon calls must succeed in a cluster whose nodes must first agree on the remaining members.
const eventually = 20 * time.Second

// A node of a cluster is killed under writers on all nodes, or frozen until the others exclude it.
func TestGaleraNodeLost(t *testing.T) {
	serverSize(t)
	cluster := servers.NewGalera(t, filepath.Join("internal", "engines", "galera.sh"))
	t.Run("killed", func(t *testing.T) {
		underLoad(t, "galera", cluster.DSN(t, "killed"), bySize(0, 1, 4), eventually, func(l *load, round int) {
			node := 1 + (round+1)%3
			cluster.Kill(t, node)
			l.returned() // the other nodes still answer
			l.settle(t)
			cluster.Start(t, node)
		})
	})
	t.Run("frozen", func(t *testing.T) {
		underLoad(t, "galera", cluster.DSN(t, "frozen"), bySize(0, 1, 4), eventually, func(_ *load, round int) {
			node := 1 + (round+1)%3
			cluster.Freeze(t, node)
			time.Sleep(bySize(0, 8*time.Second, 12*time.Second)) // the others exclude it after five seconds
			cluster.Thaw(t, node)
		})
	})
	t.Run("frozen in the middle of a transaction", func(t *testing.T) {
		is := is.New(t)
		const node = 2
		address := strings.Split(cluster.DSN(t, "middle"), ",")[node-1]
		db := engines.Named(t, "galera").Connect(t, address)
		s := newStore(t, db)
		is.NoErr(s.Insert(t.Context(), record("a")))
		runs := 0
		var refusal error
		err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			if runs++; runs > 1 {
				return nil
			}
			if err := tx.Insert(ctx, record("b")); err != nil {
				return err
			}
			cluster.Freeze(t, node)
			time.Sleep(bySize(0, 8*time.Second, 12*time.Second))
			cluster.Thaw(t, node)
			within(t, eventually, "the node does not notice", func() bool {
				_, refusal = tx.Get(ctx, "a")
				return refusal != nil
			})
			return refusal
		})
		t.Logf("%v, then after %d runs: %v", refusal, runs, err)
		within(t, eventually, "the node does not come back", func() bool {
			_, err := s.Get(t.Context(), "a")
			return err == nil
		})
		is.Equal(leftInTransaction(t, db), 0)
		_, err = s.Get(t.Context(), "b")
		is.True(errors.Is(err, storage.ErrNotFound))
		for i := range 20 { // on any connection
			is.NoErr(s.Insert(t.Context(), record(fmt.Sprintf("c%d", i))))
		}
	})
}

package bunstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/internal/faults"
	"github.com/orginvite/orginvite/storage"
)

// A node is killed under load. Each bulk is stored completely or not at all, no acknowledged change is lost, and the
// pool goes on with the other nodes. Not parallel: no other test should lose the node.
func TestGaleraNodeKilled(t *testing.T) {
	dir := os.Getenv("ORGINVITE_GALERA_DIR")
	if dir == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("ORGINVITE_GALERA_DIR is not set, and CI=true leaves nothing out: set it to DIR of galera.sh")
		}
		t.Skip("set ORGINVITE_GALERA_DIR to DIR of galera.sh to have a node killed")
	}
	is := is.New(t)
	fixture := func(verb string) {
		out, err := exec.Command(filepath.Join("internal", "engines", "galera.sh"), verb, dir, "2").CombinedOutput()
		if err != nil {
			t.Errorf("galera.sh %s: %v\n%s", verb, err, out)
		}
	}
	s := newStore(t, engines.Named(t, "galera").Open(t))
	const writers, rounds, size, killAt = 8, 12, 100, 16
	type bulk struct {
		id  string
		err error
	}
	var results [writers][]bulk
	var done atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for round := range rounds {
				b := bulk{id: fmt.Sprintf("%d-%d", w, round)}
				records := make([]storage.Record, size)
				for i := range records {
					records[i] = record(fmt.Sprintf("%s-%03d", b.id, i))
					records[i].Role = b.id
				}
				// In two halves, so that a node may fail between them.
				b.err = s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					if err := tx.Insert(ctx, records[:size/2]...); err != nil {
						return err
					}
					return tx.Insert(ctx, records[size/2:]...)
				})
				results[w] = append(results[w], b)
				if done.Add(1) == killAt {
					fixture("kill")
				}
			}
		})
	}
	wg.Wait()
	defer fixture("start")

	stored, err := s.List(t.Context(), storage.Query{})
	is.NoErr(err)
	there := map[string]int{}
	for _, r := range stored {
		there[r.Role]++
	}
	lost := 0
	for _, list := range results {
		for _, b := range list {
			n := there[b.id]
			switch {
			case b.err == nil && n == size:
			case errors.Is(b.err, storage.ErrOutcomeUnknown) && (n == 0 || n == size),
				errors.Is(b.err, storage.ErrAborted) && n == 0:
				lost++
				t.Logf("bulk %s: %d records, %v", b.id, n, b.err)
			default:
				t.Errorf("bulk %s: %d of %d records, %v", b.id, n, size, b.err)
			}
		}
		is.NoErr(list[len(list)-1].err) // the pool still works
	}
	is.True(lost <= writers) // at most one each, on the connection it had
}

// Writers on all nodes at once. If two nodes take the same slot, or write the same version, one wins. A host's
// transaction that another node overtakes is told so, at the latest when it commits.
func TestGaleraOvertaken(t *testing.T) {
	is := is.New(t)
	e := engines.Named(t, "galera")
	address := e.New(t)
	s, other := newStore(t, e.Connect(t, address)), newStore(t, e.Connect(t, address))
	is.NoErr(s.Insert(t.Context(), record("a")))
	for range 6 { // each node in turn
		a, err := s.Get(t.Context(), "a")
		is.NoErr(err)
		runs := 0
		err = s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			if err := tx.Update(ctx, a); err != nil {
				return err
			}
			if runs++; runs > 1 {
				return nil
			}
			// On the same node this transaction waits and is aborted; on another node it wins.
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			_ = other.Update(short, a)
			return nil
		})
		is.True(err == nil || errors.Is(err, storage.ErrConflict)) // never lost, never twice
		b, err := s.Get(t.Context(), "a")
		is.NoErr(err)
		is.Equal(b.Version, a.Version+1)
	}
}

// A transaction that has only read, then rolls back nested transactions, and then writes. On a connection that has not
// written yet, a cluster without log_bin would send rows that were rolled back to the other nodes. All nodes must have
// the same rows.
func TestGaleraSavepointAfterRead(t *testing.T) {
	is := is.New(t)
	e := engines.Named(t, "galera")
	address := e.New(t)
	db := e.Connect(t, address)
	s := newStore(t, db)
	db.SetMaxIdleConns(0) // each transaction has a new connection
	undo := errors.New("undo")
	var want []string
	for undone := 1; undone <= 3; undone++ {
		work := func(ctx context.Context, tx storage.Storage, id string) error {
			want = append(want, id)
			if _, err := tx.Get(ctx, "a"); !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			for i := range undone {
				err := tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					return errors.Join(tx.Insert(ctx, record(fmt.Sprint(id, " undone ", i))), undo)
				})
				if !errors.Is(err, undo) {
					return err
				}
			}
			return tx.Insert(ctx, record(id))
		}
		is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			return work(ctx, tx, fmt.Sprint("own ", undone))
		}))
		is.NoErr(db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			var n int
			if err := tx.NewRaw("SELECT count(*) FROM organization_invitations").Scan(ctx, &n); err != nil {
				return err
			}
			return work(ctx, s.WithTx(tx), fmt.Sprint("host's ", undone))
		}))
	}
	slices.Sort(want)
	for node := range strings.SplitSeq(address, ",") {
		there := e.Connect(t, node)
		var ids []string
		is.NoErr(there.NewRaw("SELECT id FROM organization_invitations ORDER BY id").Scan(t.Context(), &ids))
		is.Equal(ids, want)
		is.NoErr(there.NewRaw("SELECT k FROM organization_invitation_locks").Scan(t.Context(), &ids))
		is.Equal(len(ids), 0) // nothing stays there
	}

	// A read-only transaction writes nothing.
	is.NoErr(db.RunInTx(t.Context(), &sql.TxOptions{ReadOnly: true}, func(ctx context.Context, tx bun.Tx) error {
		return s.WithTx(tx).RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			_, err := tx.Get(ctx, want[0])
			return err
		})
	}))
}

// A host may overlook that the cluster aborted its transaction: bun's Scan into plain variables drops an error that
// follows the row. The Store checks for itself before it writes or commits, so it neither writes outside the
// transaction nor commits nothing.
func TestGaleraAbortOverlooked(t *testing.T) {
	engines.On(t, []engines.Engine{engines.OneNode()}, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		plan := &faults.Plan{}
		db := e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector { return faults.Wrap(c, plan.Decide) })
		s := newStore(t, db)
		deadlock := &gomysql.MySQLError{Number: 1213, Message: "Deadlock found when trying to get lock"}
		overlook := func(ctx context.Context, tx storage.Storage) {
			n := 0
			is.NoErr(bunstore.DB(tx).NewRaw("SELECT 42").Scan(ctx, &n))
			is.Equal(n, 42)
		}
		for name, fn := range map[string]func(ctx context.Context, tx storage.Storage) error{
			"before COMMIT": func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Insert(ctx, record("a")); err != nil {
					return err
				}
				overlook(ctx, tx)
				return nil
			},
			"before a write": func(ctx context.Context, tx storage.Storage) error {
				overlook(ctx, tx)
				return tx.Insert(ctx, record("a"))
			},
			"before a nested transaction": func(ctx context.Context, tx storage.Storage) error {
				overlook(ctx, tx)
				return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					return tx.Insert(ctx, record("a"))
				})
			},
			"in a nested transaction": func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Insert(ctx, record("a")); err != nil {
					return err
				}
				return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
					overlook(ctx, tx)
					return nil
				})
			},
		} {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				runs := 0
				plan.Set(1, faults.Fault{Kind: faults.AbortRows, Err: deadlock}, func(c faults.Call) bool {
					return c.Statement == "SELECT 42"
				})
				is.NoErr(s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
					runs++
					is.Equal(count(t, tx), 0) // nothing was written outside of a transaction
					return fn(ctx, tx)
				}))
				_, hit := plan.Hit()
				is.True(hit)
				is.Equal(runs, 2) // it was retried
				n, err := s.Delete(t.Context(), "a")
				is.NoErr(err)
				is.Equal(n, 1)

				tx, err := db.BeginTx(t.Context(), nil)
				is.NoErr(err)
				plan.Set(1, faults.Fault{Kind: faults.AbortRows, Err: deadlock}, func(c faults.Call) bool {
					return c.Statement == "SELECT 42"
				})
				in := s.WithTx(tx)
				err = in.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error { return fn(ctx, tx) })
				is.True(errors.Is(err, storage.ErrOutcomeUnknown)) // the outcome of the host's other changes is not known
				_ = tx.Rollback()
				is.Equal(count(t, s), 0)
			})
		}
	})
}

package bunstore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagetest"
)

// A Store in a transaction of the host's meets the contract, on every engine and with every library that the host may
// have begun the transaction with. Where only a driver or an isolation level differs, and under the race detector, only
// the cases about transactions run.
func TestJoined(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		if lib == withBun && strings.Contains(e.Name, "-") {
			t.Skip("bun.Tx runs the same statements as *sql.Tx; see the engine without the setting")
		}
		fresh := emptied(t, e)
		var opts []storagetest.Option
		if strings.Contains(e.Name, "-") || bunstore.Slow {
			opts = append(opts, storagetest.Only(storagetest.Transactions, storagetest.Nesting, storagetest.Waiting,
				storagetest.Joining))
		}
		if e.Cluster { // transactions on different nodes do not wait for each other
			opts = append(opts, storagetest.Without(storagetest.Waiting))
		}
		storagetest.RunJoined(t, func(t *testing.T) storagetest.Host {
			db, _ := fresh(t)
			for _, statement := range []string{"DROP TABLE IF EXISTS names", "CREATE TABLE names (name VARCHAR(64))"} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			return lib.host(t, newStore(t, db), db)
		}, opts...)
	})
}

// host returns an application that begins its transactions on db.
func (lib library) host(t *testing.T, s *bunstore.Store, db *bun.DB) storagetest.Host {
	return storagetest.Host{
		Storage: s,
		Begin: func(ctx context.Context) (storagetest.HostTx, error) {
			tx, err := lib.begin(ctx, t, db, nil)
			if err != nil {
				return storagetest.HostTx{}, err
			}
			join := func() storage.Storage { return tx.join(s) }
			return storagetest.HostTx{Join: join, Commit: tx.Commit, Rollback: tx.Rollback}, nil
		},
		Write: lib.write,
		Names: lib.names,
	}
}

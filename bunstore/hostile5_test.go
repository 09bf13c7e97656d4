package bunstore_test

import (
	"context"
	"database/sql/driver"
	"testing"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// traced is what a tracing wrapper (otelsql and its like) makes of a driver: the interfaces of database/sql/driver.
type traced struct{ driver.Connector }

func (c traced) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return tracedConn{conn}, nil
}

type tracedConn struct{ driver.Conn }

func (c tracedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}
func (c tracedConn) ExecContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, a)
}
func (c tracedConn) QueryContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, a)
}

// M1: a callback makes nothing of a statement that failed, behind a tracing wrapper.
func TestHostileTracedSwallow(t *testing.T) {
	for _, name := range []string{"postgres", "postgres-pgdriver", "mariadb", "sqlite"} {
		t.Run(name, func(t *testing.T) {
			e := engines.Named(t, name)
			db := e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector { return traced{c} })
			s := newStore(t, db)
			err := s.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
				if err := tx.Insert(ctx, record("a")); err != nil {
					return err
				}
				_, _ = bunstore.DB(tx).ExecContext(ctx, "SELECT 1 FROM nowhere")
				return nil
			})
			n := count(t, s)
			if err == nil && n != 1 || err != nil && n != 0 {
				t.Errorf("RunInTx said %v, %d records", err, n)
			}
		})
	}
}

package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore/internal/bridge"
	"github.com/orginvite/orginvite/storage"
)

func init() {
	bridge.Join = func(store storage.Storage, caller string, d dialect.Name, pool *sql.DB, err error) storage.Storage {
		return store.(*Store).joinConn(caller, d, pool, err)
	}
	bridge.Connection = connection
}

// joinConn implements bridge.Join. It begins no *sql.Tx on the connection, because a goroutine of database/sql would
// wait for its end, and nobody ends it. The connection stays usable after pool is closed.
func (s *Store) joinConn(caller string, d dialect.Name, pool *sql.DB, err error) *Store {
	defer func() { _ = pool.Close() }()
	switch {
	case err != nil:
		return s.unjoined(fmt.Errorf("%s: %w", caller, err))
	case s.db == nil:
		return s.unjoined(s.err)
	case s.e.dialect != d:
		return s.unjoined(fmt.Errorf("%s was given a transaction on %v, the store is for %v", caller, d, s.e.dialect))
	}
	db := unbound(pool)
	conn, err := db.Conn(context.Background())
	if err != nil {
		return s.unjoined(fmt.Errorf("%s: %w", caller, err))
	}
	*db = *s.bunDB()
	tx := newTxState(s.e, bun.Tx{})
	tx.foreign, tx.besideText = true, true
	c := s.within(conn, tx)
	c.safe = new(atomic.Bool)
	return c
}

// connection implements bridge.Connection.
func connection(tx storage.Storage) bridge.Run {
	s := storeOf(tx)
	if s == nil || s.db == nil {
		return nil
	}
	if s.inTx() {
		s.tx.host.lendUnseen()
	}
	return func(ctx context.Context, fn func(driverConn any) error) error {
		switch db := s.db.(type) {
		case bun.Conn:
			return db.Raw(fn)
		case *bun.DB:
			conn, err := db.DB.Conn(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return conn.Raw(fn)
		}
		if s.tx.conn == nil {
			return errors.New("the transaction was begun with bun or database/sql: use the handle of bunstore.DB or SQL")
		}
		return s.tx.conn.Raw(fn)
	}
}

package bunstore

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// lease is a connection on which to begin a transaction. It is from the pool, or the host's own.
type lease struct {
	bun.Conn
	pooled bool
}

// lease waits for a connection. seen may be nil. Otherwise it watches what the host runs on a connection from the pool.
// The caller must call release.
func (s *Store) lease(ctx context.Context, seen *watch) (lease, error) {
	db, pooled := s.db.(*bun.DB)
	if !pooled {
		return lease{Conn: s.db.(bun.Conn)}, nil
	}
	if s.e.failureMayEndTx && seen != nil {
		db = db.WithQueryHook(seen)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return lease{}, s.unreached(ctx, err)
	}
	return lease{conn, true}, nil
}

func (l lease) release() {
	if l.pooled {
		_ = l.Close()
	}
}

// ready is that of transactions. It is asked each time, because a host may open its connections with different
// settings.
func (l lease) ready(e *engine) (ready bool) {
	_ = l.Raw(func(conn any) error {
		ready = e.transactions.ready(conn)
		return nil
	})
	return ready
}

// discard keeps the pool from reusing the connection, because it may still be in a transaction.
func (l lease) discard() {
	_ = l.Raw(func(any) error { return driver.ErrBadConn })
}

// unreached explains err, the error of getting a connection. Nothing was written.
func (s *Store) unreached(ctx context.Context, err error) error {
	v := s.judge(err)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()): // ctx ended while waiting for a connection
		return err
	case v.class == lost:
		return &failure{kind: storage.ErrUnavailable, cause: joined(storagekit.ContextError(ctx), err)}
	}
	return v.explain(ctx, err)
}

// notBegun explains err, the error of BEGIN on a connection from the pool. Nothing was written. An error that is not
// the server's own answer concerns the connection, which may be old. Another connection may work, so a retry may help.
func (s *Store) notBegun(ctx context.Context, err error) error {
	if v := s.judge(err); v.class == lost || v.class == plain && v.uncertain {
		if over := ctx.Err(); over == nil || !errors.Is(err, over) {
			over := storagekit.ContextError(ctx)
			return &failure{kind: storage.ErrUnavailable, cause: joined(over, err), retry: over == nil}
		}
	}
	return s.unreached(ctx, err)
}

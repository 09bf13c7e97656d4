package bunstore

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
)

// lease is a connection to begin a transaction on: one of the pool, or the host's own.
type lease struct {
	bun.Conn
	pooled bool
}

// lease waits for a connection. seen, which may be nil, sees what the host runs on one of the pool. The caller must
// call release.
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

// discard keeps the pool from using the connection again: nobody knows whether it is in a transaction.
func (l lease) discard() {
	_ = l.Raw(func(any) error { return driver.ErrBadConn })
}

// unreached explains err, with which no connection was to be had, so that nothing was written.
func (s *Store) unreached(ctx context.Context, err error) error {
	v := s.judge(err)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()): // nobody waits for a connection
		return err
	case v.class == lost:
		return &failure{kind: storage.ErrUnavailable, cause: joined(contextError(ctx), err)}
	}
	return v.explain(ctx, err)
}

// notBegun explains err, of BEGIN on a connection of the pool, so that nothing was written. Whatever the server has
// not said itself is about the connection: this one may be old, and another one better.
func (s *Store) notBegun(ctx context.Context, err error) error {
	if v := s.judge(err); v.class == lost || v.class == plain && v.uncertain {
		if over := ctx.Err(); over == nil || !errors.Is(err, over) {
			over := contextError(ctx)
			return &failure{kind: storage.ErrUnavailable, cause: joined(over, err), retry: over == nil}
		}
	}
	return s.unreached(ctx, err)
}

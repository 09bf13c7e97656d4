package bunstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
)

// querier is what statements run on: a *bun.DB, bun.Conn or bun.Tx, so that bun's query hooks see them all.
type querier = bun.IConn

// read runs fn, whose statements write nothing and need no transaction of their own.
func (s *Store) read(ctx context.Context, op string, fn func(context.Context, querier) error) error {
	if err := s.enter(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.leave()
	if s.inTx() {
		inner, done := s.e.readContext(ctx)
		return wrap(op, s.finish(ctx, s.safely(inner, fn), done))
	}
	return wrap(op, retry(ctx, func() error {
		err := s.safely(ctx, fn)
		v := s.judge(err)
		if v.class == lost && ctx.Err() == nil { // a read may be repeated
			return &failure{kind: storage.ErrAborted, cause: err, retry: true}
		}
		return v.explain(ctx, err)
	}))
}

// write runs fn, whose statements write. Outside a transaction it begins one for fn, and retries it while the engine
// aborts it. That includes a single statement: a server does not notice that a client has gone while its statement
// waits for a lock, and would commit it afterwards; and a driver may say that ctx has ended of one that was committed.
func (s *Store) write(ctx context.Context, op string, fn func(context.Context, querier) error) error {
	if err := s.enter(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.leave()
	if !s.inTx() {
		return retry(ctx, func() error {
			return s.outermost(ctx, op, s.e.takeWriteLock, func(ctx context.Context, tx *Store) error {
				return tx.write(ctx, op, fn)
			})
		})
	}
	if err := s.verify(ctx); err != nil {
		return wrap(op, err)
	}
	inner, done := s.e.writeContext(ctx)
	return wrap(op, s.finish(ctx, s.safely(inner, fn), done))
}

// safely runs fn on a connection that corrupts no values. One is asked, because all of a pool are made alike.
func (s *Store) safely(ctx context.Context, fn func(context.Context, querier) error) error {
	if !s.safe.Load() {
		if err := s.e.catalog.safe(ctx, s.db); err != nil {
			return err
		}
		s.safe.Store(true)
	}
	return fn(ctx, s.db)
}

// finish ends a statement in the transaction of s, whose error is err: it frees the statement's context by done,
// explains err, and remembers where err makes the transaction or the nested one unusable.
func (s *Store) finish(ctx context.Context, err error, done func() (cut bool)) error {
	cut := done()
	if err == nil {
		return nil
	}
	v := s.judge(err)
	err = v.explain(ctx, err)
	if cut && v.class == plain {
		err = &failure{kind: storage.ErrAborted, cause: err}
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return s.turns.tx.fail(f)
	}
	// In the host's own transaction we cannot know: it may have rolled back to a savepoint of its own.
	if v.class == unusable && (s.turns.tx.own || s.turns.outer != nil) && s.turns.failed == nil {
		s.turns.failed = fmt.Errorf("%w: %w", errUnusable, err)
	}
	return err
}

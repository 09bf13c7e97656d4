package bunstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
)

// querier runs statements. It is a *bun.DB, bun.Conn or bun.Tx, so bun's query hooks see all statements.
type querier = bun.IConn

// read runs fn, which only reads and needs no transaction of its own.
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

// write runs fn, which writes. Outside a transaction it begins a transaction for fn, and retries it if the engine
// aborts it. Even a single statement gets a transaction, for two reasons. If a client goes away while its statement
// waits for a lock, the server does not notice, and would commit the statement later. And a driver may report that ctx
// has ended although the statement was committed.
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

// safely runs fn after checking that the connections corrupt no values. It checks only one, because all connections of
// a pool have the same settings.
func (s *Store) safely(ctx context.Context, fn func(context.Context, querier) error) error {
	if !s.safe.Load() {
		if err := s.e.catalog.safe(ctx, s.db); err != nil {
			return err
		}
		s.safe.Store(true)
	}
	return fn(ctx, s.db)
}

// finish ends a statement in the transaction of s. err is the error of the statement. finish calls done to free the
// statement's context, and explains err. It remembers if err makes the transaction, or the nested one, unusable.
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
	// In the host's own transaction this is unknown, because the host may have rolled back to its own savepoint.
	if v.class == unusable && (s.turns.tx.own || s.turns.outer != nil) && s.turns.failed == nil {
		s.turns.failed = fmt.Errorf("%w: %w", errUnusable, err)
	}
	return err
}

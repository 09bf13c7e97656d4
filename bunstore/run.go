package bunstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// querier runs statements. It is a *bun.DB, bun.Conn or bun.Tx, so bun's query hooks see all statements.
type querier = bun.IConn

// enter acquires exclusive use of the connection, if the Store has one. If it returns nil, the caller must call leave.
func (s *Store) enter(ctx context.Context) error {
	switch {
	case s.err != nil:
		return s.err
	case s.turns == nil:
		return ctx.Err()
	}
	return s.turns.Enter(ctx)
}

func (s *Store) leave() {
	if s.turns != nil {
		s.turns.Leave()
	}
}

// retry calls fn again as long as it returns a failure with retry set.
func retry(ctx context.Context, fn func() error) error {
	again := func(err error) bool {
		f, ok := errors.AsType[*failure](err)
		return ok && f.retry
	}
	return storagekit.Retry(ctx, again, fn)
}

// read runs fn, which only reads and needs no transaction of its own.
func (s *Store) read(ctx context.Context, op string, fn func(context.Context, querier) error) error {
	if err := s.enter(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.leave()
	defer s.prepareWanted(ctx)
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
	defer s.prepareWanted(ctx)
	if err := s.verify(ctx); err != nil {
		return wrap(op, err)
	}
	inner, done := s.e.writeContext(ctx)
	return wrap(op, s.finish(ctx, s.safely(inner, fn), done))
}

// safely runs fn after checking that the connections corrupt no values. It checks only one of each pool, because all
// connections of a pool have the same settings.
func (s *Store) safely(ctx context.Context, fn func(context.Context, querier) error) error {
	if !s.safe.Load() {
		if err := s.checkConnection(ctx); err != nil {
			return err
		}
		s.safe.Store(true)
	}
	return fn(ctx, s.querier())
}

// checkConnection returns an error if the connection would corrupt values. A transaction from another pool may even be
// on another engine, which shows here, in its first statements.
func (s *Store) checkConnection(ctx context.Context) error {
	foreign := s.inTx() && s.tx.foreign
	err := error(nil)
	if foreign && s.e.identity != "" {
		_, err = s.db.ExecContext(ctx, s.e.identity)
	}
	if err == nil {
		err = s.e.catalog.safe(ctx, s.db)
	}
	if err == nil || !foreign || s.judge(err).endsTx() || !fromDriver(err) {
		return err
	}
	return fmt.Errorf("the settings of the transaction cannot be read, is it really one on %v? %w", s.e.dialect, err)
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
		return s.tx.fail(f)
	}
	// In the host's own transaction this is unknown, because the host may have rolled back to its own savepoint.
	if v.class == unusable && (s.tx.own || s.turns != s.tx.turns) {
		s.turns.Fail(err)
	}
	return err
}

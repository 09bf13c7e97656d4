package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// RunInTx implements [storage.Storage]. On a Store outside a transaction it begins a transaction. It retries this
// transaction for up to about 10 seconds if the engine aborts it, or if somebody else holds a lock that it needs. On a
// Store in a transaction, its own or the host's, it begins a nested transaction with SAVEPOINT.
//
// If ctx has ended when fn returns, RunInTx rolls back its transaction or nested transaction, and returns the error of
// ctx. The goroutines of fn may share tx. Their calls run one at a time. While one goroutine has a nested transaction
// open, the others wait.
func (s *Store) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	return s.atomically(ctx, "transaction", s.e.takeWriteLock, func(ctx context.Context, tx *Store) error {
		return fn(ctx, tx)
	})
}

// atomically runs fn in an outermost transaction that starts with start, or in a nested one. It returns errors of fn
// unchanged.
func (s *Store) atomically(ctx context.Context, op string, start func(context.Context, querier) error,
	fn func(context.Context, *Store) error) error {
	if err := s.enter(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.leave()
	if s.inTx() {
		return s.nested(ctx, op, fn)
	}
	return retry(ctx, func() error { return s.outermost(ctx, op, start, fn) })
}

// within returns a Store that works in tx.
func (s *Store) within(db bun.IDB, tx *txState) *Store {
	return &Store{db: db, e: s.e, safe: s.safe, turns: tx.turns, tx: tx, prepared: s.prepared}
}

// run calls fn, and then commit or rollBack, as [storagekit.Turns] does. It returns errors of fn unchanged.
func (s *Store) run(ctx context.Context, op string, fn func(context.Context, *Store) error,
	commit, rollBack func(context.Context) error) error {
	returned := false // an error of fn's
	err := s.turns.Run(ctx, func(ctx context.Context) error {
		err := fn(ctx, s)
		returned = err != nil
		// It may show that the engine aborted the transaction at a statement that the host ran itself on DB(tx).
		if v := s.judgeReturned(err); v.endsTx() && s.tx.failure() == nil {
			_ = s.tx.fail(v.explain(ctx, err))
		}
		return err
	}, commit, rollBack)
	if returned && s.tx.failure() == nil {
		return err
	}
	return wrap(op, err)
}

// ownTx is a transaction that the Store has begun, and the Store that works in it.
type ownTx struct {
	*Store
	tx   bun.Tx
	conn lease
	op   string
	// bounded ends grace after the caller's context.
	bounded context.Context

	over     bool  // COMMIT was sent
	rollback error // the error of ROLLBACK
}

// outermost begins a transaction, runs fn in it once, and ends it.
func (s *Store) outermost(ctx context.Context, op string, start func(context.Context, querier) error,
	fn func(context.Context, *Store) error) (err error) {
	// ctx limits only the wait for a connection. database/sql would roll back a transaction begun with ctx at any
	// moment, even in the middle of a statement.
	bounded, free := storagekit.Outlive(ctx, grace)
	defer free() // after the end of the transaction, which a driver may run with it
	seen := &watch{s: s}
	conn, err := s.lease(ctx, seen)
	if err != nil {
		return wrap(op, err)
	}
	defer s.prepareWanted(ctx)
	defer conn.release()
	options, ready := s.e.txOptions(), conn.ready(s.e)
	if ready {
		options = nil
	}
	tx, err := conn.BeginTx(bounded, options)
	if err != nil {
		return wrap(op, s.beginFailed(ctx, conn, err))
	}

	var connection *storagekit.Turns
	if !conn.pooled {
		connection = s.turns
	}
	state := newOwnTxState(s.e, tx, connection)
	state.conn = conn.Conn.Conn
	state.watched = conn.pooled && s.e.failureMayEndTx
	seen.tx.Store(state)
	t := &ownTx{Store: s.within(tx, state), tx: tx, conn: conn, op: op, bounded: bounded}
	rollBack := func(context.Context) error { return t.rollBack(ctx) }
	if !ready {
		err = start(context.WithoutCancel(ctx), tx)
	}
	if err != nil {
		_ = t.rollBack(ctx)
		err = wrap(op, s.explain(ctx, err))
	} else {
		err = t.run(ctx, op, fn, func(context.Context) error { return t.commit(ctx) }, rollBack)
	}
	return t.explainRollback(ctx, err)
}

// beginFailed explains err, the error of BEGIN on conn.
func (s *Store) beginFailed(ctx context.Context, conn lease, err error) error {
	if !conn.pooled {
		return s.unreached(ctx, err)
	}
	if !s.e.transactions.reusable(context.WithoutCancel(ctx), conn.Conn) {
		conn.discard()
	}
	return s.notBegun(ctx, err)
}

// complete makes sure that COMMIT will commit the whole transaction, if the host has had the handle.
func (t *ownTx) complete(ctx context.Context) error {
	if err := t.verify(ctx); err != nil {
		return err
	}
	if !t.Store.tx.host.lent.Load() {
		return nil
	}
	switch open, err := t.e.transactions.openAtCommit(t.bounded, t.tx, t.conn.Conn); {
	case errors.Is(err, sql.ErrTxDone), err == nil && !open:
		return t.Store.tx.ended(errEnded)
	default:
		return t.explain(ctx, err)
	}
}

// commit ends the transaction. Only the database's own refusal proves that nothing was committed.
func (t *ownTx) commit(ctx context.Context) error {
	if err := t.complete(ctx); err != nil {
		return err
	}
	t.over = true
	err := t.tx.Commit()
	if err == nil {
		return nil
	}
	uncancelled := context.WithoutCancel(ctx)
	if !t.e.transactions.reusable(uncancelled, t.conn.Conn) {
		t.conn.discard()
	}
	v := t.judge(err)
	if v.uncertain {
		return &failure{kind: storage.ErrOutcomeUnknown, cause: joined(storagekit.ContextError(ctx), err)}
	}
	return v.explain(uncancelled, err)
}

// rollBack ends the transaction, unless COMMIT has done so.
func (t *ownTx) rollBack(ctx context.Context) error {
	if t.over {
		return nil
	}
	state := t.Store.tx
	if state.host.suspect.Load() && state.failure() == nil {
		_ = t.verify(ctx) // the error is that of the transaction from then on
	}
	if t.rollback = t.tx.Rollback(); state.clean(t.rollback) {
		t.rollback = nil
	} else if !t.e.transactions.reusable(context.WithoutCancel(ctx), t.conn.Conn) {
		t.conn.discard()
	}
	return nil
}

// explainRollback adds to err, why the transaction was rolled back, what ROLLBACK has shown: the host has ended the
// transaction, or a statement of the host has lost the connection.
func (t *ownTx) explainRollback(ctx context.Context, err error) error {
	_, known := errors.AsType[*failure](err)
	switch {
	case t.rollback == nil || err == nil || known:
		return err
	case t.bounded.Err() != nil: // database/sql has rolled back
		return err
	case errors.Is(t.rollback, sql.ErrTxDone):
		return wrap(t.op, t.Store.tx.ended(fmt.Errorf("%w: %w", errEnded, err)))
	case t.judge(err).class == lost:
		return wrap(t.op, &failure{kind: storage.ErrAborted, cause: joined(storagekit.ContextError(ctx), err)})
	}
	return err
}

var savepoints atomic.Uint64

// nested runs fn between SAVEPOINT and RELEASE, or ROLLBACK TO.
//
// bun's nested RunInTx is not used, because it rolls back with the context of the nested transaction. If that context
// is cancelled, nothing is rolled back, and the outer transaction commits the writes.
func (s *Store) nested(ctx context.Context, op string, fn func(context.Context, *Store) error) error {
	// The name is unique, because MariaDB forgets a savepoint when another one gets the same name. A Store of WithTx
	// inside fn could do that.
	name := "orginvite_" + strconv.FormatUint(savepoints.Add(1), 10)
	if err := s.verify(ctx); err != nil {
		return wrap(op, err)
	}
	if err := s.beforeSavepoints(ctx); err != nil {
		return wrap(op, err)
	}
	if err := s.control(ctx, "SAVEPOINT "+name); err != nil {
		return wrap(op, err)
	}
	child := s.within(s.db, s.tx)
	child.turns = s.turns.Nested()
	release := func(context.Context) error {
		if err := child.verify(ctx); err != nil {
			return err
		}
		return child.control(ctx, "RELEASE SAVEPOINT "+name) // if this fails, the nested transaction is rolled back
	}
	undo := func(context.Context) error { // also in a failed transaction, because the host may commit it nevertheless
		s.written() // what fn has read is stored no longer
		if err := s.rollBackTo(ctx, name); err != nil {
			return s.notRolledBack(ctx, err)
		}
		return nil
	}
	return child.run(ctx, op, fn, release, undo)
}

// beforeSavepoints is that of the engine, once in each transaction.
func (s *Store) beforeSavepoints(ctx context.Context) error {
	if s.tx.savepoints {
		return nil
	}
	inner, done := s.e.writeContext(ctx)
	if err := s.finish(ctx, s.safely(inner, s.e.transactions.beforeSavepoints), done); err != nil {
		return err
	}
	s.tx.savepoints = true
	return nil
}

// control runs SAVEPOINT or RELEASE. It may run for grace after ctx has ended, because the nested transaction must be
// whole.
func (s *Store) control(ctx context.Context, statement string) error {
	inner, done := storagekit.Outlive(ctx, grace)
	_, err := s.db.ExecContext(inner, statement)
	return s.finish(ctx, err, done)
}

// rollBackTo rolls back to a savepoint and forgets it.
func (s *Store) rollBackTo(ctx context.Context, name string) error {
	inner, done := storagekit.Outlive(ctx, grace)
	defer done()
	if _, err := s.db.ExecContext(inner, "ROLLBACK TO SAVEPOINT "+name); err != nil {
		return err
	}
	_, err := s.db.ExecContext(inner, "RELEASE SAVEPOINT "+name)
	return err
}

// notRolledBack marks the transaction of s as failed, because a nested one could not be rolled back. err is the error
// of that rollback. It returns why the transaction is unusable.
func (s *Store) notRolledBack(ctx context.Context, err error) error {
	tx, v := s.tx, s.judge(err)
	if tx.host.lent.Load() && (v.noSavepoint || errors.Is(err, sql.ErrTxDone) && storagekit.ContextError(ctx) == nil) {
		return tx.fail(tx.ended(fmt.Errorf("%w: %w", errEnded, err)))
	}
	explained := v.explain(context.WithoutCancel(ctx), err)
	if _, ok := errors.AsType[*failure](explained); !ok {
		explained = &failure{kind: storage.ErrAborted, cause: err}
	}
	return tx.fail(explained)
}

// Lock implements [storage.Storage]. SQLite has one writer at a time, so there all keys share one lock.
func (s *Store) Lock(ctx context.Context, key string) error {
	if err := storagekit.ValidateKey(key); err != nil {
		return wrap("lock", err)
	}
	return s.write(ctx, "lock", func(ctx context.Context, db querier) error {
		switch {
		case !s.inTx():
			return errNoTx
		case s.tx.own:
			return s.e.lock(ctx, db, key)
		}
		return s.e.transactions.lockJoined(ctx, db, key)
	})
}

// lockRows prepares a SELECT that reads the latest rows with these ids and locks them in the order of the ids. It
// returns the end of that SELECT. ids is nil if the SELECT itself has that order.
func (s *Store) lockRows(ctx context.Context, db querier, ids []string) (suffix string, err error) {
	if !s.tx.own {
		if err := s.e.takeWriteLock(ctx, db); err != nil {
			return "", err
		}
	}
	if !s.e.locksAsSorted || len(ids) <= 1 {
		return s.e.rowLock, nil
	}
	q := statement{}
	q.add("SELECT id FROM "+s.e.invitations+" WHERE id IN (?) ORDER BY id"+s.e.rowLock, texts(ids))
	var id string
	return "", q.each(ctx, db, []any{&id}, func() {})
}

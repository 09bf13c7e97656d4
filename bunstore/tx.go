package bunstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
)

// How long an aborted transaction is retried, and the longest pause between two tries.
const (
	retryFor   = 10 * time.Second
	retryPause = 64 * time.Millisecond
)

// txn is what the levels of one transaction share.
type txn struct {
	own  bool        // begun by us, so that we may run it again, and the engine's begin has run in it
	lent atomic.Bool // the host has had its handle
	// unsure: the host has had the handle since it was last known that the transaction is there. As far as a watch sees,
	// it has written since (wrote), or a statement of its has failed or may have ended the transaction (odd).
	unsure, wrote, odd atomic.Bool
	watched            bool

	// end, where it is set, rolls the transaction back as soon as it is dead. What the host still runs on its own
	// handle would commit by itself otherwise, and its COMMIT would find nothing wrong.
	end func() error

	mu         sync.Mutex
	dead       error
	rolledBack bool // by end
}

// kill keeps the first reason why the transaction is of no use any more, and returns it.
func (t *txn) kill(err error) error {
	t.mu.Lock()
	first := t.dead == nil
	if first {
		t.dead = err
	}
	err = t.dead
	t.mu.Unlock()
	if first && t.end != nil && t.end() == nil {
		t.mu.Lock()
		t.rolledBack = true
		t.mu.Unlock()
	}
	return err
}

// clean reports whether err, of ROLLBACK, leaves a connection without a transaction.
func (t *txn) clean(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return err == nil || t.rolledBack && errors.Is(err, sql.ErrTxDone)
}

// newTxn is for a transaction on tx.
func newTxn(e *engine, tx bun.Tx, own bool) *txn {
	t := &txn{own: own}
	if e.abortEndsTx && tx.Tx != nil {
		t.end = tx.Tx.Rollback
	}
	return t
}

// watch is a hook that sees the statements which the host has run by itself on DB(tx). A host that makes nothing of a
// deadlock must not commit what is left.
type watch struct {
	s  *Store
	tx atomic.Pointer[txn]
}

func (w *watch) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (w *watch) AfterQuery(ctx context.Context, event *bun.QueryEvent) {
	tx := w.tx.Load()
	if tx == nil {
		return
	}
	if tx.unsure.Load() {
		switch op := strings.ToUpper(event.Operation()); {
		case event.Err != nil && !errors.Is(event.Err, sql.ErrNoRows), op == "ROLLBACK":
			tx.odd.Store(true)
		case op == "SELECT":
		case op == "INSERT", op == "UPDATE", op == "DELETE", op == "REPLACE":
			tx.wrote.Store(true)
		default:
			tx.odd.Store(true)
			tx.wrote.Store(true)
		}
	}
	if event.Err == nil || !w.s.e.abortEndsTx || w.s.e.errors.noSavepoint(event.Err) {
		return
	}
	if c := w.s.class(event.Err); c.ends() {
		tx.kill(w.s.classed(ctx, event.Err, c))
	}
}

// gone is the failure of a transaction that ended unnoticed. What the host wrote after that was committed by itself.
func (t *txn) gone(cause error) error {
	if t.watched && !t.wrote.Load() {
		return &failure{kind: storage.ErrAborted, cause: cause, again: t.own && !t.odd.Load()}
	}
	return &failure{kind: storage.ErrOutcomeUnknown, cause: cause}
}

func (t *txn) reason() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dead
}

// scope is what calls take turns on: a connection, or a level of a transaction on it. While a level is open it has
// the turn of the scope it was opened in, so that a statement never lands in a level it was not meant for.
type scope struct {
	parent *scope
	tx     *txn          // nil: a connection, no transaction
	turn   chan struct{} // full while somebody has the turn
	closed bool          // by whoever has the turn; as are those below
	spoilt error         // what a statement has failed with, where that leaves the level of no use
	depth  int
}

func newScope(parent *scope, tx *txn) *scope {
	s := &scope{parent: parent, tx: tx, turn: make(chan struct{}, 1)}
	if parent != nil {
		s.depth = parent.depth + 1
	}
	return s
}

// close makes every later call an error. It waits for one that a goroutine of fn's has left behind.
func (c *scope) close() {
	c.turn <- struct{}{}
	c.closed = true
	<-c.turn
}

// scopeKey is where the context fn gets says which level it is in, to tell a goroutine that has to wait for its
// turn from one that would wait for itself.
type scopeKey struct{}

// enter takes the turn, where there are turns to take. Who gets nil calls leave.
func (s *Store) enter(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	if s.scope == nil {
		return ctx.Err()
	}
	select {
	case s.scope.turn <- struct{}{}:
	default:
		for c, _ := ctx.Value(scopeKey{}).(*scope); c != nil; c = c.parent {
			if c.parent == s.scope {
				return errOuter
			}
		}
		select {
		case s.scope.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := ctx.Err()
	if s.scope.closed {
		err = errFinished
	} else if tx := s.scope.tx; tx != nil {
		if dead := tx.reason(); dead != nil {
			err = joined(err, dead)
		} else if s.scope.spoilt != nil {
			err = s.scope.spoilt
		}
	}
	if err != nil {
		s.leave()
	}
	return err
}

func (s *Store) leave() {
	if s.scope != nil {
		<-s.scope.turn
	}
}

// read runs fn, whose statements write nothing and need no transaction of their own.
func (s *Store) read(ctx context.Context, op string, fn func(context.Context, querier) error) error {
	if err := s.enter(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.leave()
	if s.inTx() {
		inner, done := s.e.readContext(ctx)
		err := s.safely(inner, fn)
		return wrap(op, s.settle(ctx, err, done()))
	}
	return wrap(op, retry(ctx, func() error {
		err := s.safely(ctx, fn)
		if s.class(err) == lost && ctx.Err() == nil { // a read may be repeated
			return &failure{kind: storage.ErrAborted, cause: err, again: true}
		}
		return s.failed(ctx, err)
	}))
}

// write runs fn, whose statements write. Outside a transaction it begins one for fn, and retries it while the engine
// aborts it. That includes a single statement: a server does not notice that a client has gone while its statement waits
// for a lock, and would commit it afterwards; and a driver may say that ctx has ended of one that was committed.
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
	if err := s.intact(ctx); err != nil {
		return wrap(op, err)
	}
	inner, done := s.e.writeContext(ctx)
	err := s.safely(inner, fn)
	return wrap(op, s.settle(ctx, err, done()))
}

// intact looks whether the transaction of s is still there, before a statement that would otherwise be committed on its
// own. The host may have overlooked that the engine aborted it, may have ended it, or a driver may not have said so:
// bun's Scan into plain variables drops an error that comes behind the row.
func (s *Store) intact(ctx context.Context) error {
	tx := s.scope.tx
	if !tx.unsure.Swap(false) {
		return nil
	}
	inner, free := outlive(ctx, grace)
	there, err := true, error(nil)
	if !tx.watched || tx.odd.Load() || !s.e.transactions.trustsHook() {
		there, err = s.e.transactions.open(inner, s.db)
	}
	cut := free()
	switch {
	case err == nil && !there, errors.Is(err, sql.ErrTxDone) && done(ctx) == nil:
		return tx.kill(tx.gone(errGone))
	case err != nil:
		return s.settle(ctx, err, cut)
	}
	tx.wrote.Store(false)
	tx.odd.Store(false)
	return nil
}

// safely runs fn on a connection that values survive on. One is asked, because all of a pool are made alike.
func (s *Store) safely(ctx context.Context, fn func(context.Context, querier) error) error {
	if !s.safe.Load() {
		if err := s.e.catalog.safe(ctx, s.db); err != nil {
			return err
		}
		s.safe.Store(true)
	}
	return fn(ctx, s.db)
}

// How long after the end of its context a statement in a transaction may still take, and one that begins, nests or
// ends a transaction. The latter is longer, because cutting a COMMIT short leaves its outcome unknown.
const (
	linger = 250 * time.Millisecond
	grace  = 2 * time.Second
)

// outlive returns a context that ends a time after ctx has. done frees it, and says whether it has ended.
func outlive(ctx context.Context, extra time.Duration) (inner context.Context, done func() (cut bool)) {
	if ctx.Done() == nil {
		return ctx, func() bool { return false }
	}
	if ctx.Err() != nil {
		inner, cancel := context.WithTimeout(context.WithoutCancel(ctx), extra)
		return inner, func() bool { defer cancel(); return inner.Err() != nil }
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	free := cancel
	if at, ok := ctx.Deadline(); ok { // as a deadline too, for drivers that look at nothing else
		inner, free = context.WithDeadline(inner, at.Add(extra))
	}
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(extra, cancel) })
	return inner, func() bool {
		cut := inner.Err() != nil
		stop()
		free()
		cancel()
		return cut
	}
}

// readContext is what a statement in a transaction runs with that does not write. done frees it, and says whether the
// connection went with the statement.
//
// Where it does, most statements are done in no time: they are let through, so that a level whose context is done can be
// undone and the transaction goes on. Those that wait for a lock are not.
func (e *engine) readContext(ctx context.Context) (inner context.Context, done func() (cut bool)) {
	if e.cutLosesConn {
		return outlive(ctx, linger)
	}
	return ctx, func() bool { return false }
}

// writeContext is the same for a statement that writes. Where cutting it short would roll the whole transaction back it
// is never cancelled: the statements after it would commit one by one.
func (e *engine) writeContext(ctx context.Context) (inner context.Context, done func() (cut bool)) {
	if e.cutLosesConn {
		return outlive(ctx, linger)
	}
	return context.WithoutCancel(ctx), func() bool { return false }
}

// settle gives err, of a statement in the transaction of s, its meaning, and remembers where that is the end of it, or
// of the level. cut: the connection went with the statement.
func (s *Store) settle(ctx context.Context, err error, cut bool) error {
	if err == nil {
		return nil
	}
	c := s.class(err)
	err = s.failed(ctx, err)
	if cut && c == plain {
		err = &failure{kind: storage.ErrAborted, cause: err}
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return s.scope.tx.kill(f)
	}
	// In the host's own level we cannot know: it may have rolled back to a savepoint of its own.
	if c == spoiled && (s.scope.tx.own || s.scope.parent != nil) && s.scope.spoilt == nil {
		s.scope.spoilt = fmt.Errorf("%w: %w", errSpoiled, err)
	}
	return err
}

// retry calls fn until it returns something else than a failure that another try may mend, within bounds.
func retry(ctx context.Context, fn func() error) error {
	var began time.Time
	for try := 0; ; try++ {
		err := fn()
		f, ok := errors.AsType[*failure](err)
		if !ok || !f.again {
			return err
		}
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) > retryFor {
			return err
		}
		pause := time.NewTimer(rand.N(min(retryPause, time.Millisecond<<min(try, 6))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// RunInTx implements [storage.Storage]. On a Store outside a transaction it begins one, and runs it again for up to
// about 10 seconds while the engine gives it up or somebody else holds the lock it needs. On a Store in a
// transaction, its own or the host's, it opens a level by SAVEPOINT.
//
// ctx that is done by the time fn returns undoes the level, and is the error. Goroutines of fn may share tx; their
// calls take turns, and a level one of them opens makes the others wait until it is over.
func (s *Store) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	return s.atomically(ctx, "transaction", s.e.takeWriteLock, func(ctx context.Context, tx *Store) error {
		return fn(ctx, tx)
	})
}

// atomically runs fn in a level of its own: an outermost transaction that starts with start, or a savepoint.
// Errors of fn come back as they are.
func (s *Store) atomically(ctx context.Context, op string, start func(context.Context, querier) error,
	fn func(context.Context, *Store) error) error {
	if err := s.enter(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.leave()
	if s.inTx() {
		return s.level(ctx, op, fn)
	}
	return retry(ctx, func() error { return s.outermost(ctx, op, start, fn) })
}

// outermost begins a transaction, runs fn in it once, and ends it.
func (s *Store) outermost(ctx context.Context, op string, start func(context.Context, querier) error,
	fn func(context.Context, *Store) error) (err error) {
	// Only waiting for a connection is cut short by ctx. A transaction that database/sql begins with it would be
	// rolled back behind our back, in the middle of a statement.
	uncancelled := context.WithoutCancel(ctx)
	bounded, free := outlive(ctx, grace)
	defer free() // after the end of the transaction, which a driver may run with it
	seen := &watch{s: s}
	conn, pooled, err := s.conn(ctx, seen)
	if err != nil {
		return wrap(op, s.unreached(ctx, err, false))
	}
	if pooled {
		defer func() { _ = conn.Close() }()
	}
	tx, err := conn.BeginTx(bounded, s.e.txOptions())
	if err != nil {
		if pooled && !s.e.transactions.reusable(uncancelled, conn) {
			discard(conn)
		}
		return wrap(op, s.unreached(ctx, err, pooled))
	}

	child := &Store{db: tx, e: s.e, safe: s.safe, scope: newScope(s.scope, newTxn(s.e, tx, true))}
	child.scope.tx.watched = pooled && s.e.failureMayEndTx
	seen.tx.Store(child.scope.tx)
	ended := false
	defer func() { // also where fn panics or ends its goroutine
		if !ended {
			child.scope.close()
			err = child.rollBack(ctx, op, bounded, tx, conn, err)
		}
	}()
	if err := start(uncancelled, tx); err != nil {
		return wrap(op, s.failed(ctx, err))
	}
	err = fn(context.WithValue(ctx, scopeKey{}, child.scope), child)
	if dead := child.outcome(ctx, err); dead != nil {
		return wrap(op, dead)
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return wrap(op, err)
	}
	child.scope.close()
	if child.scope.spoilt != nil {
		return wrap(op, child.scope.spoilt)
	}
	if err := child.complete(ctx, bounded, tx, conn); err != nil {
		return wrap(op, err)
	}
	ended = true
	return wrap(op, child.commit(ctx, tx, conn))
}

// complete makes sure that COMMIT will commit what was done, where the host has had the handle.
func (s *Store) complete(ctx, bounded context.Context, tx bun.Tx, conn bun.Conn) error {
	if err := s.intact(ctx); err != nil {
		return err
	}
	if !s.scope.tx.lent.Load() {
		return nil
	}
	switch there, err := s.e.transactions.openAtCommit(bounded, tx, conn); {
	case errors.Is(err, sql.ErrTxDone), err == nil && !there:
		return s.scope.tx.gone(errGone)
	default:
		return s.failed(ctx, err)
	}
}

// commit ends the transaction of s. Only the database's own refusal proves that nothing was committed.
func (s *Store) commit(ctx context.Context, tx bun.Tx, conn bun.Conn) error {
	err := tx.Commit()
	if err == nil {
		return nil
	}
	uncancelled := context.WithoutCancel(ctx)
	if !s.e.transactions.reusable(uncancelled, conn) {
		discard(conn)
	}
	if !s.e.errors.refused(err) {
		return &failure{kind: storage.ErrOutcomeUnknown, cause: joined(done(ctx), err)}
	}
	return s.failed(uncancelled, err)
}

// rollBack ends the transaction of s, whose error is err, and returns that error. ROLLBACK may show that there was more
// to it: the host has ended the transaction, or a statement of its own is what the connection was lost in.
func (s *Store) rollBack(ctx context.Context, op string, bounded context.Context, tx bun.Tx, conn bun.Conn,
	err error) error {
	t := s.scope.tx
	if t.odd.Load() && t.reason() == nil {
		if gone := s.intact(ctx); gone != nil && err != nil {
			err = wrap(op, fmt.Errorf("%w: %w", gone, err))
		}
	}
	failed := tx.Rollback()
	if t.clean(failed) {
		return err
	}
	if !s.e.transactions.reusable(context.WithoutCancel(ctx), conn) {
		discard(conn)
	}
	_, known := errors.AsType[*failure](err)
	switch {
	case err == nil || known || bounded.Err() != nil: // which has rolled back by itself
		return err
	case errors.Is(failed, sql.ErrTxDone):
		return wrap(op, t.gone(fmt.Errorf("%w: %w", errGone, err)))
	case s.class(err) == lost:
		return wrap(op, &failure{kind: storage.ErrAborted, cause: joined(done(ctx), err)})
	}
	return err
}

// unreached is the meaning of an error before a transaction has begun, so that nothing was written. Whatever the server
// has not said itself is about the connection: one of a pool may be old, and another one better.
func (s *Store) unreached(ctx context.Context, err error, pooled bool) error {
	c := s.class(err)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()): // nobody waits for a connection any more
		return err
	case c == lost, c == plain && pooled && !s.e.errors.refused(err):
		return &failure{kind: storage.ErrUnavailable, cause: joined(done(ctx), err), again: pooled && done(ctx) == nil}
	}
	return s.classed(ctx, err, c)
}

// discard keeps the pool from using the connection again: nobody knows whether it is in a transaction.
func discard(conn bun.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// conn is the connection to begin a transaction on; pooled ones go back by Close.
func (s *Store) conn(ctx context.Context, seen *watch) (conn bun.Conn, pooled bool, err error) {
	if db, ok := s.db.(*bun.DB); ok {
		if s.e.failureMayEndTx && seen != nil {
			db = db.WithQueryHook(seen)
		}
		conn, err = db.Conn(ctx)
		return conn, true, err
	}
	return s.db.(bun.Conn), false, nil
}

// outcome returns why the transaction of s is of no use any more, nil where it still is. err is what fn returned: a
// statement the host has run by itself, on DB(tx), may be what the engine gave the transaction up at.
//
// Where a context has ended its error is in the chain: it is why the connection, and so the transaction, was lost.
func (s *Store) outcome(ctx context.Context, err error) error {
	dead := s.scope.tx.reason()
	if c := s.hostsClass(err); dead == nil && c.ends() {
		dead = s.scope.tx.kill(s.classed(ctx, err, c))
	}
	if dead == nil {
		return nil
	}
	return joined(ended(ctx, err), dead)
}

var savepoints atomic.Uint64

// level runs fn between SAVEPOINT and RELEASE, or ROLLBACK TO.
//
// bun's nested RunInTx is not used: it rolls back with the level's own context, and if that is cancelled the level
// is not undone and the outer transaction commits it.
func (s *Store) level(ctx context.Context, op string, fn func(context.Context, *Store) error) (err error) {
	// A name of its own: MariaDB forgets a savepoint when another one gets its name, as in a Store of WithTx in here.
	name := "orginvite_" + strconv.FormatUint(savepoints.Add(1), 10)
	if err := s.intact(ctx); err != nil {
		return wrap(op, err)
	}
	if err := s.control(ctx, "SAVEPOINT "+name); err != nil {
		return wrap(op, err)
	}
	child := &Store{db: s.db, e: s.e, safe: s.safe, scope: newScope(s.scope, s.scope.tx)}
	released := false
	defer func() { // also where fn panics or ends its goroutine
		child.scope.close()
		if released {
			return
		}
		// Also of a transaction that is dead: a host may commit one all the same.
		if uerr := s.undo(ctx, name); uerr != nil {
			dead := s.classed(context.WithoutCancel(ctx), uerr, s.class(uerr))
			if _, ok := errors.AsType[*failure](dead); !ok {
				dead = &failure{kind: storage.ErrAborted, cause: uerr}
			}
			if s.scope.tx.lent.Load() && (s.e.errors.noSavepoint(uerr) || errors.Is(uerr, sql.ErrTxDone) && done(ctx) == nil) {
				dead = s.scope.tx.gone(fmt.Errorf("%w: %w", errGone, uerr))
			}
			err = wrap(op, joined(ended(ctx, err), s.scope.tx.kill(dead)))
		}
	}()
	err = fn(context.WithValue(ctx, scopeKey{}, child.scope), child)
	if dead := child.outcome(ctx, err); dead != nil {
		return wrap(op, dead)
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return wrap(op, err)
	}
	child.scope.close()
	if child.scope.spoilt != nil {
		return wrap(op, child.scope.spoilt)
	}
	if err := child.intact(ctx); err != nil {
		return wrap(op, err)
	}
	if err := child.control(ctx, "RELEASE SAVEPOINT "+name); err != nil { // what it spoils is undone with the level
		return wrap(op, err)
	}
	released = true
	return nil
}

// control runs a statement that nests a transaction. It outlives ctx, because the level must be whole.
func (s *Store) control(ctx context.Context, statement string) error {
	inner, done := outlive(ctx, grace)
	_, err := s.db.ExecContext(inner, statement)
	return s.settle(ctx, err, done())
}

// undo rolls back to a savepoint and forgets it.
func (s *Store) undo(ctx context.Context, name string) error {
	inner, done := outlive(ctx, grace)
	defer done()
	if _, err := s.db.ExecContext(inner, "ROLLBACK TO SAVEPOINT "+name); err != nil {
		return err
	}
	_, err := s.db.ExecContext(inner, "RELEASE SAVEPOINT "+name)
	return err
}

// Lock implements [storage.Storage]. On SQLite, which has one writer at a time, every key is the same one.
func (s *Store) Lock(ctx context.Context, key string) error {
	return s.write(ctx, "lock", func(ctx context.Context, h querier) error {
		switch {
		case !s.inTx():
			return errNoTx
		case len(key) > storage.MaxReference || !storage.ValidText(key):
			return fmt.Errorf("key is longer than %d bytes, not valid UTF-8, or holds a NUL", storage.MaxReference)
		case s.scope.tx.own:
			return s.e.lock(ctx, h, key)
		}
		return s.e.transactions.lockJoined(ctx, h, key)
	})
}

// lockRows prepares for a SELECT that is a current read of the rows with these ids and locks them, in the order of the
// ids, and returns what it ends with. ids is nil where the SELECT itself has that order.
func (s *Store) lockRows(ctx context.Context, h querier, ids []string) (suffix string, err error) {
	if !s.scope.tx.own {
		if err := s.e.takeWriteLock(ctx, h); err != nil {
			return "", err
		}
	}
	if !s.e.locksAsSorted || len(ids) <= 1 {
		return s.e.rowLock, nil
	}
	q := statement{}
	q.add("SELECT id FROM "+s.e.invitations+" WHERE id IN (?) ORDER BY id"+s.e.rowLock, texts(ids))
	var id string
	return "", q.each(ctx, h, []any{&id}, func() {})
}

package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
)

// txState is the state of a transaction. Its nested transactions share it.
type txState struct {
	own     bool // the Store has begun it, may retry it, and has run the engine's first statement in it
	watched bool // a watch sees the host's statements
	host    hostUse

	// rollback, if set, rolls the transaction back as soon as it has failed. Otherwise statements that the host still
	// runs on its handle would commit one by one, and its COMMIT would succeed.
	rollback func() error

	mu         sync.Mutex
	failed     error
	rolledBack bool // by rollback
}

// hostUse records how the host has used the transaction through DB.
type hostUse struct {
	lent       atomic.Bool // the host has had its handle
	unverified atomic.Bool // the host has had its handle since the transaction was last known to be open
	// What a watch has seen since then:
	wrote   atomic.Bool // the host has written
	suspect atomic.Bool // a statement of the host's has failed, or may have ended the transaction
}

// lend records that DB has given the handle to the host.
func (h *hostUse) lend() {
	h.lent.Store(true)
	h.unverified.Store(true)
}

// newTxState is for a transaction of the host's on tx.
func newTxState(e *engine, tx bun.Tx) *txState {
	t := &txState{}
	if e.abortEndsTx && tx.Tx != nil {
		t.rollback = tx.Tx.Rollback
	}
	return t
}

// newOwnTxState is for one that we have begun.
func newOwnTxState(e *engine, tx bun.Tx) *txState {
	t := newTxState(e, tx)
	t.own = true
	return t
}

// fail records why the transaction is unusable. It keeps the first reason and returns it.
func (t *txState) fail(err error) error {
	t.mu.Lock()
	first := t.failed == nil
	if first {
		t.failed = err
	}
	err = t.failed
	t.mu.Unlock()
	if first && t.rollback != nil && t.rollback() == nil {
		t.mu.Lock()
		t.rolledBack = true
		t.mu.Unlock()
	}
	return err
}

// failure returns why the transaction is unusable, or nil if it is usable.
func (t *txState) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// clean reports whether the connection has no transaction after ROLLBACK returned err.
func (t *txState) clean(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return err == nil || t.rolledBack && errors.Is(err, sql.ErrTxDone)
}

// ended returns the failure of a transaction that has ended unnoticed. Writes of the host after that were committed one
// by one.
func (t *txState) ended(cause error) error {
	if t.watched && !t.host.wrote.Load() {
		return &failure{kind: storage.ErrAborted, cause: cause, retry: t.own && !t.host.suspect.Load()}
	}
	return &failure{kind: storage.ErrOutcomeUnknown, cause: cause}
}

// verify makes sure that the transaction of s is still open. Otherwise the next statement would be committed on its
// own. The host may have ended the transaction, or may have ignored that the engine aborted it. A driver may not have
// reported it either: bun's Scan into plain variables drops an error that follows the row.
func (s *Store) verify(ctx context.Context) error {
	tx := s.turns.tx
	if !tx.host.unverified.Swap(false) {
		return nil
	}
	inner, free := outlive(ctx, grace)
	open, err := true, error(nil)
	if !tx.watched || tx.host.suspect.Load() || !s.e.transactions.trustsHook() {
		open, err = s.e.transactions.open(inner, s.db)
	}
	cut := free()
	switch {
	case err == nil && !open, errors.Is(err, sql.ErrTxDone) && contextError(ctx) == nil:
		return tx.fail(tx.ended(errEnded))
	case err != nil:
		return s.finish(ctx, err, func() bool { return cut })
	}
	tx.host.wrote.Store(false)
	tx.host.suspect.Store(false)
	return nil
}

// watch is a query hook that sees the statements that the host runs itself on DB(tx). If the host ignores a deadlock,
// it must not be able to commit the remaining statements.
type watch struct {
	s  *Store
	tx atomic.Pointer[txState]
}

func (w *watch) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (w *watch) AfterQuery(ctx context.Context, event *bun.QueryEvent) {
	tx := w.tx.Load()
	if tx == nil {
		return
	}
	if tx.host.unverified.Load() {
		tx.host.saw(event)
	}
	if event.Err == nil || !w.s.e.abortEndsTx {
		return
	}
	if v := w.s.judge(event.Err); v.endsTx() && !v.noSavepoint {
		_ = tx.fail(v.explain(ctx, event.Err)) // the next call returns it
	}
}

// saw records a statement of the host.
func (h *hostUse) saw(event *bun.QueryEvent) {
	switch op := strings.ToUpper(event.Operation()); {
	case event.Err != nil && !errors.Is(event.Err, sql.ErrNoRows), op == "ROLLBACK":
		h.suspect.Store(true)
	case op == "SELECT":
	case op == "INSERT", op == "UPDATE", op == "DELETE", op == "REPLACE":
		h.wrote.Store(true)
	default:
		h.suspect.Store(true)
		h.wrote.Store(true)
	}
}

package bunstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// txState is the state of a transaction. Its nested transactions share it.
type txState struct {
	turns   *storagekit.Turns // of the outermost transaction, or of the host's; it keeps why the transaction is unusable
	own     bool              // the Store has begun it, may retry it, and has run the engine's first statement in it
	watched bool              // a watch sees the host's statements
	foreign bool              // it is from another pool than the Store's
	// besideText is set if the connection takes arguments beside the text, see package pgxtx.
	besideText bool
	conn       *sql.Conn // of the Store's own transaction
	host       hostUse

	// locked are records that the Store has read and locked in its own transaction, as they are stored. Whoever uses it
	// has the turn.
	locked []storage.Record

	// prepared are the statements of the pool that the transaction has used. Whoever uses it has the turn.
	prepared map[*sql.Stmt]*sql.Stmt

	// savepoints is set when the transaction is ready for savepoints. Whoever uses it has the turn.
	savepoints bool

	// rollback, if set, rolls the transaction back as soon as it has failed. Otherwise statements that the host still
	// runs on its handle would commit one by one, and its COMMIT would succeed.
	rollback func() error

	rolledBack atomic.Bool // by rollback
}

// hostUse records how the host has used the transaction through DB and SQL.
type hostUse struct {
	lent       atomic.Bool // the host has had its handle
	unverified atomic.Bool // the host has had its handle since the transaction was last known to be open
	unseen     atomic.Bool // the host has had a handle whose statements no watch sees
	// What a watch has seen since then:
	wrote   atomic.Bool // the host has written
	suspect atomic.Bool // a statement of the host's has failed, or may have ended the transaction
}

// lend records that DB has given the handle to the host.
func (h *hostUse) lend() {
	h.lent.Store(true)
	h.unverified.Store(true)
}

// lendUnseen records that SQL has given a handle to the host.
func (h *hostUse) lendUnseen() {
	h.unseen.Store(true)
	h.lend()
}

// newTxState is for a transaction of the host's on tx.
func newTxState(e *engine, tx bun.Tx) *txState {
	t := &txState{turns: storagekit.NewTurns(nil)}
	if e.abortEndsTx && tx.Tx != nil {
		t.rollback = tx.Tx.Rollback
	}
	return t
}

// newOwnTxState is for one that we have begun, on a connection with these turns or on one from the pool.
func newOwnTxState(e *engine, tx bun.Tx, connection *storagekit.Turns) *txState {
	t := newTxState(e, tx)
	t.turns = storagekit.NewTurns(connection)
	t.own = true
	return t
}

// maxLocked bounds txState.locked. It serves the operations on one record.
const maxLocked = 8

// lockedRecords remembers records that have been read and locked.
func (s *Store) lockedRecords(records []storage.Record) {
	if !s.tx.own || len(records) > maxLocked {
		return
	}
	s.tx.locked = make([]storage.Record, len(records))
	for i, r := range records { // the caller may change its own
		r.PublicMetadata, r.PrivateMetadata = bytes.Clone(r.PublicMetadata), bytes.Clone(r.PrivateMetadata)
		s.tx.locked[i] = r
	}
}

// replaced returns the record that r replaces, or nil if it is not known.
func (s *Store) replaced(r *storage.Record) *storage.Record {
	if !s.inTx() {
		return nil
	}
	for i := range s.tx.locked {
		if l := &s.tx.locked[i]; l.ID == r.ID && l.Version == r.Version {
			return l
		}
	}
	return nil
}

// written forgets what is stored, because records have been written.
func (s *Store) written() {
	if s.inTx() {
		s.tx.locked = nil
	}
}

// fail records why the transaction is unusable. It keeps the first reason and returns it.
func (t *txState) fail(err error) error {
	if t.turns.Abort(err) && t.rollback != nil && t.rollback() == nil {
		t.rolledBack.Store(true)
	}
	return t.turns.Aborted()
}

// failure returns why the transaction is unusable, or nil if it is usable.
func (t *txState) failure() error { return t.turns.Aborted() }

// clean reports whether the connection has no transaction after ROLLBACK returned err.
func (t *txState) clean(err error) bool {
	return err == nil || t.rolledBack.Load() && errors.Is(err, sql.ErrTxDone)
}

// seesHost reports whether a watch sees all statements of the host.
func (t *txState) seesHost() bool { return t.watched && !t.host.unseen.Load() }

// ended returns the failure of a transaction that has ended unnoticed. Writes of the host after that were committed one
// by one.
func (t *txState) ended(cause error) error {
	if t.seesHost() && !t.host.wrote.Load() {
		return &failure{kind: storage.ErrAborted, cause: cause, retry: t.own && !t.host.suspect.Load()}
	}
	return &failure{kind: storage.ErrOutcomeUnknown, cause: cause}
}

// verify makes sure that the transaction of s is still open. Otherwise the next statement would be committed on its
// own. The host may have ended the transaction, or may have ignored that the engine aborted it. A driver may not have
// reported it either: bun's Scan into plain variables drops an error that follows the row.
func (s *Store) verify(ctx context.Context) error {
	tx := s.tx
	if !tx.host.unverified.Swap(false) {
		return nil
	}
	inner, free := storagekit.Outlive(ctx, grace)
	open, err := true, error(nil)
	if !tx.seesHost() || tx.host.suspect.Load() || !s.e.transactions.trustsHook() {
		open, err = s.e.transactions.open(inner, s.db)
	}
	cut := free()
	switch {
	case err == nil && !open, errors.Is(err, sql.ErrTxDone) && storagekit.ContextError(ctx) == nil:
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

package storagekit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/orginvite/orginvite/storage"
)

var (
	errFinished = errors.New("the transaction's function has returned, and its Storage can no longer be used")
	errOuter    = errors.New("a nested transaction is open: use the Storage that its function was given")
	errUnusable = errors.New("a call has failed, and nothing more is done until its transaction, or the nested one it " +
		"was made in, is rolled back")
)

// Turns is the frame of one transaction, nested or not. The calls in the transaction take turns, even if several
// goroutines make them. Turns remembers an error that makes the transaction unusable. Its Run is the frame of RunInTx.
//
// The Storage that a function of RunInTx gets has a Turns of its own. Its methods make their statements within
// [Turns.Do]. Its RunInTx calls [Turns.Enter], begins a savepoint, and calls [Turns.Run] on [Turns.Nested].
//
// Use Do if a failed statement may make the transaction unusable. If it cannot, Enter and Leave are enough.
//
// A store inside a transaction that the application has begun has a Turns too. The store never calls Run on it, because
// the application ends that transaction.
type Turns struct {
	outer  *Turns
	state  *txState
	turn   chan struct{} // full while somebody has the turn
	closed bool          // set by the holder of the turn; nested ones are closed before
	failed error         // makes this transaction, nested or not, unusable until it is rolled back
}

// txState is shared by a transaction and all that are nested in it.
type txState struct {
	mu      sync.Mutex
	aborted error
}

// NewTurns returns the Turns of an outermost transaction. connection is usually nil. A store that works on a single
// connection passes the Turns of that connection, on which calls outside a transaction take turns as well.
func NewTurns(connection *Turns) *Turns {
	return &Turns{outer: connection, state: &txState{}, turn: make(chan struct{}, 1)}
}

// Nested returns the Turns of a transaction nested in that of t. The caller must have the turn of t until its Run has
// returned. So no other call on t can run inside the nested transaction by mistake.
func (t *Turns) Nested() *Turns {
	return &Turns{outer: t, state: t.state, turn: make(chan struct{}, 1)}
}

// turnsKey is the key of the Turns in the context of a function of Run. With them, Enter can tell a call that has to
// wait for its turn from a call that would wait for itself.
type turnsKey struct{}

// Enter waits for the turn. If it returns nil, the caller must call [Turns.Leave]. It returns an error if the
// transaction has ended or is unusable, and if ctx has ended. It also returns an error to the function of a nested
// transaction that uses the outer one, because that call would wait for itself.
func (t *Turns) Enter(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
	default:
		for inner, _ := ctx.Value(turnsKey{}).(*Turns); inner != nil; inner = inner.outer {
			if inner.outer == t {
				return errOuter
			}
		}
		select {
		case t.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := t.usable(ctx)
	if err != nil {
		t.Leave()
	}
	return err
}

// Leave gives the turn back.
func (t *Turns) Leave() { <-t.turn }

// usable returns why the transaction cannot be used, or nil if it can. The caller has the turn.
func (t *Turns) usable(ctx context.Context) error {
	if t.closed {
		return errFinished
	}
	if err := t.Aborted(); err != nil {
		return withContextError(ctx, err)
	}
	if t.failed != nil {
		return t.failed
	}
	return ctx.Err()
}

// Do calls fn when it has the turn. fn runs the statements of one call. If fn returns [storage.ErrAborted], the whole
// transaction becomes unusable, as by [Turns.Abort]. The refusals ErrNotFound, ErrConflict and ErrExists leave it
// usable. With any other error the transaction of t becomes unusable, as by [Turns.Fail]. Validate the arguments before
// Do, because an invalid argument must leave the transaction usable too.
func (t *Turns) Do(ctx context.Context, fn func() error) error {
	if err := t.Enter(ctx); err != nil {
		return err
	}
	defer t.Leave()
	err := fn()
	switch {
	case err == nil, errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrConflict),
		errors.Is(err, storage.ErrExists):
	case errors.Is(err, storage.ErrAborted):
		_ = t.Abort(err)
	default:
		t.Fail(err)
	}
	return err
}

// Fail makes the transaction of t, nested or not, unusable until it is rolled back. The caller must have the turn.
func (t *Turns) Fail(err error) {
	if t.failed == nil {
		t.failed = fmt.Errorf("%w: %w", errUnusable, err)
	}
}

// Abort makes the whole transaction unusable, with all that are nested in it. Every further call returns err. first
// reports whether this is the first call of Abort; a later one changes nothing. Abort may be called without the turn,
// for example by a hook that sees the statements of the application.
func (t *Turns) Abort(err error) (first bool) {
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	if first = t.state.aborted == nil; first {
		t.state.aborted = err
	}
	return first
}

// Aborted returns the error of the first Abort in the whole transaction, or nil.
func (t *Turns) Aborted() error {
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	return t.state.aborted
}

// Run calls fn, and then commit or rollBack. Begin the transaction, or set the savepoint, before Run. commit and
// rollBack get a ctx that ends 2 seconds after the caller's: a COMMIT that is cut short has an unknown outcome.
//
// Run calls commit only if fn has returned nil, the transaction is usable, and ctx has not ended. It calls rollBack if
// it has not called commit, if commit has returned an error, and if fn panics or ends its goroutine. So each Run ends
// with a commit or a rollback. Before either, Run waits for calls that goroutines of fn still make; later calls return
// an error. commit must return an error unless it has committed: some databases answer the COMMIT of a failed
// transaction with a rollback.
//
// Run returns the error of fn unchanged, unless the transaction is aborted: then it has the error of Abort in its chain
// as well. If fn has returned nil, Run returns why there was no commit. If a nested transaction cannot be rolled back,
// Run aborts the whole transaction. Run ignores the error of any other rollback, because a database does not commit
// what it was not told to commit.
//
// With the ctx that fn gets, a call on an outer transaction returns an error. Otherwise it would wait for itself.
func (t *Turns) Run(ctx context.Context, fn func(ctx context.Context) error,
	commit, rollBack func(ctx context.Context) error) (err error) {
	sent, committed := false, false
	defer func() { // also where fn panics or ends its goroutine
		t.Close()
		if committed {
			return
		}
		ending, free := Outlive(ctx, grace)
		defer free()
		undo := rollBack(ending)
		if undo != nil && t.outer != nil && t.outer.state == t.state {
			if !errors.Is(undo, storage.ErrAborted) {
				undo = fmt.Errorf("%w: %w", storage.ErrAborted, undo)
			}
			t.Abort(undo)
		} else if sent {
			return // the error of commit says it all
		}
		err = t.reason(ctx, err)
	}()
	if err := t.reason(ctx, fn(context.WithValue(ctx, turnsKey{}, t))); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.Close()
	// A goroutine of fn may have made the last call.
	if err := t.reason(ctx, t.failed); err != nil {
		return err
	}
	ending, free := Outlive(ctx, grace)
	defer free()
	sent = true
	if err := commit(ending); err != nil {
		return err
	}
	committed = true
	return nil
}

// reason returns err, with the error of Abort and that of ctx in its chain if the transaction is aborted.
func (t *Turns) reason(ctx context.Context, err error) error {
	aborted := t.Aborted()
	switch {
	case aborted == nil:
		return err
	case err != nil && errors.Is(err, aborted):
		aborted = err
	case err != nil:
		aborted = fmt.Errorf("%w: %w", aborted, err)
	}
	return withContextError(ctx, aborted)
}

// Close makes every later call return an error. It first waits for a call that is still running. Run calls Close. A
// store inside a transaction that the application has begun calls it if it takes part in the end of that transaction.
func (t *Turns) Close() {
	t.turn <- struct{}{}
	t.closed = true
	t.Leave()
}

// withContextError returns err, with the error of ctx in its chain if ctx has ended. That may be why the connection,
// and so the transaction, was lost.
func withContextError(ctx context.Context, err error) error {
	over := ContextError(ctx)
	if over == nil || errors.Is(err, over) {
		return err
	}
	return fmt.Errorf("%w: %w", over, err)
}

package bunstore

import (
	"context"
	"errors"
	"time"
)

// How long after the end of its context a statement in a transaction may still take, and one that begins, nests or
// ends a transaction. The latter is longer, because cutting a COMMIT short leaves its outcome unknown.
const (
	linger = 250 * time.Millisecond
	grace  = 2 * time.Second
)

// readContext is what a statement in a transaction runs with that does not write. done frees it, and says whether the
// connection was lost with the statement.
//
// Where cutting a statement short loses the connection, it is let through if it is done in no time, so that a nested
// transaction whose context has ended can be rolled back and the outer one goes on. One that waits for a lock is not.
func (e *engine) readContext(ctx context.Context) (inner context.Context, done func() (cut bool)) {
	if e.cutLosesConn {
		return outlive(ctx, linger)
	}
	return ctx, uncut
}

// writeContext is the same for a statement that writes. Where cutting it short would roll the whole transaction back,
// it is never cancelled: the statements after it would commit one by one.
func (e *engine) writeContext(ctx context.Context) (inner context.Context, done func() (cut bool)) {
	if e.cutLosesConn {
		return outlive(ctx, linger)
	}
	return context.WithoutCancel(ctx), uncut
}

func uncut() bool { return false }

// outlive returns a context that ends a time after ctx has. done frees it, and says whether it has ended.
func outlive(ctx context.Context, extra time.Duration) (inner context.Context, done func() (cut bool)) {
	if ctx.Done() == nil {
		return ctx, uncut
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

// contextError returns the error of a context that has ended. One whose deadline has passed has ended, though its
// timer may be late: a driver with timers of its own can be faster.
func contextError(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// contextErrorIn returns the error of a context that has ended: of ctx, or of the one, perhaps shorter, that err says
// ended.
func contextErrorIn(ctx context.Context, err error) error {
	if over := contextError(ctx); over != nil {
		return over
	}
	for _, over := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, over) {
			return over
		}
	}
	return nil
}

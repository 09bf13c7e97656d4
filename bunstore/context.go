package bunstore

import (
	"context"
	"errors"
	"time"
)

// A statement in a transaction may run for linger after its context has ended. A statement that begins, nests or ends a
// transaction may run for grace. grace is longer, because the outcome of a COMMIT that is cut short is unknown.
const (
	linger = 250 * time.Millisecond
	grace  = 2 * time.Second
)

// readContext returns the context for a statement that reads in a transaction. done frees it, and reports whether the
// connection was lost with the statement.
//
// On some engines, cancelling a statement loses the connection. There a statement may run for linger after ctx has
// ended. If it completes within that time, the nested transaction can be rolled back and the outer one continues. A
// statement that waits for a lock longer than that is cancelled.
func (e *engine) readContext(ctx context.Context) (inner context.Context, done func() (cut bool)) {
	if e.cutLosesConn {
		return outlive(ctx, linger)
	}
	return ctx, uncut
}

// writeContext is readContext for a statement that writes. On the other engines, cancelling a write would roll the
// whole transaction back, and the statements after it would commit one by one. There it is never cancelled.
func (e *engine) writeContext(ctx context.Context) (inner context.Context, done func() (cut bool)) {
	if e.cutLosesConn {
		return outlive(ctx, linger)
	}
	return context.WithoutCancel(ctx), uncut
}

func uncut() bool { return false }

// outlive returns a context that ends extra after ctx. done frees it, and reports whether it has ended.
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

// contextError returns the error of ctx if it has ended, otherwise nil. It compares the deadline itself, because a
// driver with its own timer may notice a deadline before the context does.
func contextError(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// contextErrorIn returns contextError(ctx) if it is not nil. Otherwise it returns the context error in the chain of
// err, which may come from a shorter context, or nil.
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

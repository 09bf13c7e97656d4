package storagekit

import (
	"context"
	"time"
)

// grace is how long a statement that ends a transaction may run after the caller's context has ended.
const grace = 2 * time.Second

// Outlive returns a context with the values of ctx that ends extra after ctx. It is for statements that must not be cut
// short when ctx ends, but must not run without a limit either. done frees the context, and reports whether it had
// ended.
func Outlive(ctx context.Context, extra time.Duration) (inner context.Context, done func() (cut bool)) {
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

func uncut() bool { return false }

// ContextError returns the error of ctx if it has ended, otherwise nil. It compares the deadline itself, because a
// driver with its own timer may notice a deadline before the context does.
func ContextError(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

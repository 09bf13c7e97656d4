package bunstore

import (
	"context"
	"time"

	"github.com/orginvite/orginvite/storage/storagekit"
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
		return storagekit.Outlive(ctx, linger)
	}
	return ctx, uncut
}

// writeContext is readContext for a statement that writes. On the other engines, cancelling a write would roll the
// whole transaction back, and the statements after it would commit one by one. There it is never cancelled.
func (e *engine) writeContext(ctx context.Context) (inner context.Context, done func() (cut bool)) {
	if e.cutLosesConn {
		return storagekit.Outlive(ctx, linger)
	}
	return context.WithoutCancel(ctx), uncut
}

func uncut() bool { return false }

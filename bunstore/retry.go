package bunstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// An aborted transaction is retried for retryFor, with pauses of at most retryPause.
const (
	retryFor   = 10 * time.Second
	retryPause = 64 * time.Millisecond
)

// retry calls fn again as long as it returns a failure with retry set, for at most retryFor.
func retry(ctx context.Context, fn func() error) error {
	var began time.Time
	for try := 0; ; try++ {
		err := fn()
		f, ok := errors.AsType[*failure](err)
		if !ok || !f.retry {
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

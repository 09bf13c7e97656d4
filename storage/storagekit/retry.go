package storagekit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// A transaction is repeated for retryFor, with pauses of at most retryPause.
const (
	retryFor   = 10 * time.Second
	retryPause = 64 * time.Millisecond
)

// Retry calls fn, and calls it again as long as again returns true for its error. again should return true only if the
// database has aborted the outermost transaction. [Turns.Aborted] tells that. An ErrAborted does not, because the
// application's function may have got it from another store.
//
// Retry gives up after about 10 seconds and returns the last error of fn. Between two calls it pauses for a random time
// of at most 64 milliseconds, so that two transactions that abort each other do not begin again at the same moment. If
// ctx ends in such a pause, Retry returns the error of ctx and the last error of fn.
func Retry(ctx context.Context, again func(error) bool, fn func() error) error {
	var began time.Time
	for try := 0; ; try++ {
		err := fn()
		if err == nil || !again(err) {
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

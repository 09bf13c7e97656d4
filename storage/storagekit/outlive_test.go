package storagekit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage/storagekit"
)

// The time counts from the end of the context, however long ago that was. If the context has a deadline, the outliving
// one has one too.
func TestOutlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		for _, extra := range []time.Duration{250 * time.Millisecond, 2 * time.Second} {
			bound := func(ctx context.Context) (context.Context, func() bool) { return storagekit.Outlive(ctx, extra) }
			inner, done := bound(context.Background())
			is.Equal(inner.Done(), nil)
			is.True(!done())

			for _, ago := range []time.Duration{-time.Second, time.Minute} { // ends later, or has ended
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				time.Sleep(time.Second + ago)
				began := time.Now()
				inner, done = bound(ctx)
				at, ok := inner.Deadline()
				is.True(ok) // some drivers look only at the deadline
				want := extra + max(-ago, 0)
				is.Equal(at.Sub(began), want)
				<-inner.Done()
				is.Equal(time.Since(began), want)
				is.True(done())
				cancel()
			}

			ctx, cancel := context.WithCancel(t.Context())
			inner, done = bound(ctx)
			began := time.Now()
			time.AfterFunc(time.Second, cancel)
			<-inner.Done()
			is.Equal(time.Since(began), time.Second+extra)
			is.True(done())

			ctx, cancel = context.WithCancel(t.Context())
			inner, done = bound(ctx)
			is.True(!done()) // done in time
			is.True(inner.Err() != nil)
			cancel()
		}
	})
}

func TestContextError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		is.NoErr(storagekit.ContextError(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		is.NoErr(storagekit.ContextError(ctx))
		cancel()
		is.Equal(storagekit.ContextError(ctx), context.Canceled)
		late, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		is.Equal(storagekit.ContextError(late), context.DeadlineExceeded)
		is.Equal(storagekit.ContextError(deadlineOnly{t.Context()}), context.DeadlineExceeded)
	})
}

// deadlineOnly is a context whose deadline has passed, and whose timer has not fired yet.
type deadlineOnly struct{ context.Context }

func (deadlineOnly) Deadline() (time.Time, bool) { return time.Now(), true }

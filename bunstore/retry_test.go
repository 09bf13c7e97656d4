package bunstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
)

// A transaction that the engine always aborts is retried for about ten seconds, with pauses; then the call fails.
func TestRetryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		busy := &failure{kind: storage.ErrAborted, cause: errors.New("busy"), retry: true}
		began, tries := time.Now(), 0
		err := retry(t.Context(), func() error { tries++; return wrap("insert", busy) })
		took := time.Since(began)
		is.True(errors.Is(err, storage.ErrAborted))
		is.True(took >= retryFor && took < retryFor+retryPause)
		is.True(tries > 100 && tries < 2000) // 32 ms is the mean of the pauses

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		err = retry(ctx, func() error { return busy })
		is.True(errors.Is(err, context.DeadlineExceeded))
		is.True(errors.Is(err, storage.ErrAborted))
		is.Equal(time.Since(began), time.Second)
	})
}

// A statement in a transaction outlives its context by 250 milliseconds; one that begins, nests or ends a transaction
// outlives it by 2 seconds. The time counts from the end of the context, however long ago that was. If the context has
// a deadline, the statement has one too.
func TestOutlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		e := newPostgres(tables{})
		bounds := map[time.Duration]func(context.Context) (context.Context, func() bool){
			250 * time.Millisecond: func(ctx context.Context) (context.Context, func() bool) {
				return e.writeContext(ctx)
			},
			2 * time.Second: func(ctx context.Context) (context.Context, func() bool) { return outlive(ctx, grace) },
		}
		for extra, bound := range bounds {
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

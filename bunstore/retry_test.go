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

// What the engine always gives up is tried for about ten seconds, with pauses, and then answered.
func TestRetryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		busy := &failure{kind: storage.ErrAborted, cause: errors.New("busy"), again: true}
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

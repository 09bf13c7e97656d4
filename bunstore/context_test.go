package bunstore

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"
)

// A statement in a transaction outlives its context by 250 milliseconds where cutting it would lose the connection, and
// otherwise for as long as it takes.
func TestWriteContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		server, done := newPostgres(tables{}).writeContext(ctx)
		file, doneFile := newSQLite(tables{}).writeContext(ctx)
		cancel()
		began := time.Now()
		<-server.Done()
		is.Equal(time.Since(began), 250*time.Millisecond)
		is.True(done())
		is.NoErr(file.Err())
		is.True(!doneFile())
	})
}

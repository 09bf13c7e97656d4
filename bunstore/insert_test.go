package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// deadlocks counts the statements that the server aborted because of a deadlock.
type deadlocks struct{ n atomic.Int64 }

func (d *deadlocks) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (d *deadlocks) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	if e.Err != nil && (strings.Contains(e.Err.Error(), "Error 1213") || strings.Contains(e.Err.Error(), "40P01")) {
		d.n.Add(1)
	}
}

// Two bulks with the same addresses in opposite order claim the slots in the same order. One waits for the other,
// neither is aborted, and the refused one gets the positions of its own arguments.
func TestInsertClaimsSlotsInOrder(t *testing.T) {
	servers := []engines.Engine{engines.Named(t, "postgres"), engines.Named(t, "mariadb")}
	engines.On(t, servers, func(t *testing.T, e engines.Engine) {
		is := is.New(t)
		seen := &deadlocks{}
		s := newStore(t, e.Open(t).WithQueryHook(seen))
		const size, first = 300, 7
		for round := range 10 {
			bulk := func(caller string) []storage.Record {
				var list []storage.Record
				for i := range size {
					r := record(fmt.Sprintf("%s-%d-%03d", caller, round, i))
					r.EmailKey = fmt.Sprintf("%d-%03d@example.com", round, i)
					list = append(list, r)
				}
				return list
			}
			up, down := bulk("up"), bulk("down")[first:] // the first few addresses are only in one of them
			slices.Reverse(down)
			var wg sync.WaitGroup
			errs := make([]error, 2)
			wg.Go(func() { errs[0] = s.Insert(t.Context(), up...) })
			wg.Go(func() { errs[1] = s.Insert(t.Context(), down...) })
			wg.Wait()
			is.True((errs[0] == nil) != (errs[1] == nil)) // exactly one of the two
			for i, err := range errs {
				var exists *storage.ExistsError
				if err == nil {
					continue
				}
				is.True(errors.As(err, &exists))
				is.Equal(len(exists.Indexes), size-first)
				is.Equal(exists.Indexes[0], []int{first, 0}[i])
			}
		}
		is.Equal(seen.n.Load(), int64(0))
	})
}

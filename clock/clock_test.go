package clock_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/clock"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestSystemFollowsTheMachine(t *testing.T) {
	is := is.New(t)
	before := time.Now()
	now := clock.System().Now()
	is.True(!now.Before(before))    // not in the past
	is.True(!now.After(time.Now())) // not in the future
}

func TestFuncIsAClock(t *testing.T) {
	is := is.New(t)
	var c clock.Clock = clock.Func(func() time.Time { return noon })
	is.Equal(c.Now(), noon)
}

func TestFakeStandsStillUntilMoved(t *testing.T) {
	is := is.New(t)
	c := clock.NewFake(noon)
	is.Equal(c.Now(), noon)
	is.Equal(c.Now(), noon) // stands still
	c.Advance(time.Hour)
	is.Equal(c.Now(), noon.Add(time.Hour))
	c.Advance(-2 * time.Hour)
	is.Equal(c.Now(), noon.Add(-time.Hour)) // backwards too
	c.Set(noon)
	is.Equal(c.Now(), noon)
	is.True(new(clock.Fake).Now().IsZero()) // the zero value is usable
}

func TestFakeIsSafeForConcurrentUse(t *testing.T) {
	is := is.New(t)
	c := clock.NewFake(noon)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				c.Advance(time.Second)
				c.Now()
			}
		})
	}
	wg.Wait()
	is.Equal(c.Now(), noon.Add(800*time.Second)) // no Advance was lost
}

func ExampleFake() {
	c := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	c.Advance(36 * time.Hour)
	fmt.Println(c.Now())
	// Output: 2026-01-02 12:00:00 +0000 UTC
}

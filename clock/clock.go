// Package clock makes time a dependency, so that tests can control it.
//
// Production code accepts a [Clock] and runs with [System]. A test passes a [Fake] and moves it.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time. Implementations must be safe for concurrent use.
type Clock interface {
	// Now returns the current instant, in any location.
	Now() time.Time
}

// Func adapts an ordinary function to a [Clock].
type Func func() time.Time

// Now calls f.
func (f Func) Now() time.Time { return f() }

// System returns the system clock.
func System() Clock { return Func(time.Now) }

// Fake is a clock that stands still until it is moved. Its zero value stands at the zero time. It is safe for
// concurrent use. It must not be copied after first use.
type Fake struct {
	mu  sync.Mutex
	now time.Time
}

// NewFake returns a Fake set to t.
func NewFake(t time.Time) *Fake { return &Fake{now: t} }

// Now returns the time the clock is set to.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Set sets the clock to t, which may be earlier than the current setting.
func (f *Fake) Set(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = t
}

// Advance moves the clock by d, which may be negative.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

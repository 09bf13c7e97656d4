// Package clock makes time a dependency, so that a test decides what time it is.
//
// Production code takes a [Clock] and is given [System]. A test gives it a [Fake] and moves that.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time. Implementations are safe for concurrent use.
type Clock interface {
	// Now returns the current instant, in any location.
	Now() time.Time
}

// Func lets an ordinary function serve as a [Clock].
type Func func() time.Time

// Now calls f.
func (f Func) Now() time.Time { return f() }

// System returns the clock of the machine.
func System() Clock { return Func(time.Now) }

// Fake is a clock that stands still until it is moved. Its zero value stands at the zero time. It is safe for
// concurrent use and must not be copied after its first use.
type Fake struct {
	mu  sync.Mutex
	now time.Time
}

// NewFake returns a Fake that stands at t.
func NewFake(t time.Time) *Fake { return &Fake{now: t} }

// Now returns the instant the clock stands at.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Set moves the clock to t, backwards too.
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

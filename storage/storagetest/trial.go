package storagetest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// patience is how long no call may begin or return before the store counts as hanging. It is long enough for any
// machine; only a faulty store makes a case wait that long. Tests of this package make it shorter.
var patience = time.Minute

// A trial is one run of a case. It runs on a goroutine of its own, so that a store that hangs can be named. A case uses
// it like a *testing.T. All goroutines of a case may call Fatal, which ends the goroutine that calls it.
type trial struct {
	testing.TB
	ctx      context.Context
	calls    *progress
	patience time.Duration

	// second is a second handle on the data of the store, see [SecondHandle].
	second storage.Storage

	mu   sync.Mutex
	over bool // nothing may be reported any more
}

// Context returns a context that ends with the trial, or when the store hangs.
func (t *trial) Context() context.Context { return t.ctx }

func (t *trial) Error(args ...any) {
	t.Helper()
	t.report(func() { t.Helper(); t.TB.Error(shortened(fmt.Sprintln(args...))) })
}

func (t *trial) Errorf(format string, args ...any) {
	t.Helper()
	t.report(func() { t.Helper(); t.TB.Error(shortened(fmt.Sprintf(format, args...))) })
}

// shortened returns a message with the middle left out if it is long, as one about thousands of records is.
func shortened(message string) string {
	const most = 2000
	message = strings.TrimSuffix(message, "\n")
	if len(message) <= 2*most {
		return message
	}
	return fmt.Sprintf("%s\n… (%d bytes left out) …\n%s", strings.ToValidUTF8(message[:most], ""), len(message)-2*most,
		strings.ToValidUTF8(message[len(message)-most:], ""))
}

func (t *trial) Fatal(args ...any) {
	t.Helper()
	t.Error(args...)
	t.FailNow()
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Helper()
	t.Errorf(format, args...)
	t.FailNow()
}

// FailNow ends the goroutine. The trial has failed already.
func (t *trial) FailNow() { runtime.Goexit() }

// report calls f, unless the trial is over. A goroutine that the trial left behind must not use the test any more.
func (t *trial) report(f func()) {
	t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		runtime.Goexit()
	}
	f()
}

// end makes every later report end its goroutine instead.
func (t *trial) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// watched returns s with its calls noted in t.
func (t *trial) watched(s storage.Storage) storage.Storage {
	return watched{Storage: s, calls: t.calls}
}

// try runs test on another goroutine. It reports a panic, and a store that hangs, as a failure. It returns false if a
// call still has not returned some time after its ctx was cancelled. The store should not be used any more then.
func try(tb testing.TB, patience time.Duration, test func(t *trial)) (returned bool) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	t := &trial{TB: tb, ctx: ctx, patience: patience, calls: newProgress()}
	defer t.end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				t.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		test(t)
	}()
	look := time.NewTicker(patience / 16)
	defer look.Stop()
	for {
		select {
		case <-done:
			return true
		case <-look.C:
		}
		stalled, ok := t.calls.stalled(patience)
		if !ok {
			continue
		}
		t.Errorf("the store hangs: for %v, none of these calls has returned:\n%s", patience, stalled)
		cancel()
		select {
		case <-done:
			return true
		case <-time.After(patience / 2):
			t.Errorf("the store still hangs, although ctx was cancelled %v ago:\n%s", patience/2, t.calls)
			return false
		}
	}
}

// progress has the calls of a store that have not returned.
type progress struct {
	mu       sync.Mutex
	inFlight map[int]call
	next     int
	moved    time.Time // when a call last began or returned
}

type call struct {
	what  func() string
	began time.Time
}

func newProgress() *progress { return &progress{inFlight: map[int]call{}, moved: time.Now()} }

// begin notes a call. The caller calls returned when the call has returned.
func (c *progress) begin(what func() string) (returned func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.next
	c.next++
	c.moved = time.Now()
	c.inFlight[n] = call{what, c.moved}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.inFlight, n)
		c.moved = time.Now()
	}
}

// stalled describes the calls in flight if none has begun or returned for the duration d.
func (c *progress) stalled(d time.Duration) (list string, ok bool) {
	c.mu.Lock()
	ok = time.Since(c.moved) > d
	c.mu.Unlock()
	if !ok {
		return "", false
	}
	return c.String(), true
}

// String lists the calls in flight, the oldest first.
func (c *progress) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := ""
	for n := range c.next {
		if one, ok := c.inFlight[n]; ok {
			list += fmt.Sprintf("\t%s, called %v ago\n", one.what(), time.Since(one.began).Round(time.Millisecond))
		}
	}
	if list == "" {
		return "\tnone\n"
	}
	return list
}

// watched is a store whose calls are noted while they run.
type watched struct {
	storage.Storage
	calls *progress
	tx    string // where it works, for a message
}

// Unwrap lets a store's own functions find the store.
func (w watched) Unwrap() storage.Storage { return w.Storage }

func (w watched) note(format string, args ...any) (returned func()) {
	return w.calls.begin(func() string { return w.tx + fmt.Sprintf(format, args...) })
}

func (w watched) Get(ctx context.Context, id string) (storage.Record, error) {
	defer w.note("Get(%.80q)", id)()
	return w.Storage.Get(ctx, id)
}

func (w watched) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	name := "List"
	if q.ForUpdate {
		name = "List for update"
	}
	defer w.note("%s(%.200s)", name, lazily(func() string { return show(q) }))()
	return w.Storage.List(ctx, q)
}

func (w watched) Count(ctx context.Context, f storage.Filter) (int, error) {
	defer w.note("Count(%.200s)", lazily(func() string { return show(storage.Query{Filter: f}) }))()
	return w.Storage.Count(ctx, f)
}

func (w watched) Insert(ctx context.Context, records ...storage.Record) error {
	defer w.note("Insert(%.200s)", lazily(func() string { return fmt.Sprintf("%q", ids(records)) }))()
	return w.Storage.Insert(ctx, records...)
}

func (w watched) Update(ctx context.Context, records ...storage.Record) error {
	defer w.note("Update(%.200s)", lazily(func() string { return fmt.Sprintf("%q", ids(records)) }))()
	return w.Storage.Update(ctx, records...)
}

func (w watched) Delete(ctx context.Context, ids ...string) (int, error) {
	defer w.note("Delete(%.200s)", lazily(func() string { return fmt.Sprintf("%q", ids) }))()
	return w.Storage.Delete(ctx, ids...)
}

func (w watched) Lock(ctx context.Context, key string) error {
	defer w.note("Lock(%q)", key)()
	return w.Storage.Lock(ctx, key)
}

func (w watched) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	var mu sync.Mutex
	state := "before it calls its function"
	set := func(s string) { mu.Lock(); defer mu.Unlock(); state = s }
	defer w.note("RunInTx, %s", lazily(func() string { mu.Lock(); defer mu.Unlock(); return state }))()
	inside := "in a transaction: "
	if w.tx != "" {
		inside = "in a nested transaction: "
	}
	return w.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		set("in its function")
		defer set("after its function has returned")
		return fn(ctx, watched{Storage: tx, calls: w.calls, tx: inside})
	})
}

// lazily formats a text only when it is needed.
type lazily func() string

func (f lazily) String() string { return f() }

// Package faults makes database connections fail on purpose, for tests. [Wrap] injects faults between database/sql and
// a driver. [Proxy] injects faults between a driver and its server, so that the tests see the driver's own errors.
package faults

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Op is a kind of call from database/sql to a driver.
type Op string

// The calls that can be made to fail. Resetting and closing are always passed on.
const (
	Connect  Op = "CONNECT"
	Begin    Op = "BEGIN"
	Prepare  Op = "PREPARE"
	Exec     Op = "EXEC"
	Query    Op = "QUERY"
	Commit   Op = "COMMIT"
	Rollback Op = "ROLLBACK"
)

// Call is a call to the driver.
type Call struct {
	Op Op
	// Statement is the SQL of Prepare, Exec and Query, and the name of any other Op.
	Statement string
}

// Kind is what happens to a call.
type Kind int

const (
	// None passes the call on.
	None Kind = iota
	// Fail returns an error and does nothing. A transaction stays open.
	Fail
	// Abort is like Fail, except that COMMIT and ROLLBACK roll the transaction back, as if the server refused a COMMIT.
	Abort
	// AbortRows is for a statement that returns rows. After the first row it rolls the transaction back and returns the
	// error instead of the rest, as if the server aborted the transaction while sending the rows.
	AbortRows
	// Drop closes the connection without passing the call on.
	Drop
	// DropAfter passes the call on, then closes the connection, so that the answer is lost.
	DropAfter
	// Delay passes the call on after a pause, or as soon as the call's context is done.
	Delay
	// Cancel cancels the caller's context, then passes the call on.
	Cancel
	// CancelDuring cancels the caller's context while the call runs.
	CancelDuring
	// CancelAfter passes the call on, then cancels the caller's context before the answer arrives.
	CancelAfter
)

func (k Kind) String() string {
	return [...]string{"none", "fail", "abort", "abort rows", "drop", "drop after", "delay",
		"cancel", "cancel during", "cancel after"}[k]
}

// ErrClosed is like the error of pgx for a lost connection: it has no type or code by which to recognise it.
var ErrClosed = errors.New("conn closed")

// Fault is what happens to a call, with its parameters.
type Fault struct {
	Kind   Kind
	Err    error              // for Fail, Abort, AbortRows, Drop and DropAfter
	Pause  time.Duration      // for Delay
	Cancel context.CancelFunc // for Cancel, CancelDuring and CancelAfter
}

// Plan injects one fault into one call. It is safe for concurrent use.
type Plan struct {
	mu      sync.Mutex
	at      int
	fault   Fault
	matches func(Call) bool
	seen    int
	hit     *Call
}

// Set injects the fault into the n-th call from now, counted from 1, or into none if n is 0. Unless matches is nil,
// only calls for which it returns true count.
func (p *Plan) Set(n int, f Fault, matches func(Call) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.fault, p.matches, p.seen, p.hit = n, f, matches, 0, nil
}

// Hit returns the call into which the fault was injected since Set, if any.
func (p *Plan) Hit() (call Call, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hit == nil {
		return Call{}, false
	}
	return *p.hit, true
}

// Calls returns how many calls have counted since Set.
func (p *Plan) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// Decide returns the fault for a call. Pass it to [Wrap].
func (p *Plan) Decide(call Call) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.matches != nil && !p.matches(call) {
		return Fault{}
	}
	if p.seen++; p.seen != p.at {
		return Fault{}
	}
	p.hit = &call
	return p.fault
}

// Package faults makes database connections fail on purpose, for tests. [Wrap] injects faults between database/sql and
// a driver; [Proxy] does so between a driver and its server, where only the driver's own errors arrive above.
package faults

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Op is what database/sql asks of a driver.
type Op string

// The calls that can fail. Preparing, resetting and closing are passed on.
const (
	Connect  Op = "CONNECT"
	Begin    Op = "BEGIN"
	Exec     Op = "EXEC"
	Query    Op = "QUERY"
	Commit   Op = "COMMIT"
	Rollback Op = "ROLLBACK"
)

// Call is a call of the driver.
type Call struct {
	Op Op
	// Statement is the SQL of Exec and Query, and the name of any other Op.
	Statement string
}

// Kind is what happens to a call.
type Kind int

const (
	// None passes the call on.
	None Kind = iota
	// Fail returns an error and does nothing. A transaction stays open.
	Fail
	// Abort is Fail, except that COMMIT and ROLLBACK roll the transaction back, as a server does that refuses a COMMIT.
	Abort
	// AbortRows is for a statement that returns rows: behind the first one the transaction is rolled back, and the error
	// comes instead of the rest, as from a server that aborts the transaction while it sends them.
	AbortRows
	// Drop closes the connection and does nothing else.
	Drop
	// DropAfter passes the call on, then closes the connection: the answer is lost.
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

// ErrClosed is what pgx says of a connection that it has lost: there is nothing in it to recognise.
var ErrClosed = errors.New("conn closed")

// Fault is what happens to a call, with what that needs.
type Fault struct {
	Kind   Kind
	Err    error              // of Fail, Abort, AbortRows, Drop and DropAfter
	Pause  time.Duration      // of Delay
	Cancel context.CancelFunc // of the Cancel kinds
}

// Plan is one fault, at one call. It is safe for concurrent use.
type Plan struct {
	mu      sync.Mutex
	at      int
	fault   Fault
	matches func(Call) bool
	seen    int
	hit     *Call
}

// Set makes the n-th call from now, counted from 1, meet the fault; n = 0 stands for no call. matches, unless it is
// nil, says which calls count.
func (p *Plan) Set(n int, f Fault, matches func(Call) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.fault, p.matches, p.seen, p.hit = n, f, matches, 0, nil
}

// Hit returns the call that met the fault, if one did since Set.
func (p *Plan) Hit() (call Call, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hit == nil {
		return Call{}, false
	}
	return *p.hit, true
}

// Calls returns how many calls counted since Set.
func (p *Plan) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// Decide is for [Wrap].
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

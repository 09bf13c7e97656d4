// Package storagetest is the test suite for implementations of [storage.Storage]. It has a case for each rule of the
// contract that can be observed through the interface. It imports only the standard library and package storage.
//
// # What an author writes
//
// Every store is tested with [Run]:
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Storage {
//			return mystore.New(emptyDatabase(t))
//		})
//	}
//
// Each case calls the function that you pass, newStorage, once and with its own t. newStorage returns an empty store,
// and uses t.Cleanup to close whatever it opened. Cases run one after another, so they may share one database that
// newStorage empties.
//
// A store whose data is outside the process also passes [SecondHandle]. If no other process can open the database, the
// second handle is one in the same process. A store that can work in a transaction of the application is also tested
// with [RunJoined]. [RunBenchmarks] is called like Run, from a benchmark.
//
// Also run the tests with the race detector (go test -race). With -short, the greatest number of records is 1,500
// instead of 10,000.
//
// # Groups
//
// Each case is in a [Group] and is named after the rule that it proves. The options [Only] and [Without] choose groups,
// for a store that is unfinished or that supports only part of the contract:
//
//	storagetest.Run(t, newStorage, storagetest.Without(storagetest.Nesting))
//
// A store fulfils the contract if it passes all groups.
//
// # What a store is free to do
//
//   - It may run only one transaction, or only one statement, at a time. A case that calls the store beside an open
//     transaction does so with a deadline, and judges it only if it returns in time. Only a store that has answered
//     such a call before must answer it again.
//   - It may abort a transaction with [storage.ErrAborted] whenever others are running. The store or the suite then
//     retries it.
//   - It must refuse the records that [storage.Record.Validate] refuses, but may check them in its own way.
//
// # A store that hangs
//
// If no call begins or returns for a minute, the case fails and lists the calls that have not returned. So one call
// with 10,000 records must not take longer than a minute. The suite then cancels the ctx of the calls. If they return,
// the next case runs. Otherwise the suite ends. To see such reports early, use go test -v, with a -timeout that is long
// enough for the rest.
package storagetest

import (
	"context"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// Run tests the stores that newStorage returns. Each [Group] is a subtest of that name, and each of its cases is a
// subtest of the group. Groups about single calls run twice: on the store and inside a transaction. Without options,
// Run runs every group except [Handles] and [Joining].
func Run(t *testing.T, newStorage func(t *testing.T) storage.Storage, opts ...Option) {
	t.Helper()
	r := newRunner(t, opts, func(g group) bool { return g.name != Joining })
	for _, g := range r.groups {
		r.run(t, string(g.name), g.cases, func(t *testing.T, c testCase) bool {
			s := newStorage(t)
			var second storage.Storage
			if c.handles {
				second = r.second(t, s)
			}
			return try(t, patience, func(t *trial) { c.alone(t, s, second) })
		})
		if !g.twice {
			continue
		}
		r.run(t, string(g.name)+" in a transaction", g.cases, func(t *testing.T, c testCase) bool {
			s := newStorage(t)
			return try(t, patience, func(t *trial) { c.inTransaction(t, s) })
		})
	}
}

// alone runs c on s. second is nil, unless c needs a second handle.
func (c testCase) alone(t *trial, s, second storage.Storage) {
	if second != nil {
		t.second = t.watched(second)
	}
	c.test(t, t.watched(s))
}

// inTransaction runs c in a transaction of s, which must be committed.
func (c testCase) inTransaction(t *trial, s storage.Storage) {
	err := t.watched(s).RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
		c.test(t, tx)
		return nil
	})
	if err != nil {
		t.Errorf("RunInTx: %v", err)
	}
}

// A runner runs the groups that the options have chosen.
type runner struct {
	options
	groups []group
	hangs  string // the case in which the store hung for good; nothing runs after it
}

func newRunner(t *testing.T, opts []Option, applies func(group) bool) *runner {
	t.Helper()
	o, list, err := choose(opts, applies)
	if err != nil {
		t.Fatalf("storagetest: %v", err)
	}
	return &runner{options: o, groups: list}
}

// run runs cases as subtests of a group. run1 returns false if the store hangs for good.
func (r *runner) run(t *testing.T, name string, cases []testCase, run1 func(*testing.T, testCase) bool) {
	t.Helper()
	if r.hangs != "" {
		return
	}
	t.Run(name, func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				if !run1(t, c) {
					r.hangs = name + "/" + c.name
				}
			})
			if r.hangs != "" {
				t.Fatalf("the store hangs since %q: no further case runs", r.hangs)
			}
		}
	})
}

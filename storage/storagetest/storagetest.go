// Package storagetest is the suite every [storage.Storage] has to pass. It has a case for each rule of the
// contract that a store can show from outside, and imports the standard library and storage only.
//
// Who writes a store runs it from a test of their own:
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Storage {
//			return mystore.New(emptyDatabase(t))
//		})
//	}
//
// and [RunBenchmarks] the same way from a benchmark. newStorage is called once for each case, from the case's own
// test, and returns a store without records; what has to be closed belongs in t.Cleanup. Cases run one after
// another, so they may share one database that newStorage empties.
//
// Options choose groups of cases, for a store that is not finished, or one of which a setting keeps only a part:
//
//	storagetest.Run(t, newStorage, storagetest.Without(storagetest.Nesting))
//
// A store keeps the contract when it passes all of them.
//
// What the suite takes for granted, and what it does not:
//
//   - A store may let only one transaction, or only one statement, run at a time. Cases that look on from outside
//     while a transaction is open do so with a deadline, and judge what they saw if they saw anything. They
//     prove that nothing wrong is seen or written, not that a reader gets through.
//   - A store may abort a transaction whenever others are about, with [storage.ErrAborted]; such a transaction is
//     run again, by the store or by the suite.
//   - Records that [storage.Record.Validate] refuses have to be refused, by whatever rules the store has.
//
// A pass under the race detector (go test -race) says more than one without.
package storagetest

import (
	"context"
	"slices"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// Run tests the stores that newStorage makes. Each [Group] is a subtest named after it, and each of its cases one
// below that, named after the rule of [storage.Storage] it proves. Groups about single calls run twice, on the store
// and inside a transaction. Without options Run runs every group.
func Run(t *testing.T, newStorage func(t *testing.T) storage.Storage, opts ...Option) {
	t.Helper()
	chosen, err := choose(opts)
	if err != nil {
		t.Fatalf("storagetest: %v", err)
	}
	for _, group := range groups {
		if !chosen[group.name] {
			continue
		}
		cases := slices.DeleteFunc(slices.Clone(group.cases), func(c testCase) bool {
			return c.needs != "" && !chosen[c.needs]
		})
		t.Run(string(group.name), func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.test(t, newStorage(t)) })
			}
		})
		if !group.twice {
			continue
		}
		t.Run(string(group.name)+" in a transaction", func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					err := newStorage(t).RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
						c.test(t, tx)
						return nil
					})
					if err != nil {
						t.Errorf("RunInTx: %v", err)
					}
				})
			}
		})
	}
}

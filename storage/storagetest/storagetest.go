// Package storagetest is the test suite for implementations of [storage.Storage]. It has a case for each rule of the
// contract that a test can observe through the interface. It imports only the standard library and package storage.
//
// The author of a store calls [Run] in a test:
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Storage {
//			return mystore.New(emptyDatabase(t))
//		})
//	}
//
// [RunBenchmarks] is called the same way from a benchmark. Each case calls newStorage once, with its own t. newStorage
// returns a store without records. It uses t.Cleanup to close what it opens. Cases run one after another, so they may
// share one database that newStorage empties.
//
// Options choose groups of cases, for a store that is not finished or that supports only a part of the contract:
//
//	storagetest.Run(t, newStorage, storagetest.Without(storagetest.Nesting))
//
// A store keeps the contract if it passes all groups.
//
// A store has some freedom:
//
//   - It may run only one transaction, or only one statement, at a time. A case may read beside an open transaction. It
//     then uses a deadline and checks only what it has read by then. Such a case proves that no wrong data is read or
//     written. It does not prove that the reader is served.
//   - It may abort a transaction with [storage.ErrAborted] whenever others run. The store or the suite then retries it.
//   - It must refuse the records that [storage.Record.Validate] refuses, but may detect them in its own way.
//
// Run the suite with the race detector too (go test -race).
package storagetest

import (
	"context"
	"slices"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// Run tests the stores that newStorage makes. Each [Group] is a subtest with the name of the group. Each case is a
// subtest of its group. Its name is the rule of [storage.Storage] that it proves. Groups about single calls run twice:
// on the store, and inside a transaction. Without options, Run runs all groups.
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

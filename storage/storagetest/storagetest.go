// Package storagetest is the test suite for implementations of [storage.Storage]. It has a case for each rule of the
// contract that can be observed through the interface. It imports only the standard library and package storage.
//
// To test a store, call [Run]:
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Storage {
//			return mystore.New(emptyDatabase(t))
//		})
//	}
//
// Call [RunBenchmarks] the same way from a benchmark. Each case calls the function that you pass, newStorage, once and
// with its own t. newStorage returns an empty store, and uses t.Cleanup to close whatever it opened. Cases run one
// after another, so they may share one database that newStorage empties.
//
// Options choose groups of cases, for a store that is unfinished or that supports only part of the contract:
//
//	storagetest.Run(t, newStorage, storagetest.Without(storagetest.Nesting))
//
// A store fulfils the contract if it passes all groups.
//
// The contract leaves a store some freedom:
//
//   - It may run only one transaction, or only one statement, at a time. A case that reads beside an open transaction
//     does so with a deadline, and judges only the results it got. It proves that no wrong state is visible or
//     written. It does not prove that readers make progress.
//   - It may abort a transaction with [storage.ErrAborted] whenever others are running. The store or the suite then
//     retries it.
//   - It must refuse the records that [storage.Record.Validate] refuses, but may check them in its own way.
//
// Also run the suite with the race detector (go test -race).
package storagetest

import (
	"context"
	"slices"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// Run tests the stores that newStorage returns. Each [Group] is a subtest of that name. Each of its cases is a subtest
// of the group, named after the rule of [storage.Storage] that it proves. Groups about single calls run twice: on the
// store and inside a transaction. Without options, Run runs every group.
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

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
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// A testCase proves one rule of the contract, after which it is named.
type testCase struct {
	name string
	test func(t *testing.T, s storage.Storage)
}

// Run puts the stores that newStorage makes to the test, each rule in a subtest named after it. Rules about
// single calls are tested twice, on the store and inside a transaction.
func Run(t *testing.T, newStorage func(t *testing.T) storage.Storage) {
	for _, group := range []struct {
		name   string
		cases  []testCase
		nested bool // to be repeated inside a transaction
	}{
		{"state", stateCases, true},
		{"filters", filterCases, true},
		{"pages", pageCases, true},
		{"writes", writeCases, true},
		{"values", valueCases, true},
		{"text", textCases, true},
		{"model", modelCases, true},
		{"transactions", transactionCases, false},
		{"locks", lockCases, false},
		{"concurrency", concurrencyCases, false},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) { c.test(t, newStorage(t)) })
			}
		})
		if !group.nested {
			continue
		}
		t.Run(group.name+" in a transaction", func(t *testing.T) {
			for _, c := range group.cases {
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

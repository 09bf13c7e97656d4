package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// A Group names a part of the suite. Each case belongs to one group. The group's subtest has the same name.
type Group string

const (
	// State tests which records count as pending and which as expired.
	State Group = "state"
	// Filters tests which records a [storage.Filter] finds.
	Filters Group = "filters"
	// Pages tests the order of a list, and paging by After, Offset and Limit.
	Pages Group = "pages"
	// Writes tests what Insert, Update and Delete write, and what they refuse.
	Writes Group = "writes"
	// Values tests that times, integers and metadata are returned as they were stored.
	Values Group = "values"
	// Text tests that text compares and orders byte for byte.
	Text Group = "text"
	// Model runs random queries and writes, and compares the results with a model of the contract.
	Model Group = "model"
	// Transactions tests RunInTx outside any other transaction.
	Transactions Group = "transactions"
	// Nesting tests nested transactions: RunInTx inside a transaction.
	Nesting Group = "nesting"
	// Locks tests Lock and ForUpdate, and what they protect.
	Locks Group = "locks"
	// Waiting tests transactions that wait for another one, or that read what another one is about to replace. In some
	// clusters, transactions on different nodes never wait for each other: a transaction that conflicts with an earlier
	// commit is aborted at its own COMMIT.
	Waiting Group = "waiting"
	// Concurrency tests many readers and writers at once.
	Concurrency Group = "concurrency"
)

// A testCase proves one rule of the contract, and is named after it.
type testCase struct {
	name  string
	test  func(t *testing.T, s storage.Storage)
	needs Group // another group whose rules it relies on; "" for none
}

// groups lists all groups in the order in which they run.
var groups = []struct {
	name  Group
	cases []testCase
	twice bool // run a second time inside a transaction
}{
	{State, stateCases, true},
	{Filters, filterCases, true},
	{Pages, pageCases, true},
	{Writes, writeCases, true},
	{Values, valueCases, true},
	{Text, textCases, true},
	{Model, modelCases, true},
	{Transactions, transactionCases, false},
	{Nesting, nestingCases, false},
	{Locks, lockCases, false},
	{Waiting, waitingCases, false},
	{Concurrency, concurrencyCases, false},
}

// An Option changes which groups [Run] runs.
type Option func(*options)

type options struct {
	chosen map[Group]bool
	errs   []error
}

// Only restricts Run to the groups in list. Some cases rely on a second group: the random writes of [Model] nest
// transactions, for example. Such a case runs only if that group is chosen too.
func Only(list ...Group) Option {
	return func(o *options) {
		o.check(list)
		maps.DeleteFunc(o.chosen, func(g Group, _ bool) bool { return !slices.Contains(list, g) })
	}
}

// Without leaves out the cases of these groups, and the cases of other groups that rely on one of them.
func Without(list ...Group) Option {
	return func(o *options) {
		o.check(list)
		maps.DeleteFunc(o.chosen, func(g Group, _ bool) bool { return slices.Contains(list, g) })
	}
}

func (o *options) check(list []Group) {
	for _, g := range list {
		if !slices.Contains(names(), g) {
			o.errs = append(o.errs, fmt.Errorf("there is no group %q; the groups are %q", g, names()))
		}
	}
}

func names() []Group {
	var list []Group
	for _, g := range groups {
		list = append(list, g.name)
	}
	return list
}

// choose returns the groups that remain after opts are applied.
func choose(opts []Option) (map[Group]bool, error) {
	o := options{chosen: map[Group]bool{}}
	for _, g := range names() {
		o.chosen[g] = true
	}
	for _, option := range opts {
		option(&o)
	}
	if len(o.errs) == 0 && len(o.chosen) == 0 {
		o.errs = append(o.errs, errors.New("the options leave no group to run"))
	}
	return o.chosen, errors.Join(o.errs...)
}

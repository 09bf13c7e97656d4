package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// A Group names a part of the suite. Each case is in one group, whose name is that of the subtest.
type Group string

const (
	// State is what counts as pending and as expired.
	State Group = "state"
	// Filters is what a [storage.Filter] finds.
	Filters Group = "filters"
	// Pages is the order of a list, and its pages by After, Offset and Limit.
	Pages Group = "pages"
	// Writes is what Insert, Update and Delete write, and what they refuse.
	Writes Group = "writes"
	// Values is that times, integers and metadata come back as they were.
	Values Group = "values"
	// Text is that text compares and orders byte for byte.
	Text Group = "text"
	// Model is random queries and writes, compared with the contract in Go.
	Model Group = "model"
	// Transactions is RunInTx, outermost.
	Transactions Group = "transactions"
	// Nesting is RunInTx inside a transaction.
	Nesting Group = "nesting"
	// Locks is Lock and ForUpdate, and what they protect.
	Locks Group = "locks"
	// Waiting has one transaction wait for another, or read what another is about to replace. Between the nodes of
	// some clusters nobody waits: a transaction that was overtaken is aborted when it commits.
	Waiting Group = "waiting"
	// Concurrency is many readers and writers at once.
	Concurrency Group = "concurrency"
)

// A testCase proves one rule of the contract, after which it is named.
type testCase struct {
	name  string
	test  func(t *testing.T, s storage.Storage)
	needs Group // a second group whose rules it takes for granted; "" for none
}

// groups are all groups in the order in which they run.
var groups = []struct {
	name  Group
	cases []testCase
	twice bool // once more inside a transaction
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

// An Option changes what [Run] does.
type Option func(*options)

type options struct {
	chosen map[Group]bool
	errs   []error
}

// Only leaves out the cases of all other groups. A case that takes a second group for granted, such as the random
// writes of [Model], which nest transactions, runs only where that group is chosen too.
func Only(list ...Group) Option {
	return func(o *options) {
		o.check(list)
		maps.DeleteFunc(o.chosen, func(g Group, _ bool) bool { return !slices.Contains(list, g) })
	}
}

// Without leaves out the cases of these groups, and those of other groups that take one of them for granted.
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

// choose returns the groups that opts leave.
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

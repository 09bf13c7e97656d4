package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// A Group names a part of the suite.
type Group string

const (
	// State tests which records count as pending and which as expired.
	State Group = "state"
	// Filters tests which records a [storage.Filter] finds.
	Filters Group = "filters"
	// Counts tests [storage.StatusCounter]. A store that does not implement it skips this group.
	Counts Group = "counts"
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
	// Waiting tests transactions that wait for another one, or for each other, or that read what another one is about to
	// replace. In some clusters, transactions on different nodes never wait for each other: a transaction that conflicts
	// with an earlier commit is aborted at its own COMMIT.
	Waiting Group = "waiting"
	// Concurrency tests many readers and writers at once.
	Concurrency Group = "concurrency"
	// Handles tests two stores that work on the same data. It runs only with the option [SecondHandle].
	Handles Group = "handles"
	// Joining tests a store inside a transaction of the application. Only [RunJoined] runs it.
	Joining Group = "joining"
)

// A testCase proves one rule of the contract, and is named after it.
type testCase struct {
	name  string
	test  func(t *trial, s storage.Storage)
	needs Group // another group whose rules it relies on; "" for none

	outermost bool                   // s must not be in a transaction
	handles   bool                   // t.second must be set
	joins     func(t *trial, h Host) // instead of test, for a case of RunJoined
}

// A group is a list of cases, and how to run them.
type group struct {
	name  Group
	cases []testCase
	twice bool // run a second time inside a transaction
}

// groups lists all groups in the order in which they run.
var groups = []group{
	{State, stateCases, true},
	{Filters, slices.Concat(filterCases, rangeCases), true},
	{Counts, countCases, true},
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
	{Handles, handleCases, false},
	{Joining, joiningCases, false},
}

// An Option changes which groups [Run] and [RunJoined] run.
type Option func(*options)

type options struct {
	chosen map[Group]bool
	second func(t *testing.T, first storage.Storage) storage.Storage
	errs   []error
}

// SecondHandle adds the group [Handles]. open returns another store on the same data as first, which newStorage has
// just returned. It should share as little as possible with first: for a database, it has a connection pool of its own.
// Then a rule that is kept in the memory of a process, such as a mutex for Lock, does not hold. open is called with the
// t of the case, and may use t.Cleanup.
func SecondHandle(open func(t *testing.T, first storage.Storage) storage.Storage) Option {
	return func(o *options) { o.second = open }
}

// Only leaves out all groups except those in list. Some cases rely on a second group: the random writes of [Model] nest
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

var errNoGroup = errors.New("the options leave no group to run")

// choose returns the groups that apply and remain after opts are applied, with the cases whose needs are met.
func choose(opts []Option, applies func(group) bool) (options, []group, error) {
	o := options{chosen: map[Group]bool{}}
	for _, g := range groups {
		o.chosen[g.name] = applies(g)
	}
	for _, option := range opts {
		option(&o)
	}
	if o.second == nil {
		o.chosen[Handles] = false
	}
	var list []group
	for _, g := range groups {
		if o.chosen[g.name] {
			g.cases = slices.DeleteFunc(slices.Clone(g.cases), func(c testCase) bool {
				return c.needs != "" && !o.chosen[c.needs]
			})
			list = append(list, g)
		}
	}
	if len(o.errs) == 0 && len(list) == 0 {
		o.errs = append(o.errs, errNoGroup)
	}
	return o, list, errors.Join(o.errs...)
}

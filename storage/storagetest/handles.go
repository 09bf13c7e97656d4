package storagetest

import (
	"context"
	"sync/atomic"

	"github.com/orginvite/orginvite/storage"
)

// handleCases repeat cases of other groups on two handles.
var handleCases = []testCase{
	{name: "each handle sees what the other one has committed", test: onBoth(txCommits), handles: true},
	{name: "a slot is held for both handles", test: onBoth(writeLapsedSlot), handles: true},
	{name: "a stale Version is ErrConflict on both handles", test: onBoth(writeConflict), handles: true},
	{
		name:    "of concurrent Updates of one version exactly one wins",
		test:    onBoth(raceUpdates),
		handles: true, needs: Concurrency,
	},
	{
		name:    "of concurrent Inserts of one slot exactly one wins",
		test:    onBoth(raceSlot),
		handles: true, needs: Concurrency,
	},
	{
		name:    "of concurrent moves to one slot exactly one wins",
		test:    onBoth(raceMoves),
		handles: true, needs: Concurrency,
	},
	{
		name:    "read, change and write under a lock loses nothing",
		test:    onBoth(lockNoLostUpdate),
		handles: true, needs: Locks,
	},
	{name: "count and insert under Lock keep to a limit", test: onBoth(lockLimit), handles: true, needs: Locks},
	{
		name:    "a lock is held until the transaction ends, for both handles",
		test:    onBoth(waitHeld),
		handles: true, needs: Waiting,
	},
	{
		name:    "every key that a transaction has locked is held for both handles",
		test:    onBoth(waitKeys),
		handles: true, needs: Waiting,
	},
	{
		name:    "a lock shows what the other handle has committed",
		test:    onBoth(waitShows),
		handles: true, needs: Waiting,
	},
	{
		name:    "a refusal after a wait for the other handle leaves the transaction usable",
		test:    onBoth(waitRefused),
		handles: true, needs: Waiting,
	},
	{
		name:    "two transactions that take the same in opposite orders both end",
		test:    onBoth(waitCrossing),
		handles: true, needs: Waiting,
	},
}

// onBoth returns test with its calls spread over both handles.
func onBoth(test func(t *trial, s storage.Storage)) func(t *trial, s storage.Storage) {
	return func(t *trial, s storage.Storage) { test(t, &spread{handles: [2]storage.Storage{s, t.second}}) }
}

// A spread passes each call to the other one of two handles than the call before. So a transaction, and what is called
// beside it, are on different handles.
type spread struct {
	handles [2]storage.Storage
	calls   atomic.Uint64
}

func (s *spread) next() storage.Storage { return s.handles[s.calls.Add(1)%2] }

func (s *spread) Get(ctx context.Context, id string) (storage.Record, error) {
	return s.next().Get(ctx, id)
}

func (s *spread) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	return s.next().List(ctx, q)
}

func (s *spread) Count(ctx context.Context, f storage.Filter) (int, error) {
	return s.next().Count(ctx, f)
}

func (s *spread) Insert(ctx context.Context, records ...storage.Record) error {
	return s.next().Insert(ctx, records...)
}

func (s *spread) Update(ctx context.Context, records ...storage.Record) error {
	return s.next().Update(ctx, records...)
}

func (s *spread) Delete(ctx context.Context, ids ...string) (int, error) {
	return s.next().Delete(ctx, ids...)
}

func (s *spread) Lock(ctx context.Context, key string) error { return s.next().Lock(ctx, key) }

func (s *spread) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	return s.next().RunInTx(ctx, fn)
}

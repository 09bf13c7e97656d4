// Package boltstore is an example of a whole store: it keeps invitations in a file of bbolt, a key-value database
// without SQL. It shows how a store finds records with indexes that it keeps itself, how it nests transactions in a
// database without savepoints, how it waits with a context where the database offers only a blocking call, and how an
// application with data of its own in the same file joins in.
//
// bbolt has one write transaction at a time, and one process that has the file open. Every RunInTx is a write
// transaction. So the database itself enforces all rules, transactions never deadlock, and every lock is held from the
// beginning. Reads outside a transaction run beside it.
package boltstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Store is a storage.Storage in a file of bbolt. It uses the top-level buckets whose names begin with "orginvite.".
type Store struct {
	db    *bolt.DB
	tx    *bolt.Tx          // nil outside a transaction
	turns *storagekit.Turns // of the transaction
	outer *Store            // nil for an outermost transaction
	undo  []func() error    // restores what a nested transaction has overwritten: bbolt has no savepoints
}

// New returns the store in db. db must be writable.
func New(db *bolt.DB) *Store { return &Store{db: db} }

// Get implements storage.Storage.
func (s *Store) Get(ctx context.Context, id string) (storage.Record, error) {
	found, err := s.find(ctx, storage.Filter{IDs: []string{id}})
	if err != nil || len(found) == 0 {
		return storage.Record{}, cmp.Or(err, storage.ErrNotFound)
	}
	return found[0], nil
}

// List implements storage.Storage.
func (s *Store) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	err := q.Validate()
	if err == nil && q.ForUpdate {
		err = s.Lock(ctx, "any key")
	}
	if err != nil {
		return nil, err
	}
	found, err := s.find(ctx, q.Filter)
	return storagekit.Page(q, found, func(r storage.Record) storage.Record { return r }), err
}

// Count implements storage.Storage.
func (s *Store) Count(ctx context.Context, f storage.Filter) (int, error) {
	found, err := s.find(ctx, f)
	return len(found), err
}

// find returns the records that f accepts, in any order.
func (s *Store) find(ctx context.Context, f storage.Filter) (found []storage.Record, err error) {
	err = s.do(ctx, func(t *Store) (err error) {
		search, possible := storagekit.NewSearch(f)
		if !possible {
			return nil
		}
		found, err = t.load(ctx, t.candidates(&search))
		found = slices.DeleteFunc(found, func(r storage.Record) bool { return !search.Match(r) })
		return err
	})
	return found, err
}

// Insert implements storage.Storage.
func (s *Store) Insert(ctx context.Context, records ...storage.Record) error {
	return s.save(ctx, records, storagekit.InsertRefusal)
}

// Update implements storage.Storage.
func (s *Store) Update(ctx context.Context, records ...storage.Record) error {
	return s.save(ctx, records, storagekit.UpdateRefusal)
}

func (s *Store) save(ctx context.Context, records []storage.Record,
	refusal func([]storage.Record, storagekit.Stored) error) error {
	if err := storagekit.Validate(records); err != nil || len(records) == 0 {
		return err
	}
	return s.write(ctx, func(t *Store) error {
		var ids []string
		for _, r := range records {
			ids = append(ids, r.ID)
		}
		for _, at := range storagekit.Slots(records) { // "", which no record has, if the slot is free
			ids = append(ids, string(t.get(slots, pair(at.OrganizationID, at.EmailKey))))
		}
		old, err := t.load(ctx, ids)
		if err != nil {
			return err
		}
		if err := refusal(records, storagekit.StoredIn(old)); err != nil {
			return err
		}
		return t.replace(old, records) // all of old: what another record holds would have been refused
	})
}

// Delete implements storage.Storage.
func (s *Store) Delete(ctx context.Context, ids ...string) (n int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	err = s.write(ctx, func(t *Store) error {
		old, err := t.load(ctx, ids)
		if err != nil {
			return err
		}
		n = len(old)
		return t.replace(old, nil)
	})
	return n, err
}

// Lock implements storage.Storage. bbolt has only one write transaction at a time, so that one holds all locks.
func (s *Store) Lock(ctx context.Context, key string) error {
	if err := storagekit.ValidateKey(key); err != nil {
		return err
	}
	if s.tx == nil || !s.tx.Writable() {
		return errors.New("boltstore: Lock and ForUpdate need a write transaction")
	}
	return s.do(ctx, func(*Store) error { return nil }) // an error if the transaction has ended
}

// The buckets. The values of the first are records as JSON. The others are indexes, whose values are ids.
const (
	records       = "orginvite.records"       // id
	organizations = "orginvite.organizations" // organization, id
	emails        = "orginvite.emails"        // email, id
	slots         = "orginvite.slots"         // organization, email; only pending records
)

// pair returns a key of two texts. No text of a record has a NUL, so only keys of one a have the prefix pair(a, "").
func pair(a, b string) string { return a + "\x00" + b }

// load returns the records with these ids, each once. Those that do not exist are missing.
func (s *Store) load(ctx context.Context, ids []string) (found []storage.Record, err error) {
	for _, id := range storagekit.Texts(ids) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if value := s.get(records, id); value != nil {
			var r storage.Record
			if err := json.Unmarshal(value, &r); err != nil {
				return nil, err
			}
			found = append(found, r)
		}
	}
	return found, nil
}

// candidates returns the ids of all records that may match f. It clears a list of f that they match anyway, because
// Match would go through that list for each of them.
func (s *Store) candidates(f *storagekit.Search) (ids []string) {
	switch {
	case f.IDs != nil:
		ids, f.IDs = f.IDs, nil
	case f.EmailKeys != nil:
		for _, email := range f.EmailKeys {
			ids = append(ids, s.scan(emails, pair(email, ""))...)
		}
		f.EmailKeys = nil
	case f.OrganizationID != "":
		ids = s.scan(organizations, pair(f.OrganizationID, ""))
	case len(f.Conditions) == 1 && f.Conditions[0].Status == storage.Pending:
		ids = s.scan(slots, "")
	default:
		ids = s.scan(organizations, "")
	}
	return ids
}

// scan returns the ids in an index whose keys begin with prefix.
func (s *Store) scan(index, prefix string) (ids []string) {
	b := s.tx.Bucket([]byte(index))
	if b == nil {
		return nil
	}
	c := b.Cursor()
	for k, id := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, id = c.Next() {
		ids = append(ids, string(id))
	}
	return ids
}

// replace writes list instead of old, with the next versions. Until the commit, bbolt keeps keys in long sorted arrays,
// and is fast only at their end. So keys are removed in descending order, and then added in ascending order.
func (s *Store) replace(old, list []storage.Record) error {
	var removed, added []entry
	version := storagekit.StoredIn(old).Version
	for _, r := range old {
		removed = append(removed, entries(r, nil, nil)...)
	}
	for _, r := range list {
		r = r.Stored()
		r.Version = version(r.ID) + 1
		value, err := json.Marshal(r)
		if err != nil {
			return err
		}
		added = append(added, entries(r, value, []byte(r.ID))...)
	}
	slices.SortFunc(removed, func(a, b entry) int { return cmp.Compare(b.key, a.key) })
	slices.SortFunc(added, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	for _, e := range append(removed, added...) {
		if err := s.put(e.bucket, e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

// An entry is a value of the store and its place. It is removed if the value is nil.
type entry struct {
	bucket, key string
	value       []byte
}

// entries returns the entries of r, with these values in the records and in the indexes.
func entries(r storage.Record, value, id []byte) []entry {
	list := []entry{
		{records, r.ID, value},
		{organizations, pair(r.OrganizationID, r.ID), id},
		{emails, pair(r.EmailKey, r.ID), id},
	}
	if r.Status == storage.Pending {
		list = append(list, entry{slots, pair(r.OrganizationID, r.EmailKey), id})
	}
	return list
}

// WithTx returns the store inside tx, a transaction that the application has begun. If tx is read-only, so is the
// store. As bbolt demands it of tx, only one goroutine at a time may use tx and all stores inside it. What the
// application writes with tx itself is not rolled back with a nested transaction: for that, use DB.
func (s *Store) WithTx(tx *bolt.Tx) *Store {
	return &Store{db: s.db, tx: tx, turns: storagekit.NewTurns(nil)}
}

// Begin is db.Begin with a context. It begins a transaction of the application, for WithTx, which the application must
// commit or roll back. It does not end with ctx.
func (s *Store) Begin(ctx context.Context, writable bool) (*bolt.Tx, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var tx *bolt.Tx
	var err error
	begun := make(chan struct{}) // without a buffer: what is sent has been received
	go func() {
		tx, err = s.db.Begin(writable) // cannot be cancelled
		select {
		case begun <- struct{}{}:
		case <-ctx.Done(): // nobody waits any more
			if err == nil {
				tx.Rollback()
			}
		}
	}()
	select {
	case <-begun:
		if err != nil { // the database is closed, for example
			return nil, fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
		}
		return tx, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// RunInTx implements storage.Storage.
func (s *Store) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	run := func(t *Store) error {
		return t.turns.Run(ctx, func(ctx context.Context) error { return fn(ctx, t) }, t.commit, t.rollBack)
	}
	if s.tx != nil {
		return s.do(ctx, func(*Store) error {
			return run(&Store{db: s.db, tx: s.tx, turns: s.turns.Nested(), outer: s})
		})
	}
	tx, err := s.Begin(ctx, true)
	if err != nil {
		return err
	}
	return run(s.WithTx(tx))
}

func (s *Store) commit(context.Context) error {
	if s.outer != nil {
		s.outer.undo = append(s.outer.undo, s.undo...)
		return nil
	}
	// bbolt does not tell whether it failed before or after it wrote the page that makes the commit valid.
	if err := s.tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrOutcomeUnknown, err)
	}
	return nil
}

func (s *Store) rollBack(context.Context) (err error) {
	if s.outer == nil {
		return s.tx.Rollback()
	}
	for _, undo := range slices.Backward(s.undo) {
		err = errors.Join(err, undo())
	}
	return err
}

// do calls fn with the store in the transaction of s, or else in a read-only one. An error of fn leaves the transaction
// usable, because what writes does so in a transaction of its own.
func (s *Store) do(ctx context.Context, fn func(t *Store) error) error {
	if s.tx == nil {
		tx, err := s.Begin(ctx, false)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		return fn(s.WithTx(tx))
	}
	if err := s.turns.Enter(ctx); err != nil {
		return err
	}
	defer s.turns.Leave()
	if s.tx.DB() == nil {
		return berrors.ErrTxClosed // by the application
	}
	return fn(s)
}

// write calls fn in a transaction of its own, which is nested if s is in one: all or none of its writes remain.
func (s *Store) write(ctx context.Context, fn func(t *Store) error) error {
	return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.(*Store).do(ctx, fn) })
}

// get returns a copy of the value of key, or nil if there is no key. Get of bbolt can be nil for an empty value too.
func (s *Store) get(bucket, key string) []byte {
	if b := s.tx.Bucket([]byte(bucket)); b != nil {
		if k, v := b.Cursor().Seek([]byte(key)); k != nil && string(k) == key {
			return append([]byte{}, v...)
		}
	}
	return nil
}

// put stores value under key, or removes key if value is nil. It creates the bucket if it is missing.
func (s *Store) put(bucket, key string, value []byte) error {
	b, err := s.tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	if s.outer != nil {
		old := s.get(bucket, key)
		s.undo = append(s.undo, func() error { return s.WithTx(s.tx).put(bucket, key, old) })
	}
	if value == nil {
		return b.Delete([]byte(key))
	}
	return b.Put([]byte(key), value)
}

// A Handle reads and writes buckets of the application. What it writes belongs to the transaction of a store, nested or
// not, which is not so for what is written with a *bolt.Tx. Outside a transaction each call has one of its own.
type Handle struct{ store *Store }

// DB returns the handle of s, or nil if s is neither a Store of this package nor a wrapper of one.
func DB(s storage.Storage) *Handle {
	if store, ok := storage.As[*Store](s); ok {
		return &Handle{store}
	}
	return nil
}

// Get returns a copy of the value of key in a top-level bucket, or nil if there is none.
func (h *Handle) Get(ctx context.Context, bucket, key string) (value []byte, err error) {
	err = h.store.do(ctx, func(t *Store) error { value = t.get(bucket, key); return nil })
	return value, err
}

// Put stores value under key in a top-level bucket, which it creates if it is missing. It removes key if value is nil.
func (h *Handle) Put(ctx context.Context, bucket, key string, value []byte) error {
	return h.store.write(ctx, func(t *Store) error { return t.put(bucket, key, bytes.Clone(value)) }) // bbolt keeps it
}

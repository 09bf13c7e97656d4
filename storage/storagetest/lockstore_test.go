package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// A lockStore is a small store in memory. Like a database server it runs many transactions at once, and locks rows,
// slots and keys one by one. It meets the contract, unless one of its flaws is set.
type lockStore struct {
	*lockData
	flaws flaws
	keys  lockTable // the locks of Lock
}

// lockData is what all handles share.
type lockData struct {
	mu    sync.Mutex // guards all data, lock tables and transactions
	rows  model
	names []string
	locks lockTable     // of rows and slots
	freed chan struct{} // closed when a lock is released
}

type lockTable map[string]*lockTx

// A lockName is a lock in a table.
type lockName struct {
	table lockTable
	name  string
}

func newLockStore(f flaws) *lockStore {
	data := &lockData{rows: model{}, locks: lockTable{}, freed: make(chan struct{})}
	return &lockStore{lockData: data, flaws: f, keys: lockTable{}}
}

// secondHandle returns another handle on the data of first.
func secondHandle(_ *testing.T, first storage.Storage) storage.Storage {
	s := *first.(*lockStore)
	if s.flaws.keysPerHandle {
		s.keys = lockTable{}
	}
	return &s
}

// A lockTx is an outermost transaction. It keeps what it has written until it commits.
type lockTx struct {
	s       *lockStore
	written map[string]*storage.Record // nil: deleted
	names   []string
	held    []lockName
	waits   *lockName
	failed  error // what makes it unusable
	lost    bool  // its COMMIT will be a rollback
	ended   bool
}

// lockHandle is a transaction, or a nested one, as a Storage.
type lockHandle struct {
	*lockTx
	turn   chan struct{} // full while a call or a nested transaction uses the handle
	closed bool          // guarded by turn
}

func (s *lockStore) begin() *lockHandle {
	return &lockHandle{
		lockTx: &lockTx{s: s, written: map[string]*storage.Record{}}, turn: make(chan struct{}, 1),
	}
}

var errClosed = errors.New("the transaction has ended")

// enter takes the turn. The caller calls leave if err is nil.
func (h *lockHandle) enter(ctx context.Context) error {
	if h.s.flaws.busy {
		select {
		case h.turn <- struct{}{}:
		default:
			return errors.New("the connection is busy")
		}
	} else {
		select {
		case h.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := ctx.Err()
	if h.failed != nil {
		err = h.failed
	}
	if h.closed && !h.s.flaws.usableAfterEnd {
		err = errClosed
	}
	if err != nil {
		h.leave()
	}
	return err
}

func (h *lockHandle) leave() { <-h.turn }

// close waits for calls that are running, and refuses later ones.
func (h *lockHandle) close() {
	h.turn <- struct{}{}
	h.closed = true
	h.leave()
}

// call runs f, which reads or writes.
func (h *lockHandle) call(ctx context.Context, f func() error) error {
	if err := h.enter(ctx); err != nil {
		h.lost = h.lost || ctx.Err() != nil && h.s.flaws.commitsNothing
		return err
	}
	defer h.leave()
	if h.s.flaws.busy {
		time.Sleep(time.Millisecond)
	}
	err := f()
	if err != nil && ctx.Err() != nil && h.s.flaws.commitsNothing {
		h.lost = true
	}
	return err
}

// lock waits for a lock. waited reports whether another transaction held it.
func (t *lockTx) lock(ctx context.Context, table lockTable, name string) (waited bool, err error) {
	d := t.s.lockData
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.ended { // a call on a handle that is usable after its end
		return false, nil
	}
	for {
		holder := table[name]
		if holder == t {
			return waited, nil
		}
		if holder == nil {
			table[name] = t
			t.held = append(t.held, lockName{table, name})
			return waited, nil
		}
		waited = true
		if t.blocks(holder) && !t.s.flaws.noDetection {
			return true, t.abort()
		}
		t.waits = &lockName{table, name}
		freed := d.freed
		d.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
		}
		d.mu.Lock()
		t.waits = nil
		if err := ctx.Err(); err != nil {
			return true, err
		}
	}
}

// blocks reports whether other waits for t, directly or not.
func (t *lockTx) blocks(other *lockTx) bool {
	for other != nil && other != t {
		if other.waits == nil {
			return false
		}
		other = other.waits.table[other.waits.name]
	}
	return other == t
}

func (t *lockTx) abort() error {
	switch {
	case t.s.flaws.plainDeadlock:
		t.failed = errors.New("deadlock")
		return t.failed
	case t.s.flaws.forgetsAbort: // as MariaDB does: what was written is gone, what comes is not
		clear(t.written)
		return storage.ErrAborted
	}
	t.failed = fmt.Errorf("deadlock: %w", storage.ErrAborted)
	return t.failed
}

// lockAll takes the locks of names in their order.
func (t *lockTx) lockAll(ctx context.Context, names []string) (waited bool, err error) {
	if !t.s.flaws.anyOrder {
		slices.Sort(names)
	}
	for _, name := range names {
		if t.s.flaws.anyOrder {
			time.Sleep(100 * time.Microsecond)
		}
		w, err := t.lock(ctx, t.s.locks, name)
		if waited = waited || w; err != nil {
			return waited, err
		}
	}
	return waited, nil
}

func rowLocks(ids []string) []string {
	var names []string
	for _, id := range ids {
		names = append(names, "row "+id)
	}
	return names
}

func slotLocks(records []storage.Record) []string {
	var names []string
	for _, r := range records {
		if at, pending := slotOf(r); pending {
			names = append(names, fmt.Sprintf("slot %q %q", at.organization, at.key))
		}
	}
	return names
}

// holds reports whether a lock whose name begins with prefix was taken.
func (t *lockTx) holds(prefix string) bool {
	return slices.ContainsFunc(t.held, func(l lockName) bool { return strings.HasPrefix(l.name, prefix) })
}

// release frees the locks that were taken after the first n.
func (t *lockTx) release(n int) {
	d := t.s.lockData
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range t.held[n:] {
		delete(l.table, l.name)
	}
	t.held = t.held[:n]
	close(d.freed)
	d.freed = make(chan struct{})
}

// view returns what the transaction sees.
func (t *lockTx) view() model {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	seen := maps.Clone(t.s.rows)
	for id, r := range t.written {
		if r == nil {
			delete(seen, id)
		} else {
			seen[id] = *r
		}
	}
	return seen
}

// commit makes the writes visible and ends the transaction.
func (t *lockTx) commit() error {
	if t.ended {
		return errClosed
	}
	t.ended = true
	defer t.release(0)
	if t.failed != nil {
		if t.s.flaws.quietAbort {
			return nil
		}
		return t.failed
	}
	if t.lost {
		return nil
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for id, r := range t.written {
		if r == nil {
			delete(t.s.rows, id)
		} else {
			t.s.rows[id] = *r
		}
	}
	t.s.names = append(t.s.names, t.names...)
	return nil
}

func (t *lockTx) rollBack() error {
	if t.ended {
		return errClosed
	}
	t.ended = true
	t.release(0)
	return nil
}

func (s *lockStore) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	for try := 0; ; try++ {
		err := persist(ctx, func() error { return s.once(ctx, fn) })
		if err == nil || !s.flaws.retriesAll || try > 2 {
			return err
		}
	}
}

func (s *lockStore) once(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h := s.begin()
	defer func() { _ = h.rollBack() }() // also if fn panics
	defer h.close()
	if err := fn(ctx, h); err != nil {
		return err
	}
	h.close()
	if err := ctx.Err(); err != nil {
		return err
	}
	return h.commit()
}

func (h *lockHandle) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	if err := h.enter(ctx); err != nil {
		return err
	}
	before, names, held := maps.Clone(h.written), len(h.names), len(h.held)
	nested := &lockHandle{lockTx: h.lockTx, turn: make(chan struct{}, 1)}
	if h.s.flaws.sharesNested {
		nested.turn = h.turn
		h.leave()
	} else {
		defer h.leave()
	}
	kept := false
	defer func() { // also if fn panics
		nested.close()
		if kept {
			return
		}
		if h.s.flaws.sharesNested {
			h.turn <- struct{}{}
			defer h.leave()
		}
		h.written = before
		if !h.s.flaws.keepsNames {
			h.names = h.names[:names]
		}
		if h.s.flaws.losesLocks {
			for _, l := range h.held[held:] { // free, but still in the list of locks held
				h.s.mu.Lock()
				delete(l.table, l.name)
				h.s.mu.Unlock()
			}
			return
		}
		h.release(held)
	}()
	err := fn(ctx, nested)
	if errors.Is(err, storage.ErrAborted) && h.s.flaws.retriesNested {
		err = fn(ctx, nested)
	}
	if err != nil {
		return err
	}
	nested.close()
	if h.failed != nil {
		return h.failed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	kept = !h.lost || !h.s.flaws.commitsNothing
	return nil
}

func (h *lockHandle) Get(ctx context.Context, id string) (r storage.Record, err error) {
	err = h.call(ctx, func() error {
		if h.s.flaws.readsLock {
			if _, err := h.lock(ctx, h.s.locks, "row "+id); err != nil {
				return err
			}
		}
		r, err = h.view().get(id)
		return err
	})
	return r, err
}

func (m model) get(id string) (storage.Record, error) {
	r, ok := m[id]
	if !ok {
		return storage.Record{}, storage.ErrNotFound
	}
	return r.Stored(), nil
}

// list returns copies of the records that q selects.
func (f flaws) list(m model, q storage.Query) ([]storage.Record, error) {
	if err := q.Validate(); err != nil && !(f.anyAfter && q.After != nil) {
		return nil, err
	}
	f.filter(m, &q.Filter)
	if f.roundsUp && q.After != nil {
		after := *q.After
		after.CreatedAt = after.CreatedAt.Add(999)
		q.After = &after
	}
	found := answer(slices.Collect(maps.Values(m)), q)
	if f.mostListed > 0 {
		found = found[:min(len(found), f.mostListed)]
	}
	for i := range found {
		found[i] = found[i].Stored()
	}
	return found, nil
}

func (f flaws) count(m model, filter storage.Filter) (n int) {
	f.filter(m, &filter)
	for _, r := range m {
		if filter.Match(r) {
			n++
		}
	}
	if f.mostCounted > 0 {
		n = min(n, f.mostCounted)
	}
	return n
}

func (f flaws) countByStatus(m model, filter storage.Filter) map[string]int {
	f.filter(m, &filter)
	counts := map[string]int{}
	for _, r := range m {
		switch {
		case !filter.Match(r):
		case f.stored:
			counts[r.Status]++
		default:
			counts[r.EffectiveStatus(storage.Instant(filter.Now))]++
		}
	}
	return counts
}

// filter applies the flaws that concern a Filter, and its long lists, for which Match would be slow. It removes the
// records from m that these do not select.
func (f flaws) filter(m model, filter *storage.Filter) {
	narrow := func(list *[]string, text func(storage.Record) string) {
		if *list == nil {
			return
		}
		f.cut(list)
		wanted := map[string]bool{}
		for _, s := range *list {
			wanted[s] = true
		}
		maps.DeleteFunc(m, func(_ string, r storage.Record) bool { return !wanted[text(r)] })
		*list = nil
	}
	narrow(&filter.IDs, func(r storage.Record) string { return r.ID })
	narrow(&filter.EmailKeys, func(r storage.Record) string { return r.EmailKey })
	if part := filter.EmailContains; f.anyText {
		filter.EmailContains = ""
		maps.DeleteFunc(m, func(_ string, r storage.Record) bool { return !strings.Contains(r.EmailKey, part) })
	}
	if f.roundsUp && !filter.ResolvedBefore.IsZero() {
		filter.ResolvedBefore = filter.ResolvedBefore.Add(999)
	}
}

func (f flaws) cut(list *[]string) {
	if f.longestList > 0 {
		*list = (*list)[:min(len(*list), f.longestList):len(*list)]
	}
}

func (h *lockHandle) List(ctx context.Context, q storage.Query) (found []storage.Record, err error) {
	err = h.call(ctx, func() error {
		if err := q.Validate(); err != nil {
			return err
		}
		if q.ForUpdate {
			if _, err := h.lockAll(ctx, rowLocks(q.IDs)); err != nil {
				return err
			}
		}
		found, err = h.s.flaws.list(h.view(), q)
		return err
	})
	return found, err
}

func (h *lockHandle) Count(ctx context.Context, f storage.Filter) (n int, err error) {
	err = h.call(ctx, func() error {
		n = h.s.flaws.count(h.view(), f)
		return nil
	})
	return n, err
}

func (h *lockHandle) CountByStatus(ctx context.Context, f storage.Filter) (counts map[string]int, err error) {
	err = h.call(ctx, func() error {
		counts = h.s.flaws.countByStatus(h.view(), f)
		return nil
	})
	return counts, err
}

// write locks what a call writes, checks it by the model, and keeps what it has changed.
func (h *lockHandle) write(ctx context.Context, records []storage.Record, apply func(m model) error) error {
	return h.call(ctx, func() error {
		for _, r := range records {
			if err := r.Validate(); err != nil && !(h.s.flaws.anyTime && strings.Contains(err.Error(), "years")) {
				return err
			}
		}
		rows, err := h.lockAll(ctx, rowLocks(ids(records)))
		if err != nil {
			return err
		}
		slots, err := h.lockAll(ctx, slotLocks(records))
		if err != nil {
			return err
		}
		after := h.view()
		if err := apply(after); err != nil {
			if h.s.flaws.racedFails && (rows || slots) {
				h.failed = errors.New("a statement has failed")
			}
			return err
		}
		for _, r := range records {
			if now, ok := after[r.ID]; ok {
				h.written[r.ID] = &now
			} else {
				h.written[r.ID] = nil
			}
		}
		return nil
	})
}

func (h *lockHandle) Insert(ctx context.Context, records ...storage.Record) error {
	if h.s.flaws.longestList > 0 {
		records = records[:min(len(records), h.s.flaws.longestList)]
	}
	return h.write(ctx, records, func(m model) error { return m.insert(records) })
}

func (h *lockHandle) Update(ctx context.Context, records ...storage.Record) error {
	return h.write(ctx, records, func(m model) error {
		if h.s.flaws.swaps {
			for _, r := range records { // the slots that the arguments hold are free
				if old, ok := m[r.ID]; ok && old.Version == r.Version {
					m[r.ID] = edit(old, func(r *storage.Record) { r.Status = "moving" })
				}
			}
		}
		return m.update(records)
	})
}

func (h *lockHandle) Delete(ctx context.Context, list ...string) (n int, err error) {
	h.s.flaws.cut(&list)
	var records []storage.Record
	for _, id := range list {
		records = append(records, storage.Record{ID: id})
	}
	err = h.call(ctx, func() error {
		if _, err := h.lockAll(ctx, rowLocks(list)); err != nil {
			return err
		}
		m := h.view()
		n = m.delete(list)
		for _, r := range records {
			h.written[r.ID] = nil
		}
		return nil
	})
	return n, err
}

func (h *lockHandle) Lock(ctx context.Context, key string) error {
	return h.call(ctx, func() error {
		switch {
		case len(key) > storage.MaxReference || !storage.ValidText(key):
			return errors.New("not a key")
		case key == "" && h.s.flaws.emptyKeyIsFree:
			return nil
		case h.s.flaws.noLocks, h.s.flaws.firstKeyOnly && h.holds("key "), h.s.flaws.losesLocks && h.holds("key "+key):
			return nil
		}
		_, err := h.lock(ctx, h.s.keys, "key "+key)
		return err
	})
}

// On a lockStore, each write is a transaction of its own.

func (s *lockStore) Get(ctx context.Context, id string) (r storage.Record, err error) {
	if s.flaws.hangs {
		select {} // not even ctx helps
	}
	if s.flaws.waits {
		<-ctx.Done()
	}
	err = s.read(ctx, func(m model) error {
		r, err = m.get(id)
		return err
	})
	return r, err
}

func (s *lockStore) read(ctx context.Context, f func(m model) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h := s.begin()
	if s.flaws.readsWait {
		for id := range h.view() {
			if _, err := h.lock(ctx, s.locks, "row "+id); err != nil {
				return err
			}
		}
		defer h.release(0)
	}
	return f(h.view())
}

func (s *lockStore) List(ctx context.Context, q storage.Query) (found []storage.Record, err error) {
	err = s.read(ctx, func(m model) error {
		if q.ForUpdate {
			return errors.New("ForUpdate outside a transaction")
		}
		found, err = s.flaws.list(m, q)
		return err
	})
	return found, err
}

func (s *lockStore) Count(ctx context.Context, f storage.Filter) (n int, err error) {
	err = s.read(ctx, func(m model) error {
		n = s.flaws.count(m, f)
		return nil
	})
	return n, err
}

func (s *lockStore) CountByStatus(ctx context.Context, f storage.Filter) (counts map[string]int, err error) {
	err = s.read(ctx, func(m model) error {
		counts = s.flaws.countByStatus(m, f)
		return nil
	})
	return counts, err
}

func (s *lockStore) Insert(ctx context.Context, records ...storage.Record) error {
	return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.Insert(ctx, records...) })
}

func (s *lockStore) Update(ctx context.Context, records ...storage.Record) error {
	return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.Update(ctx, records...) })
}

func (s *lockStore) Delete(ctx context.Context, ids ...string) (n int, err error) {
	err = s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		n, err = tx.Delete(ctx, ids...)
		return err
	})
	return n, err
}

func (s *lockStore) Lock(context.Context, string) error {
	return errors.New("Lock outside a transaction")
}

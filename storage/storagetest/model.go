package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// A model implements the contract for writes in the simplest way, as the reference for the store under test.
type model map[string]storage.Record

type slot struct{ organization, key string }

func slotOf(r storage.Record) (slot, bool) {
	return slot{r.OrganizationID, r.EmailKey}, r.Status == storage.Pending
}

func (m model) insert(records []storage.Record) error {
	holders := m.holders()
	err := storage.Taken(records, func(r storage.Record) bool {
		at, pending := slotOf(r)
		_, stored := m[r.ID]
		return stored || pending && holders[at] != ""
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		m[r.ID] = edit(r.Stored(), version(1))
	}
	return nil
}

// holders returns the id of the record that holds each slot.
func (m model) holders() map[slot]string {
	holders := map[slot]string{}
	for _, r := range m {
		if at, pending := slotOf(r); pending {
			holders[at] = r.ID
		}
	}
	return holders
}

func (m model) update(records []storage.Record) error {
	seen := map[string]bool{}
	var notFound, conflict bool
	for _, r := range records {
		old, ok := m[r.ID]
		notFound = notFound || !ok
		conflict = conflict || ok && (old.Version != r.Version || seen[r.ID])
		seen[r.ID] = true
	}
	switch {
	case notFound:
		return storage.ErrNotFound
	case conflict:
		return storage.ErrConflict
	}
	holders := m.holders()
	err := storage.Taken(records, func(r storage.Record) bool {
		at, pending := slotOf(r)
		holder := holders[at]
		return pending && holder != "" && holder != r.ID
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		m[r.ID] = edit(r.Stored(), version(r.Version+1))
	}
	return nil
}

func (m model) delete(ids []string) int {
	before := len(m)
	for _, id := range ids {
		delete(m, id)
	}
	return before - len(m)
}

// dice draws random values from small pools, so that ties, collisions and hits are frequent. Equal seeds give equal
// values.
type dice struct{ *rand.Rand }

func roll(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 42))} }

func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

func (d dice) some(from ...string) []string {
	if d.IntN(3) > 0 {
		return nil
	}
	list := []string{}
	for range d.IntN(5) {
		list = append(list, pick(d, from...))
	}
	return list
}

func (d dice) time() time.Time {
	at := at(d.IntN(8))
	if d.IntN(6) == 0 {
		at = time.Time{}
	}
	return at.Add(pick(d, 0, 0, 0, 1, 999, time.Microsecond)).In(pick(d, time.UTC, time.FixedZone("", 3600)))
}

var (
	organizations = []string{"o1", "o2", "O1", "o1 ", ""}
	keys          = []string{"a@x", "b@x", "A@x", "c@x ", "c@x", "", "d_x", "d%x", "e@y", "f@y", "\u00e9@y"}
	statuses      = []string{storage.Pending, storage.Pending, storage.Expired, "accepted", "revoked", "Pending"}
	users         = []string{"", "u1", "u2"}
)

func (d dice) record(id string) storage.Record {
	return record(id, in(pick(d, organizations...)), to(pick(d, keys...)), func(r *storage.Record) {
		r.Status, r.OrganizationDomainID = pick(d, statuses...), pick(d, "", "", "domain")
		r.InviterUserID = pick(d, users...)
		r.CreatedAt, r.ExpiresAt, r.ResolvedAt = d.time(), d.time(), d.time()
		r.Generation, r.Role = d.Int64(), fmt.Sprint(d.IntN(1000))
	})
}

func (d dice) filter(ids []string) storage.Filter {
	maybe := func(from ...string) string {
		if d.IntN(2) > 0 {
			return ""
		}
		return pick(d, from...)
	}
	f := storage.Filter{
		IDs:            d.some(ids...),
		OrganizationID: maybe(append(organizations, "none")...),
		EmailKeys:      d.some(append(keys, "none", "a\x00")...),
		EmailContains:  pick(d, "", "", "", "@", "x", "a", "_", "%", "@x ", "\xff", "\xa9"),
		Statuses:       d.some(statuses...),
		StoredStatuses: d.some(statuses...),
		InviterUserID:  maybe("u1", "u2", "none"),
		Direct:         d.IntN(2) > 0,
		Now:            d.time(),
	}
	if d.IntN(4) == 0 {
		f.ResolvedBefore = d.time()
	}
	if len(f.IDs) > 0 {
		for range d.IntN(40) {
			f.IDs = append(f.IDs, pick(d, ids...))
		}
	}
	return f
}

func (d dice) query(ids []string) storage.Query {
	q := storage.Query{Filter: d.filter(ids), Sort: pick(d, orders()...)}
	if d.IntN(3) == 0 {
		r := d.record(pick(d, ids...))
		q.After = &r
	}
	if d.IntN(3) == 0 {
		q.Offset = d.IntN(6)
	}
	if d.IntN(2) == 0 {
		q.Limit = 1 + d.IntN(12)
	}
	return q
}

// sameError expects got to mean the same to a caller as want.
func sameError(t *trial, what string, got, want error) {
	t.Helper()
	var e *storage.ExistsError
	switch {
	case want == nil && got != nil:
		t.Fatalf("%s: %v", what, got)
	case errors.As(want, &e):
		taken(t, what, got, e.Indexes...)
	case want != nil:
		refused(t, what, got, want)
	}
}

var modelCases = []testCase{
	{name: "random queries find what Filter.Match and Query.Compare say", test: modelQueries},
	{name: "random writes and nested transactions do what the contract says", test: modelWrites, needs: Nesting},
}

// List and Count answer random queries as Filter.Match and Query.Compare define.
func modelQueries(t *trial, s storage.Storage) {
	d, m := roll(1), model{}
	var names []string
	for i := range 240 {
		r := d.record(number(d.IntN(1e6)))
		if i%2 > 0 && m.insert([]storage.Record{r}) != nil {
			r.Status = "accepted"
		}
		delete(m, r.ID)
		if m.insert([]storage.Record{r}) == nil {
			seed(t, s, r)
			names = append(names, r.ID)
		}
	}
	records := slices.Collect(maps.Values(m))
	names = append(names, "none")
	found := 0
	for range 600 {
		q := d.query(names)
		want := answer(records, q)
		found += len(want)
		finds(t, s, q, ids(want)...)
		q.After, q.Offset, q.Limit = nil, 0, 0
		if n, err := s.Count(t.Context(), q.Filter); n != len(answer(records, q)) || err != nil {
			t.Errorf("Count(%s) = %d, %v; want %d", show(q), n, err, len(answer(records, q)))
		}
		if t.Failed() {
			return
		}
	}
	if found < 1000 {
		t.Fatalf("the queries found only %d records in total, too few to prove anything", found)
	}
}

// Random writes, including those in nested transactions, have the same effect on the store as on the model.
func modelWrites(t *trial, s storage.Storage) {
	for seed := range uint64(4) {
		d, m := roll(10+seed), model{}
		for _, r := range all(t, s) {
			m[r.ID] = r
		}
		names := make([]string, 24)
		for i := range names {
			names[i] = number(i)
		}
		for step := range 120 {
			writes(t, s, d, m, names, 0)
			if step%4 == 0 {
				holds(t, s, slices.Collect(maps.Values(m))...)
				q := d.query(names)
				finds(t, s, q, ids(answer(slices.Collect(maps.Values(m)), q))...)
			}
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
		holds(t, s, slices.Collect(maps.Values(m))...)
	}
}

var errRollback = errors.New("roll back this transaction")

// writes performs one random operation on both s and m.
func writes(t *trial, s storage.Storage, d dice, m model, names []string, depth int) {
	t.Helper()
	var records []storage.Record
	var doomed []string
	for range 1 + d.IntN(4) {
		r := d.record(pick(d, names...))
		old, ok := m[r.ID]
		r.Version = old.Version
		if ok && d.IntN(2) == 0 {
			r = edit(old, role(fmt.Sprint(d.IntN(1000))), func(r *storage.Record) { r.EmailKey = pick(d, keys...) })
		}
		if d.IntN(12) == 0 {
			r.Version += pick[int64](d, -1, 1)
		}
		records, doomed = append(records, r), append(doomed, r.ID)
	}
	switch kind := d.IntN(20); {
	case kind < 8:
		what := fmt.Sprintf("Insert(%q)", ids(records))
		sameError(t, what, s.Insert(t.Context(), records...), m.insert(records))
	case kind < 16:
		if d.IntN(4) > 0 { // mostly only ids that exist
			records = slices.DeleteFunc(records, func(r storage.Record) bool { return r.Version < 1 })
		}
		what := fmt.Sprintf("Update(%q)", ids(records))
		sameError(t, what, s.Update(t.Context(), records...), m.update(records))
	case kind < 18 || depth > 2:
		doomed = doomed[:min(2, len(doomed))]
		n, err := s.Delete(t.Context(), doomed...)
		if want := m.delete(doomed); n != want || err != nil {
			t.Fatalf("Delete(%q) = %d, %v; want %d", doomed, n, err, want)
		}
	default:
		rollback, steps, start := d.IntN(2) == 0, d.IntN(6), d.Uint64()
		var nested model
		err := s.RunInTx(t.Context(), func(_ context.Context, tx storage.Storage) error {
			nested = maps.Clone(m)
			d := roll(start) // fn does the same if it is retried
			for range steps {
				writes(t, tx, d, nested, names, depth+1)
			}
			holds(t, tx, slices.Collect(maps.Values(nested))...)
			if rollback {
				return errRollback
			}
			return nil
		})
		if rollback {
			refused(t, "RunInTx", err, errRollback)
			return
		}
		sameError(t, "RunInTx", err, nil)
		clear(m)
		maps.Copy(m, nested)
	}
}

package bunstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// About how much text one writing statement holds.
const maxText = 512 << 10

// textOf is about how much text records are.
func textOf(records ...storage.Record) int {
	n := 0
	for i := range records {
		r := &records[i]
		n += 250 + 3*len(r.EmailKey) + len(r.PublicMetadata) + len(r.PrivateMetadata) + len(r.RedirectURL)
	}
	return n
}

// chunks splits records into what one statement holds.
func chunks(records []storage.Record) [][]storage.Record {
	var list [][]storage.Record
	from, size := 0, 0
	for i, r := range records {
		size += textOf(r)
		if size > maxText && i > from {
			list = append(list, records[from:i])
			from, size = i, textOf(r)
		}
	}
	return append(list, records[from:])
}

func validate(records []storage.Record) error {
	for i, r := range records {
		if err := r.Validate(); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		for _, t := range []time.Time{r.CreatedAt, r.UpdatedAt, r.ExpiresAt, r.SentAt, r.ResolvedAt} {
			if y := t.UTC().Year(); y < 1 || y > 9999 { // what the column types of every engine hold
				return fmt.Errorf("record %d: a time is not between the years 1 and 9999", i)
			}
		}
	}
	return nil
}

// Insert implements [storage.Storage]. It refuses what [storage.Record.Validate] refuses.
func (s *Store) Insert(ctx context.Context, records ...storage.Record) error {
	const op = "insert"
	if err := validate(records); err != nil {
		return wrap(op, err)
	}
	records = slices.Clone(records)
	for i := range records {
		records[i].Version = 1
	}
	work := func(ctx context.Context, h querier) error { return s.insert(ctx, h, records) }
	switch {
	case len(records) <= 1 || s.inTx() && len(chunks(records)) == 1:
		return s.write(ctx, op, work)
	default:
		return s.grouped(ctx, op, func(tx *Store) error {
			return tx.write(ctx, op, work)
		})
	}
}

// grouped runs fn in a level of its own, because it takes several statements.
func (s *Store) grouped(ctx context.Context, op string, fn func(tx *Store) error) error {
	return s.atomically(ctx, op, s.e.takeWriteLock, func(_ context.Context, tx *Store) error { return fn(tx) })
}

func (s *Store) insert(ctx context.Context, h querier, records []storage.Record) error {
	if len(records) == 0 {
		return nil
	}
	if collide(records) {
		return s.refuseInsert(ctx, h, records)
	}
	// In one order, so that two calls cannot wait for each other.
	sorted := slices.SortedStableFunc(slices.Values(records), func(a, b storage.Record) int {
		return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), cmp.Compare(a.EmailKey, b.EmailKey),
			cmp.Compare(a.ID, b.ID))
	})
	written := 0
	for _, c := range chunks(sorted) {
		ok, err := s.e.writes.insert(ctx, h, c)
		if err != nil {
			return err
		}
		if !ok {
			if written > 0 { // what is in the way is looked for among stored records, not among these
				if _, err := s.delete(ctx, h, idsOf(sorted[:written])); err != nil {
					return err
				}
			}
			return s.refuseInsert(ctx, h, records)
		}
		written += len(c)
	}
	return nil
}

func idsOf(records []storage.Record) []string {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	return ids
}

// collide reports whether two of records have the same id or slot, so that not all of them can be stored.
func collide(records []storage.Record) bool {
	if len(records) < 2 {
		return false
	}
	ids := make(map[string]struct{}, len(records))
	slots := make(map[slot]struct{}, len(records))
	for _, r := range records {
		ids[r.ID] = struct{}{}
		if r.Status == storage.Pending {
			at := slot{r.OrganizationID, r.EmailKey}
			if _, taken := slots[at]; taken {
				return true
			}
			slots[at] = struct{}{}
		}
	}
	return len(ids) < len(records)
}

// refuseInsert returns the ExistsError of records that cannot all be inserted.
func (s *Store) refuseInsert(ctx context.Context, h querier, records []storage.Record) error {
	if err := s.shown(ctx, h, records); err != nil {
		return err
	}
	if len(records) == 1 {
		return &storage.ExistsError{Indexes: []int{0}}
	}
	taken := map[string]bool{}
	q := statement{}
	q.add("SELECT id FROM "+s.e.byID+" WHERE id IN (?)"+s.e.currentRead, texts(distinct(idsOf(records))))
	var id string
	if err := q.each(ctx, h, []any{&id}, func() { taken[id] = true }); err != nil {
		return err
	}
	held := map[slot]bool{}
	if err := s.eachHolder(ctx, h, records, func(_ string, at slot) { held[at] = true }); err != nil {
		return err
	}
	return refusal(records, taken, held)
}

// refuseUpdate returns the ExistsError of records that cannot all be written by Update. What they replace holds nothing
// any more.
func (s *Store) refuseUpdate(ctx context.Context, h querier, records []storage.Record) error {
	if err := s.shown(ctx, h, records); err != nil {
		return err
	}
	if len(records) == 1 {
		return &storage.ExistsError{Indexes: []int{0}}
	}
	replaced := map[string]bool{}
	for _, r := range records {
		replaced[r.ID] = true
	}
	held := map[slot]bool{}
	err := s.eachHolder(ctx, h, records, func(id string, at slot) {
		if !replaced[id] {
			held[at] = true
		}
	})
	if err != nil {
		return err
	}
	return refusal(records, map[string]bool{}, held)
}

// eachHolder calls fn for each stored record that holds a slot which one of records claims.
func (s *Store) eachHolder(ctx context.Context, h querier, records []storage.Record, fn func(id string, at slot)) error {
	slots := slotsOf(records)
	if len(slots) == 0 {
		return nil
	}
	q := statement{}
	q.add(s.e.holders, slotRows(slots))
	var id string
	var at slot
	return q.each(ctx, h, []any{&id, &at.organization, &at.key}, func() { fn(id, at) })
}

// refusal accepts records one after another and returns the ExistsError of those whose id is taken or whose slot is held,
// by a stored or by an accepted one.
func refusal(records []storage.Record, taken map[string]bool, held map[slot]bool) error {
	var refused []int
	for i, r := range records {
		at, pending := slot{r.OrganizationID, r.EmailKey}, r.Status == storage.Pending
		if taken[r.ID] || pending && held[at] {
			refused = append(refused, i)
			continue
		}
		taken[r.ID] = true
		if pending {
			held[at] = true
		}
	}
	if refused == nil {
		return &failure{kind: storage.ErrAborted, cause: errRowGone, retry: true}
	}
	return &storage.ExistsError{Indexes: refused}
}

// slotsOf are the slots that records claim.
func slotsOf(records []storage.Record) []slot {
	var slots []slot
	for _, r := range records {
		if r.Status == storage.Pending {
			slots = append(slots, slot{r.OrganizationID, r.EmailKey})
		}
	}
	return slots
}

// shown fails where the snapshot of a host's transaction does not show the holder of a slot as it is. What the host
// reads would not explain the refusal.
func (s *Store) shown(ctx context.Context, h querier, records []storage.Record) error {
	if !s.inTx() || s.turns.tx.own || !s.e.mixesSnapshots {
		return nil
	}
	type holder struct {
		id      string
		version int64
	}
	slots := make([]slot, len(records))
	for i, r := range records {
		slots[i] = slot{r.OrganizationID, r.EmailKey}
	}
	read := func(suffix string) (list []holder, err error) {
		q := statement{}
		q.add("SELECT id, version FROM "+s.e.invitations+" WHERE (organization_id, pending_key) IN (?) ORDER BY id"+suffix,
			slotRows(slots))
		var one holder
		err = q.each(ctx, h, []any{&one.id, &one.version}, func() { list = append(list, one) })
		return list, err
	}
	current, err := read(s.e.currentRead)
	if err != nil {
		return err
	}
	snapshot, err := read("")
	if err == nil && !slices.Equal(current, snapshot) {
		err = &failure{kind: storage.ErrAborted, cause: errOldSnapshot}
	}
	return err
}

// Update implements [storage.Storage]. It refuses what [storage.Record.Validate] refuses.
func (s *Store) Update(ctx context.Context, records ...storage.Record) error {
	const op = "update"
	if err := validate(records); err != nil {
		return wrap(op, err)
	}
	if len(records) <= 1 {
		return s.write(ctx, op, func(ctx context.Context, h querier) error {
			if len(records) == 0 {
				return nil
			}
			return s.updateOne(ctx, h, records)
		})
	}
	return s.grouped(ctx, op, func(tx *Store) error {
		return tx.write(ctx, op, func(ctx context.Context, h querier) error {
			return tx.update(ctx, h, records)
		})
	})
}

// updateOne is one statement where all is well: the version in it decides.
func (s *Store) updateOne(ctx context.Context, h querier, records []storage.Record) error {
	n, err := s.e.writes.update(ctx, h, records)
	switch {
	case err == nil && n == 1:
		return nil
	case err == nil:
		return s.stale(ctx, h, records, s.e.currentRead)
	case s.judge(err).breach:
		return s.refuseUpdate(ctx, h, records)
	default:
		return err
	}
}

// stale returns ErrNotFound or ErrConflict where one applies. suffix is what its SELECT ends with.
func (s *Store) stale(ctx context.Context, h querier, records []storage.Record, suffix string) error {
	q := statement{}
	q.add("SELECT id, version FROM "+s.e.byID+" WHERE id IN (?) ORDER BY id", texts(idsOf(records)))
	q.add(suffix)
	var id string
	var version int64
	stored := make(map[string]int64, len(records))
	if err := q.each(ctx, h, []any{&id, &version}, func() { stored[id] = version }); err != nil {
		return err
	}
	conflict := len(records) == 1 // one that matched nothing, whatever is there by now
	for _, r := range records {
		v, ok := stored[r.ID]
		if !ok {
			return storage.ErrNotFound
		}
		conflict = conflict || v != r.Version
		stored[r.ID] = -r.Version - 1 // a second one is stale
	}
	if conflict {
		return storage.ErrConflict
	}
	return nil
}

// update writes several records, in a level of its own. It decides by what is stored, releases the slots, so that
// they may be swapped, and writes.
func (s *Store) update(ctx context.Context, h querier, records []storage.Record) error {
	suffix, err := s.lockRows(ctx, h, nil)
	if err != nil {
		return err
	}
	if err := s.stale(ctx, h, records, suffix); err != nil {
		return err
	}
	if slices.ContainsFunc(records, func(r storage.Record) bool { return r.Status == storage.Pending }) {
		if collide(records) {
			return s.refuseUpdate(ctx, h, records)
		}
		q := statement{}
		q.add("UPDATE "+s.e.byID+" SET pending_key = NULL WHERE id IN (?)", texts(idsOf(records)))
		if _, err := q.exec(ctx, h); err != nil {
			return err
		}
	}
	for _, c := range chunks(records) {
		n, err := s.e.writes.update(ctx, h, c)
		switch {
		case s.judge(err).breach:
			return s.refuseUpdate(ctx, h, records)
		case err != nil:
			return err
		case n != int64(len(c)):
			return storage.ErrConflict
		}
	}
	return nil
}

// Delete implements [storage.Storage].
func (s *Store) Delete(ctx context.Context, ids ...string) (int, error) {
	var n int64
	err := s.write(ctx, "delete", func(ctx context.Context, h querier) (err error) {
		if list := distinct(ids); len(list) > 0 {
			n, err = s.delete(ctx, h, list)
		}
		return err
	})
	return int(n), err
}

func (s *Store) delete(ctx context.Context, h querier, ids []string) (int64, error) {
	q := statement{}
	q.add(s.e.deleteByID, texts(ids))
	return q.exec(ctx, h)
}

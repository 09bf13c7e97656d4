package bunstore

import (
	"context"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// slot is the pending slot of an address in an organization.
type slot struct{ organization, key string }

// collide reports whether two of records have the same id or slot, so that not all of them can be stored.
func collide(records []storage.Record) bool {
	return storage.Taken(records, func(storage.Record) bool { return false }) != nil
}

// refuseInsert returns the ExistsError of records that cannot all be inserted.
func (s *Store) refuseInsert(ctx context.Context, db querier, records []storage.Record) error {
	if err := s.requireFreshSnapshot(ctx, db, records); err != nil {
		return err
	}
	if len(records) == 1 {
		return &storage.ExistsError{Indexes: []int{0}}
	}
	taken := map[string]bool{}
	q := statement{}
	q.add("SELECT id FROM "+s.e.byID+" WHERE id IN (?)"+s.e.currentRead, texts(distinct(idsOf(records))))
	var id string
	if err := q.each(ctx, db, []any{&id}, func() { taken[id] = true }); err != nil {
		return err
	}
	held := map[slot]bool{}
	if err := s.eachHolder(ctx, db, records, func(_ string, at slot) { held[at] = true }); err != nil {
		return err
	}
	return refusal(records, taken, held)
}

// refuseUpdate returns the ExistsError of records that Update cannot write. The records that they replace release their
// slots.
func (s *Store) refuseUpdate(ctx context.Context, db querier, records []storage.Record) error {
	if err := s.requireFreshSnapshot(ctx, db, records); err != nil {
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
	err := s.eachHolder(ctx, db, records, func(id string, at slot) {
		if !replaced[id] {
			held[at] = true
		}
	})
	if err != nil {
		return err
	}
	return refusal(records, map[string]bool{}, held)
}

// eachHolder calls fn for each stored record that holds the slot of one of records.
func (s *Store) eachHolder(ctx context.Context, db querier, records []storage.Record,
	fn func(id string, at slot)) error {
	slots := slotsOf(records)
	if len(slots) == 0 {
		return nil
	}
	q := statement{}
	q.add(s.e.holders, slotRows(slots))
	var id string
	var at slot
	return q.each(ctx, db, []any{&id, &at.organization, &at.key}, func() { fn(id, at) })
}

// refusal returns the ExistsError of records, or asks for a retry if none of them is refused any more.
func refusal(records []storage.Record, taken map[string]bool, held map[slot]bool) error {
	err := storage.Taken(records, func(r storage.Record) bool {
		return taken[r.ID] || r.Status == storage.Pending && held[slot{r.OrganizationID, r.EmailKey}]
	})
	if err == nil {
		return &failure{kind: storage.ErrAborted, cause: errRowGone, retry: true}
	}
	return err
}

// slotsOf returns the slots of the pending records.
func slotsOf(records []storage.Record) []slot {
	var slots []slot
	for _, r := range records {
		if r.Status == storage.Pending {
			slots = append(slots, slot{r.OrganizationID, r.EmailKey})
		}
	}
	return slots
}

// requireFreshSnapshot returns ErrAborted if the snapshot of a host's transaction does not show the current holders of
// the slots of records. The host could not see there why its records are refused.
func (s *Store) requireFreshSnapshot(ctx context.Context, db querier, records []storage.Record) error {
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
		err = q.each(ctx, db, []any{&one.id, &one.version}, func() { list = append(list, one) })
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

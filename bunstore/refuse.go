package bunstore

import (
	"context"
	"slices"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

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
	var found []storage.Record
	q := statement{}
	q.add("SELECT id FROM "+s.e.byID+" WHERE id IN (?)"+s.e.currentRead, texts(storagekit.Texts(idsOf(records))))
	r := storage.Record{Version: 1}
	if err := q.each(ctx, db, []any{&r.ID}, func() { found = append(found, r) }); err != nil {
		return err
	}
	holders, err := s.holders(ctx, db, records)
	if err != nil {
		return err
	}
	return refused(storagekit.InsertRefusal(records, storagekit.StoredIn(append(found, holders...))))
}

// refuseUpdate returns the ExistsError of records that Update cannot write. Their versions are the stored ones.
func (s *Store) refuseUpdate(ctx context.Context, db querier, records []storage.Record) error {
	if err := s.requireFreshSnapshot(ctx, db, records); err != nil {
		return err
	}
	if len(records) == 1 {
		return &storage.ExistsError{Indexes: []int{0}}
	}
	found, err := s.holders(ctx, db, records)
	if err != nil {
		return err
	}
	stored := storagekit.StoredIn(found)
	versions := make(map[string]int64, len(records))
	for _, r := range records {
		versions[r.ID] = r.Version
	}
	stored.Version = func(id string) int64 { return versions[id] }
	return refused(storagekit.UpdateRefusal(records, stored))
}

// holders returns the stored records that hold the slots of records. They have no more than what
// [storagekit.StoredIn] reads.
func (s *Store) holders(ctx context.Context, db querier, records []storage.Record) ([]storage.Record, error) {
	slots := storagekit.Slots(records)
	if len(slots) == 0 {
		return nil, nil
	}
	var found []storage.Record
	q := statement{}
	q.add(s.e.holders, slotRows(slots))
	r := storage.Record{Status: storage.Pending, Version: 1}
	err := q.each(ctx, db, []any{&r.ID, &r.OrganizationID, &r.EmailKey}, func() { found = append(found, r) })
	return found, err
}

// refused returns err, or asks for a retry if nothing is refused any more.
func refused(err error) error {
	if err == nil {
		return &failure{kind: storage.ErrAborted, cause: errRowGone, retry: true}
	}
	return err
}

// requireFreshSnapshot returns ErrAborted if the snapshot of a host's transaction does not show the current holders of
// the slots of records. The host could not see there why its records are refused.
func (s *Store) requireFreshSnapshot(ctx context.Context, db querier, records []storage.Record) error {
	if !s.inTx() || s.tx.own || !s.e.mixesSnapshots {
		return nil
	}
	type holder struct {
		id      string
		version int64
	}
	slots := make([]storagekit.Slot, len(records))
	for i, r := range records {
		slots[i] = storagekit.Slot{OrganizationID: r.OrganizationID, EmailKey: r.EmailKey}
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

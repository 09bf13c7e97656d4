package bunstore

import (
	"context"
	"errors"
	"slices"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// maxText is the approximate size of the text in one statement that writes.
const maxText = 512 << 10

// textOf returns the approximate size of records as text.
func textOf(records ...storage.Record) int {
	n := 0
	for i := range records {
		r := &records[i]
		n += 250 + 3*len(r.EmailKey) + len(r.PublicMetadata) + len(r.PrivateMetadata) + len(r.RedirectURL)
	}
	return n
}

// chunks splits records into groups, one for each statement.
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

// Insert implements [storage.Storage]. It refuses what [storage.Record.Validate] refuses.
func (s *Store) Insert(ctx context.Context, records ...storage.Record) error {
	const op = "insert"
	if err := storagekit.Validate(records); err != nil {
		return wrap(op, err)
	}
	records = slices.Clone(records)
	for i := range records {
		records[i].Version = 1
	}
	work := func(ctx context.Context, db querier) error { return s.insert(ctx, db, records) }
	switch {
	case len(records) <= 1 || s.inTx() && len(chunks(records)) == 1:
		return s.write(ctx, op, work)
	default:
		return s.grouped(ctx, op, func(tx *Store) error {
			return tx.write(ctx, op, work)
		})
	}
}

// grouped runs fn in a transaction of its own, nested within a transaction, because it takes several statements.
func (s *Store) grouped(ctx context.Context, op string, fn func(tx *Store) error) error {
	return s.atomically(ctx, op, s.e.takeWriteLock, func(_ context.Context, tx *Store) error { return fn(tx) })
}

func (s *Store) insert(ctx context.Context, db querier, records []storage.Record) error {
	if len(records) == 0 {
		return nil
	}
	if collide(records) {
		return s.refuseInsert(ctx, db, records)
	}
	// Write in the order of the slots, so that two calls never wait for each other.
	sorted := slices.SortedStableFunc(slices.Values(records), storagekit.CompareSlots)
	written := 0
	for _, c := range chunks(sorted) {
		ok, err := s.e.writes.insert(ctx, db, c)
		if err != nil {
			return err
		}
		if !ok {
			if written > 0 { // refuseInsert must not find them when it looks for the holders
				if _, err := s.delete(ctx, db, idsOf(sorted[:written])); err != nil {
					return err
				}
			}
			return s.refuseInsert(ctx, db, records)
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

// Update implements [storage.Storage]. It refuses what [storage.Record.Validate] refuses.
func (s *Store) Update(ctx context.Context, records ...storage.Record) error {
	const op = "update"
	if err := storagekit.Validate(records); err != nil {
		return wrap(op, err)
	}
	if len(records) <= 1 {
		return s.write(ctx, op, func(ctx context.Context, db querier) error {
			if len(records) == 0 {
				return nil
			}
			return s.updateOne(ctx, db, records)
		})
	}
	return s.grouped(ctx, op, func(tx *Store) error {
		return tx.write(ctx, op, func(ctx context.Context, db querier) error {
			return tx.update(ctx, db, records)
		})
	})
}

// updateOne runs a single statement if nothing is refused. Its WHERE compares the version.
func (s *Store) updateOne(ctx context.Context, db querier, records []storage.Record) error {
	defer s.written()
	n, err := s.e.writes.update(ctx, db, records, s.replaced(&records[0]))
	switch {
	case err == nil && n == 1:
		return nil
	case err == nil:
		return s.stale(ctx, db, records[0].ID)
	case s.judge(err).breach:
		return s.refuseUpdate(ctx, db, records)
	default:
		return err
	}
}

// stale returns why the UPDATE of a record has matched nothing.
func (s *Store) stale(ctx context.Context, db querier, id string) error {
	q := statement{}
	q.add("SELECT id FROM "+s.e.byID+" WHERE id = ?"+s.e.currentRead, id)
	err := storage.ErrNotFound
	if failed := q.each(ctx, db, []any{&id}, func() { err = storage.ErrConflict }); failed != nil {
		return failed
	}
	return err
}

// update writes several records in a transaction of its own. It locks and checks what is stored, and then writes.
func (s *Store) update(ctx context.Context, db querier, records []storage.Record) error {
	defer s.written()
	suffix, err := s.lockRows(ctx, db, nil)
	if err != nil {
		return err
	}
	q := statement{}
	q.add("SELECT id, version, organization_id, email_key, status FROM "+s.e.byID+" WHERE id IN (?) ORDER BY id"+suffix,
		texts(storagekit.Texts(idsOf(records))))
	var found []storage.Record
	var r storage.Record
	err = q.each(ctx, db, []any{&r.ID, &r.Version, &r.OrganizationID, &r.EmailKey, &r.Status}, func() {
		found = append(found, r)
	})
	if err != nil {
		return err
	}
	switch err := storagekit.UpdateRefusal(records, storagekit.StoredIn(found)); {
	case errors.Is(err, storage.ErrExists):
		return s.refuseUpdate(ctx, db, records) // others may hold slots too
	case err != nil:
		return err
	}
	for _, c := range chunks(records) {
		n, err := s.e.writes.update(ctx, db, c, nil)
		switch {
		case s.judge(err).breach:
			return s.refuseUpdate(ctx, db, records)
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
	err := s.write(ctx, "delete", func(ctx context.Context, db querier) (err error) {
		if list := storagekit.Texts(ids); len(list) > 0 {
			n, err = s.delete(ctx, db, list)
		}
		return err
	})
	return int(n), err
}

func (s *Store) delete(ctx context.Context, db querier, ids []string) (int64, error) {
	defer s.written()
	q := statement{}
	q.add(s.e.deleteByID, texts(ids))
	return q.exec(ctx, db)
}

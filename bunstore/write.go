package bunstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
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
	sorted := slices.SortedStableFunc(slices.Values(records), func(a, b storage.Record) int {
		return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), cmp.Compare(a.EmailKey, b.EmailKey),
			cmp.Compare(a.ID, b.ID))
	})
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
	if err := validate(records); err != nil {
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
	n, err := s.e.writes.update(ctx, db, records)
	switch {
	case err == nil && n == 1:
		return nil
	case err == nil:
		return s.stale(ctx, db, records, s.e.currentRead)
	case s.judge(err).breach:
		return s.refuseUpdate(ctx, db, records)
	default:
		return err
	}
}

// stale returns ErrNotFound or ErrConflict if one applies. suffix is the end of its SELECT.
func (s *Store) stale(ctx context.Context, db querier, records []storage.Record, suffix string) error {
	q := statement{}
	q.add("SELECT id, version FROM "+s.e.byID+" WHERE id IN (?) ORDER BY id", texts(idsOf(records)))
	q.add(suffix)
	var id string
	var version int64
	stored := make(map[string]int64, len(records))
	if err := q.each(ctx, db, []any{&id, &version}, func() { stored[id] = version }); err != nil {
		return err
	}
	conflict := len(records) == 1 // its UPDATE matched nothing, whatever is stored by now
	for _, r := range records {
		v, ok := stored[r.ID]
		if !ok {
			return storage.ErrNotFound
		}
		conflict = conflict || v != r.Version
		stored[r.ID] = -r.Version - 1 // a repeated id never matches
	}
	if conflict {
		return storage.ErrConflict
	}
	return nil
}

// update writes several records in a transaction of its own. It checks the stored versions and releases the slots, so
// that records may swap them. Then it writes.
func (s *Store) update(ctx context.Context, db querier, records []storage.Record) error {
	suffix, err := s.lockRows(ctx, db, nil)
	if err != nil {
		return err
	}
	if err := s.stale(ctx, db, records, suffix); err != nil {
		return err
	}
	if slices.ContainsFunc(records, func(r storage.Record) bool { return r.Status == storage.Pending }) {
		if collide(records) {
			return s.refuseUpdate(ctx, db, records)
		}
		q := statement{}
		q.add("UPDATE "+s.e.byID+" SET pending_key = NULL WHERE id IN (?)", texts(idsOf(records)))
		if _, err := q.exec(ctx, db); err != nil {
			return err
		}
	}
	for _, c := range chunks(records) {
		n, err := s.e.writes.update(ctx, db, c)
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
		if list := distinct(ids); len(list) > 0 {
			n, err = s.delete(ctx, db, list)
		}
		return err
	})
	return int(n), err
}

func (s *Store) delete(ctx context.Context, db querier, ids []string) (int64, error) {
	q := statement{}
	q.add(s.e.deleteByID, texts(ids))
	return q.exec(ctx, db)
}

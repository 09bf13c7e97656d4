package invitation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// work is one operation in its transaction.
type work struct {
	*Service // on the transaction's storage
	events   []Event
}

// transact runs an operation in a transaction, and at its end tells OnEvents what it noted. fn may run again.
func (s *Service) transact(ctx context.Context, fn func(ctx context.Context, w *work) error) error {
	return s.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		w := &work{Service: s.WithStorage(tx)}
		if err := fn(ctx, w); err != nil {
			return err
		}
		return w.tell(ctx)
	})
}

// change runs an operation on one organization in a transaction. fn may run again.
func (s *Service) change(ctx context.Context, organizationID string,
	fn func(ctx context.Context, w *work) error) error {
	return s.transact(ctx, func(ctx context.Context, w *work) error {
		if err := w.lockCounted(ctx, organizationID); err != nil {
			return err
		}
		return fn(ctx, w)
	})
}

// changeAcross runs fn on all records that match f, of one organization or, where f names none, of every one, once may
// has nothing against it. It returns the sum of what fn returned. It is one transaction.
//
// fn gets the records locked, a page at a time, and OnEvents is told of each page, so that of many records only the
// ids are in memory at once.
func (s *Service) changeAcross(ctx context.Context, f storage.Filter, may func(ctx context.Context, w *work) error,
	fn func(ctx context.Context, w *work, found []storage.Record) (int, error)) (int, error) {
	total := 0
	err := s.transact(ctx, func(ctx context.Context, w *work) error {
		total = 0
		organizations := []string{f.OrganizationID}
		if f.OrganizationID == "" {
			organizations = nil
			err := w.pages(ctx, f, func(found []storage.Record) {
				for _, r := range found {
					organizations = append(organizations, r.OrganizationID)
				}
				slices.Sort(organizations) // the order that everybody keeps
				organizations = slices.Compact(organizations)
			})
			if err != nil {
				return err
			}
		}
		for _, id := range organizations {
			if err := w.lockCounted(ctx, id); err != nil {
				return err
			}
		}
		if err := may(ctx, w); err != nil {
			return err
		}
		var ids []string
		err := w.pages(ctx, f, func(found []storage.Record) {
			for _, r := range found {
				// One of an organization that came since is not locked, and is later.
				if _, locked := slices.BinarySearch(organizations, r.OrganizationID); locked {
					ids = append(ids, r.ID)
				}
			}
		})
		if err != nil {
			return err
		}
		slices.Sort(ids) // the order in which everybody locks rows, from page to page too
		for page := range slices.Chunk(ids, batchRecord) {
			found, err := w.lockRecords(ctx, f, page...)
			if err != nil {
				return err
			}
			n, err := fn(ctx, w, found)
			if err != nil {
				return err
			}
			total += n
			if err := w.tell(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return total, nil
}

// pages hands fn the records that match f, in pages of batchRecord.
func (w *work) pages(ctx context.Context, f storage.Filter, fn func(found []storage.Record)) error {
	q := storage.Query{Filter: f, Limit: batchRecord}
	for {
		found, err := w.list(ctx, q)
		if err != nil {
			return err
		}
		fn(found)
		if len(found) < q.Limit {
			return nil
		}
		q.After = &found[len(found)-1]
	}
}

// tell tells OnEvents what was noted since.
func (w *work) tell(ctx context.Context) error {
	events := w.events
	w.events = nil
	if w.cfg.OnEvents == nil || len(events) == 0 {
		return nil
	}
	return w.callBack(ctx, "Config.OnEvents", func(ctx context.Context, tx storage.Storage) error {
		return w.cfg.OnEvents(ctx, tx, events)
	})
}

// save writes changed records in one statement, notes their events, and returns the invitations as they are now.
func (w *work) save(ctx context.Context, changes ...change) ([]Invitation, error) {
	records := make([]storage.Record, len(changes))
	for i, c := range changes {
		records[i] = c.record
	}
	if err := w.store.Update(ctx, records...); err != nil {
		return nil, err
	}
	saved := make([]Invitation, len(changes))
	for i, c := range changes {
		saved[i] = w.note(c)
	}
	return saved, nil
}

// saveOne is save of a single record.
func (w *work) saveOne(ctx context.Context, c change) (Invitation, error) {
	saved, err := w.save(ctx, c)
	if err != nil {
		return Invitation{}, err
	}
	return saved[0], nil
}

// note notes the event of a change that is written, and returns the invitation as it is now.
func (w *work) note(c change) Invitation {
	c.event.Invitation = w.whole(c.record, c.event.At)
	w.events = append(w.events, c.event)
	return w.view(c.record, c.event.At)
}

// nested runs a part of the operation in a nested transaction. Its events are noted unless it is undone.
func (w *work) nested(ctx context.Context, fn func(ctx context.Context, w *work) error) error {
	part := &work{}
	err := w.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		part.Service = w.WithStorage(tx)
		return fn(ctx, part)
	})
	if err == nil {
		w.events = append(w.events, part.events...)
	}
	return err
}

// callBack runs a callback that writes in a nested transaction, so that a failed statement of the callback is undone
// and cannot leave the transaction unusable behind a nil error.
func (w *work) callBack(ctx context.Context, name string, fn func(context.Context, storage.Storage) error) error {
	var refused bool
	err := w.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		err := fn(ctx, tx)
		refused = err != nil
		return err
	})
	if refused {
		return callback(name, err)
	}
	return err
}

// list reads from the store, and does not rely on it to know every field of a filter.
func (s *Service) list(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	records, err := s.store.List(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if !q.Filter.Match(r) {
			return nil, fmt.Errorf("invitation: the storage returned the record %s, which the filter leaves out; "+
				"it does not know a field of storage.Filter", printable(r.ID, maxPrinted))
		}
	}
	return records, nil
}

// lockRecords reads the records with these ids that match the filter, and locks them until the transaction ends.
func (w *work) lockRecords(ctx context.Context, f storage.Filter, ids ...string) ([]storage.Record, error) {
	f.IDs = ids
	return w.list(ctx, storage.Query{Filter: f, ForUpdate: true})
}

// lockRecord reads an invitation of an organization and locks it. One of another organization is not found either.
func (w *work) lockRecord(ctx context.Context, organizationID, invitationID string) (storage.Record, error) {
	found, err := w.lockRecords(ctx, storage.Filter{OrganizationID: organizationID}, invitationID)
	if err != nil {
		return storage.Record{}, err
	}
	if len(found) == 0 {
		return storage.Record{}, noInvitation()
	}
	return found[0], nil
}

// expire writes lapsed records expired.
func (w *work) expire(ctx context.Context, now time.Time, records ...storage.Record) error {
	changes := make([]change, len(records))
	for i, r := range records {
		var err error
		if changes[i], err = move(r, Event{Type: EventExpired, At: now}); err != nil {
			return err
		}
	}
	_, err := w.save(ctx, changes...)
	return err
}

func idsOf(records []storage.Record) []string {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	return ids
}

// now is the current instant as it can be stored.
func (s *Service) now() time.Time { return time.UnixMicro(s.cfg.Clock.Now().UnixMicro()).UTC() }

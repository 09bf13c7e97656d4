package invitation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// work is one operation in its transaction.
type work struct {
	*Service          // on the storage of the transaction
	events   []Event  // noted, and not yet passed to OnEvents
	early    []string // ids of rows that an earlier run should have locked first
	free     bool     // a pending slot is assumed to be free
}

// lockEarly is the error of a run that would lock rows in another order than other operations do. The run is repeated.
type lockEarly struct{ id string }

func (e *lockEarly) Error() string { return "invitation: a row with a smaller id must be locked first" }

// errNotFree is the error of a run that assumed that a pending slot is free. The run is repeated without assuming it.
// It begins a new transaction, because the refused insert may have left a lock on the slot, which other operations lock
// after the row.
var errNotFree = errors.New("invitation: the pending slot is not free")

// transact runs an operation in a transaction, and then calls OnEvents with the events that it noted. fn may be
// retried.
//
// In a transaction of the host's, nothing is assumed about slots: its snapshot may be too old, and only reading the
// holder shows that.
func (s *Service) transact(ctx context.Context, fn func(ctx context.Context, w *work) error) error {
	var early []string
	free := !s.joined
	for {
		err := s.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			w := &work{Service: s.on(tx), early: early, free: free}
			if err := fn(ctx, w); err != nil {
				return err
			}
			return w.emit(ctx)
		})
		again, ok := errors.AsType[*lockEarly](err)
		switch {
		case ok:
			early = append(early, again.id)
		case errors.Is(err, errNotFree):
			free = false
		default:
			return err
		}
	}
}

// inOrganization runs an operation on one organization in a transaction. fn may be retried.
func (s *Service) inOrganization(ctx context.Context, organizationID string,
	fn func(ctx context.Context, w *work) error) error {
	return s.locking(ctx, organizationID, s.limited(), fn)
}

// sendingIn is inOrganization for an operation that issues links. bound says that an acting user issues some of them,
// so that Config.SendLimits apply.
func (s *Service) sendingIn(ctx context.Context, organizationID string, bound bool,
	fn func(ctx context.Context, w *work) error) error {
	return s.locking(ctx, organizationID, s.limited() || bound && len(s.cfg.SendLimits) > 0, fn)
}

// locking runs fn in a transaction. If lock is set, it locks the organization first, before any row. Then two such
// operations on one organization cannot deadlock.
func (s *Service) locking(ctx context.Context, organizationID string, lock bool,
	fn func(ctx context.Context, w *work) error) error {
	return s.transact(ctx, func(ctx context.Context, w *work) error {
		if lock {
			if err := w.store.Lock(ctx, organizationID); err != nil {
				return err
			}
		}
		return fn(ctx, w)
	})
}

// acrossOrganizations runs fn on all records that match f, in one transaction, once authorize returns nil. Without
// f.OrganizationID they are from all organizations. It returns the sum of the results of fn.
//
// fn gets the records locked, one page at a time, and OnEvents is called after each page. So only the ids of all
// records are in memory at once.
func (s *Service) acrossOrganizations(ctx context.Context, f storage.Filter,
	authorize func(ctx context.Context, w *work) error,
	fn func(ctx context.Context, w *work, found []storage.Record) (int, error)) (int, error) {
	total := 0
	err := s.transact(ctx, func(ctx context.Context, w *work) error {
		total = 0
		organizations, err := w.lockOrganizations(ctx, f)
		if err != nil {
			return err
		}
		if err := authorize(ctx, w); err != nil {
			return err
		}
		ids, err := w.idsIn(ctx, f, organizations)
		if err != nil {
			return err
		}
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
			if err := w.emit(ctx); err != nil {
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

// lockOrganizations locks the organizations of the records that match f, in sorted order like everywhere, and returns
// them.
func (w *work) lockOrganizations(ctx context.Context, f storage.Filter) ([]string, error) {
	organizations := []string{f.OrganizationID}
	if f.OrganizationID == "" {
		organizations = nil
		err := w.pages(ctx, f, func(found []storage.Record) {
			for _, r := range found {
				organizations = append(organizations, r.OrganizationID)
			}
			slices.Sort(organizations)
			organizations = slices.Compact(organizations)
		})
		if err != nil {
			return nil, err
		}
	}
	for _, id := range organizations {
		if err := w.lockCounted(ctx, id); err != nil {
			return nil, err
		}
	}
	return organizations, nil
}

// idsIn returns the ids of the records that match f in these organizations, in the order in which all operations lock
// rows. It leaves out an organization that appeared after the others were locked.
func (w *work) idsIn(ctx context.Context, f storage.Filter, organizations []string) ([]string, error) {
	var ids []string
	err := w.pages(ctx, f, func(found []storage.Record) {
		for _, r := range found {
			if _, locked := slices.BinarySearch(organizations, r.OrganizationID); locked {
				ids = append(ids, r.ID)
			}
		}
	})
	slices.Sort(ids)
	return ids, err
}

// pages calls fn with the records that match f, in pages of batchRecord.
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

// emit calls OnEvents with the events that were noted since the last call.
func (w *work) emit(ctx context.Context) error {
	events := w.events
	w.events = nil
	if w.cfg.OnEvents == nil || len(events) == 0 {
		return nil
	}
	return w.callBack(ctx, "Config.OnEvents", func(ctx context.Context, tx storage.Storage) error {
		return w.cfg.OnEvents(ctx, tx, events)
	})
}

// save stores changed records in one statement, notes their events, and returns the new invitations.
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

// saveOne is save for one record.
func (w *work) saveOne(ctx context.Context, c change) (Invitation, error) {
	saved, err := w.save(ctx, c)
	if err != nil {
		return Invitation{}, err
	}
	return saved[0], nil
}

// note notes the event of a change that has been stored, and returns the new invitation.
func (w *work) note(c change) Invitation {
	c.event.Invitation = w.whole(c.record, c.event.At)
	w.events = append(w.events, c.event)
	return w.shown(c.event.Invitation)
}

// nested runs a part of the operation in a nested transaction. It drops the events of the part if that is rolled back.
func (w *work) nested(ctx context.Context, fn func(ctx context.Context, w *work) error) error {
	part := &work{}
	err := w.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		part.Service = w.on(tx)
		return fn(ctx, part)
	})
	if err == nil {
		w.events = append(w.events, part.events...)
	}
	return err
}

// callBack runs a callback that writes in a nested transaction. So a failed statement of the callback is rolled back,
// and cannot leave the transaction unusable behind a nil error. RELEASE also shows whether the callback has ended the
// transaction.
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

// list reads from the store. It checks the result, because an older store may not know every field of a filter.
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

// lockRecord reads and locks an invitation that by manages. It does not find one of another organization.
func (w *work) lockRecord(ctx context.Context, by manager, organizationID, invitationID string) (
	storage.Record, error) {
	found, err := w.lockRecords(ctx, by.narrow(storage.Filter{OrganizationID: organizationID}), invitationID)
	if err != nil {
		return storage.Record{}, err
	}
	if len(found) == 0 {
		return storage.Record{}, noInvitation()
	}
	return found[0], nil
}

// expire stores the expiry of records that have expired but are still stored as pending.
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

// now returns the current time with the precision of storage.
func (s *Service) now() time.Time { return time.UnixMicro(s.cfg.Clock.Now().UnixMicro()).UTC() }

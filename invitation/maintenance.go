package invitation

import (
	"context"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// The bounds of maintenance.
const (
	maxBatch    = 100_000 // invitations in one call
	batchRecord = 500     // records in one statement, and in one transaction of ExpireDue and Purge
)

// ExpireDue stores the status expired for lapsed invitations, earliest first. It changes up to limit (1 to 100,000)
// invitations and returns their number. Results show these invitations as expired even before ExpireDue stores that
// status. ExpireDue emits EventExpired, and keeps queries for pending invitations fast.
//
// ExpireDue works in transactions of 500. If one fails, the earlier ones stay committed: it returns the error together
// with the number of invitations written before. In your own transaction (see [Service.WithStorage]), all of them
// commit or roll back with that transaction. ExpireDue is idempotent, and safe to run from any number of processes.
//
// Only the trusted back end may call it: through [Service.As] it returns [ErrForbidden]. An invalid limit is
// [ErrInvalid].
func (s *Service) ExpireDue(ctx context.Context, limit int) (int, error) {
	n, err := s.expireDue(ctx, limit)
	return n, s.wrap(ctx, "expire due", err)
}

func (s *Service) expireDue(ctx context.Context, limit int) (int, error) {
	if err := s.checkMaintenance(limit); err != nil {
		return 0, err
	}
	return s.batches(ctx, limit, func(now time.Time) storage.Query {
		return storage.Query{
			Filter: storage.Filter{
				StoredStatuses: []string{storage.Pending},
				Statuses:       []string{storage.Expired},
				Now:            now,
			},
			Sort: []storage.Sort{{Field: storage.FieldExpiresAt}},
		}
	}, func(ctx context.Context, w *work, found []storage.Record) error {
		return w.expire(ctx, w.now(), found...)
	})
}

// Purge deletes up to limit (1 to 100,000) invitations that were resolved before the given time, and returns how many.
// Accepted, declined, revoked and expired invitations are resolved. Purge works in transactions of 500, as ExpireDue
// does. It first calls ExpireDue with the same limit. The result counts only deleted invitations, not those that
// ExpireDue merely changed. Deleting emits no events.
//
// Only the trusted back end may call it: through [Service.As] it returns [ErrForbidden]. An invalid limit is
// [ErrInvalid], and so is a time that is zero or in the future.
func (s *Service) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.purge(ctx, before, limit)
	return n, s.wrap(ctx, "purge", err)
}

func (s *Service) purge(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.checkMaintenance(limit); err != nil {
		return 0, err
	}
	if before.IsZero() {
		return 0, problemMissing.about("before", "is required")
	}
	if before.After(s.cfg.Clock.Now()) {
		return 0, problemValue.about("before", "must not be in the future")
	}
	if _, err := s.expireDue(ctx, limit); err != nil {
		return 0, err
	}
	return s.batches(ctx, limit, func(time.Time) storage.Query {
		return storage.Query{Filter: storage.Filter{ResolvedBefore: before}}
	}, remove)
}

// DeleteOrganization deletes all invitations of an organization, with any status. It works in one transaction and
// returns the number of deleted invitations. Call it when the host deletes an organization. It is idempotent and emits
// no events.
//
// Only the trusted back end may call it: through [Service.As] it returns [ErrForbidden]. An invalid id is [ErrInvalid].
func (s *Service) DeleteOrganization(ctx context.Context, organizationID string) (int, error) {
	n, err := s.deleteOrganization(ctx, organizationID)
	return n, s.wrap(ctx, "delete organization", err)
}

func (s *Service) deleteOrganization(ctx context.Context, organizationID string) (int, error) {
	if err := s.checkBackend(); err != nil {
		return 0, err
	}
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		return 0, e
	}
	return s.removeAll(ctx, storage.Filter{OrganizationID: organizationID})
}

// EraseEmail deletes all invitations to an address, in every organization and with any status. It matches the address
// in any spelling. It works in one transaction and returns the number of deleted invitations. Call it when a person
// asks for their data to be erased. It is idempotent and emits no events.
//
// Only the trusted back end may call it: through [Service.As] it returns [ErrForbidden]. An invalid address is
// [ErrInvalid].
func (s *Service) EraseEmail(ctx context.Context, email string) (int, error) {
	n, err := s.eraseEmail(ctx, email)
	return n, s.wrap(ctx, "erase email", err)
}

func (s *Service) eraseEmail(ctx context.Context, email string) (int, error) {
	if err := s.checkBackend(); err != nil {
		return 0, err
	}
	key, err := CanonicalEmail(email)
	if err != nil {
		return 0, err
	}
	return s.removeAll(ctx, storage.Filter{EmailKeys: []string{key}})
}

// checkMaintenance checks what ExpireDue and Purge have in common.
func (s *Service) checkMaintenance(limit int) error {
	if err := s.checkBackend(); err != nil {
		return err
	}
	if limit < 1 || limit > maxBatch {
		return problemValue.about("limit", "must be from 1 to 100000")
	}
	return nil
}

// batches runs fn on up to limit records of query, in transactions of batchRecord, and returns how many those were. It
// reads the records again under lock, so that two processes never work on the same record.
func (s *Service) batches(ctx context.Context, limit int, query func(now time.Time) storage.Query,
	fn func(ctx context.Context, w *work, found []storage.Record) error) (int, error) {
	total := 0
	var after *storage.Record
	for total < limit {
		var last *storage.Record
		done := 0
		err := s.transact(ctx, func(ctx context.Context, w *work) error {
			last, done = nil, 0
			q := query(w.now())
			q.After = after
			q.Limit = min(batchRecord, limit-total)
			found, err := w.list(ctx, q)
			if err != nil || len(found) == 0 {
				return err
			}
			last = &found[len(found)-1]
			if found, err = w.lockRecords(ctx, q.Filter, idsOf(found)...); err != nil || len(found) == 0 {
				return err
			}
			done = len(found)
			return fn(ctx, w, found)
		})
		if err != nil {
			return total, err
		}
		total += done
		if last == nil { // nothing left
			break
		}
		if done == 0 { // another process had all of them, and our snapshot may show them for ever: continue after them
			after = last
		}
	}
	return total, nil
}

// removeAll deletes everything that matches f, in one transaction.
func (s *Service) removeAll(ctx context.Context, f storage.Filter) (int, error) {
	authorized := func(context.Context, *work) error { return nil } // checkBackend has authorized the caller
	fn := func(ctx context.Context, w *work, found []storage.Record) (int, error) {
		return len(found), remove(ctx, w, found)
	}
	return s.acrossOrganizations(ctx, f, authorized, fn)
}

func remove(ctx context.Context, w *work, found []storage.Record) error {
	_, err := w.store.Delete(ctx, idsOf(found)...)
	return err
}

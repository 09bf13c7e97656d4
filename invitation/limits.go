package invitation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// limited reports whether a limit counts something that must not change between the count and the write.
func (s *Service) limited() bool { return s.cfg.Seats != nil || s.cfg.MaxPending >= 0 }

// lockCounted locks the organization if it is limited. It precedes every row lock, so that two operations never
// deadlock.
func (w *work) lockCounted(ctx context.Context, organizationID string) error {
	if !w.limited() {
		return nil
	}
	return w.store.Lock(ctx, organizationID)
}

// quota is what must fit into an organization: its pending invitations, and what is requested.
type quota struct {
	pending, requested int
	told               bool // a refusal tells the numbers, because the caller manages invitations
}

// refuse returns the refusal of a quota.
func (q quota) refuse(long string) *Error {
	e := problemQuota.about("", long)
	if q.told {
		_ = e.with("pending", q.pending).with("requested", q.requested)
	}
	return e
}

// requireSeats requires that Config.Seats has room for q.
func (s *Service) requireSeats(ctx context.Context, organizationID string, q quota) error {
	if s.cfg.Seats == nil {
		return nil
	}
	seats, err := s.cfg.Seats(ctx, s.store, SeatsRequest{OrganizationID: organizationID})
	full := q.refuse("the organization has no free seat; free one or raise its limit")
	switch {
	case errors.Is(err, ErrQuotaExceeded) && !shown(err):
		return full.because(err)
	case err != nil:
		return callback("Config.Seats", err)
	case seats.Limit > 0 && q.pending+q.requested > seats.Limit-seats.Members:
		if q.told {
			_ = full.with("seats", seats.Limit).with("members", seats.Members)
		}
		return full
	}
	return nil
}

// countPending returns the number of pending invitations of an organization, into these roles or, if roles is nil, into
// any.
func (s *Service) countPending(ctx context.Context, organizationID string, roles []string, now time.Time) (int, error) {
	return s.store.Count(ctx, storage.Filter{
		OrganizationID: organizationID,
		Roles:          roles,
		Statuses:       []string{storage.Pending},
		Now:            now,
	})
}

// requireQuota requires that Config.MaxPending and Config.Seats have room for what an operation adds.
func (w *work) requireQuota(ctx context.Context, organizationID string, more demand, now time.Time) error {
	pending := uncounted
	if w.cfg.MaxPending >= 0 {
		var err error
		if pending, err = w.countPending(ctx, organizationID, nil, now); err != nil {
			return err
		}
		if pending+more.invitations > w.cfg.MaxPending {
			return quota{pending, more.invitations, !more.untold}.refuse(fmt.Sprintf(
				"the organization may have at most %d pending invitations; revoke some first", w.cfg.MaxPending)).
				with("max_pending", w.cfg.MaxPending)
		}
	}
	return w.requirePendingSeats(ctx, organizationID, more, pending, now)
}

// checkPause refuses to send an invitation again before Config.ResendAfter has passed.
func (w *work) checkPause(param string, r storage.Record, now time.Time) *Error {
	wait := r.SentAt.Add(w.cfg.ResendAfter).Sub(now)
	if w.cfg.ResendAfter < 0 || wait <= 0 {
		return nil
	}
	seconds := int(math.Ceil(wait.Seconds()))
	return problemTooSoon.about(param, fmt.Sprintf("the address was invited recently; try again in %d seconds", seconds)).
		with("retry_after", seconds)
}

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

// requireSeats requires that Config.Seats has room for that many more.
func (s *Service) requireSeats(ctx context.Context, organizationID string, more int) error {
	if s.cfg.Seats == nil {
		return nil
	}
	members, limit, err := s.cfg.Seats(ctx, s.store, organizationID)
	full := problemQuota.about("", "the organization has no free seat; free one or raise its limit")
	switch {
	case errors.Is(err, ErrQuotaExceeded) && !shown(err):
		return full.because(err)
	case err != nil:
		return callback("Config.Seats", err)
	case limit > 0 && more > limit-members:
		return full
	}
	return nil
}

// countPending returns the number of pending invitations of an organization.
func (s *Service) countPending(ctx context.Context, organizationID string, now time.Time) (int, error) {
	return s.store.Count(ctx, storage.Filter{
		OrganizationID: organizationID,
		Statuses:       []string{storage.Pending},
		Now:            now,
	})
}

// requireQuota requires that Config.MaxPending and Config.Seats have room for that many more pending invitations.
func (w *work) requireQuota(ctx context.Context, organizationID string, more int, now time.Time) error {
	if !w.limited() {
		return nil
	}
	pending, err := w.countPending(ctx, organizationID, now)
	if err != nil {
		return err
	}
	if w.cfg.MaxPending >= 0 && pending+more > w.cfg.MaxPending {
		return problemQuota.about("", fmt.Sprintf(
			"the organization may have at most %d pending invitations; revoke some first", w.cfg.MaxPending))
	}
	return w.requireSeats(ctx, organizationID, pending+more)
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

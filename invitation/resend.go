package invitation

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// ResendParams says who sends again, and for how long the invitation is pending then.
type ResendParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" for the back end

	ExpiresIn time.Duration // 1 second to 365 days; 0 for Config.ExpiresIn. On the wire expires_in_days
}

// Resend issues a new link for a pending or an expired invitation, voids every older one, and starts its time anew. An
// expired one is pending again. It returns the invitation, with the link but for a caller through [Service.As] (see
// Config.ManagersSeeLinks), and is not idempotent.
//
// A requesting user must be a member whose role manages and may grant the invitation's role, and becomes its inviter.
// Without one the caller is the trusted back end; the inviter stays, and must be able to grant the role now (but for
// Config.IgnoreInviterAuthority).
//
// It refuses, and then changes nothing, in this order: [ErrInvalid] parameters; [ErrNotMember] or [ErrForbidden] for
// the requesting user; [ErrNotFound]; [ErrNotPending] for one that is accepted, declined or revoked; for an expired one
// ErrNotFound for the organization; ErrForbidden for the role; for an expired one what Create refuses for its address
// (ErrForbidden, [ErrAlreadyMember], [ErrDuplicate]); [ErrTooSoon] before Config.ResendAfter has passed since it was
// last sent; for an expired one [ErrQuotaExceeded].
func (s *Service) Resend(ctx context.Context, organizationID, invitationID string, p ResendParams) (Invitation, error) {
	inv, err := s.resend(ctx, organizationID, invitationID, p)
	return inv, s.failed(ctx, "resend", err)
}

func (s *Service) resend(ctx context.Context, organizationID, invitationID string, p ResendParams) (Invitation, error) {
	if err := s.ready(); err != nil {
		return Invitation{}, err
	}
	p.RequestingUserID = s.actingUser(p.RequestingUserID)
	errs := append(checkIDs(organizationID, invitationID), checkParams("", p)...)
	if err := append(errs, checkExpiry("", p.ExpiresIn)...).err(); err != nil {
		return Invitation{}, err
	}
	var resent Invitation
	err := s.change(ctx, organizationID, func(ctx context.Context, w *work) error {
		granter, err := w.requester(ctx, organizationID, p.RequestingUserID)
		if err != nil {
			return err
		}
		r, holder, err := w.rivals(ctx, organizationID, invitationID)
		if err != nil {
			return err
		}
		now := w.now() // after every lock there was to wait for
		to, err := Status(r.EffectiveStatus(now)).on(EventResent)
		if err != nil {
			return err
		}
		expired := r.EffectiveStatus(now) == storage.Expired
		drafts := []draft{{key: r.EmailKey}} // as which an expired one is invited again
		early := w.mayGrant(ctx, r, granter, p.RequestingUserID)
		if early == nil && expired {
			early = w.mayInvite(ctx, organizationID, drafts, nil)
		}
		var late error
		if early == nil {
			late = w.mayResend(ctx, r, holder, expired, now)
		}
		if err := cmp.Or(early, late); err != nil {
			if expired {
				return w.refuse(ctx, organizationID, drafts, early, late)
			}
			return err
		}
		// A lapsed one is written expired first, and so is one that lapsed in its slot.
		for _, lapsing := range []*storage.Record{&r, holder} {
			if lapsing != nil && lapsed(*lapsing, now) {
				if err := w.expire(ctx, now, lapsing); err != nil {
					return err
				}
			}
		}
		r.Status, r.ResolvedAt, r.ResolvedBy = string(to), time.Time{}, ""
		r.ExpiresAt, r.UpdatedAt = w.expiry(now, p.ExpiresIn), now
		w.reissue(&r, p.RequestingUserID, now)
		if err := w.store.Update(ctx, r); errors.Is(err, storage.ErrExists) {
			return w.refuse(ctx, organizationID, drafts, nil, taken())
		} else if err != nil {
			return err
		}
		if expired {
			if err := w.checkMembers(ctx, organizationID, drafts); err != nil {
				return err
			}
		}
		r.Version++
		resent = w.view(r, now)
		w.note(Event{Type: EventResent, At: now, ActorID: p.RequestingUserID, Notify: true, Invitation: resent})
		resent.URL = w.issuedLink(r)
		return nil
	})
	if err != nil {
		return Invitation{}, err
	}
	return resent, nil
}

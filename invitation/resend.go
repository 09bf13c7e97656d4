package invitation

import (
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
	return inv, s.wrap(ctx, "resend", err)
}

func (s *Service) resend(ctx context.Context, organizationID, invitationID string, p ResendParams) (Invitation, error) {
	if err := s.checkReady(); err != nil {
		return Invitation{}, err
	}
	p.RequestingUserID = s.actingUser(p.RequestingUserID)
	errs := append(checkIDs(organizationID, invitationID), checkParams("", p)...)
	if err := append(errs, checkExpiry("", p.ExpiresIn)...).err(); err != nil {
		return Invitation{}, err
	}
	var resent Invitation
	err := s.change(ctx, organizationID, func(ctx context.Context, w *work) error {
		var err error
		resent, err = w.resend(ctx, organizationID, invitationID, p)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	return resent, nil
}

func (w *work) resend(ctx context.Context, organizationID, invitationID string, p ResendParams) (Invitation, error) {
	granter, err := w.requireRequester(ctx, organizationID, p.RequestingUserID)
	if err != nil {
		return Invitation{}, err
	}
	r, holder, err := w.rivals(ctx, organizationID, invitationID)
	if err != nil {
		return Invitation{}, err
	}
	// The clock is read after every lock there was to wait for.
	event := Event{Type: EventResent, At: w.now(), ActorID: p.RequestingUserID, Notify: true}
	if _, err := move(r, event); err != nil {
		return Invitation{}, err
	}
	if r.EffectiveStatus(event.At) == storage.Expired {
		return w.revive(ctx, r, holder, granter, event, p)
	}
	if err := w.authorizeGrant(ctx, r, granter, p.RequestingUserID); err != nil {
		return Invitation{}, err
	}
	if e := w.checkPause("", r, event.At); e != nil {
		return Invitation{}, e
	}
	return w.reissued(ctx, r, event, p)
}

// revive resends an expired invitation: its address is invited again, so that what Create refuses is refused here too.
func (w *work) revive(ctx context.Context, r storage.Record, holder *storage.Record, granter Role, event Event,
	p ResendParams) (Invitation, error) {
	drafts := []draft{{key: r.EmailKey}}
	early := w.authorizeGrant(ctx, r, granter, p.RequestingUserID)
	if early == nil {
		early = w.authorizeDrafts(ctx, r.OrganizationID, drafts, nil)
	}
	var late error
	if early == nil {
		late = w.requireSlot(ctx, r, holder, event.At)
	}
	if early != nil || late != nil {
		return Invitation{}, w.refusal(ctx, r.OrganizationID, drafts, early, late)
	}
	// What lapsed is written expired first: the invitation, and one that still has its slot.
	for _, lapsing := range []*storage.Record{&r, holder} {
		if lapsing != nil && lapsed(*lapsing, event.At) {
			if err := w.expire(ctx, event.At, *lapsing); err != nil {
				return Invitation{}, err
			}
			lapsing.Version++
		}
	}
	inv, err := w.reissued(ctx, r, event, p)
	if errors.Is(err, storage.ErrExists) {
		return Invitation{}, w.refusal(ctx, r.OrganizationID, drafts, nil, slotTaken())
	}
	if err == nil {
		err = w.requireNotMembers(ctx, r.OrganizationID, drafts)
	}
	return inv, err
}

// reissued writes r pending with a new link and a new expiry.
func (w *work) reissued(ctx context.Context, r storage.Record, event Event, p ResendParams) (Invitation, error) {
	c, err := move(r, event)
	if err != nil {
		return Invitation{}, err
	}
	c.record.ExpiresAt = w.expiry(event.At, p.ExpiresIn)
	w.reissue(&c.record, p.RequestingUserID, event.At)
	inv, err := w.saveOne(ctx, c)
	if err != nil {
		return Invitation{}, err
	}
	inv.URL = w.issuedLink(c.record)
	return inv, nil
}

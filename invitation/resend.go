package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// ResendParams describes who resends an invitation, and for how long it is then pending.
type ResendParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" means the back end

	ExpiresIn time.Duration // 1 second to 365 days; 0 means Config.ExpiresIn. JSON: expires_in_days
}

// Resend issues a new link for a pending or expired invitation and voids all older links. The invitation is pending
// again, with a new expiry. Resend returns it with the link; a caller through [Service.As] gets no link (see
// Config.ManagersSeeLinks). It is not idempotent.
//
// A requesting user must be a member whose role manages invitations and may grant the invitation's role. This user
// becomes the inviter. Without a requesting user the caller is the trusted back end. The inviter then does not change,
// and must still be allowed to grant the role unless Config.IgnoreInviterAuthority is set.
//
// Resend returns these errors, in this order of precedence, and then changes nothing:
//
//   - [ErrInvalid]: parameters are invalid.
//   - [ErrNotMember] or [ErrForbidden]: the requesting user is not a member, or does not manage invitations.
//   - [ErrNotFound]: the organization has no such invitation.
//   - [ErrNotPending]: the invitation is accepted, declined or revoked.
//   - ErrNotFound: the organization does not exist. This is checked only if the invitation has expired.
//   - ErrForbidden: the requesting user or the inviter may not grant the role, or the role no longer exists.
//   - ErrForbidden, [ErrAlreadyMember] or [ErrDuplicate]: the invitation has expired, and Create would refuse its
//     address.
//   - [ErrTooSoon]: Config.ResendAfter has not passed since it was last sent.
//   - [ErrQuotaExceeded]: the invitation has expired, and Config.MaxPending or Config.Seats would be exceeded.
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
	err := s.inOrganization(ctx, organizationID, func(ctx context.Context, w *work) error {
		var err error
		resent, err = w.resend(ctx, organizationID, invitationID, p)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	return resent, nil
}

// resend is Resend inside its transaction.
func (w *work) resend(ctx context.Context, organizationID, invitationID string, p ResendParams) (Invitation, error) {
	granter, err := w.requireRequester(ctx, organizationID, p.RequestingUserID)
	if err != nil {
		return Invitation{}, err
	}
	r, holder, err := w.rivals(ctx, organizationID, invitationID)
	if err != nil {
		return Invitation{}, err
	}
	// Read the clock after waiting for all locks.
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
	return w.saveReissued(ctx, r, event, p)
}

// revive resends an expired invitation. Its address is invited again, so revive refuses what Create refuses.
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
	// First store the expiry of the invitation, and of one that still holds its pending slot.
	for _, lapsing := range []*storage.Record{&r, holder} {
		if lapsing != nil && lapsed(*lapsing, event.At) {
			if err := w.expire(ctx, event.At, *lapsing); err != nil {
				return Invitation{}, err
			}
			lapsing.Version++
		}
	}
	inv, err := w.saveReissued(ctx, r, event, p)
	if errors.Is(err, storage.ErrExists) {
		return Invitation{}, w.refusal(ctx, r.OrganizationID, drafts, nil, slotTaken())
	}
	if err == nil {
		err = w.requireNotMembers(ctx, r.OrganizationID, drafts)
	}
	return inv, err
}

// saveReissued stores r as pending with a new link and a new expiry.
func (w *work) saveReissued(ctx context.Context, r storage.Record, event Event, p ResendParams) (Invitation, error) {
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

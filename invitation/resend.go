package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// ResendParams describes who resends an invitation, and what changes: its role, its expiry and whether it is mailed.
type ResendParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" means the back end

	Role      Role          // "" keeps the role; needed if the role no longer exists
	ExpiresIn time.Duration // 1 second to 365 days; 0 means Config.ExpiresIn. JSON: expires_in_days
	Silent    bool          // sets Event.Notify to false: do not send mail. JSON: notify=false
}

// Resend issues a new link for a pending or expired invitation and voids all older links. The invitation is pending
// again, with a new expiry. Resend returns it with the link; a caller through [Service.As] gets no link (see
// Config.ManagersSeeLinks). It is not idempotent.
//
// A requesting user must be a member whose role manages invitations and may grant the invitation's role. If p has a new
// role, they must be able to grant that too. This user becomes the inviter. Without a requesting user the caller is the
// trusted back end. The inviter then does not change, and must still be allowed to grant the role unless
// Config.IgnoreInviterAuthority is set.
//
// Resend returns these errors, in this order of precedence, and then changes nothing:
//
//   - [ErrInvalid]: parameters are invalid. An unknown role is also [ErrNotFound].
//   - [ErrNotMember] or [ErrForbidden]: the requesting user is not a member, or does not manage invitations.
//   - ErrNotFound: the organization has no such invitation.
//   - [ErrNotPending]: the invitation is accepted, declined or revoked.
//   - ErrNotFound: the organization does not exist. This is checked only if the invitation has expired.
//   - ErrForbidden: the requesting user or the inviter may not grant the role, or the role no longer exists and p has
//     no other.
//   - ErrForbidden: Config.AllowEmail refuses the address.
//   - [ErrAlreadyMember] or [ErrDuplicate]: the invitation has expired, and Create would refuse its address.
//   - [ErrTooSoon]: Config.ResendAfter has not passed since it was last sent, or the requesting user would exceed one
//     of Config.SendLimits.
//   - [ErrQuotaExceeded]: the invitation has expired, and Config.MaxPending or Config.Seats would be exceeded. Or it
//     gets a role that takes a seat instead of a Seatless one, and Config.Seats would be exceeded.
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
	errs = append(errs, s.checkRole(p.Role)...)
	if err := append(errs, checkExpiry("", p.ExpiresIn)...).err(); err != nil {
		return Invitation{}, err
	}
	var resent Invitation
	err := s.sendingIn(ctx, organizationID, p.RequestingUserID != "", func(ctx context.Context, w *work) error {
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
	by, err := w.requireRequester(ctx, organizationID, p.RequestingUserID)
	if err != nil {
		return Invitation{}, err
	}
	r, holder, err := w.rivals(ctx, by, organizationID, invitationID)
	if err != nil {
		return Invitation{}, err
	}
	// Read the clock after waiting for all locks.
	event := Event{Type: EventResent, At: w.now(), ActorID: p.RequestingUserID, Notify: !p.Silent}
	if _, err := move(r, event); err != nil {
		return Invitation{}, err
	}
	if r.EffectiveStatus(event.At) == storage.Expired {
		return w.revive(ctx, r, holder, by, event, p)
	}
	if err := w.authorizeResend(ctx, r, by, p); err != nil {
		return Invitation{}, err
	}
	if err := w.requireEmail(ctx, OperationResend, paramEmail, r); err != nil {
		return Invitation{}, err
	}
	if e := w.checkPause("", r, event.At); e != nil {
		return Invitation{}, e
	}
	if err := w.requireSendingOf(ctx, r, by, event.At); err != nil {
		return Invitation{}, err
	}
	if err := w.requireSeatOf(ctx, r, by, p.role(r), event.At); err != nil {
		return Invitation{}, err
	}
	return w.saveReissued(ctx, r, event, p)
}

// role returns the role that r gets.
func (p ResendParams) role(r storage.Record) Role {
	if p.Role != "" {
		return p.Role
	}
	return Role(r.Role)
}

// authorizeResend requires that the acting user, or else the inviter, may grant the role that r gets. The acting user
// must also be able to grant the role that r has.
func (w *work) authorizeResend(ctx context.Context, r storage.Record, by manager, p ResendParams) error {
	if by.userID != "" || p.Role == "" {
		if err := w.authorizeCurrent(ctx, r, by, p.Role); err != nil {
			return err
		}
	}
	if p.Role == "" {
		return nil
	}
	r.Role = string(p.Role)
	return w.authorizeGrant(ctx, r, by)
}

// revive resends an expired invitation. Its address is invited again, so revive refuses what Create refuses.
func (w *work) revive(ctx context.Context, r storage.Record, holder *storage.Record, by manager, event Event,
	p ResendParams) (Invitation, error) {
	drafts := []draft{{key: r.EmailKey}}
	early := w.authorizeResend(ctx, r, by, p)
	if early == nil {
		early = w.requireEmail(ctx, OperationResend, paramEmail, r)
	}
	var late error
	if early == nil {
		late = w.requireSlot(ctx, r, by, p.role(r), holder, event.At)
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
	c.record.Role = string(p.role(r))
	c.record.ExpiresAt = w.expiry(event.At, p.ExpiresIn)
	w.reissue(&c.record, p.RequestingUserID, event.At)
	inv, err := w.saveOne(ctx, c)
	if err != nil {
		return Invitation{}, err
	}
	inv.URL = w.issuedLink(c.record)
	return inv, nil
}

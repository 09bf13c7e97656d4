package invitation

import (
	"cmp"
	"context"
	"errors"
	"slices"
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

// mayResend makes the checks that go after the one for members: the slot, the pause, the quotas.
func (w *work) mayResend(ctx context.Context, r storage.Record, holder *storage.Record, expired bool,
	now time.Time) error {
	if expired && holder != nil && !lapsed(*holder, now) {
		return taken()
	}
	if e := w.tooSoon("", r, now); e != nil {
		return e
	}
	if !expired {
		return nil
	}
	return w.quota(ctx, r.OrganizationID, 1, now)
}

// requester checks the requesting user, where there is one, and returns their role.
func (w *work) requester(ctx context.Context, organizationID, userID string) (Role, error) {
	if userID == "" {
		return "", nil
	}
	return w.manager(ctx, organizationID, userID, paramRequesting)
}

// mayGrant checks that the role of r may be granted by whoever answers for it from now on: the acting user, or else
// its inviter.
func (w *work) mayGrant(ctx context.Context, r storage.Record, granter Role, actingUserID string) error {
	if actingUserID == "" {
		return w.authority(ctx, r)
	}
	if !w.cfg.Roles.grants(granter, Role(r.Role)) {
		return problemNotAdmin.about("", "your role may not grant the role of this invitation")
	}
	return nil
}

// reissue makes r's next ticket the only one that counts, and the acting user, if there is one, who answers for it.
func (w *work) reissue(r *storage.Record, actingUserID string, now time.Time) {
	r.Generation++
	r.SentAt = now
	if actingUserID != "" {
		r.InviterUserID = actingUserID
	}
}

// rivals reads and locks an invitation, and another one that holds its pending slot, if one does.
func (w *work) rivals(ctx context.Context, organizationID, invitationID string) (
	storage.Record, *storage.Record, error) {
	f := storage.Filter{OrganizationID: organizationID}
	q := storage.Query{Filter: f}
	q.IDs = []string{invitationID}
	found, err := w.list(ctx, q)
	if err != nil {
		return storage.Record{}, nil, err
	}
	if len(found) == 0 {
		return storage.Record{}, nil, noInvitation()
	}
	q = storage.Query{Filter: f}
	q.EmailKeys, q.StoredStatuses = []string{found[0].EmailKey}, []string{storage.Pending}
	holders, err := w.list(ctx, q)
	if err != nil {
		return storage.Record{}, nil, err
	}
	ids := []string{invitationID} // locked together, so in the order that everybody keeps
	for _, h := range holders {
		ids = append(ids, h.ID)
	}
	if found, err = w.pick(ctx, f, ids...); err != nil {
		return storage.Record{}, nil, err
	}
	at := slices.IndexFunc(found, func(r storage.Record) bool { return r.ID == invitationID })
	if at < 0 {
		return storage.Record{}, nil, noInvitation()
	}
	for _, h := range found {
		if h.ID != invitationID && h.Status == storage.Pending {
			return found[at], &h, nil
		}
	}
	return found[at], nil, nil
}

func taken() *Error {
	return problemDuplicate.about("",
		"another invitation for this address is pending in this organization; resend that one")
}

// expire writes lapsed records expired.
func (w *work) expire(ctx context.Context, now time.Time, records ...*storage.Record) error {
	moved := make([]storage.Record, len(records))
	for i, r := range records {
		if _, err := Status(r.Status).on(EventExpired); err != nil {
			return err
		}
		moved[i] = lapse(*r)
	}
	if err := w.store.Update(ctx, moved...); err != nil {
		return err
	}
	for i, r := range records {
		*r = moved[i]
		r.Version++
		w.note(Event{Type: EventExpired, At: now, Invitation: w.view(*r, now)})
	}
	return nil
}

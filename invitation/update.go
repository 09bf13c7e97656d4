package invitation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/orginvite/orginvite/storage"
)

// UpdateParams describes what to change in a pending invitation, and who changes it.
type UpdateParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" means the back end

	Role Role // "" keeps the role

	// PublicMetadata and PrivateMetadata are merge patches (RFC 7396) of at most Config.MaxMetadata. The zero value
	// changes nothing. Only the back end may change private metadata: through [Service.As] it is [ErrForbidden].
	PublicMetadata, PrivateMetadata Metadata

	// Terms are the [Invitation.Terms] that were shown. If they have changed, Update returns [ErrChanged]. Empty Terms
	// are not compared.
	Terms string `wire:"terms"`
}

// Format prints the same values as LogValue, with every verb.
func (p UpdateParams) Format(f fmt.State, _ rune) {
	printGroup(f, "invitation.UpdateParams", p.LogValue())
}

// LogValue logs the role and the terms.
func (p UpdateParams) LogValue() slog.Value {
	return slog.GroupValue(logged("role", p.Role), logged("terms", p.Terms))
}

// MarshalJSON returns the same values as LogValue, because a JSON log handler calls it.
func (p UpdateParams) MarshalJSON() ([]byte, error) { return marshalGroup(p.LogValue()) }

// Update changes the role or the metadata of a pending invitation. It returns the invitation with its current link; a
// caller through [Service.As] gets no link (see Config.ManagersSeeLinks).
//
// A new role voids all older links, so that nobody accepts a role that they were not shown. With a new role, the
// requesting user also becomes the inviter, and Event.Notify is set so that the host mails the new link. Update is
// idempotent: it writes nothing if nothing changes.
//
// A requesting user must be a member whose role manages invitations and may grant both the old and the new role.
// Without a requesting user the caller is the trusted back end. The inviter then does not change, and must be allowed
// to grant a new role unless Config.IgnoreInviterAuthority is set.
//
// Update returns these errors, in this order of precedence, and then changes nothing:
//
//   - [ErrForbidden]: private metadata through As.
//   - [ErrInvalid]: parameters are invalid. An unknown role is also [ErrNotFound].
//   - [ErrNotMember] or ErrForbidden: the requesting user is not a member, or does not manage invitations.
//   - ErrNotFound: the organization has no such invitation.
//   - [ErrNotPending]: the invitation is not pending, or has expired.
//   - [ErrChanged]: Terms are not the current ones.
//   - ErrForbidden: the requesting user may not grant the old or the new role, the inviter may not grant the new one,
//     or the old role no longer exists and the requesting user gives no new one.
//   - ErrForbidden: Config.AllowEmail refuses the address.
//   - ErrInvalid: the merged metadata would exceed Config.MaxMetadata.
//   - [ErrTooSoon]: with a new role, the requesting user would exceed one of Config.SendLimits.
//   - [ErrQuotaExceeded]: the old role is Seatless, the new one is not, and Config.Seats would be exceeded.
func (s *Service) Update(ctx context.Context, organizationID, invitationID string, p UpdateParams) (Invitation, error) {
	inv, err := s.update(ctx, organizationID, invitationID, p)
	return inv, s.wrap(ctx, "update", err)
}

func (s *Service) update(ctx context.Context, organizationID, invitationID string, p UpdateParams) (Invitation, error) {
	if err := s.checkReady(); err != nil {
		return Invitation{}, err
	}
	p.RequestingUserID = s.actingUser(p.RequestingUserID)
	if e := s.checkPrivate("", p.PrivateMetadata); e != nil {
		return Invitation{}, e
	}
	errs := append(checkIDs(organizationID, invitationID), checkParams("", p)...)
	errs = append(errs, s.checkRole(p.Role)...)
	errs = append(errs, s.checkMetadata("", p.PublicMetadata, p.PrivateMetadata)...) // here, and not while holding locks
	if err := errs.err(); err != nil {
		return Invitation{}, err
	}
	var updated Invitation
	bound := p.RequestingUserID != "" && p.Role != "" // a new role issues a link
	err := s.sendingIn(ctx, organizationID, bound, func(ctx context.Context, w *work) error {
		var err error
		updated, err = w.update(ctx, organizationID, invitationID, p)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	return updated, nil
}

// update is Update inside its transaction.
func (w *work) update(ctx context.Context, organizationID, invitationID string, p UpdateParams) (Invitation, error) {
	by, err := w.requireRequester(ctx, organizationID, p.RequestingUserID)
	if err != nil {
		return Invitation{}, err
	}
	r, err := w.lockRecord(ctx, by, organizationID, invitationID)
	if err != nil {
		return Invitation{}, err
	}
	// Read the clock after waiting for all locks.
	c, err := move(r, Event{Type: EventUpdated, At: w.now(), ActorID: p.RequestingUserID})
	if err != nil {
		return Invitation{}, err
	}
	if p.Terms != "" && p.Terms != terms(r) {
		return Invitation{}, changed()
	}
	if p.RequestingUserID != "" {
		if err := w.authorizeCurrent(ctx, r, by, p.Role); err != nil {
			return Invitation{}, err
		}
	}
	// A new role voids the mailed link, so the new link must be mailed.
	if c.event.Notify = p.Role != "" && p.Role != Role(r.Role); c.event.Notify {
		c.record.Role = string(p.Role)
		if err := w.authorizeGrant(ctx, c.record, by); err != nil {
			return Invitation{}, err
		}
		w.reissue(&c.record, p.RequestingUserID, c.event.At)
	}
	if err := w.requireEmail(ctx, OperationUpdate, "", r); err != nil {
		return Invitation{}, err
	}
	merged, err := w.merge(&c.record, p)
	if err != nil {
		return Invitation{}, err
	}
	if c.event.Notify {
		if err := w.requireSendingOf(ctx, r, by, c.event.At); err != nil {
			return Invitation{}, err
		}
	}
	if err := w.requireSeatOf(ctx, r, by, Role(c.record.Role), c.event.At); err != nil {
		return Invitation{}, err
	}
	inv := w.view(r, c.event.At)
	if c.event.Notify || merged {
		if inv, err = w.saveOne(ctx, c); err != nil {
			return Invitation{}, err
		}
	}
	inv.URL = w.issuedLink(c.record)
	return inv, nil
}

// merge applies both patches to r and reports whether they changed anything.
func (w *work) merge(r *storage.Record, p UpdateParams) (bool, error) {
	public, private := storedMetadata(r.PublicMetadata), storedMetadata(r.PrivateMetadata)
	touched := false
	for _, m := range []struct{ stored, patch *Metadata }{{&public, &p.PublicMetadata}, {&private, &p.PrivateMetadata}} {
		merged, err := m.stored.Merge(*m.patch)
		if err != nil {
			return false, err
		}
		if !same(merged, *m.stored) { // an equal object keeps its bytes
			*m.stored, touched = merged, true
		}
	}
	if !touched {
		return false, nil
	}
	r.PublicMetadata, r.PrivateMetadata = public.bytes(), private.bytes()
	return true, w.checkMetadata("", public, private).err()
}

// same reports whether a and b differ only in white space.
func same(a, b Metadata) bool {
	var x, y bytes.Buffer
	return a == b || json.Compact(&x, a.bytes()) == nil && json.Compact(&y, b.bytes()) == nil && x.String() == y.String()
}

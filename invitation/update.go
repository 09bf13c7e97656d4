package invitation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/orginvite/orginvite/storage"
)

// UpdateParams says what changes about a pending invitation, and who changes it.
type UpdateParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" for the back end

	Role Role // "" leaves it as it is

	// Merge patches (RFC 7396) of up to Config.MaxMetadata; the zero value changes nothing. Private metadata is the back
	// end's alone: through [Service.As] it is ErrForbidden.
	PublicMetadata, PrivateMetadata Metadata

	Terms string `wire:"terms"` // the [Invitation.Terms] that were shown; "" is not compared
}

// Format prints what LogValue logs, whatever the verb.
func (p UpdateParams) Format(f fmt.State, _ rune) {
	printGroup(f, "invitation.UpdateParams", p.LogValue())
}

// LogValue logs what is to change, without metadata.
func (p UpdateParams) LogValue() slog.Value {
	return slog.GroupValue(logged("role", p.Role), logged("terms", p.Terms))
}

// MarshalJSON shows what LogValue logs, for params that are logged inside of something else.
func (p UpdateParams) MarshalJSON() ([]byte, error) { return marshalGroup(p.LogValue()) }

// Update changes the role or the metadata of a pending invitation, and returns it, with its current link but for a
// caller through [Service.As] (see Config.ManagersSeeLinks). Another role voids every older link, so that nobody
// accepts what they were not shown; it makes the requesting user the inviter, and its event says that the new link is
// to be mailed. Update is idempotent, but for the link of another role: what changes nothing is not written.
//
// A requesting user must be a member whose role manages, and may grant both the old and the new role. Without one the
// caller is the trusted back end; for another role the inviter stays, and must be able to grant it now (but for
// Config.IgnoreInviterAuthority).
//
// It refuses, and then changes nothing, in this order: [ErrForbidden] for private metadata through As; [ErrInvalid]
// parameters, an unknown role among them, which is [ErrNotFound] too; [ErrNotMember] or ErrForbidden for the
// requesting user; ErrNotFound; [ErrNotPending] for one
// that is resolved or has lapsed; [ErrChanged] for other Terms; ErrForbidden for a role; ErrInvalid for metadata
// that the patch makes larger than Config.MaxMetadata.
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
	if p.Role != "" && !s.cfg.Roles.knows(p.Role) {
		errs = append(errs, unknownRole(""))
	}
	errs = append(errs, s.checkMetadata("", p.PublicMetadata, p.PrivateMetadata)...) // not under the locks
	if err := errs.err(); err != nil {
		return Invitation{}, err
	}
	var updated Invitation
	err := s.change(ctx, organizationID, func(ctx context.Context, w *work) error {
		var err error
		updated, err = w.update(ctx, organizationID, invitationID, p)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	return updated, nil
}

func (w *work) update(ctx context.Context, organizationID, invitationID string, p UpdateParams) (Invitation, error) {
	granter, err := w.requireRequester(ctx, organizationID, p.RequestingUserID)
	if err != nil {
		return Invitation{}, err
	}
	r, err := w.lockRecord(ctx, organizationID, invitationID)
	if err != nil {
		return Invitation{}, err
	}
	// The clock is read after every lock there was to wait for.
	c, err := move(r, Event{Type: EventUpdated, At: w.now(), ActorID: p.RequestingUserID})
	if err != nil {
		return Invitation{}, err
	}
	if p.Terms != "" && p.Terms != terms(r) {
		return Invitation{}, changed()
	}
	if p.RequestingUserID != "" { // the old role
		if err := w.authorizeGrant(ctx, r, granter, p.RequestingUserID); err != nil {
			return Invitation{}, err
		}
	}
	// Another role voids the mailed link, and the new one is to be mailed.
	if c.event.Notify = p.Role != "" && p.Role != Role(r.Role); c.event.Notify {
		c.record.Role = string(p.Role)
		if err := w.authorizeGrant(ctx, c.record, granter, p.RequestingUserID); err != nil {
			return Invitation{}, err
		}
		w.reissue(&c.record, p.RequestingUserID, c.event.At)
	}
	merged, err := w.merge(&c.record, p)
	if err != nil {
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

// merge applies both patches to r, and reports whether they changed anything.
func (w *work) merge(r *storage.Record, p UpdateParams) (bool, error) {
	public, private := storedMetadata(r.PublicMetadata), storedMetadata(r.PrivateMetadata)
	touched := false
	for _, m := range []struct{ stored, patch *Metadata }{{&public, &p.PublicMetadata}, {&private, &p.PrivateMetadata}} {
		merged, err := m.stored.Merge(*m.patch)
		if err != nil {
			return false, err
		}
		if !same(merged, *m.stored) { // else it keeps its very bytes
			*m.stored, touched = merged, true
		}
	}
	if !touched {
		return false, nil
	}
	r.PublicMetadata, r.PrivateMetadata = public.bytes(), private.bytes()
	return true, w.checkMetadata("", public, private).err()
}

// same reports whether a and b differ in nothing but blanks.
func same(a, b Metadata) bool {
	var x, y bytes.Buffer
	return a == b || json.Compact(&x, a.bytes()) == nil && json.Compact(&y, b.bytes()) == nil && x.String() == y.String()
}

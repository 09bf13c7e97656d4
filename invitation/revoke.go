package invitation

import (
	"context"

	"github.com/orginvite/orginvite/storage"
)

// RevokeParams says who revokes.
type RevokeParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" for the back end
}

// Revoke takes a pending invitation back: its link leads nowhere any more, and the address may be invited anew. With
// a requesting user that user must be a member whose role manages; they need not be able to grant its role.
//
// It refuses, and then changes nothing, in this order: [ErrInvalid] parameters; [ErrNotMember] or [ErrForbidden];
// [ErrNotFound]; [ErrNotPending] for one that is resolved, revoked before, or lapsed.
func (s *Service) Revoke(ctx context.Context, organizationID, invitationID string, p RevokeParams) (Invitation, error) {
	inv, err := s.revoke(ctx, organizationID, invitationID, p)
	return inv, failed("revoke", err)
}

func (s *Service) revoke(ctx context.Context, organizationID, invitationID string, p RevokeParams) (Invitation, error) {
	if err := s.ready(); err != nil {
		return Invitation{}, err
	}
	p.RequestingUserID = s.actingUser(p.RequestingUserID)
	errs := append(checkIDs(organizationID, invitationID), checkParams("", p)...)
	if err := errs.err(); err != nil {
		return Invitation{}, err
	}
	var revoked Invitation
	err := s.change(ctx, organizationID, func(ctx context.Context, w *work) error {
		if p.RequestingUserID != "" {
			if _, err := w.manager(ctx, organizationID, p.RequestingUserID, paramRequesting); err != nil {
				return err
			}
		}
		var r storage.Record
		r, err := w.one(ctx, organizationID, invitationID)
		if err != nil {
			return err
		}
		now := w.now() // after every lock there was to wait for
		if err := resolve(&r, EventRevoked, p.RequestingUserID, now); err != nil {
			return err
		}
		if err := w.store.Update(ctx, r); err != nil {
			return err
		}
		r.Version++
		revoked = w.view(r, now)
		w.note(Event{Type: EventRevoked, At: now, ActorID: p.RequestingUserID, Invitation: revoked})
		return nil
	})
	if err != nil {
		return Invitation{}, err
	}
	return revoked, nil
}

package invitation

import (
	"context"
	"fmt"

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
	return inv, s.wrap(ctx, "revoke", err)
}

func (s *Service) revoke(ctx context.Context, organizationID, invitationID string, p RevokeParams) (Invitation, error) {
	if err := s.checkReady(); err != nil {
		return Invitation{}, err
	}
	p.RequestingUserID = s.actingUser(p.RequestingUserID)
	errs := append(checkIDs(organizationID, invitationID), checkParams("", p)...)
	if err := errs.err(); err != nil {
		return Invitation{}, err
	}
	var revoked Invitation
	err := s.change(ctx, organizationID, func(ctx context.Context, w *work) error {
		if _, err := w.requireRequester(ctx, organizationID, p.RequestingUserID); err != nil {
			return err
		}
		r, err := w.lockRecord(ctx, organizationID, invitationID)
		if err != nil {
			return err
		}
		// The clock is read after every lock there was to wait for.
		c, err := move(r, Event{Type: EventRevoked, At: w.now(), ActorID: p.RequestingUserID})
		if err != nil {
			return err
		}
		revoked, err = w.saveOne(ctx, c)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	return revoked, nil
}

// RevokeAllParams says whose invitations are taken back. At least one of InviterUserID and EmailAddresses is needed;
// with both, those that match both.
type RevokeAllParams struct {
	OrganizationID string `wire:"organization_id" validate:"bytes=128,text"` // "" for every organization

	InviterUserID  string   `wire:"inviter_user_id" validate:"bytes=128,text"` // who invited
	EmailAddresses []string // who was invited, in any spelling

	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" for the back end
}

// RevokeAll revokes all pending invitations that somebody made, or that were made to somebody, in one transaction, and
// returns how many they were; it is what off-boarding calls. Config.OnEvents is told of 500 at a time. A requesting user must be a member whose role manages, in
// the one organization that must be named then; over several only the back end may. It is idempotent.
//
// It refuses, and then changes nothing: [ErrInvalid] parameters, the lack of a criterion among them; [ErrNotMember] or
// [ErrForbidden].
func (s *Service) RevokeAll(ctx context.Context, p RevokeAllParams) (int, error) {
	n, err := s.revokeAll(ctx, p)
	return n, s.wrap(ctx, "revoke all", err)
}

func (s *Service) revokeAll(ctx context.Context, p RevokeAllParams) (int, error) {
	if err := s.checkReady(); err != nil {
		return 0, err
	}
	p.RequestingUserID = s.actingUser(p.RequestingUserID)
	f := storage.Filter{
		OrganizationID: p.OrganizationID,
		InviterUserID:  p.InviterUserID,
		StoredStatuses: []string{storage.Pending},
	}
	var errs collector
	errs.add(checkParams("", p)...)
	if p.InviterUserID == "" && len(p.EmailAddresses) == 0 {
		errs.add(problemMissing.about(paramInviter, "say whose invitations are meant: name an inviter or addresses"))
	}
	if p.RequestingUserID != "" && p.OrganizationID == "" {
		errs.add(problemMissing.about(paramOrganization, "is required with a requesting user"))
	}
	for i, a := range p.EmailAddresses {
		key, e := canonicalEmail(fmt.Sprintf("email_addresses[%d]", i), a)
		if e != nil {
			errs.add(e)
		}
		f.EmailKeys = append(f.EmailKeys, key)
	}
	if err := errs.err(); err != nil {
		return 0, err
	}
	may := func(ctx context.Context, w *work) error {
		_, err := w.requireRequester(ctx, p.OrganizationID, p.RequestingUserID)
		return err
	}
	return s.changeAcross(ctx, f, may, func(ctx context.Context, w *work, found []storage.Record) (int, error) {
		now := w.now() // after every lock there was to wait for
		var changes []change
		for _, r := range found {
			if lapsed(r, now) {
				continue
			}
			c, err := move(r, Event{Type: EventRevoked, At: now, ActorID: p.RequestingUserID})
			if err != nil {
				return 0, err
			}
			changes = append(changes, c)
		}
		_, err := w.save(ctx, changes...)
		return len(changes), err
	})
}

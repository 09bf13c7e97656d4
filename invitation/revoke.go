package invitation

import (
	"context"
	"fmt"

	"github.com/orginvite/orginvite/storage"
)

// RevokeParams describes who revokes an invitation.
type RevokeParams struct {
	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" means the back end
}

// Revoke revokes a pending invitation. Its link stops working, and the address may be invited again. A requesting user
// must be a member whose role manages invitations. This role does not need to grant the invitation's role.
//
// Revoke returns these errors, in this order of precedence, and then changes nothing:
//
//   - [ErrInvalid]: parameters are invalid.
//   - [ErrNotMember] or [ErrForbidden]: the requesting user is not a member, or does not manage invitations.
//   - [ErrNotFound]: the organization has no such invitation.
//   - [ErrNotPending]: the invitation is not pending, or has expired. So a second call returns ErrNotPending.
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
	err := s.inOrganization(ctx, organizationID, func(ctx context.Context, w *work) error {
		by, err := w.requireRequester(ctx, organizationID, p.RequestingUserID)
		if err != nil {
			return err
		}
		r, err := w.lockRecord(ctx, by, organizationID, invitationID)
		if err != nil {
			return err
		}
		// Read the clock after waiting for all locks.
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

// RevokeAllParams selects the invitations to revoke. InviterUserID, EmailAddresses or both are required. With both, an
// invitation must match both.
type RevokeAllParams struct {
	// OrganizationID is required with a requesting user. "" means every organization.
	OrganizationID string `wire:"organization_id" validate:"bytes=128,text"`

	InviterUserID  string   `wire:"inviter_user_id" validate:"bytes=128,text"` // the user who invited
	EmailAddresses []string // the addresses that were invited, in any spelling

	RequestingUserID string `wire:"requesting_user_id" validate:"bytes=128,text"` // "" means the back end
}

// RevokeAll revokes all pending invitations from a user or to an address, in one transaction, and returns how many.
// Call it when a person leaves. It calls Config.OnEvents once for every 500 invitations. It is idempotent.
//
// A requesting user must be a member whose role manages invitations in p.OrganizationID. With
// [RoleDefinition].ManagesOwn, RevokeAll revokes only those that this user sent. Only the trusted back end may revoke
// in all organizations at once.
//
// RevokeAll returns these errors, in this order of precedence, and then changes nothing:
//
//   - [ErrInvalid]: parameters are invalid, or a required one is missing.
//   - [ErrNotMember] or [ErrForbidden]: the requesting user is not a member, or does not manage invitations.
func (s *Service) RevokeAll(ctx context.Context, p RevokeAllParams) (int, error) {
	n, err := s.revokeAll(ctx, p)
	return n, s.wrap(ctx, "revoke all", err)
}

func (s *Service) revokeAll(ctx context.Context, p RevokeAllParams) (int, error) {
	if err := s.checkReady(); err != nil {
		return 0, err
	}
	p.RequestingUserID = s.actingUser(p.RequestingUserID)
	f, err := p.filter()
	if err != nil {
		return 0, err
	}
	var by manager
	authorize := func(ctx context.Context, w *work) (err error) {
		by, err = w.requireRequester(ctx, p.OrganizationID, p.RequestingUserID)
		return err
	}
	revoke := func(ctx context.Context, w *work, found []storage.Record) (int, error) {
		now := w.now() // after waiting for all locks
		var changes []change
		for _, r := range found {
			if lapsed(r, now) || !by.covers(r) {
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
	}
	return s.acrossOrganizations(ctx, f, authorize, revoke)
}

// filter checks all parameters together and returns the filter for the invitations they select.
func (p RevokeAllParams) filter() (storage.Filter, error) {
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
	return f, errs.err()
}

package invitation

import (
	"context"

	"github.com/orginvite/orginvite/storage"
)

// Grantable returns the roles that a user may invite others into, in the order of [Roles.All]. It is for the select box
// of a page that invites. The list is empty if the role of the user grants none. It writes nothing.
//
// Through [Service.As] userID must be empty or the user of As. Without As, an empty userID means the trusted back end,
// which may grant every role.
//
// Grantable returns these errors, in this order of precedence:
//
//   - [ErrForbidden]: userID is not the user of As.
//   - [ErrInvalid]: an id is invalid.
//   - [ErrNotMember]: the user is not a member.
func (s *Service) Grantable(ctx context.Context, organizationID, userID string) ([]RoleDefinition, error) {
	roles, err := s.grantable(ctx, organizationID, userID)
	return roles, s.wrapRead(ctx, "grantable", err)
}

func (s *Service) grantable(ctx context.Context, organizationID, userID string) ([]RoleDefinition, error) {
	if err := s.checkReady(); err != nil {
		return nil, err
	}
	userID, err := s.subject(userID)
	if err != nil {
		return nil, err
	}
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		return nil, e
	}
	all := s.cfg.Roles.All()
	if userID == "" {
		return all, nil
	}
	if e := checkText(paramUser, userID, storage.MaxReference); e != nil {
		return nil, e
	}
	role, err := s.askRole(ctx, organizationID, userID)
	switch {
	case notMember(err):
		return nil, notAMember(paramUser, err)
	case err != nil:
		return nil, directory("Role", paramOrganization, err)
	}
	granted := []RoleDefinition{}
	for _, d := range all {
		if s.cfg.Roles.grants(role, d.Key) {
			granted = append(granted, d)
		}
	}
	return granted, nil
}

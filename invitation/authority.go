package invitation

import (
	"context"
	"errors"

	"github.com/orginvite/orginvite/storage"
)

// checkBackend refuses operations that only the trusted back end may call.
func (s *Service) checkBackend() error {
	if err := s.checkReady(); err != nil {
		return err
	}
	if s.actor != nil {
		return problemNotAllowed.about("", "only the application itself may do this")
	}
	return nil
}

// actingUser returns the user who acts: the user of As if there is one, otherwise userID.
func (s *Service) actingUser(userID string) string {
	if s.actor != nil {
		return *s.actor
	}
	return userID
}

// subject returns the user that an operation is about. Through As it is the user of As; naming another user is an
// error.
func (s *Service) subject(userID string) (string, error) {
	if s.actor == nil || userID == *s.actor {
		return userID, nil
	}
	if userID != "" {
		return "", problemNotAllowed.about(paramUser, "must be the signed-in user, or left out")
	}
	return *s.actor, nil
}

// askRole asks the Directory for a user's role. An empty role without an error means that the user is not a member.
func (s *Service) askRole(ctx context.Context, organizationID, userID string) (Role, error) {
	role, err := s.dir.Role(ctx, s.store, organizationID, userID)
	if err == nil && role == "" {
		err = ErrNotMember
	}
	return role, err
}

// notMember reports whether Directory.Role returned ErrNotMember, and not an *Error of its own.
func notMember(err error) bool { return errors.Is(err, ErrNotMember) && !shown(err) }

// checkManages refuses a user whose role does not manage invitations. role and err are the answer of askRole.
func (s *Service) checkManages(role Role, err error, param string) error {
	switch {
	case notMember(err):
		return problemNotMember.about(param, "this user is not a member of this organization").because(err)
	case err != nil:
		return directory("Role", paramOrganization, err)
	case !s.cfg.Roles.manages(role):
		return problemNotAdmin.about(param, "the role of this user does not manage invitations")
	}
	return nil
}

// requireManager requires that a user's role manages invitations, and returns the role. param is the parameter that
// names the user.
func (s *Service) requireManager(ctx context.Context, organizationID, userID, param string) (Role, error) {
	role, err := s.askRole(ctx, organizationID, userID)
	return role, s.checkManages(role, err, param)
}

// requireReader requires that the user of As, if there is one, manages invitations.
func (s *Service) requireReader(ctx context.Context, organizationID string) (Role, error) {
	if s.actor == nil {
		return "", nil
	}
	return s.requireManager(ctx, organizationID, *s.actor, paramUser)
}

// requireRequester requires that the requesting user, if there is one, manages invitations, and returns their role.
func (w *work) requireRequester(ctx context.Context, organizationID, userID string) (Role, error) {
	if userID == "" {
		return "", nil
	}
	return w.requireManager(ctx, organizationID, userID, paramRequesting)
}

// requireInviters requires that all inviters manage invitations, and returns their roles. It asks for each role once.
func (w *work) requireInviters(ctx context.Context, organizationID string, drafts []draft) (map[string]Role, error) {
	type lookup struct {
		role Role
		err  error
	}
	answers := map[string]lookup{}
	roles := map[string]Role{}
	var errs collector
	for _, d := range drafts {
		if d.InviterUserID == "" {
			continue
		}
		a, asked := answers[d.InviterUserID]
		if !asked {
			a.role, a.err = w.askRole(ctx, organizationID, d.InviterUserID)
			answers[d.InviterUserID] = a
		}
		if err := w.checkManages(a.role, a.err, d.at+paramInviter); err != nil {
			refused := refusals(err)
			if refused == nil {
				return nil, err
			}
			errs.add(refused...)
		}
		roles[d.InviterUserID] = a.role
	}
	return roles, errs.err()
}

// authorizeGrant requires that the acting user may grant the role of r. Without an acting user, the inviter must.
func (w *work) authorizeGrant(ctx context.Context, r storage.Record, granter Role, actingUserID string) error {
	if actingUserID == "" {
		return w.authorizeInviter(ctx, r)
	}
	if !w.cfg.Roles.grants(granter, Role(r.Role)) {
		return problemNotAdmin.about("", "your role may not grant the role of this invitation")
	}
	return nil
}

// authorizeInviter refuses a role that no longer exists, or that the inviter may no longer grant.
func (s *Service) authorizeInviter(ctx context.Context, r storage.Record) error {
	role := Role(r.Role)
	if !s.cfg.Roles.knows(role) {
		return problemNotAllowed.about("", "the role of this invitation no longer exists; ask for another invitation")
	}
	if r.InviterUserID != "" && !s.cfg.IgnoreInviterAuthority {
		inviter, err := s.askRole(ctx, r.OrganizationID, r.InviterUserID)
		if err != nil && !notMember(err) {
			return directory("Role", paramOrganization, err)
		}
		if err != nil || !s.cfg.Roles.grants(inviter, role) {
			return problemNotAllowed.about("",
				"the person who invited may no longer grant this role; ask for another invitation").because(err)
		}
	}
	return nil
}

// authorizeDrafts requires that the inviters may grant the roles, and then that Config.AllowEmail allows the addresses.
// It precedes the check for members.
func (w *work) authorizeDrafts(ctx context.Context, organizationID string, drafts []draft,
	granters map[string]Role) error {
	var errs collector
	for _, d := range drafts {
		if role, acting := granters[d.InviterUserID]; acting {
			if !w.cfg.Roles.grants(role, d.Role) {
				errs.add(problemNotAdmin.about(d.at+"role", "the inviter's role may not grant this role"))
			}
		}
	}
	if err := errs.err(); err != nil {
		return err
	}
	for _, d := range drafts {
		refused, err := w.authorizeEmail(ctx, organizationID, d)
		if err != nil {
			return err
		}
		errs.add(refused...)
	}
	return errs.err()
}

// authorizeEmail asks Config.AllowEmail. It returns what was refused, or an internal error.
func (w *work) authorizeEmail(ctx context.Context, organizationID string, d draft) (Errors, error) {
	if w.cfg.AllowEmail == nil {
		return nil, nil
	}
	err := w.cfg.AllowEmail(ctx, w.store, organizationID, d.key)
	switch own := refusals(err); {
	case err == nil || own != nil:
		return own, nil
	case errors.Is(err, ErrForbidden):
		return Errors{
			problemNotAllowed.about(d.email(), "the address may not be invited into this organization").because(err),
		}, nil
	}
	return nil, callback("Config.AllowEmail", err)
}

// checkAllPrivate applies checkPrivate to all params.
func (s *Service) checkAllPrivate(ps []CreateParams, at func(int) string) error {
	var errs collector
	for i, p := range ps {
		if e := s.checkPrivate(at(i), p.PrivateMetadata); e != nil {
			errs.add(e)
		}
	}
	return errs.err()
}

// checkPrivate refuses private metadata through As: only the back end may set it, because it becomes part of the
// membership.
func (s *Service) checkPrivate(prefix string, private Metadata) *Error {
	if s.actor == nil || private == (Metadata{}) {
		return nil
	}
	return problemNotAllowed.about(prefix+paramPrivate, "only the application itself may set this; leave it out")
}

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

func notAMember(param string, cause error) *Error {
	return problemNotMember.about(param, "this user is not a member of this organization").because(cause)
}

// checkManages refuses a user whose role does not manage invitations. role and err are the answer of askRole.
func (s *Service) checkManages(role Role, err error, param string) error {
	switch {
	case notMember(err):
		return notAMember(param, err)
	case err != nil:
		return directory("Role", paramOrganization, err)
	case !s.cfg.Roles.invites(role):
		return problemNotAdmin.about(param, "the role of this user does not manage invitations")
	}
	return nil
}

// requireManager requires that a user's role manages invitations. param is the parameter that names the user.
func (s *Service) requireManager(ctx context.Context, organizationID, userID, param string) (manager, error) {
	role, err := s.askRole(ctx, organizationID, userID)
	if err := s.checkManages(role, err, param); err != nil {
		return manager{}, err
	}
	return s.manager(userID, role), nil
}

// manager returns the manager that a user with this role is.
func (s *Service) manager(userID string, role Role) manager {
	return manager{userID, role, s.cfg.Roles.defs[role].ManagesOwn}
}

// requireReader requires that the user of As, if there is one, manages invitations.
func (s *Service) requireReader(ctx context.Context, organizationID string) (manager, error) {
	if s.actor == nil {
		return manager{}, nil
	}
	return s.requireManager(ctx, organizationID, *s.actor, paramUser)
}

// requireRequester requires that the requesting user, if there is one, manages invitations.
func (w *work) requireRequester(ctx context.Context, organizationID, userID string) (manager, error) {
	if userID == "" {
		return manager{}, nil
	}
	return w.requireManager(ctx, organizationID, userID, paramRequesting)
}

// requireInviters requires that all inviters manage invitations, and returns them by user id. It asks for each role
// once.
func (w *work) requireInviters(ctx context.Context, organizationID string, drafts []draft) (map[string]manager, error) {
	type lookup struct {
		role Role
		err  error
	}
	answers := map[string]lookup{}
	inviters := map[string]manager{}
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
		inviters[d.InviterUserID] = w.manager(d.InviterUserID, a.role)
	}
	return inviters, errs.err()
}

// authorizeGrant requires that the acting user may grant the role of r. Without an acting user, the inviter must.
func (w *work) authorizeGrant(ctx context.Context, r storage.Record, by manager) error {
	if by.userID == "" {
		return w.authorizeInviter(ctx, r)
	}
	if !w.cfg.Roles.grants(by.role, Role(r.Role)) {
		return problemNotAdmin.about("", "your role may not grant the role of this invitation")
	}
	return nil
}

// authorizeCurrent requires that the acting user, or else the inviter, may grant the role that r has. Nobody can grant
// a role that no longer exists: then a new role is required, and only that one needs to be granted.
func (w *work) authorizeCurrent(ctx context.Context, r storage.Record, by manager, role Role) error {
	switch {
	case w.cfg.Roles.knows(Role(r.Role)):
		return w.authorizeGrant(ctx, r, by)
	case role == "":
		return problemNotAllowed.about("role", "the role of this invitation no longer exists; give it one that does")
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
func (w *work) authorizeDrafts(ctx context.Context, operation Operation, organizationID string, drafts []draft,
	inviters map[string]manager) error {
	var errs collector
	for _, d := range drafts {
		if by, acting := inviters[d.InviterUserID]; acting {
			if !w.cfg.Roles.grants(by.role, d.Role) {
				errs.add(problemNotAdmin.about(d.at+"role", "the inviter's role may not grant this role"))
			}
		}
	}
	if err := errs.err(); err != nil {
		return err
	}
	for _, d := range drafts {
		refused, err := w.allowEmail(ctx, d.email(), AllowEmailRequest{operation, organizationID, d.key})
		if err != nil {
			return err
		}
		errs.add(refused...)
	}
	return errs.err()
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

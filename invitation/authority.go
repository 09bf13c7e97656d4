package invitation

import (
	"context"
	"errors"

	"github.com/orginvite/orginvite/storage"
)

// checkBackend refuses what As may not do.
func (s *Service) checkBackend() error {
	if err := s.checkReady(); err != nil {
		return err
	}
	if s.actor != nil {
		return problemNotAllowed.about("", "only the application itself may do this")
	}
	return nil
}

// actingUser is who acts where the caller names userID: the user of As, if there is one.
func (s *Service) actingUser(userID string) string {
	if s.actor != nil {
		return *s.actor
	}
	return userID
}

// subject is the user an operation is about where the caller names userID: As fills in its own user, and refuses
// any other.
func (s *Service) subject(userID string) (string, error) {
	if s.actor == nil || userID == *s.actor {
		return userID, nil
	}
	if userID != "" {
		return "", problemNotAllowed.about(paramUser, "must be the signed-in user, or left out")
	}
	return *s.actor, nil
}

// askRole asks for a user's role. A Directory that has none to tell, and says nothing of it, knows no member.
func (s *Service) askRole(ctx context.Context, organizationID, userID string) (Role, error) {
	role, err := s.dir.Role(ctx, s.store, organizationID, userID)
	if err == nil && role == "" {
		err = ErrNotMember
	}
	return role, err
}

// notMember reports whether Directory.Role said that the user is no member, and nothing of its own.
func notMember(err error) bool { return errors.Is(err, ErrNotMember) && !shown(err) }

// checkManages judges what is known of a user's role.
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

// requireManager checks that a user's role manages invitations, and returns the role. param names the user.
func (s *Service) requireManager(ctx context.Context, organizationID, userID, param string) (Role, error) {
	role, err := s.askRole(ctx, organizationID, userID)
	return role, s.checkManages(role, err, param)
}

// requireReader checks the acting user of a read, where there is one.
func (s *Service) requireReader(ctx context.Context, organizationID string) (Role, error) {
	if s.actor == nil {
		return "", nil
	}
	return s.requireManager(ctx, organizationID, *s.actor, paramUser)
}

// requireRequester checks the requesting user, where there is one, and returns their role.
func (w *work) requireRequester(ctx context.Context, organizationID, userID string) (Role, error) {
	if userID == "" {
		return "", nil
	}
	return w.requireManager(ctx, organizationID, userID, paramRequesting)
}

// requireInviters returns the roles of the users who invite, each asked for once.
func (w *work) requireInviters(ctx context.Context, organizationID string, drafts []draft) (map[string]Role, error) {
	type answer struct {
		role Role
		err  error
	}
	answers := map[string]answer{}
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

// authorizeGrant checks that the role of r may be granted by whoever answers for it from now on: the acting user, or else
// its inviter.
func (w *work) authorizeGrant(ctx context.Context, r storage.Record, granter Role, actingUserID string) error {
	if actingUserID == "" {
		return w.authorizeInviter(ctx, r)
	}
	if !w.cfg.Roles.grants(granter, Role(r.Role)) {
		return problemNotAdmin.about("", "your role may not grant the role of this invitation")
	}
	return nil
}

// authorizeInviter refuses a role that nobody knows any more, or that the inviter may not grant now.
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

// authorizeDrafts makes the checks that go before the one for members: the ceiling, then AllowEmail.
func (w *work) authorizeDrafts(ctx context.Context, organizationID string, drafts []draft, granters map[string]Role) error {
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

// authorizeEmail asks Config.AllowEmail: refusals, or an internal error.
func (w *work) authorizeEmail(ctx context.Context, organizationID string, d draft) (Errors, error) {
	if w.cfg.AllowEmail == nil {
		return nil, nil
	}
	err := w.cfg.AllowEmail(ctx, w.store, organizationID, d.key)
	switch own := refusals(err); {
	case err == nil || own != nil:
		return own, nil
	case errors.Is(err, ErrForbidden):
		return Errors{problemNotAllowed.about(d.email(), "the address may not be invited into this organization").because(err)}, nil
	}
	return nil, callback("Config.AllowEmail", err)
}

// checkAllPrivate refuses private metadata where a user acts by As: it is between the application and itself, and lands
// on the membership.
func (s *Service) checkAllPrivate(ps []CreateParams, at func(int) string) error {
	var errs collector
	for i, p := range ps {
		if e := s.checkPrivate(at(i), p.PrivateMetadata); e != nil {
			errs.add(e)
		}
	}
	return errs.err()
}

func (s *Service) checkPrivate(prefix string, private Metadata) *Error {
	if s.actor == nil || private == (Metadata{}) {
		return nil
	}
	return problemNotAllowed.about(prefix+paramPrivate, "only the application itself may set this; leave it out")
}

package invitation

import "context"

// Delete deletes one invitation that is accepted, declined, revoked or expired. Deleting emits no event. But if an
// invitation has lapsed and is still stored as pending, Delete first stores its expiry, with [EventExpired]. Deleted
// invitations no longer count for Config.SendLimits.
//
// Only the trusted back end may call it. Delete returns these errors, in this order of precedence, and then changes
// nothing:
//
//   - [ErrForbidden]: through [Service.As].
//   - [ErrInvalid]: an id is invalid.
//   - [ErrNotFound]: the organization has no such invitation. So a second call returns ErrNotFound.
//   - [ErrPending]: the invitation is pending. Revoke it first, so that its link is known to be void.
func (s *Service) Delete(ctx context.Context, organizationID, invitationID string) error {
	return s.wrap(ctx, "delete", s.delete(ctx, organizationID, invitationID))
}

func (s *Service) delete(ctx context.Context, organizationID, invitationID string) error {
	if err := s.checkBackend(); err != nil {
		return err
	}
	if err := checkIDs(organizationID, invitationID).err(); err != nil {
		return err
	}
	return s.inOrganization(ctx, organizationID, func(ctx context.Context, w *work) error {
		r, err := w.lockRecord(ctx, manager{}, organizationID, invitationID)
		if err != nil {
			return err
		}
		now := w.now() // after waiting for all locks
		switch {
		case lapsed(r, now):
			if err := w.expire(ctx, now, r); err != nil {
				return err
			}
		case Status(r.Status) == StatusPending:
			return problemPending.about("", "the invitation is pending; revoke it first")
		}
		_, err = w.store.Delete(ctx, r.ID)
		return err
	})
}

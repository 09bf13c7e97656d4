package invitation

import (
	"context"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// SeatsRequest is what [Config].Seats gets.
type SeatsRequest struct {
	OrganizationID string // the organization whose members are to be counted
}

// SeatsResult is what [Config].Seats returns.
type SeatsResult struct {
	Members int // members who take a seat; leave out members whose role is Seatless
	Limit   int // seats of the organization; 0 or less means no limit
}

// demand is what an operation adds to the pending invitations of an organization. The numbers may be negative, because
// a new invitation may replace another one.
type demand struct {
	invitations int
	seats       int
	seated      bool // some new invitation takes a seat; otherwise Config.Seats is not asked
	untold      bool // a refusal tells no numbers, because the caller manages only their own invitations
}

// add counts a new invitation into a role.
func (d *demand) add(roles *Roles, role Role) {
	d.invitations++
	if roles.takesSeat(role) {
		d.seats++
		d.seated = true
	}
}

// drop counts out a pending invitation that is replaced or gets another role.
func (d *demand) drop(roles *Roles, role Role) {
	d.invitations--
	if roles.takesSeat(role) {
		d.seats--
	}
}

// uncounted stands for a number of pending invitations that is not known yet.
const uncounted = -1

// requirePendingSeats requires that Config.Seats has room for the members, the pending invitations and what is added.
// pending is the number of all pending invitations of the organization, or uncounted.
func (w *work) requirePendingSeats(ctx context.Context, organizationID string, more demand, pending int,
	now time.Time) error {
	if w.cfg.Seats == nil || !more.seated {
		return nil
	}
	if seated := w.cfg.Roles.seated; pending == uncounted || seated != nil {
		var err error
		if pending, err = w.countPending(ctx, organizationID, seated, now); err != nil {
			return err
		}
	}
	return w.requireSeats(ctx, organizationID, quota{pending, more.seats, !more.untold})
}

// requireSeatOf requires a seat for a pending invitation that gets another role and takes none yet.
func (w *work) requireSeatOf(ctx context.Context, r storage.Record, by manager, role Role, now time.Time) error {
	more := demand{untold: by.own}
	more.drop(w.cfg.Roles, Role(r.Role))
	more.add(w.cfg.Roles, role)
	if more.seats <= 0 {
		return nil
	}
	return w.requirePendingSeats(ctx, r.OrganizationID, more, uncounted, now)
}

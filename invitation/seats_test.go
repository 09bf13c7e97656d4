package invitation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

const guest = invitation.Role("org:guest")

// withGuests returns the default roles and a guest who takes no seat.
func withGuests(t testing.TB) *invitation.Roles {
	t.Helper()
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: invitation.RoleAdmin, Manages: true,
			Grants: []invitation.Role{invitation.RoleAdmin, invitation.RoleMember, guest}},
		invitation.RoleDefinition{Key: invitation.RoleMember},
		invitation.RoleDefinition{Key: guest, Seatless: true})
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

// full is a Config whose organizations have no seat left after ann and bob.
func full(w *world) *invitation.Config {
	return &invitation.Config{Roles: withGuests(w.t), Seats: w.host.Seats(2, guest), ResendAfter: -1}
}

var noSeat = []refusal{{403, "organization_membership_quota_exceeded", ""}}

// Guests are invited and accept although no seat is free. Pending guests take no seat from members.
func TestSeatlessTakesNoSeat(t *testing.T) {
	w := setup(t, nil)
	w.svc = w.service(w.host, full(w))
	create := func(email string, role invitation.Role) (invitation.Invitation, error) {
		return w.svc.Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: email, Role: role, InviterUserID: "ann", ExpiresIn: time.Hour,
		})
	}
	carls, err := create("carl@example.com", guest)
	w.is.NoErr(err)
	doras, err := create("dora@example.com", guest)
	w.is.NoErr(err)
	w.refuses(invitation.ErrQuotaExceeded, noSeat, func() error {
		_, err := create("x@example.com", invitation.RoleMember)
		return err
	})
	_, err = w.svc.Preview(w.ctx, ticketOf(t, carls))
	w.is.NoErr(err)
	w.is.NoErr(w.accept(byTicket(t, carls, "carl")))
	w.clock.Set(doras.ExpiresAt)
	_, err = w.svc.Resend(w.ctx, "acme", doras.ID, invitation.ResendParams{})
	w.is.NoErr(err) // an expired guest is invited again

	cfg := full(w)
	cfg.Seats = w.host.Seats(3, guest) // one seat is free: neither carl nor dora has it
	w.svc = w.service(w.host, cfg)
	_, err = create("x@example.com", invitation.RoleMember)
	w.is.NoErr(err)
	w.refuses(invitation.ErrQuotaExceeded, noSeat, func() error {
		_, err := create("y@example.com", invitation.RoleMember)
		return err
	})
}

// In a bulk only the items whose role takes a seat need one. A guest counts for MaxPending like anybody else.
func TestSeatlessInABulk(t *testing.T) {
	w := setup(t, nil)
	cfg := full(w)
	cfg.Seats, cfg.MaxPending = w.host.Seats(3, guest), 4
	w.svc = w.service(w.host, cfg)
	bulk := func(roles ...invitation.Role) func() error {
		return func() error {
			var ps []invitation.CreateParams
			for i, role := range roles {
				ps = append(ps, invitation.CreateParams{EmailAddress: string(rune('a'+i)) + "@example.com", Role: role})
			}
			_, err := w.svc.CreateBulk(w.ctx, "acme", ps)
			return err
		}
	}
	w.refuses(invitation.ErrQuotaExceeded, noSeat, bulk(guest, invitation.RoleMember, invitation.RoleMember))
	w.refuses(invitation.ErrQuotaExceeded, noSeat, bulk(guest, guest, guest, guest, guest))
	w.is.NoErr(bulk(guest, invitation.RoleMember, guest)())
}

// An invitation that no longer is a guest's takes a seat: by Update, by Resend, or by Replace.
func TestSeatlessNoMore(t *testing.T) {
	w := setup(t, nil)
	w.svc = w.service(w.host, full(w))
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "carl@example.com", Role: guest})
	w.is.NoErr(err)
	promote := func() error {
		_, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleMember})
		return err
	}
	replace := func() error {
		_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "carl@example.com", Role: invitation.RoleMember, Replace: true,
		})
		return err
	}
	w.refuses(invitation.ErrQuotaExceeded, noSeat, promote)
	w.refuses(invitation.ErrQuotaExceeded, noSeat, replace)
	w.refuses(invitation.ErrQuotaExceeded, noSeat, func() error {
		_, err := w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{Role: invitation.RoleMember})
		return err
	})
	_, err = w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		PublicMetadata: mustMetadata(t, `{"team":"x"}`),
	})
	w.is.NoErr(err) // still a guest

	cfg := full(w)
	cfg.Seats = w.host.Seats(3, guest)
	w.svc = w.service(w.host, cfg)
	w.is.NoErr(promote())
	w.is.NoErr(replace()) // the seat of the replaced invitation is free
	w.host.AddMember("acme", "eve", invitation.RoleMember)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: guest, Replace: true,
	})
	w.is.NoErr(err) // a guest may replace a member even if no seat is free
}

// Without a Seatless role, one count serves both limits. Without a new seat, nothing is counted for Seats.
func TestCountsForSeats(t *testing.T) {
	for name, tt := range map[string]struct {
		roles      *invitation.Roles
		maxPending int
		role       invitation.Role
		want       int
	}{
		"Seats":                          {nil, -1, invitation.RoleMember, 1},
		"both":                           {nil, 9, invitation.RoleMember, 1},
		"Seatless, a member":             {withGuests(t), -1, invitation.RoleMember, 1},
		"Seatless, a member, MaxPending": {withGuests(t), 9, invitation.RoleMember, 2},
		"Seatless, a guest":              {withGuests(t), -1, guest, 0},
		"Seatless, a guest, MaxPending":  {withGuests(t), 9, guest, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			svc := w.service(w.host, &invitation.Config{Roles: tt.roles, MaxPending: tt.maxPending, Seats: w.host.Seats(9)})
			calls := &tally{}
			_, err := svc.WithStorage(tallied{w.host.Storage(), calls}).Create(w.ctx, "acme",
				invitation.CreateParams{EmailAddress: "x@example.com", Role: tt.role})
			w.is.NoErr(err)
			w.is.Equal(calls.of("Count"), tt.want)
		})
	}
}

// Seats is not asked for guests, and gets the organization.
func TestSeatsRequest(t *testing.T) {
	w := setup(t, nil)
	var asked []invitation.SeatsRequest
	boom := errors.New("boom")
	seats := func(_ context.Context, _ storage.Storage, r invitation.SeatsRequest) (invitation.SeatsResult, error) {
		asked = append(asked, r)
		return invitation.SeatsResult{}, boom
	}
	w.svc = w.service(w.host, &invitation.Config{Roles: withGuests(t), Seats: seats})
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "carl@example.com", Role: guest})
	w.is.NoErr(err)
	w.is.NoErr(w.accept(byTicket(t, inv, "carl")))
	w.is.Equal(asked, nil)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "x@example.com", Role: invitation.RoleMember,
	})
	w.is.True(errors.Is(err, boom))
	w.is.Equal(asked, []invitation.SeatsRequest{{OrganizationID: "acme"}})
}

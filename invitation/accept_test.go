package invitation_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

func byTicket(t testing.TB, inv invitation.Invitation, userID string) invitation.AcceptParams {
	return invitation.AcceptParams{Ticket: ticketOf(t, inv), UserID: userID}
}

func byIDs(inv invitation.Invitation, userID string) invitation.AcceptParams {
	return invitation.AcceptParams{OrganizationID: inv.OrganizationID, InvitationID: inv.ID, UserID: userID}
}

func (w *world) accept(p invitation.AcceptParams) error {
	_, err := w.svc.Accept(w.ctx, p)
	return err
}

func TestAccept(t *testing.T) {
	for name, params := range map[string]func(invitation.Invitation) invitation.AcceptParams{
		"by ticket": func(inv invitation.Invitation) invitation.AcceptParams { return byTicket(t, inv, "carl") },
		"by ids":    func(inv invitation.Invitation) invitation.AcceptParams { return byIDs(inv, "carl") },
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			public, private := mustMetadata(t, `{"team":"red"}`), mustMetadata(t, `{"source":"crm"}`)
			inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "CARL@example.com", Role: invitation.RoleAdmin, InviterUserID: "ann",
				PublicMetadata: public, PrivateMetadata: private})
			w.is.NoErr(err)
			w.clock.Advance(time.Hour)
			w.events = nil
			p := params(inv)
			p.Terms = inv.Terms
			got, err := w.svc.Accept(w.ctx, p)
			w.is.NoErr(err)

			want := inv
			want.URL, want.Status = "", invitation.StatusAccepted
			want.ResolvedBy, want.ResolvedAt, want.UpdatedAt = "carl", noon.Add(time.Hour), noon.Add(time.Hour)
			w.is.Equal(got, want)
			w.is.Equal(w.get(inv), want)
			w.is.Equal(w.events, []invitation.Event{{Type: invitation.EventAccepted, At: noon.Add(time.Hour),
				ActorID: "carl", UserID: "carl", Invitation: want}})
			w.is.Equal(w.host.Members("acme")[2], invitation.Membership{
				OrganizationID: "acme", UserID: "carl", InvitationID: inv.ID, InviterUserID: "ann",
				EmailAddress: "CARL@example.com", Role: invitation.RoleAdmin, PublicMetadata: public, PrivateMetadata: private})
		})
	}
}

func TestAcceptRefusesParameters(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	is422 := func(code, param string) refusal { return refusal{422, code, param} }
	for name, tt := range map[string]struct {
		p    invitation.AcceptParams
		want []refusal
	}{
		"nothing": {invitation.AcceptParams{}, []refusal{is422("form_param_missing", "user_id"),
			is422("form_param_missing", "organization_id"), is422("form_param_missing", "invitation_id")}},
		"no invitation": {invitation.AcceptParams{OrganizationID: "acme", UserID: "carl"}, []refusal{
			is422("form_param_missing", "invitation_id"),
		}},
		"ids, but no user": {byIDs(inv, ""), []refusal{is422("form_param_missing", "user_id")}},
		"a long user": {byTicket(t, inv, strings.Repeat("u", 129)), []refusal{
			is422("form_param_exceeds_allowed_size", "user_id"),
		}},
		"control characters": {byTicket(t, inv, "ca\x00rl"), []refusal{is422("form_param_format_invalid", "user_id")}},
		"a long id": {invitation.AcceptParams{OrganizationID: "acme", InvitationID: strings.Repeat("i", 65), UserID: "carl"},
			[]refusal{is422("form_param_exceeds_allowed_size", "invitation_id")}},
		"a long organization": {invitation.AcceptParams{
			OrganizationID: strings.Repeat("o", 129), InvitationID: inv.ID, UserID: "carl",
		},
			[]refusal{is422("form_param_exceeds_allowed_size", "organization_id")}},
		"controls in ids": {invitation.AcceptParams{OrganizationID: "ac\nme", InvitationID: "i\x00", UserID: "carl"},
			[]refusal{
				is422("form_param_format_invalid", "organization_id"), is422("form_param_format_invalid", "invitation_id"),
			}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(invitation.ErrInvalid, tt.want, func() error { return w.accept(tt.p) })
			w.refuses(invitation.ErrInvalid, tt.want, func() error {
				_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(tt.p))
				return err
			})
		})
	}
	longest := invitation.AcceptParams{
		OrganizationID: strings.Repeat("o", 128), InvitationID: strings.Repeat("i", 64), UserID: strings.Repeat("u", 128),
	}
	w.is.True(errors.Is(w.accept(longest), invitation.ErrNotFound)) // there is no such user, but there may be
}

// As for Create, everything is wrong at first, and each step fixes one thing. So the steps show the precedence of the
// errors.
func TestAcceptRefusesInOrder(t *testing.T) {
	w := setup(t, nil)
	w.host.AddMember("acme", "carl", invitation.RoleMember) // removed later, so not a member when the check runs
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dora@example.com", Role: invitation.RoleAdmin, InviterUserID: "ann"})
	w.is.NoErr(err)
	w.host.AddUser("dora", "dora@unverified.example")
	w.host.RemoveMember("acme", "ann")
	w.clock.Set(inv.ExpiresAt)
	joinErr := &invitation.Error{Status: 400, Code: "no_room", Message: "No", LongMessage: "No room"}
	host := &failing{Host: w.host, join: joinErr}
	w.svc = w.service(host, &invitation.Config{Seats: w.host.Seats(2)})
	w.host.AddMember("acme", "eve", invitation.RoleMember)

	p := byTicket(t, inv, "nobody")
	p.Terms = "others"
	forged := p
	forged.Ticket = "x" + p.Ticket[1:]
	step := func(p invitation.AcceptParams, sentinel error, want refusal) {
		t.Helper()
		w.refuses(sentinel, []refusal{want}, func() error { return w.accept(p) })
	}
	step(forged, invitation.ErrInvalidTicket, refusal{400, "ticket_invalid_code", ""})
	step(p, invitation.ErrNotFound, refusal{404, "resource_not_found", "user_id"})
	p.UserID = "dora"
	step(p, invitation.ErrNotInvitee, refusal{403, "organization_invitation_identification_not_exist", ""})
	w.host.AddUser("dora", "broken", "DORA@example.com")
	step(p, invitation.ErrExpired, refusal{400, "ticket_expired_code", ""})
	w.clock.Set(inv.ExpiresAt.Add(-time.Microsecond))
	step(p, invitation.ErrChanged, refusal{409, "resource_conflict", "terms"})
	p.Terms = inv.Terms
	step(p, invitation.ErrForbidden, refusal{403, "not_allowed_access", ""}) // the inviter is no longer a member
	w.host.AddMember("acme", "ann", invitation.RoleMember)
	step(p, invitation.ErrForbidden, refusal{403, "not_allowed_access", ""}) // or has been demoted
	w.host.AddMember("acme", "ann", invitation.RoleAdmin)
	step(p, invitation.ErrQuotaExceeded, refusal{403, "organization_membership_quota_exceeded", ""})
	w.host.RemoveMember("acme", "eve")
	w.host.RemoveMember("acme", "carl")
	w.host.RemoveMember("acme", "bob")
	w.refuses(joinErr, []refusal{{400, "no_room", ""}}, func() error { return w.accept(p) })
	host.join = nil
	w.is.NoErr(w.accept(p))
	w.is.Equal(len(w.host.Members("acme")), 2) // the last seat
}

// By ids a missing invitation, somebody else's, and one of another organization are the same refusal (C06, C20).
func TestAcceptByIDsTellsNothing(t *testing.T) {
	w := setup(t, nil)
	mine, hers := w.invite("carl@example.com"), w.invite("dora@example.com")
	_, err := w.svc.Revoke(w.ctx, "acme", hers.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	var texts []string
	for _, p := range []invitation.AcceptParams{
		byIDs(hers, "carl"),
		{OrganizationID: "acme", InvitationID: "orginv_missing", UserID: "carl"},
		{OrganizationID: "other", InvitationID: mine.ID, UserID: "carl"},
		{OrganizationID: "nowhere", InvitationID: mine.ID, UserID: "carl"},
	} {
		w.refuses(invitation.ErrNotInvitee, []refusal{
			{403, "organization_invitation_identification_not_exist", ""},
		}, func() error {
			err := w.accept(p)
			texts = append(texts, err.Error())
			return err
		})
	}
	for _, text := range texts {
		w.is.Equal(text, texts[0])
	}
}

func TestAcceptResolved(t *testing.T) {
	w := setup(t, nil)
	resolve := map[string]func(inv invitation.Invitation){
		"revoked": func(inv invitation.Invitation) {
			_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			w.is.NoErr(err)
		},
		"declined": func(inv invitation.Invitation) {
			_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "carl")))
			w.is.NoErr(err)
		},
		"expired": func(inv invitation.Invitation) { w.clock.Set(inv.ExpiresAt) },
	}
	for name, tt := range map[string]struct {
		accept, decline error
		code            refusal
	}{
		"revoked": {invitation.ErrRevoked, invitation.ErrNotPending, refusal{
			400, "organization_invitation_revoked_code", "",
		}},
		"declined": {invitation.ErrNotPending, nil, refusal{404, "organization_invitation_not_pending", ""}},
		"expired":  {invitation.ErrExpired, nil, refusal{400, "ticket_expired_code", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			w = setup(t, nil)
			inv := w.invite("carl@example.com")
			resolve[name](inv)
			for _, p := range []invitation.AcceptParams{byTicket(t, inv, "carl"), byIDs(inv, "carl")} {
				w.refuses(tt.accept, []refusal{tt.code}, func() error { return w.accept(p) })
				var tr *invitation.TransitionError
				w.is.True(errors.As(w.accept(p), &tr))
				w.is.Equal(*tr, invitation.TransitionError{From: invitation.Status(name), Event: invitation.EventAccepted})
			}
			_, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
			w.is.True(errors.Is(err, tt.accept)) // Preview refuses what Accept refuses
			_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			w.is.True(errors.Is(err, invitation.ErrNotPending))
			_, err = w.svc.Link(w.ctx, "acme", inv.ID)
			w.is.True(errors.Is(err, invitation.ErrNotPending))
			for _, p := range []invitation.AcceptParams{byTicket(t, inv, "carl"), byIDs(inv, "carl")} {
				_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(p))
				w.is.True(errors.Is(err, tt.decline))
			}
		})
	}
}

// A user who accepts again gets the same answer, without a second Join, whatever Terms says. Nobody else does (C04).
func TestAcceptAgain(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.host.AddUser("twin", "carl@example.com") // has verified the same address
	first, err := w.svc.Accept(w.ctx, byTicket(t, inv, "carl"))
	w.is.NoErr(err)
	w.clock.Advance(365 * 24 * time.Hour)
	w.host.AddMember("acme", "carl", invitation.RoleAdmin) // promoted in the meantime
	events, members := len(w.events), w.host.Members("acme")
	for _, p := range []invitation.AcceptParams{byTicket(t, inv, "carl"), byIDs(inv, "carl")} {
		p.Terms = "others"
		again, err := w.svc.Accept(w.ctx, p)
		w.is.NoErr(err)
		w.is.Equal(again, first)
	}
	w.is.Equal(len(w.events), events)
	w.is.Equal(w.host.Members("acme"), members) // the role is kept
	taken := []refusal{{400, "organization_invitation_already_accepted", ""}}
	w.refuses(invitation.ErrAccepted, taken, func() error { return w.accept(byTicket(t, inv, "twin")) })
	_, err = w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, invitation.ErrAccepted))

	w.host.RemoveMember("acme", "carl")
	// a removed member cannot come back (C10)
	w.refuses(invitation.ErrAccepted, taken, func() error { return w.accept(byTicket(t, inv, "carl")) })
}

// A member keeps their role: an invitation does not promote, demote or duplicate them (C11).
func TestAcceptByAMember(t *testing.T) {
	for name, host := range map[string]func(w *world) invitation.Directory{
		"known before": func(w *world) invitation.Directory { return w.host },
		"found by Join": func(w *world) invitation.Directory {
			return &failing{Host: w.host, join: invitation.ErrAlreadyMember}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			w.svc = w.service(host(w), &invitation.Config{Seats: w.host.Seats(4)})
			inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "carl@example.com", Role: invitation.RoleAdmin, InviterUserID: "ann"})
			w.is.NoErr(err)
			if name == "known before" {
				w.host.AddMember("acme", "carl", invitation.RoleMember) // without an invitation
				w.host.AddMember("acme", "dora", invitation.RoleMember) // the last seat
				w.host.RemoveMember("acme", "ann")                      // no authority left
			}
			members := w.host.Members("acme")
			got, err := w.svc.Accept(w.ctx, byIDs(inv, "carl"))
			w.is.NoErr(err)
			w.is.Equal(got.Status, invitation.StatusAccepted)
			w.is.Equal(w.host.Members("acme"), members)
		})
	}
}

// What Join wrote before it found a member is rolled back, and the events come once. The same holds in a transaction of
// the host's.
func TestAcceptUndoesJoinOfAMember(t *testing.T) {
	w := setup(t, nil)
	w.host.AddUser("eve", "eve@example.com")
	left := func(id string) storage.Record {
		return storage.Record{ID: id, OrganizationID: "left behind", EmailAddress: id, EmailKey: id, Role: "r",
			Status: "accepted", CreatedAt: noon, UpdatedAt: noon, ExpiresAt: noon}
	}
	joins := 0
	dir := &customJoin{Host: w.host, join: func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
		joins++
		return errors.Join(tx.Insert(ctx, left(m.UserID)), invitation.ErrAlreadyMember)
	}}
	svc := w.service(dir, nil)
	accept := func(svc *invitation.Service, user string) error {
		inv := w.invite(user + "@example.com")
		w.events = nil
		_, err := svc.Accept(w.ctx, byIDs(inv, user))
		return err
	}
	w.is.NoErr(accept(svc, "carl"))
	w.is.Equal(len(w.events), 1)
	w.is.Equal(joins, 1)
	w.is.NoErr(w.host.Storage().RunInTx(w.ctx, func(_ context.Context, tx storage.Storage) error {
		inv, err := svc.WithStorage(tx).Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "eve@example.com", Role: invitation.RoleMember})
		if err != nil {
			return err
		}
		_, err = svc.WithStorage(tx).Accept(w.ctx, byIDs(inv, "eve"))
		return err
	}))
	n, err := w.host.Storage().Count(w.ctx, storage.Filter{OrganizationID: "left behind"})
	w.is.NoErr(err)
	w.is.Equal(n, 0)

	boom := errors.New("boom") // any other error of Join fails the call
	dir.join = func(context.Context, storage.Storage, invitation.Membership) error { return boom }
	inv := w.invite("dora@example.com")
	for _, svc := range []*invitation.Service{svc, svc.WithStorage(w.host.Storage())} {
		_, err := svc.Accept(w.ctx, byIDs(inv, "dora"))
		w.is.True(errors.Is(err, boom) && strings.Contains(err.Error(), "Directory.Join: boom"))
	}
}

// customJoin is a host with another Join.
type customJoin struct {
	*invitationtest.Host
	join func(context.Context, storage.Storage, invitation.Membership) error
}

func (j *customJoin) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	return j.join(ctx, tx, m)
}

func TestAcceptAuthority(t *testing.T) {
	three, err := invitation.NewRoles(
		invitation.RoleDefinition{
			Key: "org:owner", Manages: true, Grants: []invitation.Role{"org:owner", "org:admin", "org:member"},
		},
		invitation.RoleDefinition{Key: "org:admin", Manages: true, Grants: []invitation.Role{"org:member"}},
		invitation.RoleDefinition{Key: "org:member"})
	if err != nil {
		t.Fatal(err)
	}
	roleGone, err := invitation.NewRoles(invitation.RoleDefinition{Key: "org:owner", Manages: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		role    invitation.Role // of the invitation
		inviter string
		change  func(w *world)
		cfg     invitation.Config
		refused bool
	}{
		"unchanged": {"org:admin", "ann", func(*world) {}, invitation.Config{Roles: three}, false},
		"inviter gone": {"org:member", "ann", func(w *world) {
			w.host.RemoveMember(
				"acme", "ann",
			)
		}, invitation.Config{Roles: three}, true},
		"inviter demoted below it": {"org:admin", "ann", func(w *world) {
			w.host.AddMember(
				"acme", "ann", "org:admin",
			)
		}, invitation.Config{Roles: three}, true},
		"inviter demoted, still enough": {"org:member", "ann", func(w *world) {
			w.host.AddMember(
				"acme", "ann", "org:admin",
			)
		}, invitation.Config{Roles: three}, false},
		"inviter's role unknown": {"org:member", "ann", func(w *world) {
			w.host.AddMember(
				"acme", "ann", "org:ghost",
			)
		}, invitation.Config{Roles: three}, true},
		"by the back end": {"org:owner", "", func(*world) {}, invitation.Config{Roles: three}, false},
		"kept without inviter": {"org:admin", "ann", func(w *world) {
			w.host.RemoveMember(
				"acme", "ann",
			)
		}, invitation.Config{Roles: three, IgnoreInviterAuthority: true}, false},
		"role gone": {"org:member", "", func(*world) {}, invitation.Config{Roles: roleGone}, true},
		"role gone, kept without inviter": {"org:member", "ann", func(*world) {}, invitation.Config{
			Roles: roleGone, IgnoreInviterAuthority: true,
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, &invitation.Config{Roles: three})
			w.host.AddMember("acme", "ann", "org:owner")
			inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "carl@example.com", Role: tt.role, InviterUserID: tt.inviter,
			})
			w.is.NoErr(err)
			tt.change(w)
			w.svc = w.service(w.host, &tt.cfg)
			_, preview := w.svc.Preview(w.ctx, ticketOf(t, inv))
			if !tt.refused {
				w.is.NoErr(preview)
				w.is.NoErr(w.accept(byIDs(inv, "carl")))
				return
			}
			w.is.True(errors.Is(preview, invitation.ErrForbidden)) // the page says so before the click
			w.refuses(invitation.ErrForbidden, []refusal{
				{403, "not_allowed_access", ""},
			}, func() error { return w.accept(byIDs(inv, "carl")) })
			got := w.get(inv) // and it can still be read (C27)
			if name == "role gone" {
				w.is.Equal(got.RoleName, "org:member")
			}
		})
	}
}

func TestTicketProvesEmail(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("new@example.com")
	w.svc = w.service(w.host, &invitation.Config{TicketProvesEmail: true})
	w.refuses(invitation.ErrNotInvitee, []refusal{
		{403, "organization_invitation_identification_not_exist", ""},
	}, func() error {
		return w.accept(byIDs(inv, "carl")) // ids alone are never enough
	})
	got, err := w.svc.Accept(w.ctx, byTicket(t, inv, "carl"))
	w.is.NoErr(err)
	w.is.Equal(got.ResolvedBy, "carl")
}

func TestAcceptReturnsCallbackErrors(t *testing.T) {
	boom := errors.New("boom")
	for name, make := range map[string]func(w *world) *invitation.Service{
		"Directory.Role": func(w *world) *invitation.Service { return w.service(&failing{Host: w.host, role: boom}, nil) },
		"Directory.VerifiedEmails": func(w *world) *invitation.Service {
			return w.service(&failing{Host: w.host, verifiedEmails: boom}, nil)
		},
		"Directory.Join": func(w *world) *invitation.Service { return w.service(&failing{Host: w.host, join: boom}, nil) },
		"Config.Seats": func(w *world) *invitation.Service {
			return w.service(w.host, &invitation.Config{
				Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
					return invitation.SeatsResult{}, boom
				},
			})
		},
		"Config.OnEvents": func(w *world) *invitation.Service {
			return w.service(w.host, &invitation.Config{
				OnEvents: func(context.Context, storage.Storage, []invitation.Event) error { return boom },
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			inv := w.invite("carl@example.com")
			svc := make(w)
			w.refuses(boom, nil, func() error {
				_, err := svc.Accept(w.ctx, byIDs(inv, "carl"))
				w.is.True(strings.Contains(err.Error(), "accept: "+name+": boom"))
				return err
			})
			w.is.Equal(w.get(inv).Status, invitation.StatusPending)
			w.is.NoErr(w.accept(byIDs(inv, "carl"))) // it can be accepted again
		})
	}
}

// A panic of the host continues, and nothing is written.
func TestAcceptPanics(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	svc := w.service(w.host, &invitation.Config{
		OnEvents: func(context.Context, storage.Storage, []invitation.Event) error { panic("host") },
	})
	func() {
		defer func() { w.is.Equal(recover(), "host") }()
		_, _ = svc.Accept(w.ctx, byIDs(inv, "carl"))
	}()
	w.is.Equal(w.get(inv).Status, invitation.StatusPending)
	w.is.Equal(len(w.host.Members("acme")), 2)
	w.is.NoErr(w.accept(byIDs(inv, "carl")))
}

// Accept and revoke at the same moment: accepted exactly when there is a member (C05); two users, one membership (C04).
func TestAcceptRaces(t *testing.T) {
	for range 200 {
		w := setup(t, nil)
		w.host.AddUser("twin", "carl@example.com")
		inv := w.invite("carl@example.com")
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.accept(byTicket(t, inv, "carl")) })
		wg.Go(func() { _ = w.accept(byIDs(inv, "twin")) })
		wg.Go(func() { _, _ = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{}) })
		wg.Wait()
		joined := len(w.host.Members("acme")) - 2
		want := map[invitation.Status]int{invitation.StatusAccepted: 1, invitation.StatusRevoked: 0}
		n, resolved := want[w.get(inv).Status]
		w.is.True(resolved)
		w.is.Equal(joined, n)
	}
}

// Four users accept at once, and no more join than there are seats (C21).
func TestAcceptSeatsConcurrently(t *testing.T) {
	w := setup(t, nil)
	var invs []invitation.Invitation
	for _, user := range []string{"u1", "u2", "u3", "u4"} {
		w.host.AddUser(user, user+"@example.com")
		invs = append(invs, w.invite(user+"@example.com"))
	}
	w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(4)})
	var wg sync.WaitGroup
	for i, user := range []string{"u1", "u2", "u3", "u4"} {
		wg.Go(func() { _ = w.accept(byIDs(invs[i], user)) })
	}
	wg.Wait()
	w.is.Equal(len(w.host.Members("acme")), 4)
}

type silent struct{ *failing }

func (silent) Role(context.Context, storage.Storage, string, string) (invitation.Role, error) {
	return "", nil
}

// Only the user who answered gets the same invitation again, and not another user with the same address.
func TestAnswerIsRepeatedOnlyToItsUser(t *testing.T) {
	w := setup(t, nil)
	w.host.AddUser("twin", "carl@example.com")
	declined := w.invite("carl@example.com")
	_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(declined, "carl")))
	w.is.NoErr(err)
	_, err = w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(declined, "twin")))
	w.is.True(errors.Is(err, invitation.ErrNotPending))
	accepted := w.invite("carl@example.com")
	w.is.NoErr(w.accept(byIDs(accepted, "carl")))
	w.host.AddMember("acme", "twin", invitation.RoleMember)
	w.is.True(errors.Is(w.accept(byIDs(accepted, "twin")), invitation.ErrAccepted))
}

// A directory that scans an empty result without an error has not found a member.
func TestEmptyRoleIsNotAMember(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	dir := &silent{&failing{Host: w.host}}
	w.svc = w.service(dir, &invitation.Config{IgnoreInviterAuthority: true})
	got, err := w.svc.Accept(w.ctx, byIDs(inv, "carl"))
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusAccepted)
	w.is.Equal(len(w.host.Members("acme")), 3) // Join was called
	_, err = w.svc.As("ann").Get(w.ctx, "acme", inv.ID)
	w.is.True(errors.Is(err, invitation.ErrNotMember))
}

// If the directory fails, nobody joins, and the error is internal.
func TestRoleErrorIsInternal(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {})) // by the back end
	w.is.NoErr(err)
	boom := errors.New("boom")
	svc := w.service(&failing{Host: w.host, role: boom}, nil)
	w.refuses(boom, nil, func() error { _, err := svc.Accept(w.ctx, byIDs(inv, "carl")); return err })
	ticket := ticketOf(t, w.invite("dora@example.com"))
	w.refuses(boom, nil, func() error { _, err := svc.Preview(w.ctx, ticket); return err })
}

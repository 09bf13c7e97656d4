package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// stage is a host with a service, in memory or on a database: ann is the admin of acme, u0 to u39 are users.
type stage struct {
	people
	t     *testing.T
	is    *is.I
	ctx   context.Context
	clock *clock.Fake
	store storage.Storage
	dir   invitation.Directory
	svc   *invitation.Service
}

// people makes the changes in the host that bypass the library.
type people interface {
	addUser(id, email string)
	setRole(organizationID, userID string, role invitation.Role)
	remove(organizationID, userID string)
	roles(organizationID string) map[string]invitation.Role
}

// onStages runs fn in memory and on every engine.
func onStages(t *testing.T, fn func(t *testing.T, s *stage)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		host := invitationtest.NewHost()
		host.AddOrganization(invitation.Organization{ID: "acme"})
		host.AddOrganization(invitation.Organization{ID: "other"})
		s := &stage{people: inMemory{host}, t: t, is: is.New(t), ctx: t.Context(), store: host.Storage(), dir: host,
			clock: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
		for i := range 40 {
			s.addUser(fmt.Sprintf("u%d", i), fmt.Sprintf("u%d@example.com", i))
		}
		s.addUser("ann", "ann@example.com")
		s.setRole("acme", "ann", invitation.RoleAdmin)
		s.svc = s.with(invitation.Config{})
		fn(t, s)
	})
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		h := build(t, db, invitation.Config{})
		fn(t, &stage{
			people: inSQL{h, t.Context()}, t: t, is: h.is, ctx: t.Context(), clock: h.clock, store: h.store, dir: h.host,
			svc: h.svc,
		})
	})
}

func (s *stage) with(cfg invitation.Config) *invitation.Service {
	cfg.Clock, cfg.AcceptURL, cfg.TicketKeys = s.clock, "https://app.example.com/join", [][]byte{make([]byte, 32)}
	svc, err := invitation.NewService(s.store, s.dir, &cfg)
	s.is.NoErr(err)
	return svc
}

// seats is a Config.Seats that counts the host's members.
func (s *stage) seats(limit int) seatsFunc {
	if m, ok := s.people.(inMemory); ok {
		return m.host.Seats(limit)
	}
	return func(ctx context.Context, tx storage.Storage, r invitation.SeatsRequest) (invitation.SeatsResult, error) {
		n, err := bunstore.DB(tx).NewSelect().Model((*hostMember)(nil)).
			Where("organization_id = ?", r.OrganizationID).Count(ctx)
		return invitation.SeatsResult{Members: int(n), Limit: limit}, err
	}
}

func (s *stage) invite(email string, role invitation.Role) invitation.Invitation {
	inv, err := s.svc.Create(s.ctx, "acme", invitation.CreateParams{EmailAddress: email, Role: role, InviterUserID: "ann"})
	s.is.NoErr(err)
	return inv
}

func (s *stage) status(inv invitation.Invitation) invitation.Status {
	got, err := s.svc.Get(s.ctx, inv.OrganizationID, inv.ID)
	s.is.NoErr(err)
	return got.Status
}

func (s *stage) pending() int {
	page, err := s.svc.List(s.ctx, "acme", invitation.ListParams{Statuses: []invitation.Status{invitation.StatusPending}})
	s.is.NoErr(err)
	return page.TotalCount
}

// refused fails unless the error is this refusal. Goroutines may call it.
func (s *stage) refused(err, sentinel error) {
	s.t.Helper()
	if !errors.Is(err, sentinel) {
		s.t.Errorf("got %v, which is not %v", err, sentinel)
	}
}

// together runs all calls at the same time.
func together(calls ...func()) {
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Go(call)
	}
	wg.Wait()
}

type inMemory struct{ host *invitationtest.Host }

func (m inMemory) addUser(id, email string)                       { m.host.AddUser(id, email) }
func (m inMemory) setRole(org, user string, role invitation.Role) { m.host.AddMember(org, user, role) }
func (m inMemory) remove(org, user string)                        { m.host.RemoveMember(org, user) }
func (m inMemory) roles(org string) map[string]invitation.Role {
	roles := map[string]invitation.Role{}
	for _, member := range m.host.Members(org) {
		roles[member.UserID] = member.Role
	}
	return roles
}

type inSQL struct {
	*house
	ctx context.Context
}

func (q inSQL) addUser(id, email string) {
	_, err := q.db.NewInsert().Model(&hostUser{ID: id, Email: email}).Exec(q.ctx)
	q.is.NoErr(err)
}

func (q inSQL) setRole(org, user string, role invitation.Role) {
	q.remove(org, user)
	_, err := q.db.NewInsert().Model(&hostMember{OrganizationID: org, UserID: user, Role: string(role)}).Exec(q.ctx)
	q.is.NoErr(err)
}

func (q inSQL) remove(org, user string) {
	_, err := q.db.NewDelete().Model((*hostMember)(nil)).
		Where("organization_id = ? AND user_id = ?", org, user).Exec(q.ctx)
	q.is.NoErr(err)
}

func (q inSQL) roles(org string) map[string]invitation.Role {
	var ms []hostMember
	q.is.NoErr(q.db.NewSelect().Model(&ms).Where("organization_id = ?", org).Scan(q.ctx))
	roles := map[string]invitation.Role{}
	for _, m := range ms {
		roles[m.UserID] = invitation.Role(m.Role)
	}
	return roles
}

const (
	admin  = invitation.RoleAdmin
	member = invitation.RoleMember
)

// TestThreat covers the classes of attack that the database prevents, in memory and on every engine. The tests of
// package invitation cover the others.
func TestThreat(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, s *stage){
		"C04_used_twice":               threatTwice,
		"C05_accept_and_revoke":        threatBothWin,
		"C06_another_organization":     threatAcross,
		"C10_replay":                   threatReplay,
		"C11_an_existing_member":       threatMember,
		"C16_half_accepted":            threatHalf,
		"C17_reading_has_effects":      threatReading,
		"C21_quota_by_a_race":          threatQuota,
		"C24_squatting":                threatSquatting,
		"C26_stale_duplicates":         threatStale,
		"C27_deleted_inviter_and_role": threatDangling,
		"C36_loose_ids":                threatLoose,
	} {
		t.Run(name, func(t *testing.T) { onStages(t, attack) })
	}
}

// Two users, or two clicks, use one link, and it makes two members, or one member twice.
func threatTwice(t *testing.T, s *stage) {
	s.addUser("twin", "u1@example.com")
	inv := s.invite("u1@example.com", member)
	errs := make([]error, 6)
	together(func() { _, errs[0] = s.svc.Accept(s.ctx, accept(inv, "u1")) },
		func() { _, errs[1] = s.svc.Accept(s.ctx, accept(inv, "twin")) },
		func() { _, errs[2] = s.svc.Accept(s.ctx, accept(inv, "u1")) },
		func() { _, errs[3] = s.svc.Accept(s.ctx, accept(inv, "twin")) },
		func() { _, errs[4] = s.svc.Accept(s.ctx, accept(inv, "u1")) },
		func() { _, errs[5] = s.svc.Accept(s.ctx, accept(inv, "twin")) })
	for i := range errs { // all clicks of one user succeed, and all clicks of the other are told that it is accepted
		s.is.Equal(errs[i] == nil, errs[i%2] == nil)
		if errs[i] != nil {
			s.refused(errs[i], invitation.ErrAccepted)
		}
	}
	s.is.True((errs[0] == nil) != (errs[1] == nil))
	s.is.Equal(len(s.roles("acme")), 2)
}

// Accept and revoke both win: the invitation is revoked, and the user is a member. Or a failed step reopens a used
// invitation.
func threatBothWin(t *testing.T, s *stage) {
	for i := range 10 {
		user := fmt.Sprintf("u%d", i)
		inv := s.invite(user+"@example.com", member)
		var accepted, revoked error
		together(func() { _, accepted = s.svc.Accept(s.ctx, accept(inv, user)) },
			func() { _, revoked = s.svc.Revoke(s.ctx, "acme", inv.ID, invitation.RevokeParams{}) })
		s.is.True((accepted == nil) != (revoked == nil)) // exactly one
		_, joined := s.roles("acme")[user]
		s.is.Equal(joined, accepted == nil)
		s.is.Equal(s.status(inv) == invitation.StatusAccepted, joined)
		_, err := s.svc.Revoke(s.ctx, "acme", inv.ID, invitation.RevokeParams{})
		s.refused(err, invitation.ErrNotPending)
	}
}

// An invitation of organization A is read, revoked, sent, changed or accepted through organization B.
func threatAcross(t *testing.T, s *stage) {
	s.setRole("other", "u0", admin)
	inv := s.invite("u1@example.com", member)
	u0 := s.svc.As("u0")
	for name, call := range map[string]func() error{
		"get": func() error { _, err := u0.Get(s.ctx, "other", inv.ID); return err },
		"link": func() error {
			_, err := s.with(invitation.Config{ManagersSeeLinks: true}).As("u0").Link(s.ctx, "other", inv.ID)
			return err
		},
		"revoke": func() error { _, err := u0.Revoke(s.ctx, "other", inv.ID, invitation.RevokeParams{}); return err },
		"resend": func() error { _, err := u0.Resend(s.ctx, "other", inv.ID, invitation.ResendParams{}); return err },
		"update": func() error {
			_, err := u0.Update(s.ctx, "other", inv.ID, invitation.UpdateParams{Role: admin})
			return err
		},
	} {
		if err := call(); !errors.Is(err, invitation.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := s.svc.Accept(s.ctx, invitation.AcceptParams{OrganizationID: "other", InvitationID: inv.ID, UserID: "u1"})
	s.refused(err, invitation.ErrNotInvitee)
	n, err := u0.RevokeAll(s.ctx, invitation.RevokeAllParams{OrganizationID: "other", InviterUserID: "ann"})
	s.is.NoErr(err)
	s.is.Equal(n, 0)
	n, err = s.svc.DeleteOrganization(s.ctx, "other")
	s.is.NoErr(err)
	s.is.Equal(n, 0)
	s.is.Equal(s.status(inv), invitation.StatusPending)
}

// A link is used again after its user was removed, after another link was sent, or after a new invitation.
func threatReplay(t *testing.T, s *stage) {
	inv := s.invite("u1@example.com", member)
	s.clock.Advance(time.Hour)
	resent, err := s.svc.Resend(s.ctx, "acme", inv.ID, invitation.ResendParams{})
	s.is.NoErr(err)
	_, err = s.svc.Accept(s.ctx, accept(inv, "u1"))
	s.refused(err, invitation.ErrInvalidTicket) // rotated
	_, err = s.svc.Accept(s.ctx, accept(resent, "u1"))
	s.is.NoErr(err)
	s.remove("acme", "u1")
	_, err = s.svc.Accept(s.ctx, accept(resent, "u1"))
	s.refused(err, invitation.ErrAccepted)
	again := s.invite("u1@example.com", member)
	_, err = s.svc.Accept(s.ctx, accept(resent, "u1"))
	s.refused(err, invitation.ErrAccepted) // the new invitation does not revive the old link
	s.is.Equal(len(s.roles("acme")), 1)
	_, err = s.svc.Accept(s.ctx, accept(again, "u1"))
	s.is.NoErr(err)
}

// Accepting overwrites the role of an existing member, or adds a second membership.
func threatMember(t *testing.T, s *stage) {
	inv := s.invite("u1@example.com", member)
	s.setRole("acme", "u1", admin)
	_, err := s.svc.Accept(s.ctx, accept(inv, "u1"))
	s.is.NoErr(err)
	s.is.Equal(s.roles("acme"), map[string]invitation.Role{"ann": admin, "u1": admin})
}

// The membership exists but the invitation is not accepted, or the reverse.
func threatHalf(t *testing.T, s *stage) {
	inv := s.invite("u1@example.com", member)
	boom := errors.New("boom")
	svc := s.with(invitation.Config{
		OnEvents: func(context.Context, storage.Storage, []invitation.Event) error { return boom },
	})
	_, err := svc.Accept(s.ctx, accept(inv, "u1")) // fails after Join and after writing the record
	s.refused(err, boom)
	s.is.Equal(len(s.roles("acme")), 1)
	s.is.Equal(s.status(inv), invitation.StatusPending)
	err = s.store.RunInTx(s.ctx, func(ctx context.Context, tx storage.Storage) error {
		_, err := s.svc.WithStorage(tx).Accept(ctx, accept(inv, "u1"))
		s.is.NoErr(err)
		return boom // the host's own step fails
	})
	s.refused(err, boom)
	s.is.Equal(len(s.roles("acme")), 1)
	s.is.Equal(s.status(inv), invitation.StatusPending)
}

// A mail scanner that opens the link accepts or voids it.
func threatReading(t *testing.T, s *stage) {
	inv := s.invite("u1@example.com", member)
	before, err := s.store.List(s.ctx, storage.Query{})
	s.is.NoErr(err)
	for range 3 {
		_, err := s.svc.Preview(s.ctx, accept(inv, "").Ticket)
		s.is.NoErr(err)
		_, err = s.svc.Get(s.ctx, "acme", inv.ID)
		s.is.NoErr(err)
		_, err = s.svc.Link(s.ctx, "acme", inv.ID)
		s.is.NoErr(err)
		_, err = s.svc.ListForUser(s.ctx, "u1", invitation.ListParams{})
		s.is.NoErr(err)
	}
	after, err := s.store.List(s.ctx, storage.Query{})
	s.is.NoErr(err)
	s.is.Equal(after, before)
	_, err = s.svc.Accept(s.ctx, accept(inv, "u1"))
	s.is.NoErr(err)
}

// Many accept at once, and more get in than there are seats.
func threatQuota(t *testing.T, s *stage) {
	var invs []invitation.Invitation
	for i := range 8 {
		invs = append(invs, s.invite(fmt.Sprintf("u%d@example.com", i), member))
	}
	svc := s.with(invitation.Config{Seats: s.seats(4), MaxPending: 6})
	var calls []func()
	errs := make([]error, 8)
	for i := range invs {
		calls = append(calls, func() { _, errs[i] = svc.Accept(s.ctx, accept(invs[i], fmt.Sprintf("u%d", i))) })
	}
	together(calls...)
	for _, err := range errs {
		if err != nil {
			s.refused(err, invitation.ErrQuotaExceeded)
		}
	}
	s.is.Equal(len(s.roles("acme")), 4)
	svc = s.with(invitation.Config{MaxPending: 7})
	calls = nil
	for i := range 6 {
		calls = append(calls, func() {
			_, err := svc.Create(s.ctx, "acme", invitation.CreateParams{
				EmailAddress: fmt.Sprintf("v%d@example.com", i), Role: member,
			})
			if err != nil {
				s.refused(err, invitation.ErrQuotaExceeded)
			}
		})
	}
	together(calls...)
	s.is.Equal(s.pending(), 7)
}

// Lapsed and resolved invitations still use up seats, places or the address.
func threatSquatting(t *testing.T, s *stage) {
	s.svc = s.with(invitation.Config{Seats: s.seats(2), MaxPending: 1})
	lapsing := s.invite("u1@example.com", member)
	s.clock.Set(lapsing.ExpiresAt)
	revoked := s.invite("u2@example.com", member)
	_, err := s.svc.Revoke(s.ctx, "acme", revoked.ID, invitation.RevokeParams{})
	s.is.NoErr(err)
	fresh := s.invite("u1@example.com", member)
	s.is.Equal(s.pending(), 1)
	s.is.Equal(s.status(lapsing), invitation.StatusExpired)
	_, err = s.svc.Accept(s.ctx, accept(fresh, "u1"))
	s.is.NoErr(err)
}

// A duplicate is still usable after revoke, accept or resend.
func threatStale(t *testing.T, s *stage) {
	first := s.invite("u1@example.com", member)
	s.clock.Advance(time.Hour)
	for _, spelling := range []string{"u1@example.com", "U1@EXAMPLE.com"} {
		_, err := s.svc.Create(s.ctx, "acme", invitation.CreateParams{EmailAddress: spelling, Role: admin})
		s.refused(err, invitation.ErrDuplicate)
	}
	second, err := s.svc.Create(s.ctx, "acme", invitation.CreateParams{
		EmailAddress: "U1@example.com", Role: admin, Replace: true,
	})
	s.is.NoErr(err)
	_, err = s.svc.Accept(s.ctx, accept(first, "u1"))
	s.refused(err, invitation.ErrRevoked)
	s.clock.Advance(time.Hour)
	third, err := s.svc.Resend(s.ctx, "acme", second.ID, invitation.ResendParams{})
	s.is.NoErr(err)
	_, err = s.svc.Accept(s.ctx, accept(second, "u1"))
	s.refused(err, invitation.ErrInvalidTicket)
	_, err = s.svc.Revoke(s.ctx, "acme", third.ID, invitation.RevokeParams{})
	s.is.NoErr(err)
	for _, inv := range []invitation.Invitation{first, third} {
		_, err = s.svc.Accept(s.ctx, accept(inv, "u1"))
		s.refused(err, invitation.ErrRevoked)
	}
	s.is.Equal(len(s.roles("acme")), 1)
}

// After the inviter, the role or the organization is deleted, the lists fail.
func threatDangling(t *testing.T, s *stage) {
	inv := s.invite("u1@example.com", member)
	s.remove("acme", "ann")
	roles, err := invitation.NewRoles(invitation.RoleDefinition{Key: "org:other"})
	s.is.NoErr(err)
	svc := s.with(invitation.Config{Roles: roles})
	got, err := svc.Get(s.ctx, "acme", inv.ID)
	s.is.NoErr(err)
	s.is.Equal(got.RoleName, "org:member")
	for _, list := range []func() (invitation.Page, error){
		func() (invitation.Page, error) { return svc.List(s.ctx, "acme", invitation.ListParams{}) },
		func() (invitation.Page, error) { return svc.ListAll(s.ctx, invitation.ListParams{}) },
		func() (invitation.Page, error) { return svc.ListForUser(s.ctx, "u1", invitation.ListParams{}) },
	} {
		page, err := list()
		s.is.NoErr(err)
		s.is.Equal(page.TotalCount, 1)
	}
	_, err = svc.Accept(s.ctx, accept(inv, "u1"))
	s.refused(err, invitation.ErrForbidden) // but it no longer grants anything
	_, err = svc.Revoke(s.ctx, "acme", inv.ID, invitation.RevokeParams{})
	s.is.NoErr(err)
}

// Ann, an admin of acme, spells its id in another way. If the host takes that for acme, she is its admin there too,
// while the library counts and lists it as a separate organization: limits are exceeded, and invitations hidden.
func threatLoose(t *testing.T, s *stage) {
	svc := s.with(invitation.Config{MaxPending: 1})
	inv := s.invite("u1@example.com", member) // now acme is full
	_, err := svc.Create(s.ctx, "acme", invitation.CreateParams{EmailAddress: "u2@example.com", Role: member})
	s.refused(err, invitation.ErrQuotaExceeded)
	p := invitation.CreateParams{EmailAddress: "u2@example.com", Role: member, InviterUserID: "ann"}
	for _, spelled := range []string{"ACME", "Acme", "acme ", " acme", "acmé", "acme\u0301"} {
		_, err := svc.Create(s.ctx, spelled, p)
		s.refused(err, invitation.ErrNotMember)
		ann := svc.As("ann")
		_, err = ann.CreateBulk(s.ctx, spelled, []invitation.CreateParams{p})
		s.refused(err, invitation.ErrNotMember)
		_, err = ann.List(s.ctx, spelled, invitation.ListParams{})
		s.refused(err, invitation.ErrNotMember)
	}
	for _, spelled := range []string{"ANN", "Ann", "ann ", " ann", "ánn"} { // nor is another spelling a user
		_, err := s.svc.As(spelled).Create(s.ctx, "acme", p)
		s.refused(err, invitation.ErrNotMember)
	}
	for _, spelled := range []string{"U1", "u1 ", " u1"} {
		_, err := svc.Accept(s.ctx, accept(inv, spelled))
		s.refused(err, invitation.ErrNotFound)
		_, err = svc.ListForUser(s.ctx, spelled, invitation.ListParams{})
		s.refused(err, invitation.ErrNotFound)
	}
	all, err := s.store.Count(s.ctx, storage.Filter{})
	s.is.NoErr(err)
	s.is.Equal(all, 1)
	s.is.Equal(s.pending(), 1)
	s.is.Equal(s.roles("acme"), map[string]invitation.Role{"ann": admin})
}

// TestPeerDefects covers ten defects that were reproduced by running a popular peer, better-auth 1.7.24. This library
// has none of them.
func TestPeerDefects(t *testing.T) {
	for name, defect := range map[string]func(t *testing.T, s *stage){
		"01_unverified_account_accepts": func(t *testing.T, s *stage) {
			inv := s.invite("victim@example.com", member)
			_, err := s.svc.Accept(s.ctx, accept(inv, "u1")) // an account that has not verified the address
			s.refused(err, invitation.ErrNotInvitee)
		},
		"02_cancel_after_accept": threatBothWin,
		"03_four_invites_four_rows": func(t *testing.T, s *stage) {
			var calls []func()
			for range 4 {
				calls = append(calls, func() {
					_, err := s.svc.Create(s.ctx, "acme", invitation.CreateParams{EmailAddress: "u1@example.com", Role: member})
					if err != nil {
						s.refused(err, invitation.ErrDuplicate)
					}
				})
			}
			together(calls...)
			s.is.Equal(s.pending(), 1)
		},
		"04_limit_2_five_members": func(t *testing.T, s *stage) {
			var invs []invitation.Invitation
			for i := range 4 {
				invs = append(invs, s.invite(fmt.Sprintf("u%d@example.com", i), member))
			}
			svc := s.with(invitation.Config{Seats: s.seats(2)})
			var calls []func()
			for i, inv := range invs {
				calls = append(calls, func() { _, _ = svc.Accept(s.ctx, accept(inv, fmt.Sprintf("u%d", i))) })
			}
			together(calls...)
			s.is.Equal(len(s.roles("acme")), 2)
		},
		"05_list_stops_at_100": func(t *testing.T, s *stage) {
			ps := make([]invitation.CreateParams, 130)
			for i := range ps {
				ps[i] = invitation.CreateParams{EmailAddress: fmt.Sprintf("p%d@example.com", i), Role: member}
			}
			_, err := s.svc.CreateBulk(s.ctx, "acme", ps)
			s.is.NoErr(err)
			page, err := s.svc.List(s.ctx, "acme", invitation.ListParams{Limit: 100})
			s.is.NoErr(err)
			s.is.Equal(page.TotalCount, 130) // and the count says so
			s.is.True(page.NextCursor != "")
			seen := map[string]bool{}
			for inv, err := range s.svc.Each(s.ctx, "acme", invitation.ListParams{}) {
				s.is.NoErr(err)
				seen[inv.ID] = true
			}
			s.is.Equal(len(seen), 130)
		},
		"06_pending_limit_never_fires": func(t *testing.T, s *stage) {
			s.svc = s.with(invitation.Config{MaxPending: 2})
			s.invite("u1@example.com", member)
			s.invite("u2@example.com", member)
			_, err := s.svc.Create(s.ctx, "acme", invitation.CreateParams{EmailAddress: "u3@example.com", Role: member})
			s.refused(err, invitation.ErrQuotaExceeded)
		},
		"07_accept_retried": func(t *testing.T, s *stage) {
			inv := s.invite("u1@example.com", member)
			first, err := s.svc.Accept(s.ctx, accept(inv, "u1"))
			s.is.NoErr(err)
			again, err := s.svc.Accept(s.ctx, accept(inv, "u1"))
			s.is.NoErr(err)
			s.is.Equal(again, first)
		},
		"08_two_memberships": threatMember,
		"09_removed_inviter_grants_admin": func(t *testing.T, s *stage) {
			inv := s.invite("u1@example.com", admin)
			s.remove("acme", "ann")
			_, err := s.svc.Accept(s.ctx, accept(inv, "u1"))
			s.refused(err, invitation.ErrForbidden)
			s.is.Equal(len(s.roles("acme")), 0)
		},
		"10_two_rows_pending_after_expiry": func(t *testing.T, s *stage) {
			inv := s.invite("u1@example.com", member)
			s.clock.Set(inv.ExpiresAt)
			s.invite("u1@example.com", member)
			s.is.Equal(s.pending(), 1)
			stored, err := s.store.Count(s.ctx, storage.Filter{StoredStatuses: []string{storage.Pending}})
			s.is.NoErr(err)
			s.is.Equal(stored, 1)
		},
	} {
		t.Run(name, func(t *testing.T) { onStages(t, defect) })
	}
}

package invitation_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// ladder returns three roles, each of which grants the roles below it.
func ladder(t testing.TB) *invitation.Roles {
	t.Helper()
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "org:owner", Manages: true, Grants: []invitation.Role{"org:owner", invitation.RoleAdmin, invitation.RoleMember}},
		invitation.RoleDefinition{Key: invitation.RoleAdmin, Manages: true, Grants: []invitation.Role{invitation.RoleMember}},
		invitation.RoleDefinition{Key: invitation.RoleMember})
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

func (w *world) resend(inv invitation.Invitation, user string) (invitation.Invitation, error) {
	return w.svc.Resend(w.ctx, inv.OrganizationID, inv.ID, invitation.ResendParams{RequestingUserID: user})
}

func TestResend(t *testing.T) {
	w := setup(t, nil)
	old := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	w.events = nil
	got, err := w.svc.Resend(w.ctx, "acme", old.ID, invitation.ResendParams{ExpiresIn: 48 * time.Hour})
	w.is.NoErr(err)
	want := old
	want.URL, want.Terms = got.URL, got.Terms
	w.is.True(got.Terms != old.Terms) // nobody accepts what they were shown before
	want.UpdatedAt, want.SentAt, want.ExpiresAt = noon.Add(time.Hour), noon.Add(time.Hour), noon.Add(49*time.Hour)
	w.is.Equal(got, want)
	w.is.True(got.URL != old.URL)
	told := want
	told.URL = ""
	w.is.Equal(w.get(old), told)
	w.is.Equal(w.events, []invitation.Event{{Type: invitation.EventResent, At: noon.Add(time.Hour), Notify: true, Invitation: told}})

	w.refuses(invitation.ErrInvalidTicket, []refusal{{400, "ticket_invalid_code", ""}}, func() error { return w.accept(byTicket(t, old, "carl")) })
	_, err = w.svc.Preview(w.ctx, ticketOf(t, old))
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket)) // the old link is void
	link, err := w.svc.Link(w.ctx, "acme", old.ID)
	w.is.NoErr(err)
	w.is.Equal(link, got.URL) // the new one is current
	w.is.NoErr(w.accept(byTicket(t, got, "carl")))
}

// The user who resends becomes the inviter. The back end keeps the inviter, who must still be allowed to grant the
// role.
func TestResendChangesTheInviter(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	w.clock.Advance(time.Hour)
	got, err := w.resend(inv, "bob")
	w.is.NoErr(err)
	w.is.Equal(got.InviterUserID, "bob")
	w.is.Equal(w.events[len(w.events)-1].ActorID, "bob")
	w.host.RemoveMember("acme", "ann")
	w.clock.Advance(time.Hour)
	got, err = w.resend(inv, "")
	w.is.NoErr(err)
	w.is.Equal(got.InviterUserID, "bob")
	w.host.RemoveMember("acme", "bob")
	w.clock.Advance(time.Hour)
	w.refuses(invitation.ErrForbidden, []refusal{{403, "not_allowed_access", ""}}, func() error { _, err := w.resend(inv, ""); return err })
	w.svc = w.service(w.host, &invitation.Config{IgnoreInviterAuthority: true})
	_, err = w.resend(inv, "")
	w.is.NoErr(err)
}

// Resend of a pending invitation ignores to whom the address belongs by now. Only an expired one is invited again.
func TestResendOfPendingIgnoresMembers(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("dora@example.com")
	w.host.AddMember("acme", "dora", invitation.RoleMember)
	host := &counting{failing: failing{Host: w.host}}
	svc := w.service(host, nil)
	_, err := svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.True(errors.Is(err, invitation.ErrTooSoon))
	w.clock.Advance(time.Minute)
	_, err = svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	w.is.Equal(host.asked, 0)
}

func TestResendRefusesInOrder(t *testing.T) {
	w := setup(t, &invitation.Config{Roles: ladder(t)})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	w.host.AddMember("acme", "eve", invitation.RoleMember)
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "dora@example.com", Role: invitation.RoleAdmin,
		InviterUserID: "ann", ExpiresIn: time.Second})
	w.is.NoErr(err)
	w.clock.Advance(time.Second)
	allowed, seats := false, 0
	cfg := &invitation.Config{Roles: ladder(t), MaxPending: 1,
		AllowEmail: func(context.Context, storage.Storage, string, string) error {
			if !allowed {
				return fmt.Errorf("no: %w", invitation.ErrForbidden)
			}
			return nil
		},
		Seats: func(context.Context, storage.Storage, string) (int, int, error) { return seats, 2, nil },
	}
	w.svc = w.service(w.host, cfg)
	org, id, user := "other", strings.Repeat("i", 65), "\x00"
	step := func(sentinel error, want ...refusal) {
		t.Helper()
		w.refuses(sentinel, want, func() error {
			_, err := w.svc.Resend(w.ctx, org, id, invitation.ResendParams{RequestingUserID: user, ExpiresIn: time.Duration(len(id)-len(inv.ID)) * -time.Hour})
			return err
		})
	}
	step(invitation.ErrInvalid, refusal{422, "form_param_exceeds_allowed_size", "invitation_id"}, refusal{422, "form_param_format_invalid", "requesting_user_id"},
		refusal{422, "form_param_value_invalid", "expires_in_days"})
	id, user = inv.ID, "carl"
	step(invitation.ErrNotMember, refusal{403, "not_a_member_in_organization", "requesting_user_id"})
	w.host.AddMember("other", "eve", invitation.RoleMember)
	user = "eve"
	step(invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", "requesting_user_id"})
	user = "zoe"
	step(invitation.ErrNotFound, refusal{404, "resource_not_found", "invitation_id"}) // of another organization (C06)
	org, user = "acme", "bob"
	step(invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", ""}) // an admin may not grant admin (C08)
	user = "ann"
	step(invitation.ErrForbidden, refusal{403, "not_allowed_access", "email_address"})
	allowed = true
	w.host.AddMember("acme", "dora", invitation.RoleMember)
	step(invitation.ErrAlreadyMember, refusal{400, "already_a_member_in_organization", "email_address"})
	w.host.RemoveMember("acme", "dora")
	fresh, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "dora@example.com", Role: invitation.RoleMember})
	w.is.NoErr(err)
	step(invitation.ErrDuplicate, refusal{400, "organization_invitation_not_unique", ""})
	_, err = w.svc.Revoke(w.ctx, "acme", fresh.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	step(invitation.ErrTooSoon, refusal{429, "too_many_requests", ""})
	w.clock.Advance(time.Minute)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "else@example.com", Role: invitation.RoleMember})
	w.is.NoErr(err)
	step(invitation.ErrQuotaExceeded, refusal{403, "organization_membership_quota_exceeded", ""}) // MaxPending
	n, err := w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{EmailAddresses: []string{"ELSE@example.com"}})
	w.is.NoErr(err)
	w.is.Equal(n, 1)
	seats = 2
	step(invitation.ErrQuotaExceeded, refusal{403, "organization_membership_quota_exceeded", ""}) // seats
	seats = 1
	got, err := w.resend(inv, "ann")
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusPending)
	w.clock.Advance(time.Minute)
	seats = 2 // a pending one holds its seat already
	_, err = w.resend(inv, "ann")
	w.is.NoErr(err)
	_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	step(invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
}

// Resend revives an expired invitation, whether or not its expiry is stored, and even if another one has expired in its
// slot.
func TestResendRevives(t *testing.T) {
	for _, swept := range []bool{false, true} {
		t.Run(fmt.Sprint("swept ", swept), func(t *testing.T) {
			w := setup(t, &invitation.Config{MaxPending: 1})
			first := w.invite("carl@example.com")
			w.clock.Set(first.ExpiresAt)
			second := w.invite("carl@example.com") // stores the expiry of the first
			w.clock.Set(second.ExpiresAt)
			if swept {
				_, err := w.svc.ExpireDue(w.ctx, 10)
				w.is.NoErr(err)
			}
			before := w.get(first)
			w.events = nil
			got, err := w.resend(first, "")
			w.is.NoErr(err)
			w.is.Equal(got.Status, invitation.StatusPending)
			w.is.Equal(got.ResolvedAt, time.Time{})
			w.is.Equal(got.ResolvedBy, "")
			w.is.True(got.Terms != before.Terms)
			w.is.Equal(w.get(second).Status, invitation.StatusExpired)
			want := []invitation.EventType{invitation.EventResent}
			if !swept {
				want = []invitation.EventType{invitation.EventExpired, invitation.EventResent}
			}
			w.is.Equal(eventTypes(w.events), want)
			w.is.NoErr(w.accept(byTicket(t, got, "carl")))
			_, err = w.svc.Preview(w.ctx, ticketOf(t, second))
			w.is.True(errors.Is(err, invitation.ErrExpired))
		})
	}
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Set(inv.ExpiresAt)
	before := w.get(inv)
	w.events = nil
	got, err := w.resend(inv, "") // holds its own slot; its expiry is not stored yet
	w.is.NoErr(err)
	w.is.Equal(eventTypes(w.events), []invitation.EventType{invitation.EventExpired, invitation.EventResent})
	w.is.Equal(w.events[0].Invitation, before)
	w.is.True(got.Terms != before.Terms) // the expired one that was shown had other terms
}

func TestUpdate(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "carl@example.com", Role: invitation.RoleMember, InviterUserID: "ann",
		PublicMetadata: mustMetadata(t, `{"z":9007199254740993,"a":1}`), PrivateMetadata: mustMetadata(t, `{"p":1}`)})
	w.is.NoErr(err)
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	w.clock.Advance(time.Hour)
	w.events = nil
	got, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		RequestingUserID: "bob", PublicMetadata: mustMetadata(t, `{"a":null,"b":2}`), PrivateMetadata: mustMetadata(t, `{"q":2}`), Terms: inv.Terms})
	w.is.NoErr(err)
	want := inv
	want.Terms, want.UpdatedAt = got.Terms, noon.Add(time.Hour)
	want.PublicMetadata, want.PrivateMetadata = mustMetadata(t, `{"z":9007199254740993,"b":2}`), mustMetadata(t, `{"p":1,"q":2}`)
	w.is.Equal(got, want) // metadata alone leaves inviter and link as they are
	want.URL = ""
	w.is.Equal(w.get(inv), want)
	w.is.Equal(w.events, []invitation.Event{{Type: invitation.EventUpdated, At: noon.Add(time.Hour), ActorID: "bob", Invitation: want}})

	// An update that changes nothing writes nothing.
	same, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleMember, PublicMetadata: mustMetadata(t, `{"b":2}`)})
	w.is.NoErr(err)
	w.is.Equal(same, got)
	w.is.Equal(len(w.events), 1)

	// Another role: nobody accepts what they were not shown (C07).
	w.clock.Advance(time.Hour)
	got, err = w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{RequestingUserID: "bob", Role: invitation.RoleAdmin})
	w.is.NoErr(err)
	w.is.Equal(got.Role, invitation.RoleAdmin)
	w.is.Equal(got.InviterUserID, "bob")
	w.is.Equal(got.SentAt, noon.Add(2*time.Hour))
	w.is.Equal(got.ExpiresAt, inv.ExpiresAt)
	w.refuses(invitation.ErrInvalidTicket, []refusal{{400, "ticket_invalid_code", ""}}, func() error { return w.accept(byTicket(t, inv, "carl")) })
	shown := byIDs(inv, "carl")
	shown.Terms = want.Terms
	w.refuses(invitation.ErrChanged, []refusal{{409, "resource_conflict", "terms"}}, func() error { return w.accept(shown) })
	w.is.NoErr(w.accept(byTicket(t, got, "carl")))
	w.is.Equal(w.host.Members("acme")[2].Role, invitation.RoleAdmin)
}

func TestUpdateRefusesInOrder(t *testing.T) {
	w := setup(t, &invitation.Config{Roles: ladder(t), MaxMetadata: 20})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	admin, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "carl@example.com", Role: invitation.RoleAdmin, InviterUserID: "ann"})
	w.is.NoErr(err)
	member, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "dora@example.com", Role: invitation.RoleMember, InviterUserID: "bob",
		PrivateMetadata: mustMetadata(t, `{"a":"1234567"}`)})
	w.is.NoErr(err)
	step := func(org, id string, p invitation.UpdateParams, sentinel error, want ...refusal) {
		t.Helper()
		w.refuses(sentinel, want, func() error { _, err := w.svc.Update(w.ctx, org, id, p); return err })
	}
	step("", "", invitation.UpdateParams{Role: "org:king"}, invitation.ErrInvalid, refusal{422, "form_param_missing", "organization_id"},
		refusal{422, "form_param_missing", "invitation_id"}, refusal{404, "resource_not_found", "role"})
	step("other", admin.ID, invitation.UpdateParams{RequestingUserID: "bob"}, invitation.ErrNotMember, refusal{403, "not_a_member_in_organization", "requesting_user_id"})
	step("other", admin.ID, invitation.UpdateParams{}, invitation.ErrNotFound, refusal{404, "resource_not_found", "invitation_id"})
	step("acme", admin.ID, invitation.UpdateParams{RequestingUserID: "bob", Role: invitation.RoleMember, Terms: "others"}, invitation.ErrChanged, refusal{409, "resource_conflict", "terms"})
	denied := refusal{403, "not_an_admin_in_organization", ""}
	step("acme", admin.ID, invitation.UpdateParams{RequestingUserID: "bob", Role: invitation.RoleMember}, invitation.ErrForbidden, denied) // the old role
	step("acme", admin.ID, invitation.UpdateParams{RequestingUserID: "bob", PublicMetadata: mustMetadata(t, `{"a":1}`)}, invitation.ErrForbidden, denied)
	step("acme", member.ID, invitation.UpdateParams{RequestingUserID: "bob", Role: invitation.RoleAdmin}, invitation.ErrForbidden, denied)        // the new role
	step("acme", member.ID, invitation.UpdateParams{Role: invitation.RoleAdmin}, invitation.ErrForbidden, refusal{403, "not_allowed_access", ""}) // the inviter could not
	step("acme", member.ID, invitation.UpdateParams{PrivateMetadata: mustMetadata(t, `{"b":123}`)}, invitation.ErrInvalid,
		refusal{422, "form_param_exceeds_allowed_size", "private_metadata"}) // the merged size counts
	step("other", "missing", invitation.UpdateParams{RequestingUserID: "bob", PrivateMetadata: mustMetadata(t, `{"a":null,"b":"1234567"}`)}, invitation.ErrInvalid,
		refusal{422, "form_param_exceeds_allowed_size", "private_metadata"}) // so does the size of the patch, before anything is read
	_, err = w.svc.Update(w.ctx, "acme", member.ID, invitation.UpdateParams{PrivateMetadata: mustMetadata(t, `{"a":null,"b":12}`)})
	w.is.NoErr(err)
	w.clock.Set(member.ExpiresAt)
	step("acme", member.ID, invitation.UpdateParams{Terms: "others"}, invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
}

func TestRevokeAll(t *testing.T) {
	populate := func() *world {
		w := setup(t, nil)
		w.host.AddMember("acme", "bob", invitation.RoleAdmin)
		w.host.AddMember("other", "bob", invitation.RoleAdmin)
		for _, org := range []string{"acme", "other"} {
			for _, p := range []invitation.CreateParams{
				{EmailAddress: "c1@example.com", InviterUserID: "bob"}, {EmailAddress: "c2@example.com", InviterUserID: "bob"},
				{EmailAddress: "c3@example.com"}, {EmailAddress: "c4@example.com", InviterUserID: "bob", ExpiresIn: time.Second},
				{EmailAddress: "c5@example.com", InviterUserID: "bob"},
			} {
				p.Role = invitation.RoleMember
				inv, err := w.svc.Create(w.ctx, org, p)
				w.is.NoErr(err)
				if p.EmailAddress == "c5@example.com" {
					_, err = w.svc.Revoke(w.ctx, org, inv.ID, invitation.RevokeParams{})
					w.is.NoErr(err)
				}
			}
		}
		w.clock.Advance(time.Hour)
		w.events = nil
		return w
	}
	for name, tt := range map[string]struct {
		p    invitation.RevokeAllParams
		want int
	}{
		"an inviter's, everywhere":       {invitation.RevokeAllParams{InviterUserID: "bob"}, 4},
		"an inviter's, in one":           {invitation.RevokeAllParams{InviterUserID: "bob", OrganizationID: "acme"}, 2},
		"an address's, everywhere":       {invitation.RevokeAllParams{EmailAddresses: []string{"C3@EXAMPLE.com", "c1@example.com"}}, 4},
		"an address's, by a manager":     {invitation.RevokeAllParams{EmailAddresses: []string{"c3@example.com"}, OrganizationID: "acme", RequestingUserID: "ann"}, 1},
		"both":                           {invitation.RevokeAllParams{InviterUserID: "bob", EmailAddresses: []string{"c3@example.com", "c1@example.com"}}, 2},
		"nobody's":                       {invitation.RevokeAllParams{InviterUserID: "carl"}, 0},
		"an address nobody invited":      {invitation.RevokeAllParams{EmailAddresses: []string{"x@example.com"}}, 0},
		"an organization without any":    {invitation.RevokeAllParams{InviterUserID: "bob", OrganizationID: "nowhere"}, 0},
		"an inviter's, no address given": {invitation.RevokeAllParams{InviterUserID: "bob", EmailAddresses: []string{}}, 4},
	} {
		for _, limits := range []invitation.Config{{}, {MaxPending: 100}} {
			t.Run(fmt.Sprint(name, limits.MaxPending), func(t *testing.T) {
				w := populate()
				w.in(t)
				w.svc = w.service(w.host, &limits)
				n, err := w.svc.RevokeAll(w.ctx, tt.p)
				w.is.NoErr(err)
				w.is.Equal(n, tt.want)
				w.is.Equal(len(w.events), n)
				for _, e := range w.events {
					w.is.Equal(e.Type, invitation.EventRevoked)
					w.is.Equal(e.ActorID, tt.p.RequestingUserID)
					w.is.Equal(w.get(e.Invitation), e.Invitation)
					w.is.Equal(e.Invitation.Status, invitation.StatusRevoked)
				}
				again, err := w.svc.RevokeAll(w.ctx, tt.p)
				w.is.NoErr(err)
				w.is.Equal(again, 0)
			})
		}
	}
	w := populate()
	for name, tt := range map[string]struct {
		p        invitation.RevokeAllParams
		sentinel error
		want     []refusal
	}{
		"no criterion": {invitation.RevokeAllParams{OrganizationID: "acme"}, invitation.ErrInvalid, []refusal{{422, "form_param_missing", "inviter_user_id"}}},
		"a manager of what": {invitation.RevokeAllParams{InviterUserID: "bob", RequestingUserID: "ann"}, invitation.ErrInvalid,
			[]refusal{{422, "form_param_missing", "organization_id"}}},
		"all at once": {invitation.RevokeAllParams{OrganizationID: "\x00", InviterUserID: strings.Repeat("u", 129), EmailAddresses: []string{"a@example.com", "x"}}, invitation.ErrInvalid,
			[]refusal{{422, "form_param_format_invalid", "organization_id"}, {422, "form_param_exceeds_allowed_size", "inviter_user_id"},
				{422, "form_param_format_invalid", "email_addresses[1]"}}},
		"a stranger": {invitation.RevokeAllParams{InviterUserID: "bob", OrganizationID: "acme", RequestingUserID: "zoe"}, invitation.ErrNotMember,
			[]refusal{{403, "not_a_member_in_organization", "requesting_user_id"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(tt.sentinel, tt.want, func() error { _, err := w.svc.RevokeAll(w.ctx, tt.p); return err })
		})
	}
}

// lapse fills acme with n expired invitations, a second apart, and other with one that has not expired.
func lapse(t *testing.T, n int) *world {
	w := setup(t, nil)
	ps := make([]invitation.CreateParams, n)
	for i := range ps {
		ps[i] = invitation.CreateParams{EmailAddress: fmt.Sprintf("u%d@example.com", i), Role: invitation.RoleMember, ExpiresIn: time.Duration(i+1) * time.Second}
	}
	svc := w.service(w.host, &invitation.Config{MaxBulk: -1})
	_, err := svc.CreateBulk(w.ctx, "acme", ps)
	w.is.NoErr(err)
	_, err = w.svc.Create(w.ctx, "other", invitation.CreateParams{EmailAddress: "u@example.com", Role: invitation.RoleMember})
	w.is.NoErr(err)
	w.clock.Advance(time.Hour)
	w.events = nil
	return w
}

func TestExpireDue(t *testing.T) {
	w := lapse(t, 1100)
	n, err := w.svc.ExpireDue(w.ctx, 700)
	w.is.NoErr(err)
	w.is.Equal(n, 700)
	w.is.Equal(len(w.events), 700)
	w.is.Equal(w.events[0].Type, invitation.EventExpired)
	w.is.Equal(w.events[0].ActorID, "")
	for _, r := range w.stored() {
		expired := r.Status == storage.Expired
		w.is.Equal(expired, !r.ExpiresAt.After(noon.Add(700*time.Second))) // the oldest first
		if expired {
			w.is.Equal(r.ResolvedAt, r.ExpiresAt)
			w.is.Equal(r.UpdatedAt, noon)
		}
	}
	n, err = w.svc.ExpireDue(w.ctx, 100000)
	w.is.NoErr(err)
	w.is.Equal(n, 400)
	n, err = w.svc.ExpireDue(w.ctx, 1)
	w.is.NoErr(err)
	w.is.Equal(n, 0)
}

// With several processes at once, each expiry is stored and emitted exactly once.
func TestExpireDueConcurrently(t *testing.T) {
	w := lapse(t, 1500)
	var mu sync.Mutex
	told, total := map[string]int{}, 0
	svc := w.service(w.host, &invitation.Config{OnEvents: func(_ context.Context, _ storage.Storage, events []invitation.Event) error {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			told[e.Invitation.ID]++
		}
		return nil
	}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			n, err := svc.ExpireDue(w.ctx, 100000)
			mu.Lock()
			defer mu.Unlock()
			total += n
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.is.Equal(total, 1500)
	w.is.Equal(len(told), 1500)
	for _, n := range told {
		w.is.Equal(n, 1)
	}
}

// Earlier batches stay committed if a later one fails.
func TestExpireDueFailsBetweenBatches(t *testing.T) {
	w := lapse(t, 1000)
	boom := errors.New("boom")
	calls := 0
	svc := w.service(w.host, &invitation.Config{OnEvents: func(context.Context, storage.Storage, []invitation.Event) error {
		if calls++; calls == 2 {
			return boom
		}
		return nil
	}})
	n, err := svc.ExpireDue(w.ctx, 1000)
	w.is.True(errors.Is(err, boom))
	w.is.Equal(n, 500)
	count, err := w.host.Storage().Count(w.ctx, storage.Filter{StoredStatuses: []string{storage.Expired}})
	w.is.NoErr(err)
	w.is.Equal(count, 500)
}

func TestPurge(t *testing.T) {
	w := lapse(t, 600) // all expire within the first ten minutes
	w.invite("carl@example.com")
	revoked := w.invite("dora@example.com")
	_, err := w.svc.Revoke(w.ctx, "acme", revoked.ID, invitation.RevokeParams{}) // an hour after noon
	w.is.NoErr(err)
	w.events = nil
	n, err := w.svc.Purge(w.ctx, noon.Add(100*time.Second), 1000)
	w.is.NoErr(err)
	w.is.Equal(n, 99) // those that expired before that; storing the expiry is not counted
	for _, e := range w.events {
		w.is.Equal(e.Type, invitation.EventExpired) // deleting emits no events
	}
	w.is.Equal(len(w.events), 600)
	n, err = w.svc.Purge(w.ctx, noon.Add(time.Hour), 501)
	w.is.NoErr(err)
	w.is.Equal(n, 501)
	n, err = w.svc.Purge(w.ctx, noon.Add(time.Hour), 501) // the revoked one is not earlier than that
	w.is.NoErr(err)
	w.is.Equal(n, 0)
	w.clock.Advance(time.Nanosecond)
	n, err = w.svc.Purge(w.ctx, noon.Add(time.Hour+1), 501)
	w.is.NoErr(err)
	w.is.Equal(n, 1)
	left := w.stored()
	w.is.Equal(len(left), 2) // pending invitations stay
}

func TestDeleteOrganizationAndEraseEmail(t *testing.T) {
	for name, tt := range map[string]struct {
		call func(w *world) (int, error)
		want int
		left int
	}{
		"an organization":      {func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "acme") }, 4, 1},
		"another":              {func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "other") }, 1, 4},
		"an unknown one":       {func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "nowhere") }, 0, 5},
		"an address":           {func(w *world) (int, error) { return w.svc.EraseEmail(w.ctx, " CARL@example.com ") }, 3, 2},
		"an address of nobody": {func(w *world) (int, error) { return w.svc.EraseEmail(w.ctx, "x@example.com") }, 0, 5},
	} {
		for _, limits := range []invitation.Config{{}, {MaxPending: 100}} {
			t.Run(fmt.Sprint(name, limits.MaxPending), func(t *testing.T) {
				w := setup(t, nil)
				first := w.invite("carl@example.com")
				_, err := w.svc.Revoke(w.ctx, "acme", first.ID, invitation.RevokeParams{})
				w.is.NoErr(err)
				w.invite("Carl@example.com")
				accepted := w.invite("dora@example.com")
				w.is.NoErr(w.accept(byIDs(accepted, "dora")))
				_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "dom@example.com", Role: invitation.RoleMember, OrganizationDomainID: "d"})
				w.is.NoErr(err)
				_, err = w.svc.Create(w.ctx, "other", invitation.CreateParams{EmailAddress: "carl@example.com", Role: invitation.RoleMember})
				w.is.NoErr(err)
				w.svc = w.service(w.host, &limits)
				w.events = nil
				n, err := tt.call(w)
				w.is.NoErr(err)
				w.is.Equal(n, tt.want)
				w.is.Equal(len(w.stored()), tt.left)
				w.is.Equal(len(w.events), 0) // deleting emits no events
				n, err = tt.call(w)
				w.is.NoErr(err)
				w.is.Equal(n, 0)
			})
		}
	}
}

func TestMaintenanceRefuses(t *testing.T) {
	w := lapse(t, 3)
	for name, tt := range map[string]struct {
		call func() (int, error)
		want refusal
	}{
		"expire none":      {func() (int, error) { return w.svc.ExpireDue(w.ctx, 0) }, refusal{422, "form_param_value_invalid", "limit"}},
		"expire -1":        {func() (int, error) { return w.svc.ExpireDue(w.ctx, -1) }, refusal{422, "form_param_value_invalid", "limit"}},
		"expire too many":  {func() (int, error) { return w.svc.ExpireDue(w.ctx, 100001) }, refusal{422, "form_param_value_invalid", "limit"}},
		"purge too many":   {func() (int, error) { return w.svc.Purge(w.ctx, noon, 100001) }, refusal{422, "form_param_value_invalid", "limit"}},
		"purge ever":       {func() (int, error) { return w.svc.Purge(w.ctx, time.Time{}, 1) }, refusal{422, "form_param_missing", "before"}},
		"purge the future": {func() (int, error) { return w.svc.Purge(w.ctx, noon.Add(time.Hour+1), 1) }, refusal{422, "form_param_value_invalid", "before"}},
		"delete of nobody": {func() (int, error) { return w.svc.DeleteOrganization(w.ctx, "") }, refusal{422, "form_param_missing", "organization_id"}},
		"delete of NUL":    {func() (int, error) { return w.svc.DeleteOrganization(w.ctx, "\x00") }, refusal{422, "form_param_format_invalid", "organization_id"}},
		"erase nobody":     {func() (int, error) { return w.svc.EraseEmail(w.ctx, "") }, refusal{422, "form_param_missing", "email_address"}},
		"erase a pattern":  {func() (int, error) { return w.svc.EraseEmail(w.ctx, "%@example.com,") }, refusal{422, "form_param_format_invalid", "email_address"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(invitation.ErrInvalid, []refusal{tt.want}, func() error {
				n, err := tt.call()
				w.is.Equal(n, 0)
				return err
			})
		})
	}
}

// bounded records the size of the largest statement.
type bounded struct {
	storage.Storage
	largest *int
}

func (b bounded) Unwrap() storage.Storage { return b.Storage }

func (b bounded) note(n int) { *b.largest = max(*b.largest, n) }

func (b bounded) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return b.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, bounded{tx, b.largest})
	})
}

func (b bounded) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	found, err := b.Storage.List(ctx, q)
	b.note(max(len(found), len(q.IDs)))
	return found, err
}

func (b bounded) Update(ctx context.Context, records ...storage.Record) error {
	b.note(len(records))
	return b.Storage.Update(ctx, records...)
}

func (b bounded) Delete(ctx context.Context, ids ...string) (int, error) {
	b.note(len(ids))
	return b.Storage.Delete(ctx, ids...)
}

// retried runs each transaction twice, like an engine that aborts the first attempt.
type retried struct{ storage.Storage }

func (r retried) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	err := r.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return storage.ErrAborted
	})
	if !errors.Is(err, storage.ErrAborted) {
		return err
	}
	return r.Storage.RunInTx(ctx, fn)
}

// The count of an aborted attempt is dropped.
func TestCountsOfRetriedTransactions(t *testing.T) {
	w := setup(t, nil)
	svc, err := invitation.NewService(retried{w.host.Storage()}, w.host, &invitation.Config{Clock: w.clock})
	w.is.NoErr(err)
	for range 2 {
		w.invite("carl@example.com")
		w.invite("dora@example.com")
		n, err := svc.RevokeAll(w.ctx, invitation.RevokeAllParams{InviterUserID: "ann"})
		w.is.NoErr(err)
		w.is.Equal(n, 2)
	}
	n, err := svc.DeleteOrganization(w.ctx, "acme")
	w.is.NoErr(err)
	w.is.Equal(n, 4)
}

// An organization may have any number of invitations. An operation on all of them holds 500 records and events at once,
// and is still one transaction.
func TestPagesInOneTransaction(t *testing.T) {
	const n = 1203
	for name, call := range map[string]func(w *world) (int, error){
		"RevokeAll": func(w *world) (int, error) {
			return w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{OrganizationID: "acme", InviterUserID: "ann"})
		},
		"RevokeAll, everywhere": func(w *world) (int, error) {
			return w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{InviterUserID: "ann"})
		},
		"DeleteOrganization": func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "acme") },
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, &invitation.Config{MaxBulk: -1, NewID: rand.Text}) // ids without an order
			ps := make([]invitation.CreateParams, n)
			for i := range ps {
				ps[i] = invitation.CreateParams{EmailAddress: fmt.Sprintf("u%d@example.com", i), Role: invitation.RoleMember, InviterUserID: "ann"}
			}
			_, err := w.svc.CreateBulk(w.ctx, "acme", ps)
			w.is.NoErr(err)
			before := w.stored()

			var largest int
			var told []int
			boom := errors.New("boom")
			failAt := 3 // the last page
			cfg := &invitation.Config{
				Clock: w.clock, TicketKeys: [][]byte{key1}, AcceptURL: acceptURL,
				OnEvents: func(_ context.Context, _ storage.Storage, events []invitation.Event) error {
					told = append(told, len(events))
					if len(told) == failAt {
						return boom
					}
					return nil
				},
			}
			w.svc, err = invitation.NewService(bounded{w.host.Storage(), &largest}, w.host, cfg)
			w.is.NoErr(err)
			if name != "DeleteOrganization" {
				_, err = call(w)
				w.is.True(errors.Is(err, boom))
				w.is.Equal(w.stored(), before) // the first pages are rolled back too
				w.is.Equal(told, []int{500, 500, 203})
			}
			told = nil
			failAt = 0
			got, err := call(w)
			w.is.NoErr(err)
			w.is.Equal(got, n)
			w.is.Equal(largest, 500)
			page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{Statuses: []invitation.Status{invitation.StatusPending}})
			w.is.NoErr(err)
			w.is.Equal(page.TotalCount, 0)
			if name != "DeleteOrganization" {
				w.is.Equal(told, []int{500, 500, 203})
			}
		})
	}
}

// Terms change exactly when something that the invited person is shown changes.
func TestTerms(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.is.True(len(inv.Terms) > 10 && len(inv.Terms) < 64)
	stored := w.stored()[0]
	shown := func(change func(*storage.Record)) string {
		r := w.stored()[0]
		version := r.Version
		r = stored
		r.Version = version
		change(&r)
		w.is.NoErr(w.host.Storage().Update(w.ctx, r))
		return w.get(invitation.Invitation{ID: r.ID, OrganizationID: r.OrganizationID}).Terms
	}
	for name, change := range map[string]func(*storage.Record){
		"role":            func(r *storage.Record) { r.Role = "org:admin" },
		"public metadata": func(r *storage.Record) { r.PublicMetadata = []byte(`{"a":1}`) },
		"expiry":          func(r *storage.Record) { r.ExpiresAt = r.ExpiresAt.Add(time.Microsecond) },
		"organization":    func(r *storage.Record) { r.OrganizationID = "other" },
		"address":         func(r *storage.Record) { r.EmailAddress = "Carl@example.com" },
		"generation":      func(r *storage.Record) { r.Generation++ },
	} {
		if shown(change) == inv.Terms {
			t.Errorf("%s changed, and the terms did not", name)
		}
	}
	for name, change := range map[string]func(*storage.Record){
		"nothing":          func(*storage.Record) {},
		"private metadata": func(r *storage.Record) { r.PrivateMetadata = []byte(`{"a":1}`) },
		"the inviter":      func(r *storage.Record) { r.InviterUserID = "bob" },
		"the redirect":     func(r *storage.Record) { r.RedirectURL = acceptURL + "/x" },
		"times":            func(r *storage.Record) { r.UpdatedAt, r.SentAt = noon.Add(time.Hour), noon.Add(time.Hour) },
		"the domain":       func(r *storage.Record) { r.OrganizationDomainID = "d" },
		"the status":       func(r *storage.Record) { r.Status, r.ResolvedAt = "revoked", noon },
	} {
		if shown(change) != inv.Terms {
			t.Errorf("%s changed, and so did the terms", name)
		}
	}
	shown(func(*storage.Record) {})
	other, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = "dora@example.com" }))
	w.is.NoErr(err)
	for _, foreign := range []string{other.Terms, inv.Terms + "x", inv.Terms[1:], strings.ToUpper(inv.Terms), " " + inv.Terms, "\x00"} {
		p := byIDs(inv, "carl")
		p.Terms = foreign
		w.refuses(invitation.ErrChanged, []refusal{{409, "resource_conflict", "terms"}}, func() error { return w.accept(p) })
		w.refuses(invitation.ErrChanged, []refusal{{409, "resource_conflict", "terms"}}, func() error {
			_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(p))
			return err
		})
		w.refuses(invitation.ErrChanged, []refusal{{409, "resource_conflict", "terms"}}, func() error {
			_, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{Terms: foreign})
			return err
		})
	}
	w.clock.Set(inv.ExpiresAt)
	lapsed := w.get(inv).Terms
	w.is.Equal(lapsed, inv.Terms) // expiry is not a change, stored or not
	_, err = w.svc.ExpireDue(w.ctx, 10)
	w.is.NoErr(err)
	w.is.Equal(w.get(inv).Terms, lapsed)
}

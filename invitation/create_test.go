package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// with returns minimal valid CreateParams, changed by a function.
func with(change func(*invitation.CreateParams)) invitation.CreateParams {
	p := invitation.CreateParams{EmailAddress: "carl@example.com", Role: invitation.RoleMember}
	change(&p)
	return p
}

func TestCreate(t *testing.T) {
	w := setup(t, &invitation.Config{NewID: func() string { return "inv-1" }})
	public, private := mustMetadata(t, `{"team":"red"}`), mustMetadata(t, `{"source":"crm"}`)
	got, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "  Carl@Example.com ", Role: invitation.RoleMember, InviterUserID: "ann",
		RedirectURL: acceptURL + "/x", OrganizationDomainID: "dom-1", PublicMetadata: public, PrivateMetadata: private,
		ExpiresIn: 48 * time.Hour, Silent: true,
	})
	w.is.NoErr(err)
	want := invitation.Invitation{
		ID: "inv-1", OrganizationID: "acme", OrganizationDomainID: "dom-1", EmailAddress: "Carl@Example.com",
		Role: invitation.RoleMember, RoleName: "Member", Status: invitation.StatusPending,
		PublicMetadata: public, PrivateMetadata: private, InviterUserID: "ann", RedirectURL: acceptURL + "/x",
		CreatedAt: noon, UpdatedAt: noon, SentAt: noon, ExpiresAt: noon.Add(48 * time.Hour), Terms: got.Terms,
	}
	w.is.True(got.Terms != "")
	w.is.True(strings.HasPrefix(got.URL, acceptURL+"/x?invitation_ticket="))
	told := want
	want.URL = got.URL
	w.is.Equal(got, want)
	w.is.Equal(w.get(got), told) // Get has no URL
	w.is.Equal(w.events, []invitation.Event{
		{Type: invitation.EventCreated, At: noon, ActorID: "ann", Invitation: told}}) // Silent: Notify is not set
	r := w.stored()[0]
	w.is.Equal(r.EmailKey, "carl@example.com")
	w.is.Equal(r.Generation, int64(1))
}

func TestCreateRefusesParameters(t *testing.T) {
	w := setup(t, &invitation.Config{MaxMetadata: 20})
	is422 := func(code, param string) []refusal { return []refusal{{422, code, param}} }
	for name, tt := range map[string]struct {
		organization string
		p            invitation.CreateParams
		want         []refusal
	}{
		"no organization": {"", with(func(*invitation.CreateParams) {}), is422("form_param_missing", "organization_id")},
		"a long organization": {strings.Repeat("o", 129), with(func(*invitation.CreateParams) {}), is422(
			"form_param_exceeds_allowed_size", "organization_id",
		)},
		"a NUL in it": {"ac\x00me", with(func(*invitation.CreateParams) {}), is422(
			"form_param_format_invalid", "organization_id",
		)},
		"no address": {"acme", with(
			func(p *invitation.CreateParams) { p.EmailAddress = " " },
		), is422("form_param_missing", "email_address")},
		"a malformed address": {"acme", with(
			func(p *invitation.CreateParams) { p.EmailAddress = "carl" },
		), is422("form_param_format_invalid", "email_address")},
		"no role": {"acme", with(
			func(p *invitation.CreateParams) { p.Role = "" },
		), is422("form_param_missing", "role")},
		"an unknown role": {"acme", with(func(p *invitation.CreateParams) { p.Role = "org:king" }), []refusal{
			{404, "resource_not_found", "role"},
		}},
		"a long inviter": {"acme", with(
			func(p *invitation.CreateParams) { p.InviterUserID = strings.Repeat("u", 129) },
		), is422("form_param_exceeds_allowed_size", "inviter_user_id")},
		"control characters": {"acme", with(
			func(p *invitation.CreateParams) { p.InviterUserID = "a\nb" },
		), is422("form_param_format_invalid", "inviter_user_id")},
		"invalid UTF-8": {"acme", with(
			func(p *invitation.CreateParams) { p.OrganizationDomainID = "\xff" },
		), is422("form_param_format_invalid", "organization_domain_id")},
		"a long URL": {"acme", with(
			func(p *invitation.CreateParams) { p.RedirectURL = acceptURL + strings.Repeat("x", 2048) },
		), is422("form_param_exceeds_allowed_size", "redirect_url")},
		"large metadata": {"acme", with(
			func(p *invitation.CreateParams) { p.PublicMetadata = mustMetadata(t, `{"a":"12345678901234"}`) },
		), is422("form_param_exceeds_allowed_size", "public_metadata")},
		"large private": {"acme", with(
			func(p *invitation.CreateParams) { p.PrivateMetadata = mustMetadata(t, `{"a":"12345678901234"}`) },
		), is422("form_param_exceeds_allowed_size", "private_metadata")},
		"too short an expiry": {"acme", with(
			func(p *invitation.CreateParams) { p.ExpiresIn = time.Second - 1 },
		), is422("form_param_value_invalid", "expires_in_days")},
		"a negative expiry": {"acme", with(
			func(p *invitation.CreateParams) { p.ExpiresIn = -1 },
		), is422("form_param_value_invalid", "expires_in_days")},
		"too long an expiry": {"acme", with(
			func(p *invitation.CreateParams) { p.ExpiresIn = 365*24*time.Hour + 1 },
		), is422("form_param_value_invalid", "expires_in_days")},
		"all at once": {"", invitation.CreateParams{
			EmailAddress: "x", Role: "nope", InviterUserID: "\x00", RedirectURL: "javascript:x", ExpiresIn: -1,
			PublicMetadata: mustMetadata(t, `{"a":"12345678901234"}`)},
			[]refusal{
				{422, "form_param_missing", "organization_id"}, {422, "form_param_format_invalid", "email_address"},
				{422, "form_param_format_invalid", "inviter_user_id"}, {404, "resource_not_found", "role"},
				{422, "form_param_format_invalid", "redirect_url"}, {422, "form_param_exceeds_allowed_size", "public_metadata"},
				{422, "form_param_value_invalid", "expires_in_days"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(invitation.ErrInvalid, tt.want, func() error {
				_, err := w.svc.Create(w.ctx, tt.organization, tt.p)
				return err
			})
		})
	}
	_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) {
		p.PublicMetadata, p.PrivateMetadata = mustMetadata(t, `{"a":"123456789012"}`), mustMetadata(t, `{"a":"123456789012"}`)
		p.ExpiresIn = 365 * 24 * time.Hour
		p.InviterUserID = "ann"
	}))
	w.is.NoErr(err) // the limits themselves are fine
	_, err = w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Role = "org:king" }))
	w.is.True(errors.Is(err, invitation.ErrNotFound)) // an unknown role is also ErrNotFound
}

// Everything is wrong at first, and each step fixes one thing. So the steps show the precedence of the errors.
func TestCreateRefusesInOrder(t *testing.T) {
	w := setup(t, nil)
	w.invite("dora@example.com") // pending, and too recent to be replaced
	w.host.AddOrganization(invitation.Organization{ID: "dup"})
	quota, allowed := 1, false
	seats := 0
	cfg := &invitation.Config{
		MaxPending: 1,
		AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error {
			if allowed {
				return nil
			}
			return fmt.Errorf("not this one: %w", invitation.ErrForbidden)
		},
		Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
			return invitation.SeatsResult{Members: seats, Limit: quota}, nil
		},
	}
	w.svc = w.service(w.host, cfg)
	// bob gets the address that ann invites, and becomes a member later.
	p := invitation.CreateParams{EmailAddress: "", Role: invitation.RoleAdmin, InviterUserID: "carl"}
	org, svc := "nowhere", w.svc.As("")
	step := func(sentinel error, want refusal) {
		t.Helper()
		w.refuses(sentinel, []refusal{want}, func() error {
			_, err := svc.Create(w.ctx, org, p)
			return err
		})
	}
	step(invitation.ErrForbidden, refusal{401, "not_allowed_access", "user_id"})
	svc = w.svc
	step(invitation.ErrInvalid, refusal{422, "form_param_missing", "email_address"})
	p.EmailAddress = "dora@example.com"
	step(invitation.ErrNotMember, refusal{403, "not_a_member_in_organization", "inviter_user_id"})
	w.host.AddMember("nowhere", "carl", invitation.RoleMember)
	step(invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", "inviter_user_id"})
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: invitation.RoleAdmin},
		invitation.RoleDefinition{
			Key: invitation.RoleMember, Manages: true, Grants: []invitation.Role{invitation.RoleMember},
		})
	w.is.NoErr(err)
	cfg.Roles = roles
	w.svc = w.service(w.host, cfg)
	svc = w.svc
	step(invitation.ErrNotFound, refusal{404, "resource_not_found", "organization_id"})
	org = "acme"
	w.host.AddMember("acme", "carl", invitation.RoleMember)
	w.host.AddMember("acme", "dora", invitation.RoleMember)
	step(invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", "role"})
	p.Role = invitation.RoleMember
	step(invitation.ErrForbidden, refusal{403, "not_allowed_access", "email_address"})
	allowed = true
	step(invitation.ErrAlreadyMember, refusal{400, "already_a_member_in_organization", "email_address"})
	w.host.RemoveMember("acme", "dora")
	step(invitation.ErrDuplicate, refusal{400, "organization_invitation_not_unique", "email_address"})
	p.Replace = true
	step(invitation.ErrTooSoon, refusal{429, "too_many_requests", "email_address"})
	w.clock.Advance(time.Minute)
	seats = 1
	step(invitation.ErrQuotaExceeded, refusal{403, "organization_membership_quota_exceeded", ""}) // seats
	seats = 0
	_, err = svc.Create(w.ctx, org, p)
	w.is.NoErr(err) // MaxPending 1 holds: one replaces the other
	p.EmailAddress, quota = "else@example.com", 0
	step(invitation.ErrQuotaExceeded, refusal{403, "organization_membership_quota_exceeded", ""}) // MaxPending
}

func TestCreateTooSoonSaysWhenToTryAgain(t *testing.T) {
	w := setup(t, &invitation.Config{ResendAfter: 10 * time.Second})
	w.invite("carl@example.com")
	w.clock.Advance(8500 * time.Millisecond)
	_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace = true }))
	var e *invitation.Error
	w.is.True(errors.As(err, &e))
	w.is.Equal(e.Meta, map[string]any{"retry_after": 2}) // seconds, rounded up
	w.clock.Advance(1500 * time.Millisecond)
	_, err = w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace = true }))
	w.is.NoErr(err) // exactly then

	w.svc = w.service(w.host, &invitation.Config{ResendAfter: -1})
	_, err = w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace = true }))
	w.is.NoErr(err) // no limit
}

// Two spellings of one address are one invitee. Two organizations have two invitations.
func TestCreateIsUniqueByCanonicalAddressAndOrganization(t *testing.T) {
	w := setup(t, nil)
	w.invite("Carl@Bücher.example")
	for _, spelling := range []string{"carl@bücher.example", "CARL@xn--bcher-kva.example", " carl@bu\u0308cher.EXAMPLE "} {
		w.refuses(invitation.ErrDuplicate, []refusal{
			{400, "organization_invitation_not_unique", "email_address"},
		}, func() error {
			_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = spelling }))
			return err
		})
	}
	_, err := w.svc.Create(
		w.ctx, "other", with(func(p *invitation.CreateParams) { p.EmailAddress = "carl@bücher.example" }),
	)
	w.is.NoErr(err)
	w.refuses(invitation.ErrAlreadyMember, []refusal{
		{400, "already_a_member_in_organization", "email_address"},
	}, func() error {
		_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = "BOB@example.com" }))
		return err
	})
}

func TestCreateReplaces(t *testing.T) {
	w := setup(t, nil)
	old := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	w.events = nil
	fresh, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace, p.InviterUserID = true, "ann" }),
	)
	w.is.NoErr(err)
	w.is.True(fresh.ID != old.ID)

	was := w.get(old)
	w.is.Equal(was.Status, invitation.StatusRevoked)
	w.is.Equal(was.ResolvedBy, "ann")
	w.is.Equal(was.ResolvedAt, noon.Add(time.Hour))
	w.is.Equal(was.UpdatedAt, noon.Add(time.Hour))
	w.is.Equal(eventTypes(w.events), []invitation.EventType{invitation.EventRevoked, invitation.EventCreated})
	w.is.Equal(w.events[0].Invitation, was)
	w.is.Equal(w.events[0].ActorID, "ann")

	_, err = w.svc.Preview(w.ctx, ticketOf(t, old))
	w.is.True(errors.Is(err, invitation.ErrRevoked)) // the old link is void
	_, err = w.svc.Preview(w.ctx, ticketOf(t, fresh))
	w.is.NoErr(err)
	_, err = w.svc.Create(w.ctx, "other", with(func(p *invitation.CreateParams) { p.Replace = true }))
	w.is.NoErr(err) // Replace without a pending invitation is a plain Create
}

// An expired invitation does not hold the address or a seat, and does not count as pending. Its expiry is stored.
func TestCreateAfterExpiry(t *testing.T) {
	w := setup(t, &invitation.Config{MaxPending: 1})
	w.svc = w.service(w.host, &invitation.Config{MaxPending: 1, Seats: w.host.Seats(3)})
	old := w.invite("carl@example.com")
	w.clock.Advance(30 * 24 * time.Hour)
	before := w.get(old)
	w.is.Equal(before.Status, invitation.StatusExpired)
	w.events = nil
	fresh := w.invite("carl@example.com")
	w.is.Equal(w.get(old), before) // reads the same before and after it is written
	w.is.Equal(before.ResolvedAt, old.ExpiresAt)
	w.is.Equal(before.UpdatedAt, noon)
	w.is.Equal(w.get(fresh).Status, invitation.StatusPending)
	w.is.Equal(eventTypes(w.events), []invitation.EventType{invitation.EventExpired, invitation.EventCreated})
	w.is.Equal(w.events[0].Invitation, before)
	w.is.Equal(w.events[0].ActorID, "") // "" for expiry
	stored, err := w.host.Storage().Get(w.ctx, old.ID)
	w.is.NoErr(err)
	w.is.Equal(stored.Status, storage.Expired)
}

func TestCreateLimits(t *testing.T) {
	w := setup(t, &invitation.Config{MaxPending: 2})
	first := w.invite("c1@example.com")
	w.invite("c2@example.com")
	full := []refusal{{403, "organization_membership_quota_exceeded", ""}}
	create := func(email string) func() error {
		return func() error {
			_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = email }))
			return err
		}
	}
	w.refuses(invitation.ErrQuotaExceeded, full, create("c3@example.com"))
	_, err := w.svc.Create(w.ctx, "other", with(func(*invitation.CreateParams) {}))
	w.is.NoErr(err) // the limit is each organization's own
	_, err = w.svc.Revoke(w.ctx, "acme", first.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	w.is.NoErr(create("c3@example.com")()) // a resolved invitation does not count

	// Two members and two pending invitations take all four seats.
	w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(4)})
	w.refuses(invitation.ErrQuotaExceeded, full, create("c4@example.com"))
	w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(5)})
	w.is.NoErr(create("c4@example.com")())
	w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(0)})
	w.is.NoErr(create("c5@example.com")()) // 0 means no limit
	w.svc = w.service(w.host, &invitation.Config{MaxPending: -1})
	w.is.NoErr(create("c6@example.com")()) // and so is a negative MaxPending
}

func TestCreateBulk(t *testing.T) {
	w := setup(t, nil)
	ps := make([]invitation.CreateParams, 5)
	for i := range ps {
		ps[i] = invitation.CreateParams{EmailAddress: fmt.Sprintf("u%d@example.com", 5-i), Role: invitation.RoleMember,
			InviterUserID: []string{"ann", ""}[i%2], Silent: i == 3}
	}
	invs, err := w.svc.CreateBulk(w.ctx, "acme", ps)
	w.is.NoErr(err)
	w.is.Equal(len(invs), 5)
	for i, inv := range invs {
		w.is.Equal(inv.EmailAddress, ps[i].EmailAddress) // in the order of the arguments
		w.is.Equal(w.events[i].Notify, i != 3)
		w.is.Equal(w.events[i].Invitation.ID, inv.ID)
		w.is.Equal(w.events[i].Invitation.URL, "")
		_, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
		w.is.NoErr(err)
	}
	w.is.Equal(ps[1].InviterUserID, "") // the caller's slice is unchanged
}

func TestCreateBulkRefuses(t *testing.T) {
	w := setup(t, &invitation.Config{MaxBulk: 4, AllowEmail: func(_ context.Context, _ storage.Storage,
		r invitation.AllowEmailRequest) error {
		if strings.HasSuffix(r.EmailAddress, "@evil.example") { // gets the canonical form
			return fmt.Errorf("blocked: %w", invitation.ErrForbidden)
		}
		return nil
	}})
	w.invite("old1@example.com")
	w.invite("old2@example.com")
	item := func(email string, role invitation.Role, inviter string) invitation.CreateParams {
		return invitation.CreateParams{EmailAddress: email, Role: role, InviterUserID: inviter}
	}
	const m, a = invitation.RoleMember, invitation.RoleAdmin
	for name, tt := range map[string]struct {
		ps       []invitation.CreateParams
		sentinel error
		want     []refusal
	}{
		"none":     {nil, invitation.ErrInvalid, []refusal{{422, "form_param_missing", ""}}},
		"too many": {make([]invitation.CreateParams, 5), invitation.ErrInvalid, []refusal{{400, "bulk_size_exceeded", ""}}},
		"parameters": {[]invitation.CreateParams{
			item("a@example.com", m, ""), item("x", "", ""), item("b@example.com", "king", ""),
		},
			invitation.ErrInvalid, []refusal{
				{422, "form_param_format_invalid", "[1].email_address"}, {422, "form_param_missing", "[1].role"},
				{404, "resource_not_found", "[2].role"}}},
		"an address twice": {[]invitation.CreateParams{item("a@example.com", m, ""), item("A@EXAMPLE.com", m, "")},
			invitation.ErrInvalid, []refusal{{422, "form_param_duplicate", "[1].email_address"}}},
		"inviters": {[]invitation.CreateParams{item("a@example.com", m, "carl"), item("b@example.com", m, "bob"),
			item("c@example.com", m, "carl"), item("bob@example.com", m, "ann")},
			invitation.ErrNotMember, []refusal{{403, "not_a_member_in_organization", "[0].inviter_user_id"},
				{
					403, "not_an_admin_in_organization", "[1].inviter_user_id",
				}, {403, "not_a_member_in_organization", "[2].inviter_user_id"}}},
		"addresses that are not allowed, before members": {[]invitation.CreateParams{item("bob@example.com", m, ""),
			item("Eve@EVIL.example", m, ""), item("eve2@evil.example", m, "")}, invitation.ErrForbidden,
			[]refusal{{403, "not_allowed_access", "[1].email_address"}, {403, "not_allowed_access", "[2].email_address"}}},
		"members, before duplicates": {[]invitation.CreateParams{item(
			"old1@example.com", m, "",
		), item("bob@example.com", m, ""),
			item("ann@example.com", a, "")}, invitation.ErrAlreadyMember,
			[]refusal{{
				400, "already_a_member_in_organization", "[1].email_address",
			}, {400, "already_a_member_in_organization", "[2].email_address"}}},
		"duplicates, one for each": {[]invitation.CreateParams{item("Old1@example.com", m, ""),
			item("new@example.com", m, ""), item("old2@example.com", m, "")}, invitation.ErrDuplicate, []refusal{
			{400, "duplicate_record", "[0].email_address"}, {400, "duplicate_record", "[2].email_address"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(tt.sentinel, tt.want, func() error {
				_, err := w.svc.CreateBulk(w.ctx, "acme", tt.ps)
				var errs invitation.Errors
				if errors.Is(err, invitation.ErrDuplicate) && errors.As(err, &errs) {
					w.is.Equal(errs[0].Meta, map[string]any{"email_addresses": []string{"Old1@example.com"}})
					w.is.Equal(errs[1].Meta, map[string]any{"email_addresses": []string{"old2@example.com"}})
					body := string(invitation.ErrorBody(err)) // one entry, as in Clerk's API
					w.is.True(strings.HasSuffix(body, `"code":"duplicate_record","meta":{"email_addresses":`+
						`["Old1@example.com","old2@example.com"],"param_name":"email_address"}}]}`))
					w.is.Equal(strings.Count(body, "duplicate_record"), 1)
				}
				return err
			})
		})
	}
	unbounded := w.service(w.host, &invitation.Config{MaxBulk: -1})
	_, err := unbounded.CreateBulk(w.ctx, "acme", []invitation.CreateParams{item("a@example.com", m, "")})
	w.is.NoErr(err)
}

func TestCreateBulkReplacesPerItem(t *testing.T) {
	w := setup(t, nil)
	live, lapsing := w.invite("live@example.com"), w.invite("lapsed@example.com")
	w.clock.Advance(30*24*time.Hour - time.Second)
	again, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress, p.Replace = "live@example.com", true }),
	)
	w.is.NoErr(err)
	w.clock.Advance(time.Hour)
	w.events = nil
	invs, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "new@example.com", Role: invitation.RoleMember},
		{EmailAddress: "live@example.com", Role: invitation.RoleAdmin, Replace: true},
		{EmailAddress: "lapsed@example.com", Role: invitation.RoleMember},
	})
	w.is.NoErr(err)
	w.is.Equal(len(invs), 3)
	w.is.Equal(w.get(live).Status, invitation.StatusRevoked)
	w.is.Equal(w.get(again).Status, invitation.StatusRevoked)
	w.is.Equal(w.get(lapsing).Status, invitation.StatusExpired)
	w.is.Equal(eventTypes(w.events), []invitation.EventType{invitation.EventRevoked, invitation.EventExpired,
		invitation.EventCreated, invitation.EventCreated, invitation.EventCreated})
}

// A callback error other than those documented is internal: it is in the chain, and nothing is written.
func TestCreateReturnsCallbackErrors(t *testing.T) {
	boom := errors.New("boom")
	own := &invitation.Error{Status: 418, Code: "teapot", Message: "Teapot", LongMessage: "A teapot of the host"}
	for _, cause := range []error{boom, own} {
		for name, make := range map[string]func(w *world) *invitation.Service{
			"Directory.Role": func(w *world) *invitation.Service {
				return w.service(&failing{Host: w.host, role: cause}, nil)
			},
			"Directory.MemberEmails": func(w *world) *invitation.Service {
				return w.service(&failing{Host: w.host, memberEmails: cause}, nil)
			},
			"Config.AllowEmail": func(w *world) *invitation.Service {
				return w.service(w.host, &invitation.Config{
					AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error { return cause },
				})
			},
			"Config.Seats": func(w *world) *invitation.Service {
				return w.service(w.host, &invitation.Config{
					Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
						return invitation.SeatsResult{}, cause
					},
				})
			},
			"Config.OnEvents": func(w *world) *invitation.Service {
				return w.service(w.host, &invitation.Config{
					OnEvents: func(context.Context, storage.Storage, []invitation.Event) error { return cause },
				})
			},
		} {
			t.Run(name+" "+cause.Error(), func(t *testing.T) {
				w := setup(t, nil)
				_, err := make(w).Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.InviterUserID = "ann" }))
				w.is.True(errors.Is(err, cause))
				var e *invitation.Error
				w.is.Equal(errors.As(err, &e), cause == own)                            // only the host's own is shown
				w.is.True(cause == own || strings.Contains(err.Error(), name+": boom")) // and the other one says where
				w.is.Equal(len(w.stored()), 0)                                          // nothing is stored
			})
		}
	}
}

// If the context has ended, its error is in the chain whatever a callback returns, because some drivers do not report
// it.
func TestCancelledInCallback(t *testing.T) {
	w := setup(t, nil)
	boom := errors.New("i/o timeout")
	ctx, cancel := context.WithCancel(w.ctx)
	svc := w.service(w.host, &invitation.Config{AllowEmail: func(context.Context, storage.Storage,
		invitation.AllowEmailRequest) error {
		cancel()
		return boom
	}})
	_, err := svc.Create(ctx, "acme", with(func(*invitation.CreateParams) {}))
	w.is.True(errors.Is(err, boom) && errors.Is(err, context.Canceled))
	w.is.Equal(strings.Count(err.Error(), context.Canceled.Error()), 1)
}

// failing is a host that returns errors for some calls.
type failing struct {
	*invitationtest.Host
	role, memberEmails, verifiedEmails, join error
}

func (f *failing) Role(
	ctx context.Context, tx storage.Storage, organizationID, userID string,
) (invitation.Role, error) {
	if f.role != nil {
		return "", f.role
	}
	return f.Host.Role(ctx, tx, organizationID, userID)
}

func (f *failing) MemberEmails(
	ctx context.Context, tx storage.Storage, organizationID string, emails []string,
) ([]string, error) {
	if f.memberEmails != nil {
		return nil, f.memberEmails
	}
	return f.Host.MemberEmails(ctx, tx, organizationID, emails)
}

func (f *failing) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	if f.verifiedEmails != nil {
		return nil, f.verifiedEmails
	}
	return f.Host.VerifiedEmails(ctx, tx, userID)
}

func (f *failing) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	err := f.Host.Join(ctx, tx, m) // writes, and then fails
	if f.join != nil {
		return f.join
	}
	return err
}

// 32 calls at once give one pending invitation and 31 duplicates.
func TestCreateConcurrently(t *testing.T) {
	w := setup(t, nil)
	const n = 32
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = w.svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {})) })
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else {
			w.is.True(errors.Is(err, invitation.ErrDuplicate))
		}
	}
	w.is.Equal(created, 1)
	w.is.Equal(len(w.stored()), 1)
}

// The limit of seats is never exceeded, under any concurrency (C21).
func TestLimitsAreExactUnderConcurrency(t *testing.T) {
	w := setup(t, nil)
	w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(12)}) // two members
	var wg sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.svc.Create(
				w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = fmt.Sprintf("u%d@example.com", i) }),
			)
		})
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else {
			w.is.True(errors.Is(err, invitation.ErrQuotaExceeded))
		}
	}
	w.is.Equal(created, 10)
}

// If somebody else takes a slot between the read and the write, Create reads again, and finally returns a duplicate.
func TestCreateLosesASlot(t *testing.T) {
	for name, tt := range map[string]struct {
		blind   int
		replace bool
		want    error
	}{
		"a duplicate after all":                    {1, false, invitation.ErrDuplicate},
		"replaced after all":                       {1, true, nil},
		"replaced at the last moment":              {2, true, nil},
		"never seen, as with an old snapshot":      {3, true, invitation.ErrConflict},
		"never seen, and not meant to be replaced": {3, false, invitation.ErrDuplicate},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			old := w.invite("carl@example.com")
			w.clock.Advance(time.Hour)
			looks := tt.blind
			svc := w.svc.WithStorage(blind{w.host.Storage(), &looks})
			inv, err := svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace = tt.replace }))
			w.is.True(errors.Is(err, tt.want))
			if err == nil {
				w.is.Equal(w.get(old).Status, invitation.StatusRevoked)
				w.is.Equal(eventTypes(w.events[1:]), []invitation.EventType{invitation.EventRevoked, invitation.EventCreated})
				w.is.Equal(w.get(inv).Status, invitation.StatusPending)
			} else {
				w.is.Equal(w.get(old).Status, invitation.StatusPending)
				w.is.Equal(len(w.events), 1)
			}
		})
	}
}

// Even if a slot is lost at the last moment, the error for a member takes precedence.
func TestMemberLosesASlot(t *testing.T) {
	for _, member := range []bool{false, true} {
		w := setup(t, nil)
		lapsed := w.invite("carl@example.com")
		w.clock.Set(lapsed.ExpiresAt)
		w.invite("carl@example.com") // takes the slot
		want := invitation.ErrDuplicate
		if member {
			w.host.AddMember("acme", "carl", invitation.RoleMember)
			want = invitation.ErrAlreadyMember
		}
		looks := 3
		svc := w.svc.WithStorage(blind{w.host.Storage(), &looks})
		_, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
		w.is.True(errors.Is(err, want))
		looks = 1
		_, err = svc.Resend(w.ctx, "acme", lapsed.ID, invitation.ResendParams{})
		w.is.True(errors.Is(err, want))
		w.is.Equal(looks, 0)
	}
}

// In a bulk, the error names the addresses that lost their slot, whatever the order of the writes.
func TestCreateBulkLosesASlot(t *testing.T) {
	w := setup(t, nil)
	w.invite("b@example.com")
	looks := 3
	svc := w.svc.WithStorage(blind{w.host.Storage(), &looks})
	_, err := svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		with(func(p *invitation.CreateParams) { p.EmailAddress = "c@example.com" }),
		with(func(p *invitation.CreateParams) { p.EmailAddress = "a@example.com" }),
		with(func(p *invitation.CreateParams) { p.EmailAddress = "b@example.com" })})
	var e *invitation.Error
	w.is.True(errors.As(err, &e))
	w.is.Equal(e.Meta["email_addresses"], []string{"b@example.com"})
	w.is.Equal(len(w.stored()), 1)
}

// blind is a storage that at first does not show the holder of a slot.
type blind struct {
	storage.Storage
	looks *int
}

func (s blind) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if q.StoredStatuses != nil && *s.looks > 0 {
		*s.looks--
		return nil, nil
	}
	return s.Storage.List(ctx, q)
}

func (s blind) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, blind{
			tx, s.looks,
		})
	})
}

func TestCreateHonoursCancellation(t *testing.T) {
	w := setup(t, nil)
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	_, err := w.svc.Create(ctx, "acme", with(func(*invitation.CreateParams) {}))
	w.is.True(errors.Is(err, context.Canceled))
	w.is.Equal(len(w.stored()), 0)
}

// Of two errors of the host, the first in this order is returned: the organization does not exist, AllowEmail refuses,
// the address belongs to a member, then the rest. If MemberEmails fails after AllowEmail has refused, the refusal
// stays, because AllowEmail may have caused the failure. If the transaction has ended, the host is not asked again.
func TestPrecedenceOfHostErrors(t *testing.T) {
	boom, silent := errors.New("boom"), errors.New("no answer")
	own := &invitation.Error{Status: 418, Code: "teapot", Message: "Teapot", LongMessage: "A teapot of the host"}
	aborted := fmt.Errorf("host: %w", invitation.ErrAborted)
	unavailable := fmt.Errorf("host: %w", invitation.ErrUnavailable)
	const allow, seats = "AllowEmail", "Seats"
	for _, c := range []struct {
		callback string
		err      error
		member   bool
		members  error // the error of MemberEmails
		want     error
		asked    bool
	}{
		{allow, own, false, nil, own, true},
		{allow, own, true, nil, own, true},
		{allow, boom, true, nil, boom, true},
		{allow, own, false, silent, silent, true},
		{allow, boom, false, silent, boom, true},
		{allow, boom, false, own, own, true},
		{allow, own, false, storage.ErrNotFound, invitation.ErrNotFound, true},
		{allow, boom, false, storage.ErrNotFound, invitation.ErrNotFound, true},
		{allow, aborted, true, nil, aborted, false},
		{allow, unavailable, true, nil, unavailable, false},
		{allow, context.Canceled, true, nil, context.Canceled, false},
		{seats, own, false, nil, own, true},
		{seats, own, true, nil, invitation.ErrAlreadyMember, true},
		{seats, boom, true, nil, invitation.ErrAlreadyMember, true},
		{seats, own, false, silent, silent, true},
		{seats, boom, false, silent, boom, true},
		{seats, boom, false, storage.ErrNotFound, invitation.ErrNotFound, true},
		{seats, aborted, true, nil, aborted, false},
		{seats, unavailable, true, nil, unavailable, false},
		{seats, context.Canceled, true, nil, context.Canceled, false},
	} {
		for _, operation := range []string{"create", "resend"} {
			t.Run(fmt.Sprint(operation, c.callback, c.err, c.member, c.members), func(t *testing.T) {
				w := setup(t, nil)
				var lapsed invitation.Invitation
				if operation == "resend" {
					lapsed = w.invite("dora@example.com")
					w.clock.Set(lapsed.ExpiresAt)
				}
				if c.member {
					w.host.AddMember("acme", "dora", invitation.RoleMember)
				}
				ctx, cancel := context.WithCancel(w.ctx)
				defer cancel()
				says := func(callback string) error {
					if callback != c.callback {
						return nil
					}
					if c.err == context.Canceled {
						cancel()
					}
					return c.err
				}
				host := &counting{failing: failing{Host: w.host, memberEmails: c.members}}
				svc := w.service(host, &invitation.Config{
					AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error { return says(allow) },
					Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
						return invitation.SeatsResult{Limit: 9}, says(seats)
					},
				})
				var err error
				if operation == "resend" {
					_, err = svc.Resend(ctx, "acme", lapsed.ID, invitation.ResendParams{})
				} else {
					_, err = svc.Create(ctx, "acme", invitation.CreateParams{
						EmailAddress: "dora@example.com", Role: invitation.RoleMember})
				}
				w.is.True(errors.Is(err, c.want))
				for _, other := range []error{own, boom, silent, invitation.ErrAlreadyMember, invitation.ErrNotFound} {
					w.is.True(other == c.want || !errors.Is(err, other)) // and nothing else
				}
				w.is.Equal(host.asked > 0, c.asked)
			})
		}
	}
}

type noting struct {
	*failing
	note func()
}

func (d *noting) MemberEmails(
	ctx context.Context, tx storage.Storage, organizationID string, emails []string,
) ([]string, error) {
	d.note()
	clear(emails) // the directory may change its argument
	return nil, nil
}

// A limit of 0 or less means no limit, as in Config. ErrQuotaExceeded means that no seat is free.
func TestOddSeats(t *testing.T) {
	seats := func(members, limit int, err error) seatsFunc {
		return func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
			return invitation.SeatsResult{Members: members, Limit: limit}, err
		}
	}
	full := fmt.Errorf("the subscription has ended: %w", invitation.ErrQuotaExceeded)
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	for name, call := range map[string]func() error{
		"accept": func() error { return w.accept(byIDs(inv, "carl")) },
		"create": func() error {
			_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = "x@example.com" }))
			return err
		},
	} {
		for _, tt := range []seatsFunc{
			seats(1<<62, 5, nil), seats(9, 3, nil), seats(0, 0, full), seats(0, -1, full), seats(0, 1<<62, full),
		} {
			w.svc = w.service(w.host, &invitation.Config{Seats: tt})
			w.refuses(invitation.ErrQuotaExceeded, []refusal{{403, "organization_membership_quota_exceeded", ""}}, call)
		}
		own := &invitation.Error{Status: 402, Code: "payment_required", Message: "Pay"}
		w.svc = w.service(w.host, &invitation.Config{Seats: seats(0, 0, errors.Join(own, full))})
		if err := call(); len(refusals(err)) != 1 || refusals(err)[0].code != "payment_required" { // the host's own error
			t.Errorf("%s: %v", name, err)
		}
		w.svc = w.service(w.host, &invitation.Config{Seats: seats(1<<62, -1, nil)})
		w.is.NoErr(call())
	}
}

// A user who accepts during Create is a member or has a pending invitation. Create sees one or the other, because it
// reads the members only when it holds the pending slot.
func TestCreateReadsMembersAfterItHoldsTheSlot(t *testing.T) {
	w := setup(t, nil)
	var order []string
	dir := &noting{failing: &failing{Host: w.host}, note: func() { order = append(order, "members") }}
	svc := w.serviceOn(hooked{Storage: w.host.Storage(), insert: func() { order = append(order, "slot") }}, dir, nil)
	for _, replace := range []bool{false, true} {
		order = nil
		w.clock.Advance(time.Hour)
		_, err := svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace = replace }))
		w.is.NoErr(err)
		w.is.Equal(order, []string{"slot", "members"})
	}
}

// Create reads the holder of the pending slot only if there is one, if it counts the seats that the holder frees, or in
// a transaction of the host's, whose snapshot may be too old for what others have done to the slot.
func TestCreateOfAFreeSlotReadsNoHolder(t *testing.T) {
	w := setup(t, nil)
	read := 0
	store := hooked{Storage: w.host.Storage(), list: func(storage.Query) { read++ }}
	create := func(cfg *invitation.Config, email string, replace bool) error {
		read = 0
		_, err := w.serviceOn(store, w.host, cfg).Create(w.ctx, "acme",
			with(func(p *invitation.CreateParams) { p.EmailAddress, p.Replace = email, replace }))
		return err
	}
	w.is.NoErr(create(nil, "a@example.com", false))
	w.is.Equal(read, 0)
	w.is.NoErr(create(&invitation.Config{MaxPending: 9}, "b@example.com", false))
	w.is.Equal(read, 0)
	_, err := w.service(w.host, nil).WithStorage(store).Create(w.ctx, "acme",
		with(func(p *invitation.CreateParams) { p.EmailAddress = "h@example.com" }))
	w.is.NoErr(err)
	w.is.Equal(read, 1)
	w.is.NoErr(create(nil, "c@example.com", true))
	w.is.Equal(read, 1)
	read = 0 // a bulk locks the holders first: otherwise it would wait for one slot while it holds others
	_, err = w.serviceOn(store, w.host, nil).CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		with(func(p *invitation.CreateParams) { p.EmailAddress = "x@example.com" }),
		with(func(p *invitation.CreateParams) { p.EmailAddress = "y@example.com" })})
	w.is.NoErr(err)
	w.is.Equal(read, 1)
	w.is.True(errors.Is(create(nil, "a@example.com", false), invitation.ErrDuplicate))
	w.is.Equal(read, 2) // and locked
	// A limit is told only if the slot is free.
	w.is.True(errors.Is(create(&invitation.Config{MaxPending: 6}, "a@example.com", false), invitation.ErrDuplicate))
	w.is.True(errors.Is(create(&invitation.Config{MaxPending: 6}, "d@example.com", false), invitation.ErrQuotaExceeded))
	// An error that is no refusal ends the call.
	full := errors.New("full")
	broken := uncounted{store, full}
	_, err = w.serviceOn(broken, w.host, &invitation.Config{MaxPending: 9}).Create(w.ctx, "acme",
		with(func(p *invitation.CreateParams) { p.EmailAddress = "z@example.com" }))
	w.is.True(errors.Is(err, full))
	// A lapsed holder gives up its slot, and counts for no limit.
	w.clock.Advance(31 * 24 * time.Hour)
	w.is.NoErr(create(&invitation.Config{MaxPending: 1}, "a@example.com", false))
}

// uncounted is a storage that cannot count.
type uncounted struct {
	storage.Storage
	err error
}

func (s uncounted) Count(context.Context, storage.Filter) (int, error) { return 0, s.err }
func (s uncounted) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, uncounted{tx, s.err})
	})
}

// The grants of each inviter in a bulk are checked, and each inviter's role is asked for once.
func TestGrantsOfEachInviterInABulk(t *testing.T) {
	w := setup(t, &invitation.Config{Roles: ladder(t)})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	item := func(email, inviter string, role invitation.Role) invitation.CreateParams {
		return invitation.CreateParams{EmailAddress: email, InviterUserID: inviter, Role: role}
	}
	w.refuses(invitation.ErrForbidden, []refusal{
		{403, "not_an_admin_in_organization", "[2].role"}, {403, "not_an_admin_in_organization", "[3].role"},
	}, func() error {
		_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{item("a@example.com", "", "org:owner"), item(
			"b@example.com", "ann", "org:owner",
		),
			item("c@example.com", "bob", "org:owner"), item("d@example.com", "bob", invitation.RoleAdmin)})
		return err
	})
}

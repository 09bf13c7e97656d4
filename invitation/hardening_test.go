package invitation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// These tests cover mistakes of hosts, stores and clients.

// hooked is a storage that calls a function before each operation.
type hooked struct {
	storage.Storage
	list func(q storage.Query)
	lock func() error
}

func (s hooked) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if s.list != nil {
		s.list(q)
	}
	return s.Storage.List(ctx, q)
}

func (s hooked) Lock(ctx context.Context, key string) error {
	if s.lock != nil {
		if err := s.lock(); err != nil {
			return err
		}
	}
	return s.Storage.Lock(ctx, key)
}

func (s hooked) Unwrap() storage.Storage { return s.Storage }

func (s hooked) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, hooked{tx, s.list, s.lock})
	})
}

// A user who accepts during Create is a member or has a pending invitation. Create sees one or the other, because it
// reads the invitation before the members.
func TestCreateReadsInvitationBeforeMembers(t *testing.T) {
	w := setup(t, nil)
	var order []string
	dir := &noting{failing: &failing{Host: w.host}, note: func() { order = append(order, "members") }}
	svc := w.service(dir, nil).WithStorage(hooked{Storage: w.host.Storage(), list: func(q storage.Query) {
		if q.StoredStatuses != nil {
			order = append(order, "invitations")
		}
	}})
	_, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
	w.is.NoErr(err)
	w.is.Equal(order, []string{"invitations", "members"})
}

type noting struct {
	*failing
	note func()
}

func (d *noting) MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) ([]string, error) {
	d.note()
	clear(emails) // the directory may change its argument
	return nil, nil
}

// The clock is read after waiting for the lock of the organization or of the row (C14).
func TestTheClockIsReadAfterTheLocks(t *testing.T) {
	for _, where := range []string{"lock", "row"} {
		for name, call := range map[string]func(w *world, svc *invitation.Service, inv invitation.Invitation) error{
			"accept": func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
				_, err := svc.Accept(w.ctx, byTicket(t, inv, "carl"))
				return err
			},
			"revoke": func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
				_, err := svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
				return err
			},
			"update": func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
				_, err := svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{})
				return err
			},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				w := setup(t, nil)
				inv := w.invite("carl@example.com")
				late := func() { w.clock.Set(inv.ExpiresAt) }
				st := hooked{Storage: w.host.Storage()}
				if where == "lock" {
					st.lock = func() error { late(); return nil }
				} else {
					st.list = func(q storage.Query) {
						if q.ForUpdate {
							late()
						}
					}
				}
				svc := w.service(w.host, &invitation.Config{MaxPending: 9}).WithStorage(st)
				err := call(w, svc, inv)
				w.is.True(errors.Is(err, invitation.ErrExpired) || errors.Is(err, invitation.ErrNotPending))
			})
		}
	}
	w := setup(t, nil)
	inv := w.invite("carl@example.com") // Create also reads the clock after the lock
	svc := w.service(w.host, nil).WithStorage(hooked{Storage: w.host.Storage(), list: func(q storage.Query) {
		if q.ForUpdate {
			w.clock.Set(inv.ExpiresAt)
		}
	}})
	_, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
	w.is.NoErr(err) // it expired during the wait
}

// If a lock fails, the operation returns an error and writes nothing.
func TestLockFails(t *testing.T) {
	w := setup(t, nil)
	boom := errors.New("boom")
	svc := w.service(w.host, &invitation.Config{MaxPending: 9}).WithStorage(hooked{Storage: w.host.Storage(), lock: func() error { return boom }})
	_, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
	w.is.True(errors.Is(err, boom))
	w.is.Equal(len(w.stored()), 0)
}

// Every record is read with a lock before it is written.
func TestRecordsAreLockedBeforeWrites(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	locked := 0
	svc := w.svc.WithStorage(hooked{Storage: w.host.Storage(), list: func(q storage.Query) {
		if q.ForUpdate {
			locked++
		}
	}})
	for i, call := range []func() error{
		func() error {
			_, err := svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
			return err
		},
		func() error {
			w.clock.Advance(time.Hour)
			_, err := svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{RequestingUserID: "ann"})
			return err
		},
		func() error {
			w.clock.Advance(time.Hour)
			_, err := svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace = true }))
			return err
		},
		func() error {
			_, err := svc.RevokeAll(w.ctx, invitation.RevokeAllParams{EmailAddresses: []string{"carl@example.com"}})
			return err
		},
		func() error { _, err := svc.DeleteOrganization(w.ctx, "acme"); return err },
	} {
		w.is.NoErr(call())
		w.is.Equal(locked, i+1)
	}
}

// A ticket of a later generation than the stored one is void, like one of an earlier generation. A link is always
// current.
func TestGenerations(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	r := w.stored()[0]
	r.Generation = 5
	w.is.NoErr(w.host.Storage().Update(w.ctx, r))
	link, err := w.svc.Link(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	later := ticketOf(t, invitation.Invitation{URL: link})
	_, err = w.svc.Preview(w.ctx, later)
	w.is.NoErr(err)
	r = w.stored()[0]
	r.Generation = 4
	w.is.NoErr(w.host.Storage().Update(w.ctx, r))
	_, err = w.svc.Preview(w.ctx, later)
	w.is.True(errors.Is(err, invitation.ErrInvalidTicket))
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

// The grants of each inviter in a bulk are checked, and each inviter's role is asked for once.
func TestGrantsOfEachInviterInABulk(t *testing.T) {
	w := setup(t, &invitation.Config{Roles: ladder(t)})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	item := func(email, inviter string, role invitation.Role) invitation.CreateParams {
		return invitation.CreateParams{EmailAddress: email, InviterUserID: inviter, Role: role}
	}
	w.refuses(invitation.ErrForbidden, []refusal{{403, "not_an_admin_in_organization", "[2].role"}, {403, "not_an_admin_in_organization", "[3].role"}}, func() error {
		_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{item("a@example.com", "", "org:owner"), item("b@example.com", "ann", "org:owner"),
			item("c@example.com", "bob", "org:owner"), item("d@example.com", "bob", invitation.RoleAdmin)})
		return err
	})
}

// Outsiders get ErrNotMember before any error about the invitation (C20).
func TestOutsidersAreToldNothing(t *testing.T) {
	w := setup(t, nil)
	elsewhere, err := w.svc.Create(w.ctx, "other", with(func(*invitation.CreateParams) {}))
	w.is.NoErr(err)
	for _, id := range []string{"missing", elsewhere.ID, w.invite("dora@example.com").ID} {
		for _, call := range []func() error{
			func() error { _, err := w.svc.As("carl").Get(w.ctx, "acme", id); return err },
			func() error {
				seeing := w.service(w.host, &invitation.Config{ManagersSeeLinks: true})
				_, err := seeing.As("carl").Link(w.ctx, "acme", id)
				return err
			},
			func() error {
				_, err := w.svc.As("carl").Revoke(w.ctx, "acme", id, invitation.RevokeParams{})
				return err
			},
			func() error {
				_, err := w.svc.As("carl").Resend(w.ctx, "acme", id, invitation.ResendParams{})
				return err
			},
			func() error {
				_, err := w.svc.As("carl").Update(w.ctx, "acme", id, invitation.UpdateParams{})
				return err
			},
		} {
			w.is.True(errors.Is(call(), invitation.ErrNotMember))
		}
	}
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

type silent struct{ *failing }

func (silent) Role(context.Context, storage.Storage, string, string) (invitation.Role, error) {
	return "", nil
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

// An *Error of the host is returned as it is, whatever sentinel it also wraps.
func TestHostErrorsAreReturned(t *testing.T) {
	own := &invitation.Error{Status: 402, Code: "payment_required", Message: "Pay"}
	for _, sentinel := range []error{invitation.ErrNotMember, invitation.ErrNotFound, invitation.ErrAlreadyMember, invitation.ErrForbidden} {
		both := errors.Join(own, sentinel)
		w := setup(t, nil)
		inv := w.invite("carl@example.com")
		for name, dir := range map[string]*failing{
			"role": {Host: w.host, role: both}, "emails": {Host: w.host, verifiedEmails: both}, "join": {Host: w.host, join: both},
		} {
			_, err := w.service(dir, nil).Accept(w.ctx, byIDs(inv, "carl"))
			if invitation.HTTPStatus(err) != 402 {
				t.Errorf("%s with %v: %v", name, sentinel, err)
			}
		}
		_, err := w.service(&failing{Host: w.host, memberEmails: both}, nil).Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = "x@example.com" }))
		w.is.Equal(invitation.HTTPStatus(err), 402)
	}
	// Several errors at once, and a nil *Error, which is not a permission.
	two := invitation.Errors{own, {Status: 403, Code: "second"}}
	var none *invitation.Error
	for _, tt := range []struct {
		err  error
		want []refusal
	}{{two, []refusal{{402, "payment_required", ""}, {403, "second", ""}, {402, "payment_required", ""}, {403, "second", ""}}}, {none, nil}} {
		w := setup(t, &invitation.Config{AllowEmail: func(context.Context, storage.Storage, string, string) error { return tt.err }})
		_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
			with(func(*invitation.CreateParams) {}), with(func(p *invitation.CreateParams) { p.EmailAddress = "x@example.com" })})
		w.is.True(err != nil)
		w.is.Equal(refusals(err), tt.want)
	}
	w := setup(t, &invitation.Config{AllowRedirect: func(*url.URL) error { return none }})
	_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = acceptURL }))
	w.is.True(errors.Is(err, invitation.ErrInvalid))
}

// A limit of 0 or less means no limit, as in Config. ErrQuotaExceeded means that no seat is free.
func TestOddSeats(t *testing.T) {
	seats := func(members, limit int, err error) func(context.Context, storage.Storage, string) (int, int, error) {
		return func(context.Context, storage.Storage, string) (int, int, error) { return members, limit, err }
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
		for _, tt := range []func(context.Context, storage.Storage, string) (int, int, error){
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

func TestOddConfigs(t *testing.T) {
	w := setup(t, nil)
	svc, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{Clock: (*clock.Fake)(nil), MaxMetadata: -1, ExpiresIn: 365 * 24 * time.Hour})
	w.is.NoErr(err) // a typed nil is not a clock
	large := mustMetadata(t, `{"a":"`+strings.Repeat("x", 1<<20)+`"}`)
	inv, err := svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.PublicMetadata = large }))
	w.is.NoErr(err)
	w.is.Equal(inv.ExpiresAt.Sub(inv.CreatedAt), 365*24*time.Hour)

	for _, keys := range [][][]byte{{key1, append(append([]byte{}, key1...), 0)}, {key1, key2, key2}} { // the same keys for HMAC
		_, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{TicketKeys: keys, AcceptURL: acceptURL})
		w.is.True(errors.Is(err, invitation.ErrInvalid))
	}
	w = setup(t, &invitation.Config{ExpiresIn: time.Second})
	west := time.FixedZone("west", -8*3600)
	w.clock.Set(noon.In(west).Add(999))
	inv, err = w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.ExpiresIn = time.Second + 1 }))
	w.is.NoErr(err)
	w.is.Equal(inv.CreatedAt, noon)                  // UTC, cut to the microsecond
	w.is.Equal(inv.ExpiresAt, noon.Add(time.Second)) // as it is stored
	_, err = w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) {
		p.EmailAddress, p.PublicMetadata = "x@example.com", mustMetadata(t, `{"a":"`+strings.Repeat("x", 8185)+`"}`)
	}))
	w.is.Equal(refusals(err), []refusal{{422, "form_param_exceeds_allowed_size", "public_metadata"}}) // 8193 bytes
	_, err = w.svc.Create(w.ctx, strings.Repeat("ö", 65), with(func(*invitation.CreateParams) {}))
	w.is.Equal(refusals(err), []refusal{{422, "form_param_exceeds_allowed_size", "organization_id"}}) // bytes, not letters
}

// The longest values fit into a ticket and a cursor.
func TestLongestTicketAndCursor(t *testing.T) {
	n := 0
	w := setup(t, &invitation.Config{NewID: func() string { n++; return fmt.Sprintf("%064d", n) }})
	org := strings.Repeat("o", 128)
	w.host.AddOrganization(invitation.Organization{ID: org})
	domain := strings.Repeat("d", 63) + "." + strings.Repeat("d", 63) + "." + strings.Repeat("d", 59) + ".example"
	for _, local := range []string{strings.Repeat("a", 64), strings.Repeat("b", 64)} {
		inv, err := w.svc.Create(w.ctx, org, with(func(p *invitation.CreateParams) { p.EmailAddress = local + "@" + domain }))
		w.is.NoErr(err)
		_, err = w.svc.Preview(w.ctx, ticketOf(t, inv))
		w.is.NoErr(err)
	}
	p := invitation.ListParams{Limit: 1, OrderBy: []invitation.Order{{Field: "email_address"}, {Field: "created_at"}, {Field: "expires_at"}}}
	page, err := w.svc.List(w.ctx, org, p)
	w.is.NoErr(err)
	p.Cursor = page.NextCursor
	page, err = w.svc.List(w.ctx, org, p)
	w.is.NoErr(err)
	w.is.Equal(len(page.Data), 1)
	w.is.Equal(page.NextCursor, "")
}

// Each can be ranged over again, also after a break.
func TestEachCanBeRangedAgain(t *testing.T) {
	w := setup(t, nil)
	ps := make([]invitation.CreateParams, 700)
	for i := range ps {
		ps[i] = with(func(p *invitation.CreateParams) { p.EmailAddress = fmt.Sprintf("u%d@example.com", i) })
	}
	_, err := w.svc.CreateBulk(w.ctx, "acme", ps)
	w.is.NoErr(err)
	seq := w.svc.Each(w.ctx, "acme", invitation.ListParams{Offset: 10})
	for range 2 {
		for range seq {
			break
		}
		n := 0
		for _, err := range seq {
			w.is.NoErr(err)
			n++
		}
		w.is.Equal(n, 690)
	}
}

// Addresses that differ only in case or in invisible characters are refused or equal.
func TestAddressesThatLookTheSame(t *testing.T) {
	is := is.New(t)
	for upper, lower := range map[string]string{
		"ann@STRAßE.example": "ann@straße.example", "ann@ႠႡ.example": "ann@ⴀⴁ.example", "ẖ@example.com": "H\u0331@example.com",
	} {
		a, err := invitation.CanonicalEmail(upper)
		is.NoErr(err)
		b, err := invitation.CanonicalEmail(lower)
		is.NoErr(err)
		is.Equal(a, b)
	}
	for _, r := range "\u034f\u115f\u1160\u17b4\u180b\u180e\u180f\u2800\u3164\uffa0\ufe00\ufe0f\U000e0100\U0001d159\u1680\u00ad" {
		for _, addr := range []string{"ann" + string(r) + "@example.com", "ann@exam" + string(r) + "ple.com"} {
			if key, err := invitation.CanonicalEmail(addr); err == nil {
				t.Errorf("%U does not show, and became %q", r, key)
			}
		}
	}
	for _, addr := range []string{
		"ann@STRAẞE.example",                                                    // ss to some, ß to others
		"\u212aate@example.com", "ann\u1fef@example.com", "a\u212a@example.com", // another mailbox, once lower-cased
		"ann@a≠b.example", "ann@אa.example", "ann@" + strings.Repeat("d.", 124) + "example"} {
		_, err := invitation.CanonicalEmail(addr)
		is.True(errors.Is(err, invitation.ErrInvalid))
	}
}

// A struct without the methods of an embedded type, or a type of the host, marshals no link and no ticket.
func TestMarshalledWithoutMethods(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) {
		p.InviterUserID, p.PrivateMetadata = "ann", mustMetadata(t, `{"secret":"hunter2"}`)
	}))
	w.is.NoErr(err)
	ticket := ticketOf(t, inv)
	type own invitation.Invitation
	type ownParams invitation.AcceptParams
	for _, v := range []any{
		own(inv), ownParams(byTicket(t, inv, "carl")),
		struct {
			invitation.Invitation
			invitation.Membership
		}{Invitation: inv},
	} {
		b, err := json.Marshal(v)
		w.is.NoErr(err)
		if strings.Contains(string(b), ticket) || strings.Contains(string(b), "hunter2") || strings.Contains(string(b), `"ann"`) {
			t.Errorf("%T: %s", v, b)
		}
	}
	var out strings.Builder
	page := invitation.Page{Data: []invitation.Invitation{inv}, TotalCount: 7}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "page", page.Backend(), "plain", page, "inv", inv.Backend())
	w.is.True(!strings.Contains(out.String(), ticket) && !strings.Contains(out.String(), "hunter2"))
	w.is.True(strings.Contains(out.String(), `"page":{"invitations":1,"total_count":7}`))
}

// Logged inside another value, nothing shows a ticket or private metadata.
func TestNestedSecrets(t *testing.T) {
	const planted = "hunter2"
	secret := mustMetadata(t, `{"secret":"hunter2"}`)
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{
		[]invitation.CreateParams{{PrivateMetadata: secret}}, []invitation.UpdateParams{{PrivateMetadata: secret}},
		[]invitation.Membership{{PrivateMetadata: secret}}, []invitation.AcceptParams{{Ticket: planted}},
		struct{ D invitation.DeclineParams }{invitation.DeclineParams{Ticket: planted}},
	} {
		log.Info("m", "v", v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
		fmt.Fprintf(&out, "%v %+v", v, v)
	}
	if strings.Contains(out.String(), planted) {
		t.Error(out.String())
	}
}

// Params and memberships print what they are about, so that a log line is of use, and no metadata.
func TestWhatIsPrinted(t *testing.T) {
	is := is.New(t)
	m := mustMetadata(t, `{"secret":1}`)
	for want, v := range map[string]any{
		"invitation.CreateParams[email_address=carl@example.com role=org:member]": invitation.CreateParams{
			EmailAddress: "carl@example.com", Role: "org:member", InviterUserID: "ann", PublicMetadata: m, PrivateMetadata: m},
		"invitation.UpdateParams[role=org:admin terms=abc]": invitation.UpdateParams{Role: "org:admin", Terms: "abc", PublicMetadata: m, PrivateMetadata: m},
		"invitation.Membership[organization_id=acme user_id=carl invitation_id=i1 role=org:member]": invitation.Membership{
			OrganizationID: "acme", UserID: "carl", InvitationID: "i1", Role: "org:member", EmailAddress: "carl@example.com", PublicMetadata: m, PrivateMetadata: m},
		"invitation(i1 organization=acme email=carl@example.com role=org:member status=pending)": invitation.Invitation{
			ID: "i1", OrganizationID: "acme", EmailAddress: "carl@example.com", Role: "org:member", Status: "pending", URL: "https://secret", PrivateMetadata: m},
		"invitation.AcceptParams(concealed)":  invitation.AcceptParams{Ticket: "secret", UserID: "carl"},
		"invitation.DeclineParams(concealed)": invitation.DeclineParams{Ticket: "secret", UserID: "carl"},
		"invitation.Config(concealed)":        invitation.Config{AcceptURL: acceptURL},
		"invitation.Service(concealed)":       &invitation.Service{},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			is.Equal(fmt.Sprintf(verb, v), want)
		}
	}
	longest := strings.Repeat("a", 320) // as an address may be
	is.Equal(fmt.Sprint(invitation.CreateParams{EmailAddress: longest}), "invitation.CreateParams[email_address="+longest+" role=]")
	is.Equal(fmt.Sprint(invitation.CreateParams{EmailAddress: longest + "a"}), "invitation.CreateParams[email_address="+longest+"… role=]")
}

// atMost100 fails unless err is so many refusals, of which only the first 100 are there, and the last of them says how
// many more there were, to people and to programs.
func atMost100(t *testing.T, err error, all int) invitation.Errors {
	t.Helper()
	is := is.New(t)
	var errs invitation.Errors
	is.True(errors.As(err, &errs))
	is.Equal(len(errs), 100)
	for _, e := range errs[:99] {
		is.Equal(e.Meta["more_errors"], nil)
	}
	is.Equal(errs[99].Meta["more_errors"], all-100)
	said := fmt.Sprintf("; %d more errors are left out", all-100)
	is.True(strings.HasSuffix(errs[99].LongMessage, said))
	is.True(strings.HasSuffix(err.Error(), said))
	var body struct {
		Errors []struct {
			LongMessage string         `json:"long_message"`
			Meta        map[string]any `json:"meta"`
		} `json:"errors"`
	}
	is.NoErr(json.Unmarshal(invitation.ErrorBody(err), &body))
	is.Equal(len(body.Errors), 100)
	is.Equal(body.Errors[99].LongMessage, errs[99].LongMessage)
	is.Equal(body.Errors[99].Meta["more_errors"], float64(all-100))
	if param := errs[99].Param; param != "" {
		is.Equal(body.Errors[99].Meta["param_name"], param)
	}
	return errs
}

// The response to a body with errors everywhere stays readable.
func TestErrorsAreBounded(t *testing.T) {
	is := is.New(t)
	keys := make([]string, 50000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":0`, i)
	}
	for all, body := range map[int]string{10000: "[" + strings.Repeat("0,", 9999) + "0]", 50000: "[{" + strings.Join(keys, ",") + "}]",
		1001: "[" + strings.Repeat(`{"role":1},`, 1000) + `{"role":null}]`, 101: "[" + strings.Repeat("{},0,", 100) + "{},0]"} {
		_, err := invitation.Decode[[]invitation.CreateParams](strings.NewReader(body))
		atMost100(t, err, all)
	}
	_, err := invitation.Decode[invitation.RevokeParams](strings.NewReader("{" + strings.Join(keys, ",") + "}"))
	is.Equal(atMost100(t, err, 50000)[99].Param, "k99")
	_, err = invitation.Decode[[]invitation.CreateParams](strings.NewReader("[" + strings.Repeat("0,", 99) + "0]"))
	errs := refusals(err)
	is.Equal(len(errs), 100) // that is, all of them
	is.True(!strings.Contains(err.Error(), "left out"))

	_, err = invitation.ParseListParams(url.Values{"order_by": {strings.Repeat("x,", 100000)}})
	is.Equal(len(refusals(err)), 1)
	_, err = invitation.ParseMetadata([]byte(`{"` + strings.Repeat("k", 1<<18) + `":1,"` + strings.Repeat("k", 1<<18) + `":1}`))
	is.True(len(err.Error()) < 300)
}

// Each check of a bulk returns at most 100 errors, and the last one says how many were left out.
func TestErrorsOfABulkAreBounded(t *testing.T) {
	const all = 700
	bulk := func(change func(i int, p *invitation.CreateParams)) []invitation.CreateParams {
		ps := make([]invitation.CreateParams, all)
		for i := range ps {
			ps[i] = with(func(p *invitation.CreateParams) {
				p.EmailAddress = fmt.Sprintf("u%d@example.com", i)
				change(i, p)
			})
		}
		return ps
	}
	own := &invitation.Error{Status: 402, Code: "payment_required", Message: "Pay", Meta: map[string]any{"plan": "pro"}}
	w := setup(t, &invitation.Config{Roles: ladder(t), AllowEmail: func(_ context.Context, _ storage.Storage, _, email string) error {
		if strings.HasSuffix(email, "@unpaid.example") {
			return own
		}
		return nil
	}})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	for i := range all {
		user := fmt.Sprintf("m%d", i)
		w.host.AddUser(user, user+"@example.com")
		w.host.AddMember("acme", user, invitation.RoleMember)
	}
	for name, tt := range map[string]struct {
		change func(i int, p *invitation.CreateParams)
		code   string
		param  string // Param of the last error
	}{
		"addresses": {func(_ int, p *invitation.CreateParams) { p.EmailAddress = "x" }, "form_param_format_invalid", "[99].email_address"},
		"twice": {func(i int, p *invitation.CreateParams) {
			if i > 0 {
				p.EmailAddress = "x@example.com"
			}
		}, "form_param_duplicate", "[101].email_address"},
		"roles":         {func(_ int, p *invitation.CreateParams) { p.Role = "org:king" }, "resource_not_found", "[99].role"},
		"inviters":      {func(i int, p *invitation.CreateParams) { p.InviterUserID = fmt.Sprintf("m%d", i) }, "not_an_admin_in_organization", "[99].inviter_user_id"},
		"ceiling":       {func(_ int, p *invitation.CreateParams) { p.InviterUserID, p.Role = "bob", "org:owner" }, "not_an_admin_in_organization", "[99].role"},
		"the host's":    {func(i int, p *invitation.CreateParams) { p.EmailAddress = fmt.Sprintf("u%d@unpaid.example", i) }, "payment_required", ""},
		"members":       {func(i int, p *invitation.CreateParams) { p.EmailAddress = fmt.Sprintf("m%d@example.com", i) }, "already_a_member_in_organization", "[99].email_address"},
		"too soon":      {func(_ int, p *invitation.CreateParams) { p.Replace = true }, "too_many_requests", "[99].email_address"},
		"too many more": {func(_ int, p *invitation.CreateParams) { p.EmailAddress, p.Role = "x", "" }, "form_param_missing", "[49].role"},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			if name == "too soon" {
				_, err := w.svc.CreateBulk(w.ctx, "acme", bulk(func(int, *invitation.CreateParams) {}))
				w.is.NoErr(err)
			}
			n := all
			switch name {
			case "twice":
				n = all - 2
			case "too many more":
				n = 2 * all
			}
			before := len(w.stored())
			_, err := w.svc.CreateBulk(w.ctx, "acme", bulk(tt.change))
			errs := atMost100(t, err, n)
			w.is.Equal(errs[99].Code, tt.code)
			w.is.Equal(errs[99].Param, tt.param)
			w.is.Equal(len(w.stored()), before)
		})
	}
	w.is.Equal(own.Meta, map[string]any{"plan": "pro"}) // the host's own error is its own

	// A single error for several items names all their addresses.
	_, err := w.svc.CreateBulk(w.ctx, "acme", bulk(func(int, *invitation.CreateParams) {}))
	var e *invitation.Error
	w.is.True(errors.As(err, &e))
	w.is.Equal(len(e.Meta["email_addresses"].([]string)), all)
	_, err = w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{EmailAddresses: make([]string, all)})
	w.is.Equal(atMost100(t, err, all)[99].Param, "email_addresses[99]")
}

func TestOddNumbersAndNothing(t *testing.T) {
	is := is.New(t)
	for _, n := range []string{"1e-400", "2.99999999999999999999", "0.5", "1e-1", "1.0000000000000000000000001"} {
		_, err := invitation.Decode[invitation.ResendParams](strings.NewReader(`{"expires_in_days":` + n + `}`))
		is.Equal(refusals(err), []refusal{{422, "form_param_type_invalid", "expires_in_days"}})
	}
	p, err := invitation.Decode[invitation.ResendParams](strings.NewReader(`{"expires_in_days":70.0e-1}`))
	is.NoErr(err)
	is.Equal(p.ExpiresIn, 7*24*time.Hour)
	_, err = invitation.Decode[invitation.RevokeParams](nil)
	is.NoErr(err)
	_, err = invitation.Decode[invitation.CreateParams](nil)
	is.True(errors.Is(err, invitation.ErrInvalid))
	inv := invitation.Invitation{ID: "keep"}
	is.NoErr(json.Unmarshal([]byte(`null`), &inv))
	is.Equal(inv, invitation.Invitation{ID: "keep"})
}

// A patch that changes only white space changes nothing.
func TestUpdateOfWhiteSpace(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.PublicMetadata = mustMetadata(t, `{ "a" : 1 }`) }))
	w.is.NoErr(err)
	for _, patch := range []string{`{"a":1}`, `{"x":null}`} {
		got, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{PublicMetadata: mustMetadata(t, patch)})
		w.is.NoErr(err)
		w.is.Equal(got, inv)
	}
	w.is.Equal(len(w.events), 1)
	// An object that the patch does not change keeps its bytes.
	patch := invitation.UpdateParams{PublicMetadata: mustMetadata(t, `{"a":1,"x":null}`), PrivateMetadata: mustMetadata(t, `{"b":2}`)}
	got, err := w.svc.Update(w.ctx, "acme", inv.ID, patch)
	w.is.NoErr(err)
	w.is.Equal(text(t, got.PublicMetadata), `{ "a" : 1 }`)
	w.is.Equal(text(t, got.PrivateMetadata), `{"b":2}`)
}

// RevokeAll locks and reads nothing before it has checked the acting user.
func TestRevokeAllChecksActorFirst(t *testing.T) {
	w := setup(t, nil)
	w.invite("dora@example.com")
	reads := 0
	svc := w.svc.WithStorage(hooked{Storage: w.host.Storage(), list: func(storage.Query) { reads++ }})
	_, err := svc.As("carl").RevokeAll(w.ctx, invitation.RevokeAllParams{OrganizationID: "acme", EmailAddresses: []string{"dora@example.com"}})
	w.is.True(errors.Is(err, invitation.ErrNotMember))
	w.is.Equal(reads, 0)
}

// A missing organization takes precedence over a role that may not be granted.
func TestResendWithoutOrganization(t *testing.T) {
	w := setup(t, nil)
	w.host.AddMember("gone", "ann", invitation.RoleAdmin)
	w.host.AddOrganization(invitation.Organization{ID: "gone"})
	inv, err := w.svc.Create(w.ctx, "gone", with(func(p *invitation.CreateParams) { p.InviterUserID = "ann" }))
	w.is.NoErr(err)
	w.clock.Set(inv.ExpiresAt)
	w.host.RemoveMember("gone", "ann")
	w.svc = w.service(&failing{Host: w.host, memberEmails: invitation.ErrNotFound}, nil)
	w.refuses(invitation.ErrNotFound, []refusal{{404, "resource_not_found", "organization_id"}}, func() error { _, err := w.resend(inv, ""); return err })
}

// If another process has the first batch, ExpireDue continues after it.
func TestExpireDueContinuesAfterAnother(t *testing.T) {
	w := lapse(t, 700)
	taken := false
	svc := w.svc.WithStorage(overtaken{Storage: w.host.Storage(), taken: &taken})
	n, err := svc.ExpireDue(w.ctx, 100000)
	w.is.NoErr(err)
	w.is.Equal(n, 200) // the other has the first 500
}

// overtaken is a storage whose first batch another process has: List returns it, and locking finds nothing.
type overtaken struct {
	storage.Storage
	taken *bool
}

func (s overtaken) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if q.ForUpdate && !*s.taken {
		*s.taken = true
		return nil, nil
	}
	return s.Storage.List(ctx, q)
}

func (s overtaken) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return fn(ctx, overtaken{tx, s.taken}) })
}

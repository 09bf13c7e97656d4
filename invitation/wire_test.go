package invitation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

var update = flag.Bool("update", false, "write the golden files in testdata/wire anew")

// golden compares JSON with testdata/wire, byte for byte.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "wire", name+".json")
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("%s\n got %s\nwant %s", file, got, want)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wired returns a world with fixed ids, clock and keys, so that its responses are fixed.
func wired(t *testing.T) *world {
	n := 0
	w := setup(t, nil)
	w.clock.Set(noon.Add(123456 * time.Microsecond)) // finer than the wire's milliseconds
	w.svc = w.service(w.host, &invitation.Config{
		NewID:         func() string { n++; return fmt.Sprintf("orginv_%d", n) },
		Organizations: w.host.Organizations,
	})
	return w
}

func (w *world) whole(email string) invitation.Invitation {
	w.t.Helper()
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: email, Role: invitation.RoleMember, InviterUserID: "ann", ExpiresIn: 7 * 24 * time.Hour,
		PublicMetadata:  mustMetadata(w.t, `{"z":9007199254740993,"a":["é",null]}`),
		PrivateMetadata: mustMetadata(w.t, `{"source":"crm"}`),
	})
	w.is.NoErr(err)
	return inv
}

func TestWireViews(t *testing.T) {
	w := wired(t)
	created := w.whole("Carl@example.com")
	golden(t, "invitation_created", marshal(t, created.Backend())) // with its url
	golden(t, "invitation_backend", marshal(t, w.get(created).Backend()))
	golden(t, "invitation_frontend", marshal(t, created)) // without, whoever forgets to strip it

	plain, err := w.svc.Create(w.ctx, "other", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleAdmin,
	})
	w.is.NoErr(err)
	golden(t, "invitation_by_backend", marshal(t, plain.Backend())) // no inviter, no metadata

	w.clock.Advance(time.Minute)
	bulk, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		{
			EmailAddress: "dora@example.com", Role: invitation.RoleMember,
		}, {EmailAddress: "eve@example.com", Role: invitation.RoleMember}})
	w.is.NoErr(err)
	golden(t, "bulk", marshal(t, invitation.Page{Data: bulk, TotalCount: len(bulk)}.Backend()))

	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{Limit: 1})
	w.is.NoErr(err)
	golden(t, "page_backend", marshal(t, page.Backend())) // there is a next one
	golden(t, "page_frontend", marshal(t, page))
	all, err := w.svc.ListAll(w.ctx, invitation.ListParams{Limit: 1, Offset: 2, SkipTotal: true})
	w.is.NoErr(err)
	golden(t, "page_of_all", marshal(t, all.Backend())) // with the organization
	none, err := w.svc.List(w.ctx, "nowhere", invitation.ListParams{})
	w.is.NoErr(err)
	golden(t, "page_empty", marshal(t, none))
	w.is.Equal(string(marshal(t, invitation.Page{})), string(marshal(t, none))) // [], never null
	w.is.Equal(string(marshal(t, invitation.Page{}.Backend())), string(marshal(t, none)))

	_, err = w.svc.Accept(w.ctx, byTicket(t, created, "carl"))
	w.is.NoErr(err)
	for _, e := range []invitation.Event{w.events[0], w.events[len(w.events)-1]} {
		_, name, _ := strings.Cut(string(e.Type), ".")
		golden(t, "event_"+name, marshal(t, e))
	}
}

// UnmarshalJSON returns what the view shows.
func TestWireRoundTrip(t *testing.T) {
	w := wired(t)
	inv := w.whole("carl@example.com")
	inv.Organization = &invitation.Organization{ID: "acme", Name: "Acme", Slug: "acme", ImageURL: "u", HasImage: true}
	var got invitation.Invitation
	w.is.NoErr(json.Unmarshal(marshal(t, inv.Backend()), &got))
	want := inv
	want.RedirectURL = ""
	for _, at := range []*time.Time{&want.CreatedAt, &want.UpdatedAt, &want.ExpiresAt, &want.SentAt} {
		*at = at.Truncate(time.Millisecond)
	}
	w.is.Equal(got, want)
	w.is.NoErr(json.Unmarshal(marshal(t, inv), &got))
	want.PrivateMetadata, want.InviterUserID, want.URL = invitation.Metadata{}, "", ""
	w.is.Equal(got, want)

	var page invitation.Page
	w.is.NoErr(json.Unmarshal(marshal(t, invitation.Page{
		Data: []invitation.Invitation{inv}, TotalCount: 7, NextCursor: "c",
	}), &page))
	w.is.Equal(page, invitation.Page{Data: []invitation.Invitation{want}, TotalCount: 7, NextCursor: "c"})
	w.is.True(json.Unmarshal([]byte(`{"data":1}`), &page) != nil)
	w.is.True(json.Unmarshal([]byte(`{"id":1}`), &got) != nil)
}

// Every code of the table, with the status and body of a real operation.
func TestWireErrors(t *testing.T) {
	type step func(w *world) error
	create := func(change func(*invitation.CreateParams)) step {
		return func(w *world) error { _, err := w.svc.Create(w.ctx, "acme", with(change)); return err }
	}
	unchanged := func(*invitation.CreateParams) {}
	decode := func(body string) step {
		return func(*world) error {
			_, err := invitation.Decode[invitation.CreateParams](strings.NewReader(body))
			return err
		}
	}
	accept := func(user string, before func(w *world, inv invitation.Invitation)) step {
		return func(w *world) error {
			inv := w.whole("carl@example.com")
			before(w, inv)
			return w.accept(byTicket(w.t, inv, user))
		}
	}
	revoke := func(w *world, inv invitation.Invitation) {
		_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
		w.is.NoErr(err)
	}
	failingStore := func(err error) step {
		return func(w *world) error {
			_, err := w.svc.WithStorage(broken{
				w.host.Storage(), fmt.Errorf("engine: secret of the inside: %w", err),
			}).Get(w.ctx, "acme", "i")
			return err
		}
	}
	for _, tt := range []struct {
		name   string
		status int
		is     []error
		step   step
	}{
		{"organization_invitation_not_unique", 400, []error{
			invitation.ErrDuplicate,
		}, func(w *world) error { w.whole("carl@example.com"); return create(unchanged)(w) }},
		{"duplicate_record", 400, []error{invitation.ErrDuplicate}, func(w *world) error {
			w.whole("carl@example.com")
			_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
				with(unchanged), with(func(p *invitation.CreateParams) { p.EmailAddress = "x@example.com" }),
			})
			return err
		}},
		{"already_a_member_in_organization", 400, []error{
			invitation.ErrAlreadyMember,
		}, create(func(p *invitation.CreateParams) { p.EmailAddress = "bob@example.com" })},
		{"bulk_size_exceeded", 400, []error{invitation.ErrInvalid}, func(w *world) error {
			_, err := w.svc.CreateBulk(w.ctx, "acme", make([]invitation.CreateParams, 1001))
			return err
		}},
		{"organization_invitation_revoked_code", 400, []error{invitation.ErrRevoked}, accept("carl", revoke)},
		{"organization_invitation_already_accepted", 400, []error{
			invitation.ErrAccepted,
		}, accept("twin", func(w *world, inv invitation.Invitation) {
			w.host.AddUser("twin", "carl@example.com")
			w.is.NoErr(w.accept(byIDs(inv, "carl")))
		})},
		{"ticket_expired_code", 400, []error{
			invitation.ErrExpired,
		}, accept("carl", func(w *world, inv invitation.Invitation) { w.clock.Set(inv.ExpiresAt) })},
		{"ticket_invalid_code", 400, []error{
			invitation.ErrInvalidTicket,
		}, func(w *world) error { _, err := w.svc.Preview(w.ctx, "forged"); return err }},
		{"request_body_invalid", 400, []error{invitation.ErrInvalid}, decode(`{"role":"a","role":"b"}`)},
		{"not_an_admin_in_organization", 403, []error{
			invitation.ErrForbidden,
		}, create(func(p *invitation.CreateParams) { p.InviterUserID = "bob" })},
		{"not_a_member_in_organization", 403, []error{
			invitation.ErrNotMember,
		}, create(func(p *invitation.CreateParams) { p.InviterUserID = "carl" })},
		{"organization_invitation_identification_not_exist", 403, []error{
			invitation.ErrNotInvitee,
		}, accept("dora", func(*world, invitation.Invitation) {})},
		{"organization_membership_quota_exceeded", 403, []error{invitation.ErrQuotaExceeded}, func(w *world) error {
			w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(2)})
			return create(unchanged)(w)
		}},
		{"not_allowed_access", 403, []error{invitation.ErrForbidden}, func(w *world) error {
			_, err := w.svc.As("ann").ListAll(w.ctx, invitation.ListParams{})
			return err
		}},
		{"not_allowed_access_nobody", 401, []error{invitation.ErrForbidden}, func(w *world) error {
			_, err := w.svc.As("").Get(w.ctx, "acme", "i")
			return err
		}},
		{"resource_not_found", 404, []error{
			invitation.ErrNotFound,
		}, func(w *world) error { _, err := w.svc.Get(w.ctx, "acme", "missing"); return err }},
		{"resource_not_found_role", 404, []error{
			invitation.ErrNotFound, invitation.ErrInvalid,
		}, create(func(p *invitation.CreateParams) { p.Role = "org:king" })},
		{"organization_invitation_not_pending", 404, []error{invitation.ErrNotPending}, func(w *world) error {
			inv := w.whole("carl@example.com")
			revoke(w, inv)
			_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			return err
		}},
		{"organization_invitation_pending", 409, []error{invitation.ErrPending}, func(w *world) error {
			return w.svc.Delete(w.ctx, "acme", w.whole("carl@example.com").ID)
		}},
		{"resource_conflict", 409, []error{invitation.ErrChanged}, func(w *world) error {
			p := byIDs(w.whole("carl@example.com"), "carl")
			p.Terms = "others"
			return w.accept(p)
		}},
		{"resource_conflict_at_once", 409, []error{invitation.ErrConflict}, failingStore(storage.ErrConflict)},
		{"resource_locked", 409, []error{invitation.ErrAborted}, failingStore(storage.ErrAborted)},
		{"request_body_too_large", 413, []error{invitation.ErrInvalid}, decode(`"` + strings.Repeat("x", 1<<20) + `"`)},
		{"form_param_missing", 422, []error{
			invitation.ErrInvalid,
		}, create(func(p *invitation.CreateParams) { p.EmailAddress, p.Role = "", "" })},
		{"form_param_nil", 422, []error{invitation.ErrInvalid}, decode(`{"email_address":null,"role":"org:member"}`)},
		{"form_param_format_invalid", 422, []error{
			invitation.ErrInvalid,
		}, create(func(p *invitation.CreateParams) { p.EmailAddress = "carl" })},
		{"form_param_value_invalid", 422, []error{invitation.ErrInvalid, invitation.ErrInvalidCursor}, func(w *world) error {
			_, err := w.svc.List(w.ctx, "acme", invitation.ListParams{Cursor: "x"})
			return err
		}},
		{"form_param_type_invalid", 422, []error{invitation.ErrInvalid}, decode(`{"email_address":1,"role":"org:member"}`)},
		{"form_param_unknown", 422, []error{invitation.ErrInvalid}, decode(`{"replace":true}`)},
		{"form_param_duplicate", 422, []error{invitation.ErrInvalid}, func(w *world) error {
			_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{with(unchanged), with(unchanged)})
			return err
		}},
		{"form_param_exceeds_allowed_size", 422, []error{
			invitation.ErrInvalid,
		}, create(func(p *invitation.CreateParams) { p.InviterUserID = strings.Repeat("u", 129) })},
		{"too_many_requests", 429, []error{invitation.ErrTooSoon}, func(w *world) error {
			w.whole("carl@example.com")
			return create(func(p *invitation.CreateParams) { p.Replace = true })(w)
		}},
		{"outcome_unknown", 503, []error{invitation.ErrOutcomeUnknown}, failingStore(storage.ErrOutcomeUnknown)},
		{"service_unavailable", 503, []error{invitation.ErrUnavailable}, failingStore(storage.ErrUnavailable)},
		{"internal_error", 500, nil, failingStore(errors.New("password of the inside"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := wired(t)
			err := tt.step(w)
			w.is.Equal(invitation.HTTPStatus(err), tt.status)
			for _, sentinel := range tt.is {
				w.is.True(errors.Is(err, sentinel))
			}
			body := invitation.ErrorBody(err)
			golden(t, "error_"+tt.name, body)
			w.is.True(!bytes.Contains(body, []byte("inside"))) // no internal details
			code, _, _ := strings.Cut(tt.name, "_role")
			code, _, _ = strings.Cut(code, "_at_once")
			code, _, _ = strings.Cut(code, "_nobody")
			w.is.True(bytes.Contains(body, []byte(`"code":"`+code+`"`)))
		})
	}
	files, err := filepath.Glob("testdata/wire/error_*.json")
	if err != nil || len(files) != 35 {
		t.Errorf("%d golden errors (%v): every row of the table has one, and no other is there", len(files), err)
	}
}

func TestErrorBodyOfHostErrors(t *testing.T) {
	is := is.New(t)
	is.Equal(invitation.HTTPStatus(nil), 200)
	is.Equal(string(invitation.ErrorBody(nil)), `{"errors":[]}`)
	own := &invitation.Error{Status: 402, Code: "payment_required", Message: "Pay", LongMessage: "Pay first",
		Param: "plan", Meta: map[string]any{"price": 7}}
	wrapped := fmt.Errorf("join: %w", own)
	is.Equal(invitation.HTTPStatus(wrapped), 402)
	is.Equal(string(invitation.ErrorBody(wrapped)),
		`{"errors":[{"message":"Pay","long_message":"Pay first",`+
			`"code":"payment_required","meta":{"param_name":"plan","price":7}}]}`)
	is.Equal(own.Meta, map[string]any{"price": 7}) // which is unchanged
	for _, broken := range []error{&invitation.Error{
		Code: "no_status",
	}, &invitation.Error{Status: 200}, invitation.Errors{}, errors.New("x"), context.Canceled} {
		is.Equal(invitation.HTTPStatus(broken), 500)
		is.True(strings.Contains(string(invitation.ErrorBody(broken)), `"internal_error"`))
	}
	own.Meta["price"] = func() {}
	is.True(strings.Contains(string(invitation.ErrorBody(own)), `"internal_error"`)) // does not marshal
}

// If a chain has several meanings, the unknown outcome takes precedence, and then the ended context.
func TestHTTPStatusPrecedence(t *testing.T) {
	is := is.New(t)
	const tooLong = "the request was cancelled or took too long"
	for _, c := range []struct {
		status int
		says   string
		errs   []error
	}{
		{503, "check before you try again", []error{context.Canceled, invitation.ErrOutcomeUnknown}},
		{503, "check before you try again", []error{context.DeadlineExceeded, invitation.ErrOutcomeUnknown}},
		{500, tooLong, []error{context.Canceled}},
		{500, tooLong, []error{context.DeadlineExceeded}},
		{500, tooLong, []error{context.Canceled, invitation.ErrAborted}},
		{500, tooLong, []error{context.DeadlineExceeded, invitation.ErrAborted}},
		{500, tooLong, []error{context.Canceled, invitation.ErrUnavailable}},
		{500, tooLong, []error{context.DeadlineExceeded, invitation.ErrUnavailable}},
		{409, "the database was busy", []error{invitation.ErrAborted}},
		{503, "the database is not available", []error{invitation.ErrUnavailable}},
	} {
		err := fmt.Errorf("invitation: create: %w", errors.Join(c.errs...))
		is.Equal(invitation.HTTPStatus(err), c.status)
		is.True(strings.Contains(string(invitation.ErrorBody(err)), c.says))
	}
}

// No view, event, error or log line shows a planted secret. Only Backend shows private metadata, and the link of the
// operation that issued it.
func TestPlantedSecrets(t *testing.T) {
	w := wired(t)
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "carl@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann", PrivateMetadata: mustMetadata(t, `{"planted":"hunter2"}`)})
	w.is.NoErr(err)
	ticket := ticketOf(t, inv)
	_, refused := w.svc.Accept(w.ctx, invitation.AcceptParams{Ticket: ticket, UserID: "dora"})
	page := invitation.Page{Data: []invitation.Invitation{inv}}
	for name, v := range map[string]any{
		"invitation": inv, "page": page, "event": w.events[0], "refusal": json.RawMessage(invitation.ErrorBody(refused)),
	} {
		b := string(marshal(t, v))
		for _, secret := range []string{"hunter2", ticket, "invitation_ticket"} {
			w.is.True(!strings.Contains(b, secret)) // only in the backend view
		}
		w.is.True(name == "event" || !strings.Contains(b, "inviter_id"))
	}
	for _, v := range []any{inv.Backend(), page.Backend()} {
		b := string(marshal(t, v))
		w.is.True(strings.Contains(b, "hunter2") && strings.Contains(b, ticket))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			printed := fmt.Sprintf(verb, v)
			w.is.True(!strings.Contains(printed, "hunter2") && !strings.Contains(printed, ticket)) // but not printed
		}
	}
	w.is.True(slices.Contains(strings.Split(fmt.Sprint(inv.Backend()), " "), "email=carl@example.com"))
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
		if strings.Contains(string(b), ticket) || strings.Contains(
			string(b), "hunter2",
		) || strings.Contains(string(b), `"ann"`) {
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
	other, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = "dora@example.com" }),
	)
	w.is.NoErr(err)
	for _, foreign := range []string{
		other.Terms, inv.Terms + "x", inv.Terms[1:], strings.ToUpper(inv.Terms), " " + inv.Terms, "\x00",
	} {
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

// Params and memberships print what they are about, so that a log line is of use, and no metadata.
func TestWhatIsPrinted(t *testing.T) {
	is := is.New(t)
	m := mustMetadata(t, `{"secret":1}`)
	for want, v := range map[string]any{
		"invitation.CreateParams[email_address=carl@example.com role=org:member]": invitation.CreateParams{
			EmailAddress: "carl@example.com", Role: "org:member", InviterUserID: "ann", PublicMetadata: m, PrivateMetadata: m},
		"invitation.UpdateParams[role=org:admin terms=abc]": invitation.UpdateParams{
			Role: "org:admin", Terms: "abc", PublicMetadata: m, PrivateMetadata: m,
		},
		"invitation.Membership[organization_id=acme user_id=carl invitation_id=i1 role=org:member]": invitation.Membership{
			OrganizationID: "acme", UserID: "carl", InvitationID: "i1", Role: "org:member", EmailAddress: "carl@example.com",
			PublicMetadata: m, PrivateMetadata: m},
		"invitation(i1 organization=acme email=carl@example.com role=org:member status=pending)": invitation.Invitation{
			ID: "i1", OrganizationID: "acme", EmailAddress: "carl@example.com", Role: "org:member", Status: "pending",
			URL: "https://secret", PrivateMetadata: m},
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
	is.Equal(fmt.Sprint(invitation.CreateParams{
		EmailAddress: longest,
	}), "invitation.CreateParams[email_address="+longest+" role=]")
	is.Equal(fmt.Sprint(invitation.CreateParams{
		EmailAddress: longest + "a",
	}), "invitation.CreateParams[email_address="+longest+"… role=]")
}

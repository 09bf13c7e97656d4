package invitation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

func TestErrorsSayWhatIsWrong(t *testing.T) {
	w := setup(t, nil)
	_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		{Role: invitation.RoleMember}, {EmailAddress: "a@example.com"},
	})
	w.is.Equal(err.Error(),
		"invitation: [0].email_address: is required and must be an e-mail address such as ann@example.com; "+
			"[1].role: is required and must not be empty")
	w.is.Equal((&invitation.Error{Message: "Short"}).Error(), "invitation: Short")
	var errs invitation.Errors
	w.is.True(!errors.As(errors.New("x"), &errs))
	w.is.True(errors.As(error(&invitation.Error{Code: "one"}), &errs)) // a single one is found the same way
	w.is.Equal(errs[0].Code, "one")
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
	for all, body := range map[int]string{10000: "[" + strings.Repeat(
		"0,", 9999,
	) + "0]", 50000: "[{" + strings.Join(keys, ",") + "}]",
		1001: "[" + strings.Repeat(
			`{"role":1},`, 1000,
		) + `{"role":null}]`, 101: "[" + strings.Repeat("{},0,", 100) + "{},0]"} {
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
	_, err = invitation.ParseMetadata(
		[]byte(`{"` + strings.Repeat("k", 1<<18) + `":1,"` + strings.Repeat("k", 1<<18) + `":1}`),
	)
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
	w := setup(t, &invitation.Config{Roles: ladder(
		t,
	), AllowEmail: func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
		if strings.HasSuffix(r.EmailAddress, "@unpaid.example") {
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
		"addresses": {func(_ int, p *invitation.CreateParams) {
			p.EmailAddress = "x"
		}, "form_param_format_invalid", "[99].email_address"},
		"twice": {func(i int, p *invitation.CreateParams) {
			if i > 0 {
				p.EmailAddress = "x@example.com"
			}
		}, "form_param_duplicate", "[101].email_address"},
		"roles": {func(_ int, p *invitation.CreateParams) { p.Role = "org:king" }, "resource_not_found", "[99].role"},
		"inviters": {func(i int, p *invitation.CreateParams) {
			p.InviterUserID = fmt.Sprintf(
				"m%d", i,
			)
		}, "not_an_admin_in_organization", "[99].inviter_user_id"},
		"ceiling": {func(_ int, p *invitation.CreateParams) {
			p.InviterUserID, p.Role = "bob", "org:owner"
		}, "not_an_admin_in_organization", "[99].role"},
		"the host's": {func(i int, p *invitation.CreateParams) {
			p.EmailAddress = fmt.Sprintf(
				"u%d@unpaid.example", i,
			)
		}, "payment_required", ""},
		"members": {func(i int, p *invitation.CreateParams) {
			p.EmailAddress = fmt.Sprintf(
				"m%d@example.com", i,
			)
		}, "already_a_member_in_organization", "[99].email_address"},
		"too soon": {func(_ int, p *invitation.CreateParams) {
			p.Replace = true
		}, "too_many_requests", "[99].email_address"},
		"too many more": {func(_ int, p *invitation.CreateParams) {
			p.EmailAddress, p.Role = "x", ""
		}, "form_param_missing", "[49].role"},
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

	// The last of the duplicates has the addresses of those that are left out, so the body has all of them, in order.
	ps := bulk(func(int, *invitation.CreateParams) {})
	_, err := w.svc.CreateBulk(w.ctx, "acme", ps)
	var errs invitation.Errors
	w.is.True(errors.As(err, &errs))
	w.is.Equal(len(errs), 100)
	w.is.Equal(errs[99].Meta["more_errors"], all-100)
	w.is.Equal(errs[98].Meta["email_addresses"], []string{ps[98].EmailAddress})
	w.is.Equal(len(errs[99].Meta["email_addresses"].([]string)), all-99)
	var body struct {
		Errors []struct {
			Meta struct {
				EmailAddresses []string `json:"email_addresses"`
			}
		}
	}
	w.is.NoErr(json.Unmarshal(invitation.ErrorBody(err), &body))
	w.is.Equal(len(body.Errors), 1)
	for i, p := range ps {
		w.is.Equal(body.Errors[0].Meta.EmailAddresses[i], p.EmailAddress)
	}
	_, err = w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{EmailAddresses: make([]string, all)})
	w.is.Equal(atMost100(t, err, all)[99].Param, "email_addresses[99]")
}

// An *Error of the host is returned as it is, whatever sentinel it also wraps.
func TestHostErrorsAreReturned(t *testing.T) {
	own := &invitation.Error{Status: 402, Code: "payment_required", Message: "Pay"}
	for _, sentinel := range []error{
		invitation.ErrNotMember, invitation.ErrNotFound, invitation.ErrAlreadyMember, invitation.ErrForbidden,
	} {
		both := errors.Join(own, sentinel)
		w := setup(t, nil)
		inv := w.invite("carl@example.com")
		for name, dir := range map[string]*failing{
			"role": {Host: w.host, role: both}, "emails": {Host: w.host, verifiedEmails: both}, "join": {Host: w.host,
				join: both},
		} {
			_, err := w.service(dir, nil).Accept(w.ctx, byIDs(inv, "carl"))
			if invitation.HTTPStatus(err) != 402 {
				t.Errorf("%s with %v: %v", name, sentinel, err)
			}
		}
		_, err := w.service(&failing{
			Host: w.host, memberEmails: both,
		}, nil).Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = "x@example.com" }))
		w.is.Equal(invitation.HTTPStatus(err), 402)
	}
	// Several errors at once, and a nil *Error, which is not a permission.
	two := invitation.Errors{own, {Status: 403, Code: "second"}}
	var none *invitation.Error
	for _, tt := range []struct {
		err  error
		want []refusal
	}{{two, []refusal{
		{402, "payment_required", ""}, {403, "second", ""}, {402, "payment_required", ""}, {403, "second", ""},
	}}, {none, nil}} {
		w := setup(t, &invitation.Config{
			AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error { return tt.err },
		})
		_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
			with(func(*invitation.CreateParams) {}), with(
				func(p *invitation.CreateParams) { p.EmailAddress = "x@example.com" },
			)})
		w.is.True(err != nil)
		w.is.Equal(refusals(err), tt.want)
	}
	w := setup(t, &invitation.Config{AllowRedirect: func(*url.URL) error { return none }})
	_, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.RedirectURL = acceptURL }))
	w.is.True(errors.Is(err, invitation.ErrInvalid))
}

// ErrorBody joins only the duplicates of a CreateBulk, in the place of the first, and leaves other errors alone.
func TestErrorBodyJoinsDuplicates(t *testing.T) {
	is := is.New(t)
	one := func(email string) *invitation.Error {
		return &invitation.Error{
			Status: 400, Code: invitation.CodeDuplicateRecord, Meta: map[string]any{"email_addresses": []string{email}},
		}
	}
	own := &invitation.Error{Status: 400, Code: invitation.CodeDuplicateRecord, Message: "own", Param: "x"}
	other := &invitation.Error{Status: 400, Code: "other"}
	var body struct {
		Errors []struct {
			Message, Code string
			Meta          map[string]any
		}
	}
	is.NoErr(json.Unmarshal(invitation.ErrorBody(invitation.Errors{own, one("a"), other, one("b")}), &body))
	is.Equal(len(body.Errors), 3)
	is.Equal(body.Errors[0].Message, "own") // the host's own, which has no addresses
	is.Equal(body.Errors[0].Meta, map[string]any{"param_name": "x"})
	is.Equal(body.Errors[1].Meta, map[string]any{
		"param_name": "email_address", "email_addresses": []any{"a", "b"},
	})
	is.Equal(body.Errors[2].Code, "other")
}

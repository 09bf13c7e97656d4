package invitation_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
)

func TestDecodeCreate(t *testing.T) {
	is := is.New(t)
	p, err := invitation.Decode[invitation.CreateParams](strings.NewReader(` {
		"email_address": "carl@example.com", "role": "org:member", "inviter_user_id": "ann",
		"public_metadata": {"z": 9007199254740993, "a": "<é>"}, "private_metadata": {},
		"redirect_url": "https://app.example.com/", "expires_in_days": 7, "notify": false }
	`))
	is.NoErr(err)
	is.Equal(p, invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember, InviterUserID: "ann",
		RedirectURL:    "https://app.example.com/",
		PublicMetadata: mustMetadata(t, `{"z": 9007199254740993, "a": "<é>"}`), ExpiresIn: 7 * 24 * time.Hour, Silent: true,
	})

	p, err = invitation.Decode[invitation.CreateParams](strings.NewReader(
		`{"email_address":"c@example.com","role":"r","inviter_user_id":null,
		"public_metadata":null,"private_metadata":null,"redirect_url":null,"expires_in_days":null,"notify":null}`))
	is.NoErr(err)
	// null is the default, and notify's is true
	is.Equal(p, invitation.CreateParams{EmailAddress: "c@example.com", Role: "r"})

	p, err = invitation.Decode[invitation.CreateParams](strings.NewReader(`{"notify":true,"expires_in_days":3.65e2}`))
	is.NoErr(err) // Create reports what is missing
	is.Equal(p, invitation.CreateParams{ExpiresIn: 365 * 24 * time.Hour})
}

func TestDecodeOtherParams(t *testing.T) {
	is := is.New(t)
	bulk, err := invitation.Decode[[]invitation.CreateParams](strings.NewReader(`[{"email_address":"a"},{"role":"b"}]`))
	is.NoErr(err)
	is.Equal(bulk, []invitation.CreateParams{{EmailAddress: "a"}, {Role: "b"}})
	bulk, err = invitation.Decode[[]invitation.CreateParams](strings.NewReader(`[]`))
	is.NoErr(err)
	is.Equal(len(bulk), 0)

	for _, body := range []string{"", " \n", "{}", `{"requesting_user_id":null}`} { // some clients send no body
		revoke, err := invitation.Decode[invitation.RevokeParams](strings.NewReader(body))
		is.NoErr(err)
		is.Equal(revoke, invitation.RevokeParams{})
		resend, err := invitation.Decode[invitation.ResendParams](strings.NewReader(body))
		is.NoErr(err)
		is.Equal(resend, invitation.ResendParams{})
	}
	revoke, err := invitation.Decode[invitation.RevokeParams](strings.NewReader(`{"requesting_user_id":"ann"}`))
	is.NoErr(err)
	is.Equal(revoke, invitation.RevokeParams{RequestingUserID: "ann"})
	resend, err := invitation.Decode[invitation.ResendParams](
		strings.NewReader(`{"requesting_user_id":"ann","expires_in_days":1,"role":"org:member","notify":false}`),
	)
	is.NoErr(err)
	is.Equal(resend, invitation.ResendParams{
		RequestingUserID: "ann", Role: invitation.RoleMember, ExpiresIn: 24 * time.Hour, Silent: true,
	})
	none, err := invitation.Decode[invitation.UpdateParams](strings.NewReader(
		`{"requesting_user_id":null,"role":null,"public_metadata":null,"private_metadata":null,"terms":null}`))
	is.NoErr(err)
	is.Equal(none, invitation.UpdateParams{})
	update, err := invitation.Decode[invitation.UpdateParams](strings.NewReader(
		`{"requesting_user_id":"ann","role":"r","public_metadata":{"a":null},"private_metadata":{"b":1},"terms":"abc"}`))
	is.NoErr(err)
	is.Equal(update, invitation.UpdateParams{RequestingUserID: "ann", Role: "r", PublicMetadata: mustMetadata(
		t, `{"a":null}`,
	),
		PrivateMetadata: mustMetadata(t, `{"b":1}`), Terms: "abc"})
}

func decodeAs[T invitation.CreateParams | []invitation.CreateParams | invitation.RevokeParams |
	invitation.ResendParams | invitation.UpdateParams](body io.Reader) error {
	_, err := invitation.Decode[T](body)
	return err
}

func TestDecodeRefuses(t *testing.T) {
	type (
		create = invitation.CreateParams
		revoke = invitation.RevokeParams
		update = invitation.UpdateParams
	)
	body := func(param string) []refusal { return []refusal{{400, "request_body_invalid", param}} }
	nest := func(open, end string, n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	for name, tt := range map[string]struct {
		decode func(io.Reader) error
		body   string
		want   []refusal
	}{
		"nothing":            {decodeAs[create], "", body("")},
		"nothing to update":  {decodeAs[update], " ", body("")},
		"an empty bulk body": {decodeAs[[]create], "", body("")},
		"no JSON":            {decodeAs[create], "email_address=a", body("")},
		"no blank of JSON's": {decodeAs[create], "\v{}\u00a0", body("")},
		"cut off":            {decodeAs[create], `{"role":"a"`, body("")},
		"trailing data":      {decodeAs[create], `{"role":"a"} {}`, body("")},
		"trailing in revoke": {decodeAs[revoke], `{} x`, body("")},
		"a list":             {decodeAs[create], `[]`, body("")},
		"null":               {decodeAs[create], `null`, body("")},
		"null for a bulk":    {decodeAs[[]create], `null`, body("")},
		"an object for bulk": {decodeAs[[]create], `{}`, body("")},
		"an item no object": {decodeAs[[]create], `[{},null,{"role":1}]`, []refusal{
			{400, "request_body_invalid", "[1]"}, {422, "form_param_type_invalid", "[2].role"},
		}},
		"a key twice":       {decodeAs[create], `{"role":"a","r\u006fle":"b"}`, body("")},
		"twice in metadata": {decodeAs[create], `{"public_metadata":{"k":1,"k":2}}`, body("")},
		"twice in an item":  {decodeAs[[]create], `[{},{"role":"a","role":"a"}]`, body("")},
		"invalid UTF-8":     {decodeAs[create], "{\"role\":\"\xff\"}", body("")},
		"too deep": {decodeAs[create], `{"public_metadata":` + nest(
			`{"a":`, `}`, 64,
		)[:64*5] + `1` + strings.Repeat("}", 64) + `}`, body("")},
		"much too deep": {decodeAs[create], nest("[", "]", 100000), body("")},
		"unknown keys": {decodeAs[create], `{"replace":true,"Role":"a"}`, []refusal{
			{422, "form_param_unknown", "replace"}, {422, "form_param_unknown", "Role"},
		}},
		"a domain": {decodeAs[create], `{"organization_domain_id":"d"}`, []refusal{
			{422, "form_param_unknown", "organization_domain_id"},
		}},
		"unknown in revoke": {decodeAs[revoke], `{"user_id":"a"}`, []refusal{{422, "form_param_unknown", "user_id"}}},
		"a long unknown key": {decodeAs[revoke], `{"` + strings.Repeat("ü", 500) + `":1}`, []refusal{
			{422, "form_param_unknown", strings.Repeat("ü", 32) + "…"},
		}},
		"the longest keys": {decodeAs[revoke], `{"` + strings.Repeat("a", 64) + `":1,"` + strings.Repeat("b", 65) + `":1}`,
			[]refusal{
				{422, "form_param_unknown", strings.Repeat("a", 64)}, {422, "form_param_unknown", strings.Repeat("b", 64) + "…"},
			}},
		"nulls": {decodeAs[create], `{"email_address":null,"role":null}`,
			[]refusal{{422, "form_param_nil", "email_address"}, {422, "form_param_nil", "role"}}},
		"wrong types, all at once": {decodeAs[create],
			`{"email_address":1,"role":{},"inviter_user_id":[],"public_metadata":"{}","private_metadata":[],
			"redirect_url":true,"expires_in_days":"7","notify":"no"}`,
			[]refusal{{422, "form_param_type_invalid", "email_address"},
				{
					422, "form_param_type_invalid", "role",
				}, {422, "form_param_type_invalid", "inviter_user_id"}, {422, "form_param_type_invalid", "public_metadata"},
				{422, "form_param_type_invalid", "private_metadata"}, {422, "form_param_type_invalid", "redirect_url"},
				{422, "form_param_type_invalid", "expires_in_days"}, {422, "form_param_type_invalid", "notify"}}},
		"half a surrogate pair": {decodeAs[create], `{"inviter_user_id":"a\ud800"}`, []refusal{
			{422, "form_param_format_invalid", "inviter_user_id"},
		}},
		"a fraction of a day": {decodeAs[create], `{"expires_in_days":1.5}`, []refusal{
			{422, "form_param_type_invalid", "expires_in_days"},
		}},
		"no day": {decodeAs[create], `{"expires_in_days":0}`, []refusal{
			{422, "form_param_value_invalid", "expires_in_days"},
		}},
		"a negative day": {decodeAs[create], `{"expires_in_days":-1}`, []refusal{
			{422, "form_param_value_invalid", "expires_in_days"},
		}},
		"a day too many": {decodeAs[create], `{"expires_in_days":366}`, []refusal{
			{422, "form_param_value_invalid", "expires_in_days"},
		}},
		"days out of range": {decodeAs[create], `{"expires_in_days":1e400}`, []refusal{
			{422, "form_param_value_invalid", "expires_in_days"},
		}},
		"days that overflow": {decodeAs[create], `{"expires_in_days":18446744073709551617}`, []refusal{
			{422, "form_param_value_invalid", "expires_in_days"},
		}},
		"terms as a number": {decodeAs[update], `{"terms":1}`, []refusal{{422, "form_param_type_invalid", "terms"}}},
		"a version":         {decodeAs[update], `{"version":1}`, []refusal{{422, "form_param_unknown", "version"}}},
		"a patch no object": {decodeAs[update], `{"public_metadata":[1]}`, []refusal{
			{422, "form_param_type_invalid", "public_metadata"},
		}},
		"too large": {decodeAs[create], `{"role":"` + strings.Repeat("a", 1<<20) + `"}`, []refusal{
			{413, "request_body_too_large", ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			err := tt.decode(strings.NewReader(tt.body))
			is.True(errors.Is(err, invitation.ErrInvalid))
			is.Equal(refusals(err), tt.want)
		})
	}
}

func TestDecodeBounds(t *testing.T) {
	is := is.New(t)
	pad := func(n int) io.Reader { return strings.NewReader(`{"role":"` + strings.Repeat("a", n-11) + `"}`) }
	_, err := invitation.Decode[invitation.CreateParams](pad(1 << 20))
	is.NoErr(err) // the limit itself is fine
	_, err = invitation.Decode[invitation.CreateParams](pad(1<<20 + 1))
	is.Equal(invitation.HTTPStatus(err), 413)
	deep := `{"public_metadata":` + strings.Repeat(`{"a":`, 62) + `{}` + strings.Repeat(`}`, 62) + `}`
	_, err = invitation.Decode[invitation.CreateParams](strings.NewReader(deep))
	is.NoErr(err) // 64 levels

	// A handler's own limit, and a connection that breaks.
	_, err = invitation.Decode[invitation.CreateParams](
		http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(pad(1000)), 100),
	)
	is.Equal(invitation.HTTPStatus(err), 413)
	broken := errors.New("broken pipe")
	_, err = invitation.Decode[invitation.CreateParams](iotest.ErrReader(broken))
	is.True(errors.Is(err, broken))
	is.Equal(invitation.HTTPStatus(err), 500)
}

// The causes of what Decode refuses stay in the chain: where the text breaks, and which limit of the handler's was
// passed.
func TestDecodeKeepsCauses(t *testing.T) {
	is := is.New(t)
	for _, body := range []string{"email_address=a", `{"role":`, `[{}`, "[{},]"} {
		var broken *json.SyntaxError
		is.True(errors.As(decodeAs[invitation.CreateParams](strings.NewReader(body)), &broken))
		is.True(errors.As(decodeAs[[]invitation.CreateParams](strings.NewReader(body)), &broken))
	}
	var limit *http.MaxBytesError
	body := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader(strings.Repeat("a", 101))), 100)
	err := decodeAs[invitation.CreateParams](body)
	is.Equal(refusals(err), []refusal{{413, "request_body_too_large", ""}})
	is.True(errors.As(err, &limit) && limit.Limit == 100)
	is.True(strings.Contains(err.Error(), "at most 100 bytes"))
	is.True(strings.Contains(decodeAs[invitation.CreateParams](strings.NewReader(" ")).Error(), "empty"))
}

func TestParseListParams(t *testing.T) {
	created, email, expires := invitation.Order{Field: "created_at"}, invitation.Order{
		Field: "email_address",
	}, invitation.Order{Field: "expires_at"}
	down := func(o invitation.Order) invitation.Order { o.Descending = true; return o }
	for query, want := range map[string]invitation.ListParams{
		"": {},
		"limit=&offset=&status=&order_by=&query=&cursor=":  {},
		"limit=500&offset=0":                               {Limit: 500},
		"limit=1&offset=20":                                {Limit: 1, Offset: 20},
		"status=pending":                                   {Statuses: []invitation.Status{"pending"}},
		"status=pending&status=declined":                   {Statuses: []invitation.Status{"pending", "declined"}},
		"order_by=created_at":                              {OrderBy: []invitation.Order{created}},
		"order_by=+created_at":                             {OrderBy: []invitation.Order{created}}, // decoded as a space
		"order_by=%2Bcreated_at":                           {OrderBy: []invitation.Order{created}},
		"order_by=-created_at":                             {OrderBy: []invitation.Order{down(created)}},
		"order_by=-email_address,%2Bexpires_at":            {OrderBy: []invitation.Order{down(email), expires}},
		"order_by=email_address&order_by=-created_at":      {OrderBy: []invitation.Order{email, down(created)}},
		"order=-email_address":                             {OrderBy: []invitation.Order{down(email)}}, // its older name
		"query=Carl%25&email_address=c%40x.com&cursor=abc": {Query: "Carl%", EmailAddress: "c@x.com", Cursor: "abc"},
		"page=7&skip_total=true&paginated=true":            {}, // unknown ones are ignored
	} {
		t.Run(query, func(t *testing.T) {
			is := is.New(t)
			v, err := url.ParseQuery(query)
			is.NoErr(err)
			got, err := invitation.ParseListParams(v)
			is.NoErr(err)
			is.Equal(got, want)
		})
	}
	value := func(params ...string) (rs []refusal) {
		for _, p := range params {
			rs = append(rs, refusal{422, "form_param_value_invalid", p})
		}
		return rs
	}
	for query, want := range map[string][]refusal{
		"limit=0": value("limit"), "limit=-1": value("limit"), "limit=ten": value("limit"), "limit=1.5": value("limit"),
		"limit=99999999999999999999": value("limit"), "offset=-1": value("offset"), "offset=x": value("offset"),
		"status=lost": value("status"), "status=pending,accepted": value("status"), "order_by=id": value("order_by"),
		"order_by=created_at,--created_at":     value("order_by"),
		"limit=x&offset=x&status=x&order_by=x": value("limit", "offset", "status", "order_by"),
	} {
		t.Run(query, func(t *testing.T) {
			is := is.New(t)
			v, err := url.ParseQuery(query)
			is.NoErr(err)
			got, err := invitation.ParseListParams(v)
			is.Equal(got, invitation.ListParams{})
			is.True(errors.Is(err, invitation.ErrInvalid))
			is.Equal(refusals(err), want)
		})
	}
	w := setup(t, nil)
	p, err := invitation.ParseListParams(url.Values{"limit": {"501"}})
	w.is.NoErr(err)
	_, err = w.svc.List(w.ctx, "acme", p)
	w.is.Equal(refusals(err), value("limit")) // the list checks the upper bound
}

// refused fails unless err has a 4xx status and a JSON body.
func refused(t *testing.T, err error) {
	t.Helper()
	var e *invitation.Error
	if !errors.As(err, &e) || !errors.Is(
		err, invitation.ErrInvalid,
	) || invitation.HTTPStatus(err)/100 != 4 || !json.Valid(invitation.ErrorBody(err)) {
		t.Fatalf("not a refusal: %v", err)
	}
}

// Every body is either refused or decoded, and a decoded one follows the rules of JSON.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"email_address":"a@b.de","role":"r","public_metadata":{"a":[1]},"expires_in_days":7,"notify":false}`,
		`[{"email_address":null}]`, `{"requesting_user_id":"ann","terms":"x"}`, `{"a":1,"a":2}`, "\xff",
		`{"role":"\ud800"}`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, decode := range []func(io.Reader) error{decodeAs[invitation.CreateParams], decodeAs[[]invitation.CreateParams],
			decodeAs[invitation.RevokeParams], decodeAs[invitation.ResendParams], decodeAs[invitation.UpdateParams]} {
			if err := decode(strings.NewReader(body)); err != nil {
				refused(t, err)
			} else if strings.Trim(body, " \t\r\n") != "" && !json.Valid([]byte(body)) {
				t.Fatalf("%q was taken for JSON", body)
			}
		}
		p, err := invitation.Decode[invitation.CreateParams](strings.NewReader(body))
		if err == nil && (p.ExpiresIn < 0 || p.ExpiresIn > 365*24*time.Hour || p.Replace || p.OrganizationDomainID != "") {
			t.Fatalf("%q became %v", body, p)
		}
	})
}

func FuzzParseListParams(f *testing.F) {
	for _, s := range []string{
		"limit=5&offset=1&status=pending&order_by=-created_at,email_address", "order=%2Bx", "limit=0",
	} {
		f.Add(s)
	}
	w := setup(f, nil)
	f.Fuzz(func(t *testing.T, query string) {
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		p, err := invitation.ParseListParams(v)
		if err == nil {
			_, err = w.svc.List(w.ctx, "acme", p)
		}
		if err != nil {
			refused(t, err)
		}
	})
}

func FuzzParseOrder(f *testing.F) {
	for _, s := range []string{"created_at", "-email_address", "+expires_at", "--", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := invitation.ParseOrder(s)
		if err != nil {
			refused(t, err)
			return
		}
		if sign := map[bool]string{true: "-"}[o.Descending]; sign+o.Field != strings.TrimPrefix(s, "+") {
			t.Fatalf("%q became %v", s, o)
		}
	})
}

func FuzzTicket(f *testing.F) {
	w := setup(f, &invitation.Config{NewID: func() string { return "i1" }})
	ticket := ticketOf(f, w.invite("carl@example.com"))
	f.Add(ticket)
	f.Add(ticket[1:])
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		_, err := w.svc.Preview(w.ctx, s)
		if s != ticket && (!errors.Is(err, invitation.ErrInvalidTicket) || invitation.HTTPStatus(err) != 400) {
			t.Fatalf("%q is taken: %v", s, err)
		}
	})
}

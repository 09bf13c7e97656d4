package invitationhttp_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationhttp"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// logged returns what is logged while call runs.
func logged(t *testing.T, call func()) string {
	t.Helper()
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	call()
	return log.String()
}

// tooSoon returns a refusal of the host with status 429.
func tooSoon(retryAfter any) *invitation.Error {
	return &invitation.Error{Status: 429, Code: "slow_down", Message: "m", Meta: map[string]any{"retry_after": retryAfter}}
}

func TestWrite(t *testing.T) {
	for name, tt := range map[string]struct {
		v      any
		err    error
		status int
		body   string
		header string // one more header
		log    string // a part of what is logged
	}{
		"a value":  {map[string]int{"a": 1}, nil, 200, `{"a":1}`, "", ""},
		"no value": {nil, nil, 200, `null`, "", ""},
		"a refusal": {1, &invitation.Error{Status: 403, Code: "c", Message: "m"}, 403,
			`{"errors":[{"message":"m","long_message":"","code":"c"}]}`, "", ""},
		"too soon": {nil, tooSoon(7), 429,
			`{"errors":[{"message":"m","long_message":"","code":"slow_down","meta":{"retry_after":7}}]}`, "Retry-After: 7", ""},
		"several too soon": {nil, invitation.Errors{tooSoon(7), tooSoon(60), tooSoon(8)}, 429, "", "Retry-After: 60", ""},
		"no seconds":       {nil, tooSoon("soon"), 429, "", "", ""},
		"not signed in": {nil, &invitation.Error{Status: 401, Code: "c", Message: "m"}, 401, "",
			"Www-Authenticate: Bearer", ""},
		"internal": {nil, errors.New("secret cause"), 500,
			`{"errors":[{"message":"Internal error","long_message":"something went wrong; try again later",` +
				`"code":"internal_error"}]}`,
			"", "secret cause"},
		"unavailable": {nil, invitation.ErrUnavailable, 503, "", "", "status=503"},
		"not JSON":    {func() {}, nil, 500, "", "", "unsupported type"},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			w := httptest.NewRecorder()
			log := logged(t, func() { invitationhttp.Write(w, tt.v, tt.err) })
			is.Equal(w.Code, tt.status)
			is.Equal(w.Header().Get("Content-Type"), "application/json")
			if tt.body != "" {
				is.Equal(w.Body.String(), tt.body)
			}
			is.True(w.Body.Len() > 0)
			is.True(!strings.Contains(w.Body.String(), "secret"))
			w.Header().Del("Content-Type")
			name, value, _ := strings.Cut(tt.header, ": ")
			is.Equal(w.Header().Get(name), value)
			is.Equal(len(w.Header()) > 0, tt.header != "")
			is.True(strings.Contains(log, tt.log))
			is.Equal(log != "", tt.log != "") // nothing that the client was told
		})
	}
	w := httptest.NewRecorder()
	w.Header().Set("WWW-Authenticate", "Session")
	invitationhttp.Write(w, nil, &invitation.Error{Status: 401, Code: "c"})
	is.New(t).Equal(w.Header().Get("WWW-Authenticate"), "Session") // the host's own
}

func TestHandle(t *testing.T) {
	is := is.New(t)
	host := invitationtest.NewHost()
	host.AddOrganization(invitation.Organization{ID: "acme"})
	host.AddUser("ann", "ann@example.com")
	host.AddMember("acme", "ann", invitation.RoleAdmin)
	svc, err := invitation.NewService(host.Storage(), host, nil)
	is.NoErr(err)
	mux := http.NewServeMux()
	as := func(r *http.Request) *invitation.Service { return svc.As(r.Header.Get("X-User")) }
	mux.Handle("POST /invitations", invitationhttp.Handle(invitation.Decode[invitation.CreateParams],
		func(r *http.Request, p invitation.CreateParams) (any, error) {
			return as(r).Create(r.Context(), "acme", p)
		}))
	mux.Handle("GET /invitations", invitationhttp.Handle(invitation.ParseListParams,
		func(r *http.Request, p invitation.ListParams) (any, error) { return as(r).List(r.Context(), "acme", p) }))
	form := func(r *http.Request) (invitation.CreateParams, error) {
		return invitation.CreateParams{EmailAddress: r.FormValue("email"), Role: invitation.RoleMember}, nil
	}
	mux.Handle("POST /form", invitationhttp.Handle(form,
		func(r *http.Request, p invitation.CreateParams) (any, error) {
			return as(r).Create(r.Context(), "acme", p)
		}))

	call := func(user, method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("X-User", user)
		if path == "/form" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	const bob = `{"email_address":"bob@example.com","role":"org:member"}`
	w := call("ann", "POST", "/invitations", bob)
	is.Equal(w.Code, 200)
	is.True(strings.HasPrefix(w.Body.String(), `{"object":"organization_invitation"`))
	w = call("ann", "POST", "/form", "email=carl@example.com")
	is.Equal(w.Code, 200)
	w = call("ann", "GET", "/invitations?query=CARL", "")
	is.Equal(w.Code, 200)
	is.True(strings.HasSuffix(w.Body.String(), `"total_count":1}`))
	is.Equal(call("ann", "POST", "/invitations", bob).Code, 400)
	is.Equal(call("", "POST", "/invitations", bob).Code, 401)
	w = call("", "POST", "/invitations", `{`) // what cannot be decoded calls nothing
	is.Equal(w.Code, 400)
	is.True(strings.Contains(w.Body.String(), "request_body_invalid"))
	is.Equal(call("ann", "GET", "/invitations?status=lost", "").Code, 422)
}

// A nil element in the Errors of a callback is ignored, as HTTPStatus and ErrorBody ignore it.
func TestWriteNilElement(t *testing.T) {
	tooFast := &invitation.Error{Status: 429, Code: "slow_down", Meta: map[string]any{"retry_after": 3}}
	err := invitation.Errors{nil, tooFast}
	if invitation.HTTPStatus(err) != 429 {
		t.Fatal("HTTPStatus does not ignore it")
	}
	w := httptest.NewRecorder()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("panic: %v", r)
		}
	}()
	invitationhttp.Write(w, nil, err)
	if w.Code != 429 || w.Header().Get("Retry-After") != "3" {
		t.Errorf("got %d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

// A host's error may have the seconds in any type of number.
func TestRetryAfterOfHost(t *testing.T) {
	for _, seconds := range []any{7, int64(7), 7.0, uint(7)} {
		w := httptest.NewRecorder()
		invitationhttp.Write(w, nil, &invitation.Error{Status: 429, Code: "slow_down",
			Meta: map[string]any{"retry_after": seconds}})
		if got := w.Header().Get("Retry-After"); got != "7" {
			t.Errorf("%T: Retry-After is %q", seconds, got)
		}
	}
}

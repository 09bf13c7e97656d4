// Package invitationhttp connects package invitation with net/http. It is optional. [Handle] makes a handler from an
// operation, and [Write] writes a result in the wire format:
//
//	mux.Handle("POST /organizations/{organization_id}/invitations", invitationhttp.Handle(
//		invitation.Decode[invitation.CreateParams],
//		func(r *http.Request, p invitation.CreateParams) (any, error) {
//			return svc.As(userID(r)).Create(r.Context(), r.PathValue("organization_id"), p)
//		}))
//
// A route that a browser calls goes through [invitation.Service.As], and returns an Invitation or a Page as it is. A
// route for your own servers may return their Backend view. The package knows no sessions and no CSRF tokens. Check
// these before you call the service.
package invitationhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"reflect"

	"github.com/orginvite/orginvite/invitation"
)

// Write writes the result of an operation: v as JSON with status 200, or, if err is not nil, the status and the body
// that [invitation.HTTPStatus] and [invitation.ErrorBody] return for it.
//
//   - Content-Type is exactly application/json, because one client of Clerk's API fails on a charset suffix.
//   - With status 429, Retry-After has the seconds of Meta["retry_after"]. If there are several, it has the largest.
//   - With status 401, WWW-Authenticate is Bearer, unless you have set another value. HTTP requires the header, and
//     browsers show no dialog for Bearer.
//
// The client does not see an error of status 500 and above, so Write logs it with [slog.Default]. A v that cannot be
// marshaled is such an error.
func Write(w http.ResponseWriter, v any, err error) {
	var body []byte
	if err == nil {
		body, err = json.Marshal(v)
	}
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		_, _ = w.Write(body)
		return
	}
	status := invitation.HTTPStatus(err)
	switch {
	case status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "":
		w.Header().Set("WWW-Authenticate", "Bearer")
	case status == http.StatusTooManyRequests:
		if seconds := retryAfter(err); seconds > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(seconds))
		}
	case status >= http.StatusInternalServerError:
		slog.Error("invitation request failed", "status", status, "error", err)
	}
	w.WriteHeader(status)
	_, _ = w.Write(invitation.ErrorBody(err))
}

// retryAfter returns the largest retry_after of the errors in err, or 0.
func retryAfter(err error) int {
	var errs invitation.Errors
	_ = errors.As(err, &errs)
	most := 0
	for _, e := range errs {
		if e == nil {
			continue
		}
		switch v := reflect.ValueOf(e.Meta["retry_after"]); {
		case v.CanInt():
			most = max(most, int(v.Int()))
		case v.CanUint():
			most = max(most, int(v.Uint()))
		case v.CanFloat():
			most = max(most, int(math.Ceil(v.Float())))
		}
	}
	return most
}

// Handle returns a handler that decodes the parameters of a request, calls an operation with them, and writes the
// result with [Write]. If decode returns an error, Handle writes it and does not call the operation.
//
// decode gets the body, the query or the whole request, as its type says. So it may be [invitation.Decode] or
// [invitation.ParseListParams] as it is, or a function that reads a form. A route without parameters needs no Handle;
// it calls Write.
func Handle[P any, D func(io.Reader) (P, error) | func(url.Values) (P, error) | func(*http.Request) (P, error)](
	decode D, call func(r *http.Request, p P) (any, error)) http.HandlerFunc {
	read := func(r *http.Request) (P, error) {
		switch decode := any(decode).(type) {
		case func(io.Reader) (P, error):
			return decode(r.Body)
		case func(url.Values) (P, error):
			return decode(r.URL.Query())
		}
		return any(decode).(func(*http.Request) (P, error))(r)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := read(r)
		var v any
		if err == nil {
			v, err = call(r, p)
		}
		Write(w, v, err)
	}
}

package invitation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxBody  = 1 << 20 // bytes of a request body
	maxItems = 10000   // items of a list in a body, regardless of Config.MaxBulk
)

// Decode reads the JSON body of a request into the parameters of an operation:
//
//	p, err := invitation.Decode[invitation.CreateParams](r.Body)
//
// The body may have at most 1 MiB, and a list at most 10,000 items. An optional key that is absent or null has its
// default. OrganizationDomainID and Replace are never read from a body. The body of RevokeParams and ResendParams may
// be empty.
//
// The error is an [*Error] or [Errors] that wraps [ErrInvalid] and reports all failing parameters, up to 100 (see
// Errors). Decode refuses:
//
//   - a body that is not one JSON value of the expected shape in valid UTF-8
//   - a key that occurs twice, and nesting deeper than 64
//   - an unknown key, a value of the wrong type, and null for a required key
//   - metadata that [ParseMetadata] refuses
//
// The operation itself refuses missing and malformed parameters. If the body exceeds the limit of an
// http.MaxBytesReader, the error has [CodeBodyTooLarge]. Any other error of the reader is an internal error.
func Decode[T CreateParams | []CreateParams | RevokeParams | ResendParams | UpdateParams](body io.Reader) (T, error) {
	var params T
	text, err := readBody(body)
	if err != nil {
		return params, err
	}
	var errs collector
	switch p := any(&params).(type) {
	case *CreateParams:
		decodeBody(text, p, createFields, &errs)
	case *[]CreateParams:
		*p = decodeArray(text, createFields, &errs)
	case *RevokeParams:
		decodeOptional(text, p, revokeFields, &errs)
	case *ResendParams:
		decodeOptional(text, p, resendFields, &errs)
	case *UpdateParams:
		decodeBody(text, p, updateFields, &errs)
	}
	if err := errs.err(); err != nil {
		var none T
		return none, err
	}
	return params, nil
}

// readBody reads a body of at most maxBody bytes.
func readBody(body io.Reader) (string, error) {
	if body == nil { // a request made by a test may have no body
		return "", nil
	}
	b, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	limit, tooLarge := maxBytes(err) // a handler may have set a smaller limit
	switch {
	case tooLarge:
		return "", problemBodySize.about("", fmt.Sprintf("the body must be at most %d bytes", limit)).because(err)
	case err != nil:
		return "", fmt.Errorf("invitation: read body: %w", err)
	case len(b) > maxBody:
		return "", problemBodySize.about("", fmt.Sprintf("the body must be at most %d bytes", maxBody))
	}
	return trimJSON(string(b)), nil
}

// maxBytes returns the limit of an *http.MaxBytesError. It goes by the name of the type, because importing net/http
// would link a server into every application, also into those that serve no HTTP.
func maxBytes(err error) (limit int64, ok bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.ValueOf(err)
		if v.Kind() != reflect.Pointer || v.IsNil() {
			continue
		}
		if t := v.Type().Elem(); t.PkgPath() == "net/http" && t.Name() == "MaxBytesError" {
			return v.Elem().FieldByName("Limit").Int(), true
		}
	}
	return 0, false
}

// field is a key of a body. set stores its value in the parameters; the value is not null.
type field[P any] struct {
	name     string
	required bool
	set      func(p *P, param string, value json.RawMessage) *Error
}

var createFields = []field[CreateParams]{
	{"email_address", true, text(func(p *CreateParams) *string { return &p.EmailAddress })},
	{"role", true, text(func(p *CreateParams) *Role { return &p.Role })},
	{"inviter_user_id", false, text(func(p *CreateParams) *string { return &p.InviterUserID })},
	{"public_metadata", false, metadata(func(p *CreateParams) *Metadata { return &p.PublicMetadata })},
	{"private_metadata", false, metadata(func(p *CreateParams) *Metadata { return &p.PrivateMetadata })},
	{"redirect_url", false, text(func(p *CreateParams) *string { return &p.RedirectURL })},
	{"expires_in_days", false, days(func(p *CreateParams) *time.Duration { return &p.ExpiresIn })},
	{"notify", false, notify(func(p *CreateParams) *bool { return &p.Silent })},
}

var revokeFields = []field[RevokeParams]{
	{"requesting_user_id", false, text(func(p *RevokeParams) *string { return &p.RequestingUserID })},
}

var resendFields = []field[ResendParams]{
	{"requesting_user_id", false, text(func(p *ResendParams) *string { return &p.RequestingUserID })},
	{"role", false, text(func(p *ResendParams) *Role { return &p.Role })},
	{"expires_in_days", false, days(func(p *ResendParams) *time.Duration { return &p.ExpiresIn })},
	{"notify", false, notify(func(p *ResendParams) *bool { return &p.Silent })},
}

var updateFields = []field[UpdateParams]{
	{"requesting_user_id", false, text(func(p *UpdateParams) *string { return &p.RequestingUserID })},
	{"role", false, text(func(p *UpdateParams) *Role { return &p.Role })},
	{"public_metadata", false, metadata(func(p *UpdateParams) *Metadata { return &p.PublicMetadata })},
	{"private_metadata", false, metadata(func(p *UpdateParams) *Metadata { return &p.PrivateMetadata })},
	{"terms", false, text(func(p *UpdateParams) *string { return &p.Terms })},
}

// notify returns the set function of a field that is the opposite of Silent.
func notify[P any](silent func(*P) *bool) func(*P, string, json.RawMessage) *Error {
	return func(p *P, param string, value json.RawMessage) *Error {
		notify := true
		if json.Unmarshal(value, &notify) != nil {
			return problemType.about(param, "must be true or false")
		}
		*silent(p) = !notify
		return nil
	}
}

// text returns the set function of a field that is a string.
func text[P any, S ~string](at func(*P) *S) func(*P, string, json.RawMessage) *Error {
	return func(p *P, param string, value json.RawMessage) *Error {
		var s string
		if json.Unmarshal(value, &s) != nil {
			return problemType.about(param, "must be a string")
		}
		if strings.ContainsRune(s, utf8.RuneError) { // encoding/json turns half of a surrogate pair into it
			return problemFormat.about(param, "must be valid Unicode")
		}
		*at(p) = S(s)
		return nil
	}
}

// metadata returns the set function of a field that is a JSON object.
func metadata[P any](at func(*P) *Metadata) func(*P, string, json.RawMessage) *Error {
	return func(p *P, param string, value json.RawMessage) *Error {
		text := string(value)
		if !isObject(text) {
			return problemType.about(param, "must be a JSON object")
		}
		if fault := metadataFault(text); fault != "" {
			return problemFormat.about(param, fault)
		}
		*at(p) = metadataOf(text)
		return nil
	}
}

// days returns the set function of a field that is a number of days.
func days[P any](at func(*P) *time.Duration) func(*P, string, json.RawMessage) *Error {
	return func(p *P, param string, value json.RawMessage) *Error {
		var n int64
		if err := integer(param, value, &n); err != nil {
			return err
		}
		if n < 1 || n > 365 {
			return problemValue.about(param, "must be from 1 to 365")
		}
		*at(p) = time.Duration(n) * 24 * time.Hour
		return nil
	}
}

// integer reads a number without a fraction that fits an int64, such as 7, 7.0 or 7e0.
func integer(param string, value json.RawMessage, n *int64) *Error {
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return problemType.about(param, "must be a whole number")
	}
	if json.Unmarshal(value, n) == nil {
		return nil
	}
	f, err := strconv.ParseFloat(string(value), 64)
	switch {
	case err == nil && f != float64(int64(f)) && f > -1<<53 && f < 1<<53:
		return problemType.about(param, "must be a whole number")
	case err != nil || f <= -1<<53 || f >= 1<<53:
		return problemValue.about(param, "is out of range")
	}
	// A float64 is exact for up to 15 digits. A longer number, or one too small for a float64, may have a fraction.
	digits, _, _ := strings.Cut(strings.ToLower(string(value)), "e")
	if len(digits) > 16 || f == 0 && strings.ContainsAny(digits, "123456789") {
		return problemType.about(param, "must be a whole number")
	}
	*n = int64(f)
	return nil
}

// decodeOptional is decodeBody for a body that may be empty.
func decodeOptional[P any](text string, p *P, fields []field[P], errs *collector) {
	if text != "" {
		decodeBody(text, p, fields, errs)
	}
}

// decodeBody reads a body that is an object.
func decodeBody[P any](text string, p *P, fields []field[P], errs *collector) {
	e := checkJSON(text)
	switch {
	case e == nil && !isObject(text):
		e = problemBody.about("", "the body must be a JSON object")
	case e == nil:
		e = checkKeys(text)
	}
	if e != nil {
		errs.add(e)
		return
	}
	decodeObject(text, "", p, fields, errs)
}

// decodeObject reads an object. prefix precedes the names of its parameters; it is empty for the body itself.
func decodeObject[P any](text, prefix string, p *P, fields []field[P], errs *collector) {
	ms := (&scanner{text: text}).members()
	values := make(map[string]string, len(ms))
	for _, m := range ms {
		values[m.key] = m.value
	}
	for _, f := range fields {
		value, given := values[f.name]
		delete(values, f.name)
		switch {
		case !given:
		case value != "null":
			if e := f.set(p, prefix+f.name, json.RawMessage(value)); e != nil {
				errs.add(e)
			}
		case f.required:
			errs.add(problemNil.about(prefix+f.name, "is required and must not be null"))
		}
	}
	for _, m := range ms {
		if _, unknown := values[m.key]; unknown {
			errs.add(problemUnknown.about(prefix+printable(m.key, maxPrintedKey), "is not a parameter; leave it out"))
		}
	}
}

// decodeArray reads a body that is a list. It counts the items before it decodes them.
func decodeArray[P any](text string, fields []field[P], errs *collector) []P {
	if e := checkJSON(text); e != nil {
		errs.add(e)
		return nil
	}
	if text[0] != '[' {
		errs.add(problemBody.about("", "the body must be a JSON array of objects"))
		return nil
	}
	n := 0
	for s := (scanner{text: text, at: 1}); s.more(); n++ {
		if n == maxItems {
			errs.add(problemBulkSize.about("",
				fmt.Sprintf("more than %d items in the body; send at most %[1]d at once", maxItems)))
			return nil
		}
		s.value()
	}
	if e := checkKeys(text); e != nil {
		errs.add(e)
		return nil
	}
	ps := make([]P, n)
	s := scanner{text: text, at: 1}
	for i := 0; s.more(); i++ {
		item := s.value()
		if !isObject(item) {
			errs.add(problemBody.about(fmt.Sprintf("[%d]", i), "must be a JSON object"))
			continue
		}
		decodeObject(item, fmt.Sprintf("[%d].", i), &ps[i], fields, errs)
	}
	return ps
}

// checkJSON refuses text that is not one JSON value in valid UTF-8.
func checkJSON(text string) *Error {
	switch {
	case text == "":
		return problemBody.about("", "the body is empty; it must be JSON")
	case !utf8.ValidString(text):
		return problemBody.about("", "the body must be JSON in valid UTF-8")
	case !validJSON(text):
		return problemBody.about("", "the body must be one JSON value and nothing after it").because(notJSON(text))
	}
	return nil
}

// checkKeys refuses a body with a key that occurs twice in one object, or with too deep nesting.
func checkKeys(text string) *Error {
	if fault := bodyFault(text); fault != "" {
		return problemBody.about("", "the body "+fault)
	}
	return nil
}

// ParseListParams reads ListParams from the query of a request:
//
//   - limit, offset and cursor
//   - status and role, which may be repeated
//   - query, email_address and inviter_user_id
//   - created_at_from, created_at_before, expires_at_from and expires_at_before, in Unix milliseconds
//   - order_by or its alias order, repeated or comma-separated
//
// It ignores other parameters and empty values. The error is an [*Error] or [Errors] that wraps [ErrInvalid]. The list
// operations validate the values further.
func ParseListParams(v url.Values) (ListParams, error) {
	p := ListParams{
		Query:        v.Get("query"),
		EmailAddress: v.Get("email_address"),
		Cursor:       v.Get("cursor"),
	}
	errs := p.parsePage(v)
	errs = append(errs, p.parseStatuses(v["status"])...)
	errs = append(errs, p.parseOrder(slices.Concat(v["order_by"], v["order"]))...)
	errs = append(errs, p.parseFilters(v)...)
	if err := errs.err(); err != nil {
		return ListParams{}, err
	}
	return p, nil
}

// parsePage reads limit and offset.
func (p *ListParams) parsePage(v url.Values) Errors {
	var errs Errors
	for _, n := range []struct {
		param string
		to    *int
		least int
	}{{"limit", &p.Limit, 1}, {"offset", &p.Offset, 0}} {
		s := v.Get(n.param)
		if s == "" {
			continue
		}
		number, err := strconv.Atoi(s)
		if err != nil || number < n.least {
			errs = append(errs, problemValue.about(n.param, fmt.Sprintf("must be a whole number from %d on", n.least)))
			continue
		}
		*n.to = number
	}
	return errs
}

// parseStatuses reads statuses, and stops at the first unknown one.
func (p *ListParams) parseStatuses(values []string) Errors {
	for _, s := range values {
		if s == "" {
			continue
		}
		if !Status(s).known() {
			return Errors{unknownStatus()}
		}
		p.Statuses = append(p.Statuses, Status(s))
	}
	return nil
}

// parseOrder reads comma-separated lists of order fields, and stops at the first unknown one.
func (p *ListParams) parseOrder(lists []string) Errors {
	for _, list := range lists {
		for s := range strings.SplitSeq(list, ",") {
			// An unescaped + is decoded as a space.
			if s = strings.TrimSpace(s); s == "" {
				continue
			}
			o, err := ParseOrder(s)
			var e *Error
			if errors.As(err, &e) {
				return Errors{e}
			}
			p.OrderBy = append(p.OrderBy, o)
		}
	}
	return nil
}

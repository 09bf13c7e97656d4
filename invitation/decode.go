package invitation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxBody  = 1 << 20 // of a request, in bytes
	maxItems = 10000   // of a list in a body, whatever Config.MaxBulk allows
)

// Decode reads the JSON body of a request, of at most 1 MiB, into what an operation takes:
//
//	p, err := invitation.Decode[invitation.CreateParams](r.Body)
//
// An optional key that is absent or null is its default. OrganizationDomainID and Replace are never set from a body.
// An empty body is fine for RevokeParams and ResendParams.
//
// Anything else is an [*Error] or [Errors] and [ErrInvalid], all failing parameters at once: a body that is not one
// JSON value of the right shape in valid UTF-8, has a key twice or nests deeper than 64; an unknown key; a value of
// the wrong type; null for what is required; metadata that [ParseMetadata] refuses; a list of more than 10,000 items,
// of which none is read. Of more than 100 errors the first 100 come, and the last of them says in its LongMessage and
// in Meta["more_errors"] how many there are more. What is missing or malformed the operation itself refuses. An error
// of the reader is returned as it is, and is an internal one.
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

func readBody(body io.Reader) (string, error) {
	if body == nil { // as in a request that a test made without one
		return "", nil
	}
	b, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	var tooLarge *http.MaxBytesError // a handler may have set a smaller limit
	switch {
	case errors.As(err, &tooLarge):
		return "", problemBodySize.about("", fmt.Sprintf("the body must be at most %d bytes", tooLarge.Limit)).because(err)
	case err != nil:
		return "", fmt.Errorf("invitation: read body: %w", err)
	case len(b) > maxBody:
		return "", problemBodySize.about("", fmt.Sprintf("the body must be at most %d bytes", maxBody))
	}
	return trimJSON(string(b)), nil
}

// field is a key of a body. set puts its value, which is not null, into the parameters.
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
	{"notify", false, func(p *CreateParams, param string, value json.RawMessage) *Error {
		notify := true
		if json.Unmarshal(value, &notify) != nil {
			return problemType.about(param, "must be true or false")
		}
		p.Silent = !notify
		return nil
	}},
}

var revokeFields = []field[RevokeParams]{
	{"requesting_user_id", false, text(func(p *RevokeParams) *string { return &p.RequestingUserID })},
}

var resendFields = []field[ResendParams]{
	{"requesting_user_id", false, text(func(p *ResendParams) *string { return &p.RequestingUserID })},
	{"expires_in_days", false, days(func(p *ResendParams) *time.Duration { return &p.ExpiresIn })},
}

var updateFields = []field[UpdateParams]{
	{"requesting_user_id", false, text(func(p *UpdateParams) *string { return &p.RequestingUserID })},
	{"role", false, text(func(p *UpdateParams) *Role { return &p.Role })},
	{"public_metadata", false, metadata(func(p *UpdateParams) *Metadata { return &p.PublicMetadata })},
	{"private_metadata", false, metadata(func(p *UpdateParams) *Metadata { return &p.PrivateMetadata })},
	{"terms", false, text(func(p *UpdateParams) *string { return &p.Terms })},
}

func text[P any, S ~string](at func(*P) *S) func(*P, string, json.RawMessage) *Error {
	return func(p *P, param string, value json.RawMessage) *Error {
		var s string
		if json.Unmarshal(value, &s) != nil {
			return problemType.about(param, "must be a string")
		}
		if strings.ContainsRune(s, utf8.RuneError) { // what an escaped half of a surrogate pair is read as
			return problemFormat.about(param, "must be valid Unicode")
		}
		*at(p) = S(s)
		return nil
	}
}

func metadata[P any](at func(*P) *Metadata) func(*P, string, json.RawMessage) *Error {
	return func(p *P, param string, value json.RawMessage) *Error {
		text := string(value)
		if !isObject(text) {
			return problemType.about(param, "must be a JSON object")
		}
		if fault := (&scanner{text: text}).fault(0, true); fault != "" {
			return problemFormat.about(param, fault)
		}
		*at(p) = metadataOf(text)
		return nil
	}
}

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

// integer reads a number without a fraction, such as 7 or 7.0 or 7e0, that an int64 can hold.
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
	// Up to 15 digits a float64 tells decimals apart; what is longer, or too small for it, may hide a fraction.
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

// decodeObject reads the object that is the body, or an item of it whose parameters have a prefix.
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

// decodeArray reads a body that is a list. It counts the items before it makes anything of them.
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

// checkJSON refuses what is not one JSON value in valid UTF-8.
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

// checkKeys refuses a body that has a key twice in one object, or nests too deep.
func checkKeys(text string) *Error {
	if fault := (&scanner{text: text}).fault(0, false); fault != "" {
		return problemBody.about("", "the body "+fault)
	}
	return nil
}

// ParseListParams reads the query of a request for a list: status (repeated), query, email_address, order_by or order
// (repeated or comma-separated), limit, offset and cursor. Other parameters are ignored, and so are empty ones.
// The error is an [*Error] or [Errors] and [ErrInvalid]; what the list itself checks it leaves to the list.
func ParseListParams(v url.Values) (ListParams, error) {
	p := ListParams{
		Query:        v.Get("query"),
		EmailAddress: v.Get("email_address"),
		Cursor:       v.Get("cursor"),
	}
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
	for _, s := range v["status"] {
		if s == "" {
			continue
		}
		if !Status(s).known() {
			errs = append(errs, unknownStatus())
			break
		}
		p.Statuses = append(p.Statuses, Status(s))
	}
orders:
	for _, list := range append(append([]string{}, v["order_by"]...), v["order"]...) {
		for s := range strings.SplitSeq(list, ",") {
			// A + that was not escaped arrives as a blank.
			if s = strings.TrimSpace(s); s == "" {
				continue
			}
			o, err := ParseOrder(s)
			var e *Error
			if errors.As(err, &e) {
				errs = append(errs, e)
				break orders
			}
			p.OrderBy = append(p.OrderBy, o)
		}
	}
	if err := errs.err(); err != nil {
		return ListParams{}, err
	}
	return p, nil
}

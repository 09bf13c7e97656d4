package invitation

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// This file has the filters of a list by role, inviter and ranges of time.

// span is a range of time among the parameters of a list. The fields point into a ListParams.
type span struct {
	param        string // name of the field, before _from and _before
	from, before *time.Time
}

func (p *ListParams) spans() []span {
	return []span{
		{"created_at", &p.CreatedFrom, &p.CreatedBefore},
		{"expires_at", &p.ExpiresFrom, &p.ExpiresBefore},
	}
}

// setFilters sets the filters by role, inviter and ranges. The roles are sorted and without repetitions.
func (l *listing) setFilters(p ListParams, roles *Roles) Errors {
	var errs Errors
	for _, role := range p.Roles {
		if !roles.knows(role) {
			errs = append(errs, problemValue.about("role", "is not a role of this application; use one that is"))
			break
		}
		l.Roles = append(l.Roles, string(role))
	}
	slices.Sort(l.Roles)
	l.Roles = slices.Compact(l.Roles)
	l.InviterUserID = p.InviterUserID
	for _, s := range p.spans() {
		from, before := storage.Instant(*s.from), storage.Instant(*s.before)
		if !s.from.IsZero() && !s.before.IsZero() && !from.Before(before) {
			errs = append(errs, problemValue.about(s.param+"_before", "must be later than "+s.param+"_from"))
		}
	}
	l.CreatedFrom, l.CreatedBefore, l.ExpiresFrom, l.ExpiresBefore =
		p.CreatedFrom, p.CreatedBefore, p.ExpiresFrom, p.ExpiresBefore
	return errs
}

// nameFilters returns a text that differs between any two lists with different filters of this file, and is empty
// without them.
func (l listing) nameFilters() string {
	var b []byte
	for _, role := range l.Roles {
		b = appendText(append(b, 'r'), role)
	}
	if l.InviterUserID != "" {
		b = appendText(append(b, 'i'), l.InviterUserID)
	}
	for i, at := range []time.Time{l.CreatedFrom, l.CreatedBefore, l.ExpiresFrom, l.ExpiresBefore} {
		if !at.IsZero() {
			b = appendText(append(b, "cbef"[i]), strconv.FormatInt(storage.Instant(at).UnixMicro(), 10))
		}
	}
	return string(b)
}

// parseFilters reads role (repeated), inviter_user_id and the bounds of the ranges.
func (p *ListParams) parseFilters(v url.Values) Errors {
	for _, role := range v["role"] {
		if role != "" {
			p.Roles = append(p.Roles, Role(role))
		}
	}
	p.InviterUserID = v.Get("inviter_user_id")
	var errs Errors
	for _, s := range p.spans() {
		for _, bound := range []struct {
			param string
			to    *time.Time
		}{{s.param + "_from", s.from}, {s.param + "_before", s.before}} {
			text := strings.TrimSpace(v.Get(bound.param))
			if text == "" {
				continue
			}
			ms, err := strconv.ParseInt(text, 10, 64)
			at := time.UnixMilli(ms).UTC()
			if err != nil || at.Year() < 1 || at.Year() > 9999 {
				errs = append(errs, problemValue.about(bound.param, "must be a time in Unix milliseconds"))
				continue
			}
			*bound.to = at
		}
	}
	return errs
}

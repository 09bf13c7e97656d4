package invitation

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/orginvite/orginvite/storage"
)

// seesLinks reports whether the caller may see links. Whoever has a link can prove the address, so a manager who sees
// links could prove any.
func (s *Service) seesLinks() bool { return s.actor == nil || s.cfg.ManagersSeeLinks }

// issuedLink returns the link of r if the caller may see it, otherwise "".
func (s *Service) issuedLink(r storage.Record) string {
	if !s.seesLinks() {
		return ""
	}
	return s.link(r)
}

// link returns the acceptance link of r, or "" without keys. It checks the redirect URL again, because the rules may
// have changed since r was stored.
func (s *Service) link(r storage.Record) string {
	ticket := s.cfg.keys.sign(claims{r.OrganizationID, r.ID, r.Generation})
	if ticket == "" {
		return ""
	}
	u := *s.cfg.acceptURL
	if r.RedirectURL != "" {
		redirect, e := checkURL("", r.RedirectURL)
		if e == nil && s.cfg.AllowRedirect(redirect) == nil && !s.holdsTicket(redirect) {
			u = *redirect
		}
	}
	u.RawQuery = strings.Join(append(s.otherPairs(&u), s.cfg.TicketParam+"="+ticket), "&")
	return u.String()
}

// otherPairs returns the pairs of a query as they are written, without those that some parser reads as the ticket.
func (s *Service) otherPairs(u *url.URL) []string {
	var pairs []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if pair != "" && !readsAs(name, s.cfg.TicketParam) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// holdsTicket reports whether a parser could take another part of u for the ticket: its path, its fragment or the
// values of its query.
func (s *Service) holdsTicket(u *url.URL) bool {
	for _, part := range append(s.otherPairs(u), u.EscapedPath(), u.EscapedFragment()) {
		if s.cfg.ticketText.MatchString(unescaped(part)) {
			return true
		}
	}
	return false
}

// ticketText matches the start of a ticket as a parser without structure finds it: the parameter in any case, with
// anything but letters and digits as delimiters, and then "=" or "[".
func ticketText(param string) *regexp.Regexp {
	name := regexp.MustCompile(`[^a-z0-9]`).ReplaceAllString(flattened(param), `[^a-z0-9]`)
	return regexp.MustCompile(`(?i)(^|[^\w.-])` + name + `[^a-z0-9=\[]*[=\[]`)
}

// unescaped unescapes a part of a URL until nothing changes.
func unescaped(part string) string {
	for range len(part) { // each round shortens it or is the last one
		next, err := url.QueryUnescape(part)
		if err != nil || next == part {
			break
		}
		part = next
	}
	return part
}

// reissue raises the generation of r, which voids older tickets. The acting user, if there is one, becomes the inviter.
func (w *work) reissue(r *storage.Record, actingUserID string, now time.Time) {
	r.Generation++
	r.SentAt = now
	if actingUserID != "" {
		r.InviterUserID = actingUserID
	}
}

// readsAs reports whether some parser takes the escaped name of a query parameter for param. Parsers may ignore case,
// unescape twice, trim white space, read "ticket[]" and "ticket[0]" as ticket, or, like PHP, stop at a NUL and replace
// everything except letters and digits by "_".
func readsAs(escaped, param string) bool {
	name, _, _ := strings.Cut(unescaped(escaped), "\x00")
	name = strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' })
	before, _, _ := strings.Cut(name, "[")
	return flattened(name) == flattened(param) || flattened(before) == flattened(param)
}

// flattened returns name in lower case, with "_" for everything except letters and digits.
func flattened(name string) string {
	return strings.Map(func(r rune) rune {
		r = unicode.ToLower(unicode.ToUpper(r)) // turns the Kelvin sign into k, and the long s into s
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

package invitation

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/orginvite/orginvite/storage"
)

// seesLinks reports whether links may leave towards whom the Service acts for. They are between the service and the
// mailbox: who holds one can prove the address, and a manager could own any.
func (s *Service) seesLinks() bool { return s.actor == nil || s.cfg.ManagersSeeLinks }

// issuedLink is link for the result of an operation: through [Service.As] there is none, but for ManagersSeeLinks.
func (s *Service) issuedLink(r storage.Record) string {
	if !s.seesLinks() {
		return ""
	}
	return s.link(r)
}

// link returns the acceptance link of r, or "" without keys. Rules for redirects may have tightened since r was stored,
// or be those of another application.
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

// otherPairs are the pairs of a query, as they are written, but for those that some parser reads as the ticket.
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

// holdsTicket reports whether there is something else in u, in its path, in the values of its query or behind its '#',
// that a parser could take for the ticket.
func (s *Service) holdsTicket(u *url.URL) bool {
	for _, part := range append(s.otherPairs(u), u.EscapedPath(), u.EscapedFragment()) {
		if s.cfg.ticketText.MatchString(unescaped(part)) {
			return true
		}
	}
	return false
}

// ticketText is what begins a ticket to a parser that knows no structure: the parameter in any case, with anything that
// is no letter or digit for its delimiters, and then "=" or "[".
func ticketText(param string) *regexp.Regexp {
	name := regexp.MustCompile(`[^a-z0-9]`).ReplaceAllString(flattened(param), `[^a-z0-9]`)
	return regexp.MustCompile(`(?i)(^|[^\w.-])` + name + `[^a-z0-9=\[]*[=\[]`)
}

// unescaped unescapes a part of a URL as often as that changes anything.
func unescaped(part string) string {
	for range len(part) { // each round shortens it, or is the last
		next, err := url.QueryUnescape(part)
		if err != nil || next == part {
			break
		}
		part = next
	}
	return part
}

// reissue makes r's next ticket the only one that counts, and the acting user, if there is one, who answers for it.
func (w *work) reissue(r *storage.Record, actingUserID string, now time.Time) {
	r.Generation++
	r.SentAt = now
	if actingUserID != "" {
		r.InviterUserID = actingUserID
	}
}

// readsAs reports whether some parser takes the escaped name of a query's parameter for param: one that ignores case,
// unescapes twice, trims blanks, reads "ticket[]" or "ticket[0]" as ticket, or like PHP stops at a NUL and has "_" for
// what is no letter or digit.
func readsAs(escaped, param string) bool {
	name, _, _ := strings.Cut(unescaped(escaped), "\x00")
	name = strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' })
	before, _, _ := strings.Cut(name, "[")
	return flattened(name) == flattened(param) || flattened(before) == flattened(param)
}

// flattened is a name in lower case with "_" for what is no letter or digit.
func flattened(name string) string {
	return strings.Map(func(r rune) rune {
		r = unicode.ToLower(unicode.ToUpper(r)) // which takes the Kelvin sign to k, and the long s to s
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

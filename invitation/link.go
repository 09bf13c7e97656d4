package invitation

import (
	"net/url"
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
		if redirect, e := checkURL("", r.RedirectURL); e == nil && s.cfg.AllowRedirect(redirect) == nil {
			u = *redirect
		}
	}
	// What else reads as the ticket's parameter goes. The rest of the query stays as the host wrote it.
	var query []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if pair != "" && !readsAs(name, s.cfg.TicketParam) {
			query = append(query, pair)
		}
	}
	u.RawQuery = strings.Join(append(query, s.cfg.TicketParam+"="+ticket), "&")
	return u.String()
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
// unescapes twice, reads "ticket[]" or "ticket[0]" as ticket, or like PHP stops at a NUL, skips blanks in front and has
// "_" for what is no letter or digit.
func readsAs(escaped, param string) bool {
	name := escaped
	for range len(escaped) { // each round shortens it, or is the last
		next, err := url.QueryUnescape(name)
		if err != nil || next == name {
			break
		}
		name = next
	}
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.TrimLeftFunc(name, unicode.IsSpace)
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

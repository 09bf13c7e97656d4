package invitation

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/orginvite/orginvite/storage"
	"golang.org/x/net/idna"
)

// checkURL accepts an absolute http or https URL with a host and without user info. A link may lead only to such a URL:
// no other scheme is executed by a browser, and no part of it can be taken for another host, another query or the end
// of a header. The host of the result is in ASCII.
func checkURL(param, raw string) (*url.URL, *Error) {
	if e := checkText(param, raw, storage.MaxURL); e != nil {
		return nil, e
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.ContainsAny(raw, `\ `) { // a browser reads '\' as '/', Go does not
		return nil, problemFormat.about(param, "must be an absolute http or https URL without user info").because(err)
	}
	host, err := asciiHost(u.Hostname())
	if err != nil {
		return nil, problemFormat.about(param, "must name a host that the DNS can have").because(err)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host = host
	if _, err := url.ParseQuery(u.RawQuery); err != nil || !queryText.MatchString(u.RawQuery) {
		return nil, problemFormat.about(param, "must have a query of RFC 3986 without ';'; escape what it holds").because(err)
	}
	return u, nil
}

// queryText matches the characters of a query (RFC 3986, section 3.4). url.ParseQuery checks the escapes.
var queryText = regexp.MustCompile(`^[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*$`)

// hosts maps a host as browsers do (UTS 46), and allows underscores.
var hosts = sync.OnceValue(func() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))
})

// asciiHost returns the form in which hosts are compared: in lower-case ASCII. strings.ToLower is not enough: it turns
// "İ" into "i", so that one host would pass for another.
func asciiHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), nil
	}
	ascii := strings.ToLower(host)
	if strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		var err error
		if ascii, err = hosts().ToASCII(host); err != nil {
			return "", err
		}
	}
	if !hostName.MatchString(ascii) {
		return "", fmt.Errorf("the host %q is not a name", ascii)
	}
	return ascii, nil
}

var hostName = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// checkRedirect checks a redirect URL, and asks Config.AllowRedirect.
func (s *Service) checkRedirect(param, raw string) Errors {
	u, e := checkURL(param, raw)
	if e != nil {
		return Errors{e}
	}
	if len(s.cfg.keys) > 0 && s.holdsTicket(u) {
		return Errors{problemFormat.about(param, "must not hold what could be taken for the ticket")}
	}
	err := s.cfg.AllowRedirect(u)
	if own := refusals(err); err == nil || own != nil {
		return own
	}
	return Errors{problemFormat.about(param, "must be a URL of this application").because(err)}
}

// sameOrigin is the default of Config.AllowRedirect.
func (s *settings) sameOrigin(u *url.URL) error {
	if len(s.keys) == 0 || origin(u) == origin(s.acceptURL) {
		return nil
	}
	return fmt.Errorf("invitation: the origin is not that of AcceptURL, %s", origin(s.acceptURL))
}

// origin returns the origin of a URL that checkURL returned.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + u.Hostname() + ":" + port
}

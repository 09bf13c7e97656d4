package invitation

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/orginvite/orginvite/storage"
)

// CanonicalEmail returns the form in which addresses are compared: two addresses are the same invitee exactly when
// their canonical forms are equal. It trims, brings the text to Unicode NFC, lower-cases the whole address and
// turns the domain to ASCII (IDNA 2008 with UTS 46 mapping). It folds no dots and no "+tag", for most mail systems
// tell those apart. Its result is its own canonical form.
//
// Only what has been normalised is validated, so that no spelling gets around a check. The error is an [*Error]
// and [ErrInvalid]: for an empty address, one over 320 bytes or with a local part over 64 (RFC 5321, section
// 4.5.3.1), one that is not of the form local@domain with a fully qualified domain, and one with quotes, control,
// invisible or blank characters, with letters that only look like an '@' or another delimiter, or with letters that
// would name another mailbox or domain once they are lower-cased.
//
// Send mail to the canonical form: it is what the invited person proves to own. Mail servers disagree about some
// spellings.
func CanonicalEmail(addr string) (string, error) {
	key, err := canonicalEmail(paramEmail, addr)
	if err != nil {
		return "", err // not the typed nil
	}
	return key, nil
}

// domains maps as a resolver does before it looks a name up.
var domains = sync.OnceValue(func() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
})

func canonicalEmail(param, addr string) (string, *Error) {
	addr = strings.TrimSpace(addr)
	malformed := problemFormat.about(param, "must be an e-mail address such as ann@example.com")
	switch {
	case addr == "":
		return "", problemMissing.about(param, "is required and must be an e-mail address such as ann@example.com")
	case len(addr) > storage.MaxEmail:
		return "", problemSize.about(param, "must be at most 320 bytes")
	case !utf8.ValidString(addr) || strings.ContainsFunc(addr, invisible):
		return "", malformed
	}
	at := strings.LastIndexByte(addr, '@')
	if at < 0 {
		return "", malformed
	}
	local := lower(norm.NFC.String(addr[:at]))
	if strings.ContainsFunc(addr[:at], foldsToASCII) {
		return "", malformed
	}
	// In a local part these need quotes, which nobody has; in compatibility forms they are look-alikes.
	if strings.ContainsAny(norm.NFKC.String(local), "\"(),:;<>@[\\] ") {
		return "", malformed
	}
	domain, err := domains().ToASCII(lower(norm.NFC.String(addr[at+1:])))
	if err != nil {
		return "", malformed.because(err)
	}
	// Whoever delivers to the address as it is written must come to the same domain. For a capital ẞ they do not.
	if written, err := domains().ToASCII(addr[at+1:]); err == nil && written != domain {
		return "", malformed
	}
	key := local + "@" + domain
	if len(local) > 64 || len(key) > storage.MaxEmail {
		return "", problemSize.about(param, "must have at most 64 bytes before the @ and 320 in all")
	}
	if validate().Var(key, "email") != nil || validate().Var(domain, "fqdn") != nil {
		return "", malformed
	}
	return key, nil
}

// lower lower-cases. Go's simple mapping takes a dotted capital I, a letter of its own, to the ASCII i, and so
// another mailbox to that of somebody else; its full mapping (Unicode SpecialCasing) keeps them apart.
func lower(s string) string {
	return norm.NFC.String(strings.ToLower(strings.ReplaceAll(s, "İ", "i̇")))
}

// foldsToASCII reports a letter outside of ASCII that lower case or NFC takes into it, such as the Kelvin sign. The
// mailbox as it is written would be another one than its canonical form.
func foldsToASCII(r rune) bool {
	folded := lower(norm.NFC.String(string(r)))
	return r > unicode.MaxASCII && strings.IndexFunc(folded, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// invisible reports what has no place in an address: controls, blanks, and characters that show nothing, some of which
// Unicode counts as letters, marks or symbols.
func invisible(r rune) bool {
	return r == ' ' || !unicode.IsPrint(r) ||
		r == '\u2800' || r == '\U0001d159' || // a blank pattern, a note without a head
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

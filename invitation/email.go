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

// CanonicalEmail returns the canonical form of an address. Two addresses are the same address for the service if, and
// only if, their canonical forms are equal. The canonical form is trimmed, in Unicode NFC and in lower case, with the
// domain in ASCII (IDNA 2008 with UTS 46 mapping). Dots and "+tag" are kept, because most mail systems distinguish
// them. CanonicalEmail returns a canonical form unchanged.
//
// CanonicalEmail validates the normalised address, so that no spelling bypasses a check. Its error is an [*Error] that
// wraps [ErrInvalid]. CanonicalEmail refuses:
//
//   - an empty address
//   - an address over 320 bytes, or with a local part over 64 bytes (RFC 5321, section 4.5.3.1)
//   - an address that is not of the form local@domain with a fully qualified domain
//   - an address with a name, such as "Ann <ann@example.com>"
//   - quotes, control characters, invisible characters and spaces
//   - letters that only look like an '@' or another delimiter
//   - a letter whose lower-case form would turn the address into that of a different mailbox or domain
//
// Send mail to the canonical form. The invited person proves that they own this form. Another spelling may be another
// mailbox, because mail servers disagree about spellings.
func CanonicalEmail(addr string) (string, error) {
	key, err := canonicalEmail(paramEmail, addr)
	if err != nil {
		return "", err // err is not nil, so this is not a typed nil
	}
	return key, nil
}

// domains maps a domain name as a resolver does before a lookup.
var domains = sync.OnceValue(func() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
})

// canonicalEmail is CanonicalEmail for the named parameter.
func canonicalEmail(param, addr string) (string, *Error) {
	addr = strings.TrimSpace(addr)
	malformed := problemFormat.about(param, "must be an e-mail address such as ann@example.com")
	switch {
	case addr == "":
		return "", problemMissing.about(param, "is required and must be an e-mail address such as ann@example.com")
	case len(addr) > storage.MaxEmail:
		return "", problemSize.about(param, "must be at most 320 bytes")
	case strings.ContainsAny(addr, "<>"):
		return "", problemFormat.about(param,
			"must be the address alone, such as ann@example.com, without a name and angle brackets")
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
	// These need quotes in a local part, which are not supported; their compatibility forms are look-alikes.
	if strings.ContainsAny(norm.NFKC.String(local), "\"(),:;<>@[\\] ") {
		return "", malformed
	}
	domain, err := domains().ToASCII(lower(norm.NFC.String(addr[at+1:])))
	if err != nil {
		return "", malformed.because(err)
	}
	// The address as written must lead to the same domain. With a capital ẞ it does not.
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

// lower returns s in lower case. Go's simple mapping turns a capital dotted İ into the ASCII i, so that one person's
// mailbox would become another's. The full mapping (Unicode SpecialCasing) keeps them apart.
func lower(s string) string {
	return norm.NFC.String(strings.ToLower(strings.ReplaceAll(s, "İ", "i̇")))
}

// foldsToASCII reports whether r is outside ASCII but becomes ASCII in lower case or NFC, such as the Kelvin sign. The
// mailbox as written would then differ from the one of the canonical form.
func foldsToASCII(r rune) bool {
	if r <= unicode.MaxASCII {
		return false
	}
	folded := lower(norm.NFC.String(string(r)))
	return strings.IndexFunc(folded, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// invisible reports whether r must not occur in an address: a control character, a space, or a character that shows
// nothing. Unicode counts some of the latter as letters, marks or symbols.
func invisible(r rune) bool {
	return r == ' ' || !unicode.IsPrint(r) ||
		r == '\u2800' || r == '\U0001d159' || // a blank pattern, a note without a head
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

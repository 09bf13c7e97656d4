package invitation

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How many bytes of a text from outside are printed at most.
const (
	maxPrinted    = 320 // in logs: the longest that any parameter but a URL may be, an address
	maxPrintedKey = 64  // of a key, of metadata, a body or a role, in the text of an error
)

// printable returns s as it may stand in the text of an error, in a log line or on a terminal, whoever wrote it: what
// does not print (controls, line ends, characters that turn the direction of text or show nothing, broken UTF-8) is
// escaped as in a Go string, and what is longer than so many bytes is cut off, with an ellipsis.
func printable(s string, most int) string {
	if len(s) <= most && strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		text := s[:size]
		switch {
		case !strconv.IsPrint(r) || r == utf8.RuneError && size == 1:
			text = strings.Trim(strconv.Quote(text), `"`) // which is none of its own, being printable
		case unprintable(r):
			text = fmt.Sprintf(`\U%08x`, r)
			if r <= 0xffff {
				text = fmt.Sprintf(`\u%04x`, r)
			}
		}
		if b.Len()+len(text) > most {
			return b.String() + "…"
		}
		b.WriteString(text)
		s = s[size:]
	}
	return b.String()
}

// unprintable reports what shows nothing, or not itself. Some of that counts as letters, marks or symbols.
func unprintable(r rune) bool {
	return !strconv.IsPrint(r) || r != ' ' && invisible(r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r)
}

// quoted is a printable key between quotes.
func quoted[S ~string](key S) string { return `"` + printable(string(key), maxPrintedKey) + `"` }

// logged is an attribute of a log line.
func logged[S ~string](key string, text S) slog.Attr {
	return slog.String(key, printable(string(text), maxPrinted))
}

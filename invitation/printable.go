package invitation

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The maximum number of bytes printed of a text from outside.
const (
	maxPrinted    = 320 // in logs: the longest parameter except a URL, an address
	maxPrintedKey = 64  // in the text of an error: a key of metadata or of a body, or a role
)

// printable returns s in a form that is safe in the text of an error, in a log line and on a terminal. It escapes what
// does not print, as in a Go string: control characters, line breaks, characters that change the direction of text or
// show nothing, and broken UTF-8. It truncates the result to most bytes and adds an ellipsis.
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
			text = strings.Trim(strconv.Quote(text), `"`) // s[:size] is not a quote, because a quote is printable
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

// unprintable reports whether r shows nothing, or not itself. Some such characters count as letters, marks or symbols.
func unprintable(r rune) bool {
	return !strconv.IsPrint(r) || r != ' ' && invisible(r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r)
}

// quoted returns a printable key in quotes.
func quoted[S ~string](key S) string { return `"` + printable(string(key), maxPrintedKey) + `"` }

// logged returns an attribute of a log line.
func logged[S ~string](key string, text S) slog.Attr {
	return slog.String(key, printable(string(text), maxPrinted))
}

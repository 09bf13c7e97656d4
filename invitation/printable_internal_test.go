package invitation

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"", 3, ""},
		{`a "quoted" \ é 😀`, 64, `a "quoted" \ é 😀`},
		{"a\u202eb", 64, `a\u202eb`},
		{"\x1b[31m\n\r\t\x00\x7f\u0085\u2028\u200b\ufeff\u00a0\U000e0001", 100,
			`\x1b[31m\n\r\t\x00\x7f\u0085\u2028\u200b\ufeff\u00a0\U000e0001`},
		{"a\xff\xc3(\xed\xa0\x80", 64, `a\xff\xc3(\xed\xa0\x80`},
		{"\ufffd", 64, "\ufffd"},                // a character that does print
		{"\"\\é\ufffd\n", 64, "\"\\é\ufffd\\n"}, // what prints stays beside what does not
		{"abc", 3, "abc"},
		{"abcd", 3, "abc…"},
		{"aéé", 4, "aé…"}, // whole characters only
		{"a\nb", 2, "a…"}, // and whole escapes
		{"\n\n", 2, `\n…`},
	} {
		if got := printable(tt.text, tt.most); got != tt.want {
			t.Errorf("%q cut at %d became %q, not %q", tt.text, tt.most, got, tt.want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "ann@example.com", "\u202e\xff\n", strings.Repeat("é", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s, 64)
		if len(strings.TrimSuffix(got, "…")) > 64 || !utf8.ValidString(got) ||
			strings.ContainsFunc(got, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Fatalf("%q became %q", s, got)
		}
		if printable(got, 100) != got {
			t.Fatalf("%q became %q, and then something else", s, got)
		}
	})
}

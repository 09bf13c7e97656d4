package invitation_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/matryer/is"
	"golang.org/x/text/unicode/norm"

	"github.com/orginvite/orginvite/invitation"
)

func TestCanonicalEmail(t *testing.T) {
	for in, want := range map[string]string{
		"ann@example.com":                "ann@example.com",
		" Ann@Example.COM\n":             "ann@example.com",
		"first.last+tag@sub.example.com": "first.last+tag@sub.example.com", // no folding of dots and tags
		"o'brien@example.ie":             "o'brien@example.ie",
		"ann@bücher.example":             "ann@xn--bcher-kva.example",
		"ann@BÜCHER.example":             "ann@xn--bcher-kva.example",
		"ann@XN--BCHER-KVA.example":      "ann@xn--bcher-kva.example",
		"ann@bu\u0308cher.example":       "ann@xn--bcher-kva.example", // NFD
		"ann@ｅｘａｍｐｌｅ.com":                "ann@example.com",           // the same host for a resolver
		"ann@straße.example":             "ann@xn--strae-oqa.example",
		"JÖRG@example.com":               "jörg@example.com",
		"jo\u0308rg@example.com":         "jörg@example.com", // NFD
		"İ@example.com":                  "i̇@example.com",   // never the ASCII i
		"ΣΑΣ@example.com":                "σασ@example.com",
		"用户@例子.广告":                       "用户@xn--fsqu00a.xn--4rr70v",
	} {
		t.Run(in, func(t *testing.T) {
			is := is.New(t)
			got, err := invitation.CanonicalEmail(in)
			is.NoErr(err)
			is.Equal(got, want)
			again, err := invitation.CanonicalEmail(got)
			is.NoErr(err)
			is.Equal(again, got) // canonical forms are canonical
		})
	}
}

func TestCanonicalEmailRefuses(t *testing.T) {
	long := strings.Repeat("a", 64)
	if _, err := invitation.CanonicalEmail(long + "@example.com"); err != nil {
		t.Fatal(err) // the limit itself is fine
	}
	for in, code := range map[string]string{
		"":                                       "form_param_missing",
		" \t":                                    "form_param_missing",
		"ann":                                    "form_param_format_invalid",
		"@example.com":                           "form_param_format_invalid",
		"ann@":                                   "form_param_format_invalid",
		"ann@localhost":                          "form_param_format_invalid",
		"ann@example.com.":                       "form_param_format_invalid",
		"ann@.example.com":                       "form_param_format_invalid",
		"ann@exa mple.com":                       "form_param_format_invalid",
		"ann@-example.com":                       "form_param_format_invalid",
		"ann@exa_mple.com":                       "form_param_format_invalid",
		"ann@[127.0.0.1]":                        "form_param_format_invalid",
		"ann@127.0.0.1":                          "form_param_format_invalid",
		"an n@example.com":                       "form_param_format_invalid",
		"ann@evil.com@example.com":               "form_param_format_invalid",
		"ann＠evil.com@example.com":               "form_param_format_invalid", // a full-width @
		"ann﹫evil.com@example.com":               "form_param_format_invalid", // a small one
		"ann@evil.com＠example.com":               "form_param_format_invalid",
		`"ann@evil.com"@example.com`:             "form_param_format_invalid",
		`"ann"@example.com`:                      "form_param_format_invalid",
		"Ann <ann@example.com>":                  "form_param_format_invalid",
		"ann@example.com, eve@example.com":       "form_param_format_invalid",
		"ann@example.com\r\nBcc: e@x.com":        "form_param_format_invalid",
		"ann\x00@example.com":                    "form_param_format_invalid",
		"ann\xff@example.com":                    "form_param_format_invalid",
		"ann\u200b@example.com":                  "form_param_format_invalid", // zero width
		"ann\u202e@example.com":                  "form_param_format_invalid", // reverses the text
		"ann@exam\u00adple.com":                  "form_param_format_invalid", // a soft hyphen
		"ann\u00a0@example.com":                  "form_param_format_invalid",
		".ann@example.com":                       "form_param_format_invalid",
		"ann..lee@example.com":                   "form_param_format_invalid",
		"ann.@example.com":                       "form_param_format_invalid",
		long + "a@example.com":                   "form_param_exceeds_allowed_size",
		"a@" + strings.Repeat("a.", 200) + "com": "form_param_exceeds_allowed_size",
		strings.Repeat("ö", 33) + "@example.com": "form_param_exceeds_allowed_size", // bytes, not characters
	} {
		t.Run(in, func(t *testing.T) {
			is := is.New(t)
			got, err := invitation.CanonicalEmail(in)
			is.Equal(got, "")
			var e *invitation.Error
			is.True(errors.As(err, &e))
			is.True(errors.Is(err, invitation.ErrInvalid))
			is.Equal(e.Code, code)
			is.Equal(e.Param, "email_address")
		})
	}
}

// No look-alike becomes an ASCII character, except those that Unicode calls identical (the Kelvin sign is K). An
// address with a look-alike is another address (C19).
func TestCanonicalEmailKeepsLookAlikesApart(t *testing.T) {
	for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
		if got, err := invitation.CanonicalEmail(string(r) + "@example.com"); err == nil {
			local, _, _ := strings.Cut(got, "@")
			if len(local) == 1 && len(norm.NFC.String(string(r))) > 1 {
				t.Errorf("%U became %q", r, local)
			}
		}
	}
}

func FuzzCanonicalEmail(f *testing.F) {
	for _, s := range []string{"ann@example.com", "İ@bücher.example", "a@b@c.de", "ﬁ@ａ.com", "Σς@x.gr"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := invitation.CanonicalEmail(s)
		if err != nil {
			return
		}
		again, err := invitation.CanonicalEmail(got)
		if err != nil || again != got {
			t.Fatalf("%q became %q, and that %q (%v)", s, got, again, err)
		}
		if strings.Count(got, "@") != 1 || len(got) > 320 || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

// Addresses that differ only in case or in invisible characters are refused or equal.
func TestAddressesThatLookTheSame(t *testing.T) {
	is := is.New(t)
	for upper, lower := range map[string]string{
		"ann@STRAßE.example": "ann@straße.example", "ann@ႠႡ.example": "ann@ⴀⴁ.example",
		"ẖ@example.com": "H\u0331@example.com",
	} {
		a, err := invitation.CanonicalEmail(upper)
		is.NoErr(err)
		b, err := invitation.CanonicalEmail(lower)
		is.NoErr(err)
		is.Equal(a, b)
	}
	for _, r := range "\u034f\u115f\u1160\u17b4\u180b\u180e\u180f\u2800\u3164" +
		"\uffa0\ufe00\ufe0f\U000e0100\U0001d159\u1680\u00ad" {
		for _, addr := range []string{"ann" + string(r) + "@example.com", "ann@exam" + string(r) + "ple.com"} {
			if key, err := invitation.CanonicalEmail(addr); err == nil {
				t.Errorf("%U does not show, and became %q", r, key)
			}
		}
	}
	for _, addr := range []string{
		"ann@STRAẞE.example",                                                    // ss to some, ß to others
		"\u212aate@example.com", "ann\u1fef@example.com", "a\u212a@example.com", // another mailbox, once lower-cased
		"ann@a≠b.example", "ann@אa.example", "ann@" + strings.Repeat("d.", 124) + "example"} {
		_, err := invitation.CanonicalEmail(addr)
		is.True(errors.Is(err, invitation.ErrInvalid))
	}
}

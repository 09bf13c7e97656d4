package invitation

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// This file finds what encoding/json does not report: where a value is in a text, and how it is written.

// scanner walks once through a text that json.Valid accepts. Its methods must not be used on any other text.
type scanner struct {
	text string
	at   int
}

// next skips white space and returns the byte after it, or 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// more reports whether an array or object has another element. It skips the comma, or the bracket that ends it.
func (s *scanner) more() bool {
	switch s.next() {
	case ',':
		s.at++
		s.next()
	case ']', '}', 0:
		s.at++
		return false
	}
	return true
}

// quoted skips a string and returns it with its quotes.
func (s *scanner) quoted() string {
	start := s.at
	for s.at++; s.at < len(s.text) && s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
	return s.text[start:s.at]
}

// name skips the key of a member and its colon, and returns the key as it is written.
func (s *scanner) name() string {
	name := s.quoted()
	s.next()
	s.at++
	return name
}

// literal skips a number, true, false or null, and returns it.
func (s *scanner) literal() string {
	start := s.at
	for s.at < len(s.text) && strings.IndexByte(",]} \t\r\n", s.text[s.at]) < 0 {
		s.at++
	}
	return s.text[start:s.at]
}

// value skips a value, however deep, and returns its text.
func (s *scanner) value() string {
	s.next()
	for start, open := s.at, 0; ; {
		switch s.next() {
		case '{', '[':
			open++
			s.at++
		case '}', ']':
			open--
			s.at++
		case ',', ':':
			s.at++
		case '"':
			s.quoted()
		default:
			s.literal()
		}
		if open == 0 {
			return s.text[start:s.at]
		}
	}
}

// member is a member of an object. key is the decoded key, name the key as it is written, and value the text of the
// value. members has the members of a value that is an object, if tree read it.
type member struct {
	key, name, value string
	members          []member
}

// members skips an object and returns its members.
func (s *scanner) members() []member {
	var ms []member
	s.next()
	for s.at++; s.more(); {
		m := member{name: s.name()}
		m.key = unquote(m.name)
		m.value = s.value()
		ms = append(ms, m)
	}
	return ms
}

// tree is members, and also reads the members of objects in the object, except for objects in arrays.
func (s *scanner) tree() []member {
	var ms []member
	s.next()
	for s.at++; s.more(); {
		m := member{name: s.name()}
		m.key = unquote(m.name)
		if s.next() == '{' {
			start := s.at
			m.members = s.tree()
			m.value = s.text[start:s.at]
		} else {
			m.value = s.value()
		}
		ms = append(ms, m)
	}
	return ms
}

// unquote decodes a string. Half of a surrogate pair becomes U+FFFD, as in encoding/json.
func unquote(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(quoted), &s) // a string of valid JSON is valid
	return s
}

// faults finds what valid JSON may contain and readers disagree about. Its methods return the problem, or "".
type faults struct {
	*scanner
	strict bool // also refuse text and numbers that not every reader can hold
}

// bodyFault returns the problem of a request body: a key that occurs twice in one object, or too deep nesting.
func bodyFault(text string) string { return faults{scanner: &scanner{text: text}}.value(0) }

// metadataFault is bodyFault for metadata. It also refuses text and numbers that not every reader can hold.
func metadataFault(text string) string { return faults{&scanner{text: text}, true}.value(0) }

// value checks the next value, which is inside depth others.
func (f faults) value(depth int) string {
	switch c := f.next(); c {
	case '{', '[':
		if depth++; depth > maxDepth {
			return fmt.Sprintf("must not nest deeper than %d", maxDepth)
		}
		var seen keys
		if c == '{' {
			seen = keys{}
		}
		for f.at++; f.more(); {
			if c == '{' {
				if fault := f.key(seen); fault != "" {
					return fault
				}
			}
			if fault := f.value(depth); fault != "" {
				return fault
			}
		}
	case '"':
		if text := f.quoted(); f.strict {
			return textFault(text)
		}
	default:
		if literal := f.literal(); f.strict && !inRange(literal) {
			return "has a number beyond the range of a 64-bit float, which not every reader can hold; make it a string"
		}
	}
	return ""
}

// keys are the keys of an object that were read so far.
type keys map[string]bool

// key checks the next key of an object.
func (f faults) key(seen keys) string {
	name := f.name()
	key := unquote(name)
	if seen[key] {
		return fmt.Sprintf("has the key %s twice in one object; drop one", quoted(key))
	}
	seen[key] = true
	if f.strict {
		return textFault(name)
	}
	return ""
}

// textFault returns the problem of a string with an escape that is not text: databases and readers in other languages
// truncate it, replace it or fail.
func textFault(quoted string) string {
	for {
		at := strings.IndexByte(quoted, '\\')
		if at < 0 {
			return ""
		}
		if quoted[at+1] != 'u' {
			quoted = quoted[at+2:]
			continue
		}
		r := escaped(quoted[at:])
		quoted = quoted[at+6:]
		switch {
		case r == 0:
			return `has a NUL (\u0000) in a text, which not every reader can hold; leave it out`
		case !utf16.IsSurrogate(r):
		case utf16.DecodeRune(r, escaped(quoted)) == '\uFFFD':
			return `has half of a surrogate pair (such as \ud800) in a text, which not every reader can hold; leave it out`
		default:
			quoted = quoted[6:]
		}
	}
}

// escaped returns the character at the start of text if it is written as \u and four digits, otherwise -1.
func escaped(text string) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	r, err := strconv.ParseUint(text[2:6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(r)
}

// inRange reports whether a literal is not a number, or is a number that is finite as a float64. A number too small for
// a float64 is in range: 0 is near enough.
func inRange(literal string) bool {
	if c := literal[0]; c != '-' && (c < '0' || c > '9') {
		return true
	}
	// A number without an exponent needs 309 digits to leave the range.
	if len(literal) < 309 && !strings.ContainsAny(literal, "eE") {
		return true
	}
	// A negative exponent only makes it smaller. ParseFloat is slow for some of those.
	digits, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	if len(digits) < 309 && strings.HasPrefix(exponent, "-") {
		return true
	}
	_, err := strconv.ParseFloat(literal, 64)
	return err == nil
}

// trimJSON trims the white space of JSON (RFC 8259, section 2), which is less than that of Unicode.
func trimJSON(text string) string { return strings.Trim(text, " \t\r\n") }

// validJSON reports whether text is one JSON value.
func validJSON(text string) bool { return json.Valid([]byte(text)) }

// notJSON returns an error that says where text stops being JSON.
func notJSON(text string) error { return json.Unmarshal([]byte(text), new(json.RawMessage)) }

func isObject(text string) bool { return strings.HasPrefix(text, "{") }

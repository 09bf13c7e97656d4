package invitation

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// What encoding/json does not tell of a text: where a value stands in it, and how it is written.

// scanner walks once through a text that json.Valid accepts. On any other text its methods are not to be used.
type scanner struct {
	text string
	at   int
}

// next passes over blanks and returns the byte behind them, 0 at the end.
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

// more reports whether an array or object goes on, and passes over the comma, or over the bracket that ends it.
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

// quoted passes over a string and returns it with its quotes.
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

// name passes over the key of a member and its colon, and returns the key as it is written.
func (s *scanner) name() string {
	name := s.quoted()
	s.next()
	s.at++
	return name
}

// literal passes over a number, true, false or null.
func (s *scanner) literal() string {
	start := s.at
	for s.at < len(s.text) && strings.IndexByte(",]} \t\r\n", s.text[s.at]) < 0 {
		s.at++
	}
	return s.text[start:s.at]
}

// value passes over a value, however deep, and returns its text.
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

// member is a key of an object, as it is meant and as it is written, with its value's text. An object in it is
// read too where tree was asked for its members.
type member struct {
	key, name, value string
	members          []member
}

// members passes over an object and returns its members.
func (s *scanner) members() []member { return s.object(false) }

// tree passes over an object and returns its members, and those of the objects in it but for those in arrays.
func (s *scanner) tree() []member { return s.object(true) }

func (s *scanner) object(deep bool) []member {
	var ms []member
	s.next()
	for s.at++; s.more(); {
		m := member{name: s.name()}
		m.key = unquote(m.name)
		if deep && s.next() == '{' {
			start := s.at
			m.members = s.object(true)
			m.value = s.text[start:s.at]
		} else {
			m.value = s.value()
		}
		ms = append(ms, m)
	}
	return ms
}

// unquote returns what a string means. Half of a surrogate pair means U+FFFD, as in encoding/json.
func unquote(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(quoted), &s) // a string of a valid text is valid
	return s
}

// fault returns what is wrong with the next value beyond what JSON itself asks for, "" where nothing is: readers may
// differ about a key that comes twice in one object, and about what is too deep. Where it is strict, about text and
// numbers too that not every reader can hold. The value stands in so many others.
func (s *scanner) fault(depth int, strict bool) string {
	switch c := s.next(); c {
	case '{', '[':
		if depth++; depth > maxDepth {
			return fmt.Sprintf("must not nest deeper than %d", maxDepth)
		}
		var seen map[string]bool
		for s.at++; s.more(); {
			if c == '{' {
				name := s.name()
				key := unquote(name)
				if seen[key] {
					return fmt.Sprintf("has the key %s twice in one object; drop one", quoted(key))
				}
				if seen == nil {
					seen = map[string]bool{}
				}
				seen[key] = true
				if strict {
					if fault := textFault(name); fault != "" {
						return fault
					}
				}
			}
			if fault := s.fault(depth, strict); fault != "" {
				return fault
			}
		}
	case '"':
		if text := s.quoted(); strict {
			return textFault(text)
		}
	default:
		if literal := s.literal(); strict && !inRange(literal) {
			return "has a number beyond the range of a 64-bit float, which not every reader can hold; make it a string"
		}
	}
	return ""
}

// textFault says what is wrong with a string whose escapes stand for what is no text: databases and readers in other
// languages cut it, replace it or fail on it.
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

// escaped returns the character that text begins with if it is written as \u and four digits, else -1.
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

// inRange reports whether a literal is none of a number, or of one that is finite as a float64. What is too small for
// one is 0 there, which is near enough.
func inRange(literal string) bool {
	if c := literal[0]; c != '-' && (c < '0' || c > '9') {
		return true
	}
	// Without an exponent it takes 309 digits to leave the range.
	if len(literal) < 309 && !strings.ContainsAny(literal, "eE") {
		return true
	}
	// An exponent below zero only makes it smaller. ParseFloat would be slow about some of those.
	digits, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	if len(digits) < 309 && strings.HasPrefix(exponent, "-") {
		return true
	}
	_, err := strconv.ParseFloat(literal, 64)
	return err == nil
}

// trimJSON cuts off what JSON calls blank (RFC 8259, section 2), which is less than Unicode does.
func trimJSON(text string) string { return strings.Trim(text, " \t\r\n") }

// validJSON reports whether a text is one JSON value.
func validJSON(text string) bool { return json.Valid([]byte(text)) }

// notJSON says where a text stops to be JSON.
func notJSON(text string) error { return json.Unmarshal([]byte(text), new(json.RawMessage)) }

func isObject(text string) bool { return strings.HasPrefix(text, "{") }

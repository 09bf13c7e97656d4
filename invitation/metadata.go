package invitation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"unicode/utf8"
)

// maxDepth is how deep metadata may nest.
const maxDepth = 64

// Metadata is a JSON object that the host attaches to an invitation and that comes back on the membership. It is
// immutable and kept as the text it was given, so that big integers and the order of keys survive. Two are == when
// their texts are. The zero value is {}. Keys that differ only in case are different keys.
//
// It never shows its content through %v or slog; use [Metadata.MarshalJSON] or [Metadata.Decode]. An unexported field
// of a struct is the exception: fmt calls no methods there, and prints the content. Give a struct of your own that
// holds Metadata in an unexported field a Format method.
type Metadata struct {
	text string // "" for {}
}

// NewMetadata returns the JSON object that v marshals to; nil, and a nil map or pointer, are {}. The error is an
// [*Error] and [ErrInvalid] where v does not marshal, or not to an object that [ParseMetadata] accepts.
func NewMetadata(v any) (Metadata, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Metadata{}, badMetadata("must marshal to JSON").because(err)
	}
	if text := trimJSON(b.String()); text != "null" {
		return parseMetadata(text)
	}
	return Metadata{}, nil
}

// ParseMetadata returns the JSON object that b holds, less blanks around it. The error is an [*Error] and
// [ErrInvalid] for anything but one object in valid UTF-8, and for what readers of JSON differ about or cannot hold:
// nesting deeper than 64, a key twice in one object, an escaped NUL (\u0000) or half of a surrogate pair in a key or a
// text, and a number beyond the range of a float64, such as 1e400. One that is too small for a float64 is accepted, and
// integers of any size up to that range are.
//
// How large it may be is for the service to say: Config.MaxMetadata.
func ParseMetadata(b []byte) (Metadata, error) { return parseMetadata(trimJSON(string(b))) }

func parseMetadata(text string) (Metadata, error) {
	switch {
	case !utf8.ValidString(text):
		return Metadata{}, badMetadata("must be valid UTF-8")
	case !isObject(text):
		return Metadata{}, badMetadata("must be a JSON object")
	case !validJSON(text):
		return Metadata{}, badMetadata("must be one JSON object and nothing after it").because(notJSON(text))
	}
	if fault := (&scanner{text: text}).fault(0, true); fault != "" {
		return Metadata{}, badMetadata(fault)
	}
	return metadataOf(text), nil
}

func badMetadata(long string) *Error { return problemFormat.about("metadata", long) }

// Decode stores the object in the value v points to, as [json.Unmarshal] does, except that a key fills only the field of
// exactly its name: {"team":1} leaves a field named Team as it is, unless that has the tag `json:"team"`. So of two keys
// that differ only in case the exact one counts, whatever their order. A type with an UnmarshalJSON of its own reads as
// it likes.
func (m Metadata) Decode(v any) error {
	text := m.json()
	if validJSON(text) { // one from a store may be broken, as json.Unmarshal will say
		text = exactNames(text, reflect.TypeOf(v))
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return &decodeError{err}
	}
	return nil
}

// decodeError prints what json.Unmarshal says of a content from outside, whose keys and numbers it may cite.
type decodeError struct{ cause error }

func (e *decodeError) Error() string {
	return "invitation: metadata: " + printable(e.cause.Error(), maxPrinted)
}

func (e *decodeError) Unwrap() error { return e.cause }

// Merge returns m changed by patch (RFC 7396, JSON merge patch): a key of the patch replaces the same key, null
// deletes it, and objects merge key by key. What the patch does not name keeps its text and its place; new keys
// come last. The cost grows with the size of both and not with their depth, and the result is no deeper than the
// deeper of them. The error is an [*Error] and [ErrInvalid]; only metadata that a store returned broken causes it.
func (m Metadata) Merge(patch Metadata) (Metadata, error) {
	if patch.text == "" {
		return m, nil
	}
	target, err := tree(m)
	if err != nil {
		return Metadata{}, err
	}
	changes, err := tree(patch)
	if err != nil {
		return Metadata{}, err
	}
	merged, ok := appendMerged(make([]byte, 0, m.size()+patch.size()), target, changes)
	if !ok {
		return Metadata{}, badMetadata("has a key twice in one object; drop one")
	}
	return metadataOf(string(merged)), nil
}

// tree returns the members of m, which may come from a store and be broken.
func tree(m Metadata) ([]member, error) {
	text := trimJSON(m.json())
	if !isObject(text) || !validJSON(text) {
		return nil, badMetadata("must be a JSON object").because(notJSON(text))
	}
	return (&scanner{text: text}).tree(), nil
}

// appendMerged appends the object that MergePatch of RFC 7396, section 2, makes of the members of an object and a
// patch. A member that is changed keeps the text of its name. It is false where a key comes twice, in the patch or in
// what the patch changes.
func appendMerged(b []byte, target, patch []member) ([]byte, bool) {
	at := make(map[string]int, len(patch)) // a patch may have a hundred thousand keys
	for i, c := range patch {
		at[c.key] = i
	}
	ok := len(at) == len(patch)
	held := make([]bool, len(patch))
	b = append(b, '{')
	for _, m := range target {
		i, named := at[m.key]
		if !named {
			b = append(append(append(comma(b), m.name...), ':'), m.value...)
			continue
		}
		ok = ok && !held[i]
		held[i] = true
		c := patch[i]
		c.name = m.name
		b, ok = appendChanged(b, m.members, c, ok)
	}
	for i, c := range patch {
		if !held[i] {
			b, ok = appendChanged(b, nil, c, ok)
		}
	}
	return append(b, '}'), ok
}

// appendChanged appends a member of a patch, merged into the members of the object that it changes. Where there is
// none it loses its nulls all the same.
func appendChanged(b []byte, target []member, c member, ok bool) ([]byte, bool) {
	switch {
	case c.value == "null":
		return b, ok
	case !isObject(c.value):
		return append(append(append(comma(b), c.name...), ':'), c.value...), ok
	}
	b, merged := appendMerged(append(append(comma(b), c.name...), ':'), target, c.members)
	return b, ok && merged
}

// comma separates a member from the one before it, if there is one.
func comma(b []byte) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return b
}

// MarshalJSON returns the object's text.
func (m Metadata) MarshalJSON() ([]byte, error) { return m.bytes(), nil }

// UnmarshalJSON takes what [ParseMetadata] takes; null leaves m as it is.
func (m *Metadata) UnmarshalJSON(b []byte) error {
	if m == nil {
		return errors.New("invitation: UnmarshalJSON on a nil *Metadata")
	}
	if string(b) == "null" {
		return nil
	}
	parsed, err := ParseMetadata(b)
	if err == nil {
		*m = parsed
	}
	return err
}

// Format shows how large the object is, whatever the verb, and never its content.
func (m Metadata) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "metadata(%d bytes)", m.size()) }

// LogValue shows how large the object is, and never its content.
func (m Metadata) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

// json is the text.
func (m Metadata) json() string {
	if m.text == "" {
		return "{}"
	}
	return m.text
}

func (m Metadata) bytes() []byte { return []byte(m.json()) }

// size is the length of the text in bytes.
func (m Metadata) size() int { return len(m.json()) }

// metadataOf is metadata of a text that is checked.
func metadataOf(text string) Metadata {
	if text == "{}" {
		text = "" // one value has one form
	}
	return Metadata{text}
}

// storedMetadata is metadata as a store returned it: checked when it was written.
func storedMetadata(b []byte) Metadata { return metadataOf(string(b)) }

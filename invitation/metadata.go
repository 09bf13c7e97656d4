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

// maxDepth is the maximum nesting depth of metadata and request bodies.
const maxDepth = 64

// Metadata is a JSON object that the host attaches to an invitation and gets back with the membership. It is immutable.
// It keeps its text, so big integers and the order of keys are preserved. Keys that differ only in case are different
// keys. The zero value is {}. Two Metadata are == if their texts are equal.
//
// %v and slog print only its size. To read the content, use [Metadata.Decode] or [Metadata.MarshalJSON]. There is one
// exception: if Metadata is in an unexported field of a struct, fmt calls no methods on it and prints the content. Give
// such a struct a Format method.
type Metadata struct {
	text string // "" for {}
}

// NewMetadata returns the JSON object that v marshals to. nil, a nil map and a nil pointer become {}. It fails if v
// does not marshal, or marshals to something that [ParseMetadata] refuses. The error is an [*Error] that wraps
// [ErrInvalid].
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

// ParseMetadata returns the JSON object in b, without surrounding white space. The error is an [*Error] that wraps
// [ErrInvalid]. b must be one object in valid UTF-8. ParseMetadata also refuses content that JSON readers interpret
// differently or cannot hold:
//
//   - nesting deeper than 64
//   - a key that occurs twice in one object
//   - an escaped NUL (\u0000) or half of a surrogate pair, in a key or a string
//   - a number beyond the range of a float64, such as 1e400
//
// Integers of any size within that range are accepted, and so are numbers that are too close to 0 for a float64, such
// as 1e-400. The service checks the size of the object against Config.MaxMetadata.
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
	if fault := metadataFault(text); fault != "" {
		return Metadata{}, badMetadata(fault)
	}
	return metadataOf(text), nil
}

func badMetadata(long string) *Error { return problemFormat.about("metadata", long) }

// Decode unmarshals the object into the value that v points to, as [json.Unmarshal] does. But a key must match the name
// of a field exactly, including case. So {"team":1} does not set a field named Team, unless the field has the tag
// `json:"team"`. These rules do not apply to a type with its own UnmarshalJSON.
func (m Metadata) Decode(v any) error {
	text := m.json()
	if validJSON(text) { // text from a store may be broken; json.Unmarshal reports that
		text = exactNames(text, reflect.TypeOf(v))
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return &decodeError{err}
	}
	return nil
}

// decodeError makes an error of json.Unmarshal printable, because it may quote keys and numbers from outside.
type decodeError struct{ cause error }

func (e *decodeError) Error() string {
	return "invitation: metadata: " + printable(e.cause.Error(), maxPrinted)
}

func (e *decodeError) Unwrap() error { return e.cause }

// Merge applies patch to m and returns the result. patch is a JSON merge patch (RFC 7396). A key in the patch replaces
// the same key in m. The value null deletes the key. Objects are merged recursively. Keys that are not in the patch
// keep their text and position. New keys come last. The cost is linear in the size of both, whatever their depth. The
// result is no deeper than the deeper of the two. The error is an [*Error] that wraps [ErrInvalid]; it occurs only if a
// store returned broken metadata.
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

// tree returns the members of m. Metadata from a store may be broken.
func tree(m Metadata) ([]member, error) {
	text := trimJSON(m.json())
	if !isObject(text) || !validJSON(text) {
		return nil, badMetadata("must be a JSON object").because(notJSON(text))
	}
	return (&scanner{text: text}).tree(), nil
}

// appendMerged appends the object that MergePatch (RFC 7396, section 2) makes of the members of an object and a patch.
// A changed member keeps its name as it is written. appendMerged reports false if a key occurs twice in the patch, or
// in the part of the object that the patch changes.
func appendMerged(b []byte, target, patch []member) ([]byte, bool) {
	at := make(map[string]int, len(patch)) // a map, because a patch may have a hundred thousand keys
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
		var merged bool
		b, merged = appendChanged(b, m.members, c)
		ok = ok && merged
	}
	for i, c := range patch {
		if !held[i] {
			var merged bool
			b, merged = appendChanged(b, nil, c)
			ok = ok && merged
		}
	}
	return append(b, '}'), ok
}

// appendChanged appends a member of a patch, merged into target, the members of the object that it changes. An object
// without a target also loses its nulls. appendChanged reports false where appendMerged does.
func appendChanged(b []byte, target []member, c member) ([]byte, bool) {
	switch {
	case c.value == "null":
		return b, true
	case !isObject(c.value):
		return append(append(append(comma(b), c.name...), ':'), c.value...), true
	}
	return appendMerged(append(append(comma(b), c.name...), ':'), target, c.members)
}

// comma appends a comma unless b ends with an opening brace.
func comma(b []byte) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return b
}

// MarshalJSON returns the text of the object.
func (m Metadata) MarshalJSON() ([]byte, error) { return m.bytes(), nil }

// UnmarshalJSON accepts what [ParseMetadata] accepts. null leaves m unchanged.
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

// Format prints the size of the object with every verb. It never prints the content.
func (m Metadata) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "metadata(%d bytes)", m.size()) }

// LogValue logs the size of the object, and never its content.
func (m Metadata) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

// json returns the text of the object.
func (m Metadata) json() string {
	if m.text == "" {
		return "{}"
	}
	return m.text
}

func (m Metadata) bytes() []byte { return []byte(m.json()) }

// size returns the length of the text in bytes.
func (m Metadata) size() int { return len(m.json()) }

// metadataOf returns the Metadata of a text that has been checked.
func metadataOf(text string) Metadata {
	if text == "{}" {
		text = "" // one value has one form
	}
	return Metadata{text}
}

// storedMetadata returns the Metadata that a store returned. It was checked before it was written.
func storedMetadata(b []byte) Metadata { return metadataOf(string(b)) }

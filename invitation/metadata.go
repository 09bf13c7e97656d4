package invitation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"unicode/utf8"
)

// maxDepth is how deep metadata may nest.
const maxDepth = 64

// Metadata is a JSON object that the host attaches to an invitation and that comes back on the membership. It is
// immutable and kept as the text it was given, so that big integers and the order of keys survive. Two are == when
// their texts are. The zero value is {}.
//
// It never shows its content through %v or slog; use [Metadata.MarshalJSON] or [Metadata.Decode].
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
	if text := trimJSON(b.Bytes()); !bytes.Equal(text, []byte("null")) {
		return ParseMetadata(text)
	}
	return Metadata{}, nil
}

// ParseMetadata returns the JSON object that b holds, less blanks around it. The error is an [*Error] and
// [ErrInvalid] for anything but one object in valid UTF-8, and for one that nests deeper than 64 or has a key twice
// in one object, since readers differ in which of them counts.
//
// How large it may be is for the service to say: Config.MaxMetadata.
func ParseMetadata(b []byte) (Metadata, error) {
	if !utf8.Valid(b) {
		return Metadata{}, badMetadata("must be valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return Metadata{}, badMetadata("must be a JSON object").because(err)
	}
	if err := checkObject(dec, 1); err != nil {
		return Metadata{}, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return Metadata{}, badMetadata("must be one JSON object and nothing after it")
	}
	text := string(trimJSON(b))
	if text == "{}" {
		text = "" // one value has one form
	}
	return Metadata{text}, nil
}

// checkObject reads the rest of an object whose brace is read.
func checkObject(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return badMetadata("must be valid JSON").because(err)
		}
		key, _ := t.(string) // the decoder lets nothing else stand there
		if seen[key] {
			return badMetadata(fmt.Sprintf("has the key %s twice in one object; drop one", quoted(key)))
		}
		seen[key] = true
		if err := checkValue(dec, depth); err != nil {
			return err
		}
	}
	return checkEnd(dec)
}

func checkValue(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return badMetadata("must be valid JSON").because(err)
	}
	if _, nested := t.(json.Delim); !nested {
		return nil
	}
	if depth++; depth > maxDepth {
		return badMetadata(fmt.Sprintf("must not nest deeper than %d", maxDepth))
	}
	if t == json.Delim('{') {
		return checkObject(dec, depth)
	}
	for dec.More() {
		if err := checkValue(dec, depth); err != nil {
			return err
		}
	}
	return checkEnd(dec)
}

func checkEnd(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return badMetadata("must be valid JSON").because(err)
	}
	return nil
}

// trimJSON cuts off what JSON calls blank (RFC 8259, section 2), which is less than Unicode does.
func trimJSON(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }

func badMetadata(long string) *Error { return problemFormat.about("metadata", long) }

// Decode stores the object in the value v points to, as [json.Unmarshal] does.
func (m Metadata) Decode(v any) error {
	if err := json.Unmarshal(m.bytes(), v); err != nil {
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
// come last. The result is refused where it would nest too deep.
func (m Metadata) Merge(patch Metadata) (Metadata, error) {
	if patch.text == "" {
		return m, nil
	}
	merged, err := merge(m.bytes(), patch.bytes())
	if err != nil {
		return Metadata{}, badMetadata("must be a JSON object").because(err)
	}
	return ParseMetadata(merged)
}

// member is a key of an object, as it is meant and as it is written, with its value's text.
type member struct {
	key   string
	text  []byte
	value json.RawMessage
}

func members(object []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var ms []member
	for dec.More() {
		before := dec.InputOffset() // at most a comma and blanks stand between here and the key
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var m member
		m.key, _ = t.(string)
		m.text = object[before:dec.InputOffset()]
		m.text = m.text[bytes.IndexByte(m.text, '"'):]
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func isObject(text []byte) bool { return len(text) > 0 && text[0] == '{' }

// merge is MergePatch of RFC 7396, section 2, for a target and a patch that are objects.
func merge(target, patch []byte) ([]byte, error) {
	ms, err := members(target)
	if err != nil {
		return nil, err
	}
	changes, err := members(patch)
	if err != nil {
		return nil, err
	}
	at := make(map[string]int, len(ms)) // a patch may have a hundred thousand keys
	for i, m := range ms {
		at[m.key] = i
	}
	for _, c := range changes {
		i, held := at[c.key]
		if string(c.value) == "null" {
			if held {
				ms[i].text = nil // dropped below
			}
			continue
		}
		if isObject(c.value) {
			old := []byte("{}") // a patch object replaces what is no object, and drops its nulls
			if held && isObject(ms[i].value) {
				old = ms[i].value
			}
			if c.value, err = merge(old, c.value); err != nil {
				return nil, err
			}
		}
		if held {
			ms[i].value = c.value
		} else {
			ms = append(ms, c)
		}
	}
	return object(slices.DeleteFunc(ms, func(m member) bool { return m.text == nil })), nil
}

func object(ms []member) []byte {
	b := []byte{'{'}
	for i, m := range ms {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, m.text...), ':'), m.value...)
	}
	return append(b, '}')
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

func (m Metadata) bytes() []byte {
	if m.text == "" {
		return []byte("{}")
	}
	return []byte(m.text)
}

// size is the length of the text in bytes.
func (m Metadata) size() int {
	if m.text == "" {
		return len("{}")
	}
	return len(m.text)
}

// storedMetadata is metadata as a store returned it: checked when it was written.
func storedMetadata(b []byte) Metadata {
	if string(b) == "{}" {
		return Metadata{}
	}
	return Metadata{string(b)}
}

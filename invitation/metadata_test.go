package invitation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
)

func mustMetadata(t testing.TB, text string) invitation.Metadata {
	t.Helper()
	m, err := invitation.ParseMetadata([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func text(t testing.TB, m invitation.Metadata) string {
	t.Helper()
	b, err := m.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMetadataKeepsItsText(t *testing.T) {
	for _, s := range []string{
		`{}`, `{ }`, `{"b":1,"a":2}`, `{"n":9007199254740993,"e":1e400}`, `{"html":"<&>","u":"\u00e9","nul":"\u0000"}`,
		"{\n  \"nested\": [ {\"deep\": null} , true ]\n}", `{"":""}`, `{"é":"é"}`,
	} {
		is := is.New(t)
		m := mustMetadata(t, s)
		is.Equal(text(t, m), s)
		is.Equal(mustMetadata(t, "\n "+s+"\t"), m) // blanks around it are no part of it
	}
}

func TestMetadataZeroValueIsTheEmptyObject(t *testing.T) {
	is := is.New(t)
	var m invitation.Metadata
	is.Equal(text(t, m), `{}`)
	is.Equal(m, mustMetadata(t, `{}`))
	var nilMap map[string]int
	for _, v := range []any{nil, nilMap, struct{}{}, map[string]any{}} {
		made, err := invitation.NewMetadata(v)
		is.NoErr(err)
		is.Equal(made, m)
	}
	var got map[string]any
	is.NoErr(m.Decode(&got))
	is.Equal(len(got), 0)
}

func TestNewMetadata(t *testing.T) {
	is := is.New(t)
	m, err := invitation.NewMetadata(struct {
		Team string `json:"team"`
		N    uint64 `json:"n"`
	}{"<a&b>", math.MaxUint64})
	is.NoErr(err)
	is.Equal(text(t, m), `{"team":"<a&b>","n":18446744073709551615}`) // as it is meant, not escaped for HTML
	var got struct{ Team string }
	is.NoErr(m.Decode(&got))
	is.Equal(got.Team, "<a&b>")
	is.True(m.Decode(&[]int{}) != nil) // an object is no list
}

func TestMetadataRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n-1) + `{}` + strings.Repeat(`}`, n-1) }
	deepArray := `{"a":` + strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64) + `}`
	mustMetadata(t, deep(64)) // the limit itself is fine
	for name, s := range map[string]string{
		"nothing": "", "null": "null", "a list": "[]", "a string": `"{}"`, "a number": "1", "trailing data": "{} {}",
		"trailing brace": "{}}", "an open object": `{"a":1`, "no value": `{"a":}`, "a trailing comma": `{"a":1,}`,
		"an open list": `{"a":[1}`, "a bare key": `{a:1}`, "invalid UTF-8": "{\"a\":\"\xff\"}", "a raw NUL": "{\"a\":\"\x00\"}",
		"a key twice": `{"a":1,"a":1}`, "an escaped key twice": `{"a":1,"\u0061":2}`, "a nested key twice": `{"x":[{"k":1,"k":2}]}`,
		"too deep": deep(65), "too deep a list": deepArray,
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			_, err := invitation.ParseMetadata([]byte(s))
			var e *invitation.Error
			is.True(errors.As(err, &e))
			is.True(errors.Is(err, invitation.ErrInvalid))
			is.Equal(e.Status, 422)
			m := mustMetadata(t, `{"keep":true}`)
			if s != "null" && s != "" {
				is.True(json.Unmarshal([]byte(s), &m) != nil) // nor by UnmarshalJSON
			}
			is.Equal(text(t, m), `{"keep":true}`) // which changes nothing then
		})
	}
	is := is.New(t)
	for _, v := range []any{1, "x", []int{1}, func() {}, math.NaN(), map[string]any{"f": math.Inf(1)}} {
		_, err := invitation.NewMetadata(v)
		is.True(errors.Is(err, invitation.ErrInvalid)) // not an object, or not JSON at all
	}
	is.True((*invitation.Metadata)(nil).UnmarshalJSON([]byte(`{}`)) != nil) // and no panic
}

func TestMetadataJSON(t *testing.T) {
	is := is.New(t)
	var v struct{ M, N invitation.Metadata }
	is.NoErr(json.Unmarshal([]byte(`{"M":{"big":9007199254740993},"N":null}`), &v))
	is.Equal(text(t, v.M), `{"big":9007199254740993}`)
	is.Equal(v.N, invitation.Metadata{}) // null is the default
	b, err := json.Marshal(v)
	is.NoErr(err)
	is.Equal(string(b), `{"M":{"big":9007199254740993},"N":{}}`)
}

// The examples of RFC 7396, appendix A, that are between objects, and what it is silent about: text and order.
func TestMetadataMerge(t *testing.T) {
	for _, tt := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":"foo"}`, `{"a":{"b":1,"c":null}}`, `{"a":{"b":1}}`},
		{`{"a":[1,null]}`, `{"a":[null]}`, `{"a":[null]}`},
		{`{"z":9007199254740993,"<é>":1e400}`, `{"y":12345678901234567890}`,
			`{"z":9007199254740993,"<é>":1e400,"y":12345678901234567890}`},
		{`{"z":1,"a":2,"m":3}`, `{"a":null,"z":9}`, `{"z":9,"m":3}`},
		{`{ "a" : 1 }`, `{}`, `{ "a" : 1 }`},
		{`{ "\u0061" : 1 , "\"b" : [ 2 ] }`, `{"a":null,"c<>":{ }}`, `{"\"b":[ 2 ],"c<>":{}}`},
		{`{"\u0061":1,"\ud800":2}`, `{"a":3}`, `{"\u0061":3,"\ud800":2}`},
		{`{}`, `{}`, `{}`},
	} {
		t.Run(tt[0]+" by "+tt[1], func(t *testing.T) {
			is := is.New(t)
			m := mustMetadata(t, tt[0])
			merged, err := m.Merge(mustMetadata(t, tt[1]))
			is.NoErr(err)
			is.Equal(text(t, merged), tt[2])
			is.Equal(text(t, m), tt[0]) // the receiver is immutable
		})
	}
}

func TestMetadataMergeStaysWithinTheDepth(t *testing.T) {
	is := is.New(t)
	deep := mustMetadata(t, strings.Repeat(`{"a":`, 63)+`{}`+strings.Repeat(`}`, 63))
	merged, err := mustMetadata(t, `{"a":1}`).Merge(deep)
	is.NoErr(err)
	is.Equal(merged, deep)
}

// Whatever ParseMetadata takes is one JSON object, comes back as it was, and merges into itself unchanged in meaning.
func FuzzMetadata(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `{"\ud800":1}`, `[]`, `{"a":1e999}`} {
		f.Add(s, `{"a":null}`)
	}
	f.Fuzz(func(t *testing.T, s, patch string) {
		m, err := invitation.ParseMetadata([]byte(s))
		if err != nil {
			var e *invitation.Error
			if !errors.As(err, &e) || e.Status != 422 {
				t.Fatalf("%q is refused by %v", s, err)
			}
			return
		}
		if !json.Valid([]byte(s)) || text(t, m) != strings.Trim(s, " \t\r\n") {
			t.Fatalf("%q was taken as %s", s, text(t, m))
		}
		p, err := invitation.ParseMetadata([]byte(patch))
		if err != nil {
			return
		}
		once, err := m.Merge(p)
		if err != nil {
			return
		}
		twice, err := once.Merge(p)
		if err != nil || once != twice {
			t.Fatalf("merging %s into %s twice: %s, then %s (%v)", patch, s, text(t, once), text(t, twice), err)
		}
	})
}

func TestMetadataNeverPrintsItsContent(t *testing.T) {
	is := is.New(t)
	m := mustMetadata(t, `{"secret":"hunter2"}`)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		is.Equal(fmt.Sprintf(verb, m), "metadata(20 bytes)")
	}
	is.Equal(m.LogValue().String(), "metadata(20 bytes)")
	is.Equal(fmt.Sprint(invitation.Metadata{}), "metadata(2 bytes)")
}

package invitation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

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
		`{}`, `{ }`, `{"b":1,"a":2}`, `{"n":9007199254740993,"e":1e308,"tiny":1e-400}`,
		`{"html":"<&>","u":"\u00e9","pair":"\ud83d\ude00"}`,
		"{\n  \"nested\": [ {\"deep\": null} , true ]\n}", `{"":""}`, `{"é":"é"}`,
	} {
		is := is.New(t)
		m := mustMetadata(t, s)
		is.Equal(text(t, m), s)
		is.Equal(mustMetadata(t, "\n "+s+"\t"), m) // without surrounding white space
	}
}

func TestMetadataZeroValue(t *testing.T) {
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
	is.Equal(text(t, m), `{"team":"<a&b>","n":18446744073709551615}`) // not escaped for HTML
	var got struct {
		Team string `json:"team"`
	}
	is.NoErr(m.Decode(&got))
	is.Equal(got.Team, "<a&b>")
	is.True(m.Decode(&[]int{}) != nil) // an object is not a list
}

func TestMetadataRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n-1) + `{}` + strings.Repeat(`}`, n-1) }
	deepArray := `{"a":` + strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64) + `}`
	mustMetadata(t, deep(64)) // the limit itself is fine
	for name, s := range map[string]string{
		"nothing": "", "null": "null", "a list": "[]", "a string": `"{}"`, "a number": "1", "trailing data": "{} {}",
		"trailing brace": "{}}", "an open object": `{"a":1`, "no value": `{"a":}`, "a trailing comma": `{"a":1,}`,
		"an open list": `{"a":[1}`, "a bare key": `{a:1}`, "invalid UTF-8": "{\"a\":\"\xff\"}",
		"a raw NUL":   "{\"a\":\"\x00\"}",
		"a key twice": `{"a":1,"a":1}`, "an escaped key twice": `{"a":1,"\u0061":2}`,
		"a nested key twice": `{"x":[{"k":1,"k":2}]}`,
		"too deep":           deep(65), "too deep a list": deepArray,
		"a NUL": `{"a":"b\u0000"}`, "a NUL in a key": `{"a\u0000":1}`, "a NUL behind a backslash": `{"a":["\\\u0000"]}`,
		"half a pair": `{"a":"\ud83d"}`, "the other half": `{"a":"\uDE00\ud83d"}`,
		"half a pair in a key":                     `{"a":{"\ud83dx":1}}`,
		"two first halves":                         `{"a":"\ud83d\ud83d\ude00"}`,
		"half a pair and text like the other half": `{"a":"\ud83dxude00"}`,
		"half a pair and a line end":               `{"a":"\ud83d\nde00"}`,
		"half a pair and an escape":                `{"a":"\ud83d\u0061"}`,
		"a number beyond":                          `{"a":1e999999}`,
		"a negative one":                           `{"a":[-1e400]}`, "a long one": `{"a":1` + strings.Repeat(
			"0", 309,
		) + `}`,
		"one by a capital": `{"a":1E400}`, "the shortest one": `{"a":` + strings.Repeat("9", 309) + `}`,
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
	for _, v := range []any{1, "x", []int{1}, func() {}, math.NaN(), map[string]any{
		"f": math.Inf(1),
	}, map[string]any{"a": "\x00"},
		map[string]int{"\x00": 1}, map[string]any{"a": json.Number("1e400")}, map[string]any{
			"a": json.RawMessage(`"\ud800"`),
		}} {
		_, err := invitation.NewMetadata(v)
		is.True(errors.Is(err, invitation.ErrInvalid)) // not an object, or not JSON at all
	}
	for _, s := range []string{`{"a":"\\u0000"}`, `{"a":"\\ud800"}`, `{"a":"\ufffd"}`,
		`{"a":1.7976931348623157e308}`, `{"a":1e-999999}`,
		`{"a":` + strings.Repeat(
			"9", 308,
		) + `}`, "{\"a\":1e5\n}", "{\"a\":1e5\t,\"b\":[1e5\r]}", `{"a":1,"A":2,"\u00e4":3,"Ä":4}`} {
		is.Equal(text(t, mustMetadata(t, s)), s) // which every reader can hold
	}
	broken, err := invitation.NewMetadata(map[string]string{"a": "\xff"})
	is.NoErr(err) // encoding/json makes it the replacement character
	is.Equal(text(t, broken), `{"a":"\ufffd"}`)
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

// The examples of RFC 7396, appendix A, for objects, and what it does not define: text and order.
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
		{`{"z":9007199254740993,"<é>":1e300}`, `{"y":12345678901234567890}`,
			`{"z":9007199254740993,"<é>":1e300,"y":12345678901234567890}`},
		{`{"z":1,"a":2,"m":3}`, `{"a":null,"z":9}`, `{"z":9,"m":3}`},
		{`{ "a" : 1 }`, `{}`, `{ "a" : 1 }`},
		{`{ "\u0061" : 1 , "\"b" : [ 2 ] }`, `{"a":null,"c<>":{ }}`, `{"\"b":[ 2 ],"c<>":{}}`},
		{`{"\u0061":1,"\ud83d\ude00":2}`, `{"a":3,"😀":{"b":[ 4 ]}}`, `{"\u0061":3,"\ud83d\ude00":{"b":[ 4 ]}}`},
		{`{"a":1,"A":2}`, `{"a":3,"\u0041":{}}`, `{"a":3,"A":{}}`},
		{`{"a":{"b":{ "c":1 },"d" :2}}`, `{"a":{"d":null,"e":{"f":null,"g":{}}}}`, `{"a":{"b":{ "c":1 },"e":{"g":{}}}}`},
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

// merged follows RFC 7396, section 2, literally.
func merged(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for key, change := range changes {
		if change == nil {
			delete(object, key)
		} else {
			object[key] = merged(object[key], change)
		}
	}
	return object
}

// generic is the text decoded by encoding/json, with numbers as json.Number.
func generic(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func depthOf(text string) int {
	deepest, depth, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// checkMerge fails unless Merge agrees with the RFC, returns valid metadata that is no deeper than its arguments, and
// is idempotent.
func checkMerge(t *testing.T, target, patch invitation.Metadata) {
	t.Helper()
	once, err := target.Merge(patch)
	if err != nil {
		t.Fatalf("merging %s into %s: %v", text(t, patch), text(t, target), err)
	}
	got := text(t, once)
	if want := merged(generic(t, text(t, target)), generic(t, text(t, patch))); !reflect.DeepEqual(generic(t, got), want) {
		t.Fatalf("merging %s into %s: %s, which means not %v", text(t, patch), text(t, target), got, want)
	}
	if again, err := invitation.ParseMetadata([]byte(got)); err != nil || again != once {
		t.Fatalf("merging %s into %s: %s, which is refused: %v", text(t, patch), text(t, target), got, err)
	}
	if depthOf(got) > max(depthOf(text(t, target)), depthOf(text(t, patch))) {
		t.Fatalf("merging %s into %s: %s is deeper", text(t, patch), text(t, target), got)
	}
	if twice, err := once.Merge(patch); err != nil || twice != once {
		t.Fatalf("merging %s into %s twice: %s, then %s (%v)", text(t, patch), text(t, target), got, text(t, twice), err)
	}
}

// randomObject returns an object with few keys, some of them escaped, and some white space.
func randomObject(r *rand.Rand, depth int) string {
	var b strings.Builder
	blank := func() { b.WriteString([]string{"", "", " ", "\n\t"}[r.IntN(4)]) }
	var value func(depth int)
	object := func(depth int) {
		b.WriteByte('{')
		for i, key := range r.Perm(6)[:r.IntN(7)] {
			if i > 0 {
				b.WriteByte(',')
			}
			blank()
			b.WriteString([]string{`"a"`, `"\u0061"`, `"\"}"`, `"\u0022\u007d"`, `"é"`, `"\u00e9"`}[key&^1+r.IntN(2)&key])
			blank()
			b.WriteByte(':')
			blank()
			value(depth - 1)
			blank()
		}
		b.WriteByte('}')
	}
	value = func(depth int) {
		switch k := r.IntN(7); {
		case k < 3 && depth > 0:
			object(depth)
		case k == 3 && depth > 0:
			b.WriteByte('[')
			value(depth - 1)
			b.WriteString(" , ")
			value(depth - 1)
			b.WriteByte(']')
		default:
			b.WriteString([]string{"null", "1", "-2.50e+3", "true", `"}]\\"`, `"null"`, "{}"}[k])
		}
	}
	object(depth)
	return b.String()
}

func TestMergeFollowsRFC7396(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	n := 0
	for n < 2000 {
		target, err := invitation.ParseMetadata([]byte(randomObject(r, 5)))
		if err != nil { // a key twice
			continue
		}
		patch, err := invitation.ParseMetadata([]byte(randomObject(r, 5)))
		if err != nil {
			continue
		}
		n++
		checkMerge(t, target, patch)
	}
}

// Metadata from a store may be broken, or older than a rule. It is shown as it is. Merge and Decode return an error
// only if it has no meaning.
func TestMetadataFromABrokenStore(t *testing.T) {
	w := setup(t, nil)
	stored := func(text string) invitation.Metadata {
		t.Helper()
		inv := w.invite("carl@example.com")
		r := w.stored()[0]
		r.PublicMetadata = []byte(text)
		w.is.NoErr(w.host.Storage().Update(w.ctx, r))
		m := w.get(inv).PublicMetadata
		_, err := w.host.Storage().Delete(w.ctx, inv.ID)
		w.is.NoErr(err)
		return m
	}
	patch := mustMetadata(t, `{"a":{"b":1},"c":null}`)
	for _, s := range []string{`{`, `{"a`, `{"a\`, `{"a":`, `{"a":{"b":"c"`, `{"a":}`, `{"a":1]`, `{]`, `[`,
		`[{"a":1}]`, `}`, `"`, `"a`, `null`, `1`, ` `,
		`{"a":1} x`, `{,}`, `{"a"1}`, `{"a":tru}`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, strings.Repeat(
			`{"a":`, 1<<17,
		), strings.Repeat(`[`, 1<<17),
		strings.Repeat(`{"a":`, 1<<17) + "1" + strings.Repeat(`}`, 1<<17)} {
		m := stored(s)
		w.is.Equal(text(t, m), s) // as it is
		merged, err := m.Merge(patch)
		var broken *json.SyntaxError
		if !errors.Is(
			err, invitation.ErrInvalid,
		) || errors.As(err, &broken) == json.Valid([]byte(s)) || merged != (invitation.Metadata{}) {
			t.Errorf("merging into %.40q: %v", s, err) // with the cause in the chain
		}
		_, err = mustMetadata(t, `{}`).Merge(m)
		if !errors.Is(err, invitation.ErrInvalid) && !json.Valid([]byte(s)) {
			t.Errorf("merging %.40q: %v", s, err)
		}
		var got struct{ A any }
		if err := m.Decode(&got); err == nil && !json.Valid([]byte(s)) {
			t.Errorf("decoding %.40q: no error", s)
		}
	}
	for s, want := range map[string]string{ // stored before these were refused
		` {"a":"\u0000"} `: `{"a":{"b":1}}`, `{"x":"\u0000","y":1e999}`: `{"x":"\u0000","y":1e999,"a":{"b":1}}`,
		`{"\ud800":1,"c":2}`: `{"\ud800":1,"a":{"b":1}}`,
	} {
		got, err := stored(s).Merge(patch)
		w.is.NoErr(err)
		w.is.Equal(text(t, got), want)
	}
}

type plain struct {
	Name string `json:"name"`
}

type promoted struct{ Team, Seat string }

type rival struct{ Seat string }

// readsItself has its own UnmarshalJSON, which works like encoding/json.
type readsItself struct{ plain }

func (r *readsItself) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &r.plain) }

// A key sets only the field with exactly its name. Otherwise Decode works like json.Unmarshal.
func TestDecodeMatchesNamesExactly(t *testing.T) {
	type tree struct {
		plain
		*promoted
		rival
		Team  string
		Twice string `json:"promoted"`
		Off   string `json:"-"`
		//lint:ignore SA5008 the name "-", as hosts write it
		Dash string `json:"-,"`
		Long string `json:"straße"`

		List    []plain               `json:"list"`
		Pair    [2]*plain             `json:"pair"`
		Map     map[string]plain      `json:"map"`
		Nested  map[int][]**plain     `json:"nested"`
		Any     any                   `json:"any"`
		Raw     json.RawMessage       `json:"raw"`
		Number  json.Number           `json:"number"`
		Own     readsItself           `json:"own"`
		Meta    invitation.Metadata   `json:"meta"`
		Self    *tree                 `json:"self"`
		Time    time.Time             `json:"time"`
		Text    net.IP                `json:"text"`
		Quoted  int                   `json:"quoted,string"`
		Stop    struct{ Name string } `json:"stop"`
		private string
	}
	name := func(s string) *plain { return &plain{s} }
	ptr := name("x")
	for s, want := range map[string]tree{
		`{"name":"x","Name":"y","NAME":"z"}`:                      {plain: plain{"x"}},
		`{"Name":"y","\u006eame":"x","nAME":"z"}`:                 {plain: plain{"x"}},
		`{"Team":"x","team":"y","TEAM":{"no":"string"}}`:          {Team: "x"},
		`{"Seat":"x","seat":"y"}`:                                 {}, // ambiguous between two embedded structs
		`{"promoted":"x","Promoted":"y","Twice":"z"}`:             {Twice: "x"},
		`{"-":"x","Off":"y","off":"z"}`:                           {Dash: "x"},
		`{"straße":"x","STRAẞE":"y","\u017ftraße":"z"}`:           {Long: "x"},
		`{"private":"x","Private":"y","unknown":{"a":[{"b":1}]}}`: {},
		`{"list":[{"Name":"y"},{"name":"x","NAME":"y"},null]}`:    {List: []plain{{}, {"x"}, {}}},
		`{"pair":[{"name":"x"},{"NAME":"y"},{"name":"z"}]}`:       {Pair: [2]*plain{name("x"), name("")}},
		`{"map":{"A":{"Name":"y"},"a":{"name":"x"}}}`:             {Map: map[string]plain{"A": {}, "a": {"x"}}},
		`{"nested":{"1":[{"name":"x","Name":"y"}]}}`:              {Nested: map[int][]**plain{1: {&ptr}}},
		`{"any":{"Name":1,"name":[true]},"Any":0}`: {Any: map[string]any{
			"Name": 1.0, "name": []any{true},
		}},
		`{"raw":{ "Name" : 1 },"number":9007199254740993,"NUMBER":1}`: {Raw: json.RawMessage(
			`{ "Name" : 1 }`,
		), Number: "9007199254740993"},
		`{"own":{"Name":"x"},"meta":{"Name":"x"}}`: {Own: readsItself{
			plain{"x"},
		}, Meta: mustMetadata(t, `{"Name":"x"}`)},
		`{"self":{"Self":{},"self":{"Team":"x","team":"y"}},"Self":""}`: {Self: &tree{Self: &tree{Team: "x"}}},
		`{"time":"2026-03-01T12:00:00Z","text":"1.2.3.4","Text":1}`:     {Time: noon, Text: net.IPv4(1, 2, 3, 4)},
		`{"quoted":"7","stop":{"name":"y","Name":"x"},"list":null}`:     {Quoted: 7, Stop: struct{ Name string }{"x"}},
	} {
		t.Run(s, func(t *testing.T) {
			is := is.New(t)
			var got tree
			is.NoErr(mustMetadata(t, s).Decode(&got))
			is.Equal(got, want)
			is.Equal(got.private, "")
		})
	}
	is := is.New(t)
	m := mustMetadata(t, `{"Name":"y","name":"x"}`)
	var untyped any
	is.NoErr(m.Decode(&untyped))
	is.Equal(untyped, map[string]any{"Name": "y", "name": "x"})
	pointer := name("old")
	is.NoErr(m.Decode(&pointer))
	is.Equal(pointer.Name, "x")
	kept := plain{"old"}
	is.NoErr(mustMetadata(t, `{"NAME":"y"}`).Decode(&kept))
	is.Equal(kept.Name, "old")
	for _, v := range []any{nil, plain{}, (*plain)(nil)} {
		var invalid *json.InvalidUnmarshalError
		is.True(errors.As(m.Decode(v), &invalid))
	}
	var wrong *json.UnmarshalTypeError
	is.True(errors.As(mustMetadata(t, `{"NAME":"y", "name": 1}`).Decode(&kept), &wrong))
	is.Equal(wrong.Offset, int64(len(`{"NAME":"y", "name": 1`))) // in the text as it was given
}

// later has the method by which later versions of encoding/json let a type read as it likes.
type later plain

func (*later) UnmarshalJSONFrom(any) error { return nil }

// What is embedded below.
type (
	Plain  plain
	Tagged struct {
		In plain `json:"In"`
	}
	Untagged struct {
		In   map[string]any
		Seat string
	}
	Again struct{ Seat string }
	Tags  []string
	Loop  struct {
		*Loop
		Name string `json:"name"`
	}
)

// Which fields a struct has is as encoding/json has it: the shallowest of a name, among those of one depth the one with
// a tag, and none where that does not decide. A key that is the name of no field fills no other one either.
func TestDecodeKnowsTheFieldsOfStructs(t *testing.T) {
	is := is.New(t)
	decode := func(object string, v any) {
		t.Helper()
		is.NoErr(mustMetadata(t, object).Decode(v))
	}
	var before struct { // the tagged one goes first
		*Tagged
		Untagged
	}
	decode(`{"In":{"Name":"y"}}`, &before)
	is.Equal(before.Tagged.In, plain{})
	var behind struct {
		Untagged
		*Tagged
	}
	decode(`{"In":{"name":"x","Name":"y"},"in":0}`, &behind)
	is.Equal(behind.Tagged.In, plain{"x"})
	is.Equal(len(behind.Untagged.In), 0)

	var none struct {
		Tagged
		Untagged
		Again
		Loud string `json:"SEAT"`
	}
	decode(`{"Seat":"y"}`, &none) // of two embedded ones
	is.Equal(none.Loud, "")
	decode(`{"SEAT":"x","Seat":"y"}`, &none)
	is.Equal(none.Loud, "x")

	var shallow struct {
		Tagged
		In map[string]any
	}
	decode(`{"In":{"Name":"y"}}`, &shallow)
	is.Equal(shallow.In, map[string]any{"Name": "y"})

	var own later
	decode(`{"Name":"y"}`, &own) // encoding/json of today does not know it either
	is.Equal(own.Name, "y")

	var loop Loop
	decode(`{"name":"x","Name":"y"}`, &loop) // embedded in itself
	is.Equal(loop.Name, "x")

	var named struct {
		//lint:ignore SA5008 a name that encoding/json does not take
		Plain `json:"it's"`
		//lint:ignore SA5008 another one
		Quote string `json:"'"`
		Digit string `json:"a1"`
		Dash  string `json:"a-b"`
	}
	decode(`{"name":"x","Name":"y","Quote":"x","quote":"y","a1":"x","A1":"y","a-b":"x","A-B":"y"}`, &named)
	is.Equal(named.Name+named.Quote+named.Digit+named.Dash, "xxxx")

	var odd struct {
		Plain `json:"p"`
		Tags
		Nest    plain
		private string
		Public  string `json:"PRIVATE"`
	}
	decode(
		`{"p":{"name":"x","Name":"y"},"name":"z","Tags":["x"],"tags":["y"],`+
			`"Nest":{"name":"x"},"nest":{"name":"y"},"private":"y"}`, &odd)
	is.Equal(odd.Plain, Plain{"x"})
	is.Equal(odd.Tags, Tags{"x"})
	is.Equal(odd.Nest, plain{"x"})
	is.Equal(odd.Public+odd.private, "")
}

// Whatever ParseMetadata takes is one JSON object, comes back as it was, and merges into itself unchanged in meaning.
func FuzzMetadata(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `{"\ud800":1}`, `[]`, `{"a":1e999}`,
		` {"a" : {"\u0062":[{}, "\"}"]} } `} {
		f.Add(s, `{"a":null}`)
		f.Add(s, `{"\u0061":{"b":{"c":null,"d":1}},"e":[ ]}`)
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
		checkMerge(t, m, p)
	})
}

func TestMetadataNeverPrintsItsContent(t *testing.T) {
	is := is.New(t)
	m := mustMetadata(t, `{"secret":"hunter2"}`)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		is.Equal(fmt.Sprintf(verb, m), "metadata(20 bytes)")
	}
	is.Equal(m.LogValue().String(), "metadata(20 bytes)")
	is.Equal(fmt.Sprint(struct{ M invitation.Metadata }{m}), "{metadata(20 bytes)}")
	// fmt calls no methods there, as the comment says
	is.Equal(fmt.Sprint(struct{ m invitation.Metadata }{m}), `{{{"secret":"hunter2"}}}`)
	is.Equal(fmt.Sprint(invitation.Metadata{}), "metadata(2 bytes)")
}

// deepObject returns an object of about that size and depth, with short keys and values at every level.
func deepObject(size, depth int) string {
	var b strings.Builder
	for level := range depth {
		if level > 0 {
			b.WriteString(`,"deeper":`)
		}
		b.WriteString(`{"level":` + fmt.Sprint(level))
		for n := 0; b.Len() < size*(level+1)/depth; n++ {
			fmt.Fprintf(&b, `,"key%d":"a value of some length, %d"`, n, n)
		}
	}
	return b.String() + strings.Repeat("}", depth)
}

func BenchmarkMerge(b *testing.B) {
	const size = 1 << 20
	for _, shape := range []struct {
		name  string
		depth int
	}{{"wide", 1}, {"60 deep", 60}, {"64 deep", 64}} {
		patch := mustMetadata(b, deepObject(size, shape.depth))
		for _, target := range []struct {
			name string
			invitation.Metadata
		}{{"empty", invitation.Metadata{}}, {"itself", patch}} {
			b.Run(shape.name+"/into "+target.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := target.Merge(patch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestOddNumbersAndNothing(t *testing.T) {
	is := is.New(t)
	for _, n := range []string{"1e-400", "2.99999999999999999999", "0.5", "1e-1", "1.0000000000000000000000001"} {
		_, err := invitation.Decode[invitation.ResendParams](strings.NewReader(`{"expires_in_days":` + n + `}`))
		is.Equal(refusals(err), []refusal{{422, "form_param_type_invalid", "expires_in_days"}})
	}
	p, err := invitation.Decode[invitation.ResendParams](strings.NewReader(`{"expires_in_days":70.0e-1}`))
	is.NoErr(err)
	is.Equal(p.ExpiresIn, 7*24*time.Hour)
	_, err = invitation.Decode[invitation.RevokeParams](nil)
	is.NoErr(err)
	_, err = invitation.Decode[invitation.CreateParams](nil)
	is.True(errors.Is(err, invitation.ErrInvalid))
	inv := invitation.Invitation{ID: "keep"}
	is.NoErr(json.Unmarshal([]byte(`null`), &inv))
	is.Equal(inv, invitation.Invitation{ID: "keep"})
}

package invitation

import (
	"encoding/json"
	"reflect"
	"strings"
	"unicode"
)

// exactNames returns a text that json.Unmarshal decodes into a t with exact names. Otherwise a key "team" or "TEAM"
// would also set the field Team, and the last one would win. exactNames replaces such keys by "", which is the name of
// no field. It keeps everything else, including the length, so that the offsets in errors are right. The text must be
// valid JSON.
func exactNames(text string, t reflect.Type) string {
	n := namer{scanner: scanner{text: text}, known: map[reflect.Type]map[string]reflect.Type{}}
	n.value(t)
	if n.exact == nil {
		return text
	}
	return string(n.exact)
}

// namer walks through a text and the type that it is decoded into.
type namer struct {
	scanner
	known map[reflect.Type]map[string]reflect.Type // the fields of each struct type, by name
	exact []byte                                   // the text with keys blanked; nil until the first
}

// value skips a value that is decoded into a t.
func (n *namer) value(t reflect.Type) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	c := n.next()
	switch {
	case t == nil || unmarshals(t): // not decoded, or decoded by its own method
	case t.Kind() == reflect.Struct && c == '{':
		n.object(n.fields(t), nil)
		return
	case t.Kind() == reflect.Map && c == '{':
		n.object(nil, t.Elem())
		return
	case (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && c == '[':
		for n.at++; n.more(); {
			n.value(t.Elem())
		}
		return
	}
	n.scanner.value()
}

// unmarshals reports whether t has its own UnmarshalJSON, or UnmarshalJSONFrom of encoding/json/v2.
func unmarshals(t reflect.Type) bool {
	_, from := reflect.PointerTo(t).MethodByName("UnmarshalJSONFrom")
	return from || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// object skips an object that is decoded into a struct with these fields, or, if fields is nil, into a map of elem.
func (n *namer) object(fields map[string]reflect.Type, elem reflect.Type) {
	for n.at++; n.more(); {
		start := n.at
		name := n.name()
		if fields == nil {
			n.value(elem)
			continue
		}
		key := unquote(name)
		field, exact := fields[key]
		if !exact {
			for other := range fields {
				if strings.EqualFold(key, other) {
					n.blank(start, len(name))
					break
				}
			}
		}
		n.value(field)
	}
}

// blank overwrites a key with "" and spaces.
func (n *namer) blank(start, size int) {
	if n.exact == nil {
		n.exact = []byte(n.text)
	}
	copy(n.exact[start:start+size], `""`+strings.Repeat(" ", size-2))
}

// fields returns the fields that encoding/json finds in a struct, by name: its own and those of embedded structs. Of
// several fields with one name, the shallowest counts; of several at one depth, the only tagged one, or none.
func (n *namer) fields(t reflect.Type) map[string]reflect.Type {
	if fields, ok := n.known[t]; ok {
		return fields
	}
	fields, seen, hidden := map[string]reflect.Type{}, map[reflect.Type]bool{}, map[string]bool{}
	for structs := []reflect.Type{t}; structs != nil; {
		found := candidates{}
		var embedded []reflect.Type
		for _, t := range structs {
			if !seen[t] { // a struct may embed itself
				embedded = append(embedded, found.addFields(t)...)
			}
		}
		for _, t := range structs {
			seen[t] = true
		}
		for name, c := range found {
			if !hidden[name] && !c.ambiguous {
				fields[name] = c.t
			}
			hidden[name] = true
		}
		structs = embedded
	}
	n.known[t] = fields
	return fields
}

// candidates are the fields at one depth of embedding, by name.
type candidates map[string]candidate

type candidate struct {
	t         reflect.Type
	tagged    bool // a tag gives the name
	ambiguous bool // another field has the same name and an equal claim to it
}

// addFields adds the fields of a struct and returns the structs that it embeds.
func (found candidates) addFields(t reflect.Type) []reflect.Type {
	var structs []reflect.Type
	for f := range t.Fields() {
		embedded := f.Type
		if embedded.Name() == "" && embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		isStruct := f.Anonymous && embedded.Kind() == reflect.Struct
		name, tagged := nameOf(f)
		switch {
		case f.Tag.Get("json") == "-" || !f.IsExported() && !isStruct:
		case isStruct && !tagged:
			structs = append(structs, embedded)
		default:
			c, rival := found[name]
			switch {
			case !rival || tagged && !c.tagged:
				found[name] = candidate{t: f.Type, tagged: tagged}
			case tagged == c.tagged:
				c.ambiguous = true
				found[name] = c
			}
		}
	}
	return structs
}

// nameOf returns the name of a field in JSON, and whether a tag gives it.
func nameOf(f reflect.StructField) (name string, tagged bool) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return f.Name, false // as in encoding/json
		}
	}
	if name == "" {
		return f.Name, false
	}
	return name, true
}

package invitation

import (
	"encoding/json"
	"reflect"
	"strings"
	"unicode"
)

// exactNames returns a JSON text for json.Unmarshal into a t, which fills the field Team from a key "team" or "TEAM"
// too, the last of them winning. There such keys become "", which is the name of no field. Everything else of the text
// stays, also its length, so that the offsets in errors are true. The text is valid.
func exactNames(text string, t reflect.Type) string {
	n := namer{scanner: scanner{text: text}, known: map[reflect.Type]map[string]reflect.Type{}}
	n.value(t)
	if n.exact == nil {
		return text
	}
	return string(n.exact)
}

// namer walks through a text and the type it is decoded into.
type namer struct {
	scanner
	known map[reflect.Type]map[string]reflect.Type // the fields of structs, by name
	exact []byte                                   // the text with keys blanked; nil while there is none
}

// value passes over a value that is decoded into a t.
func (n *namer) value(t reflect.Type) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	c := n.next()
	switch {
	case t == nil || unmarshals(t): // nothing reads it, or something that reads as it likes
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

// unmarshals reports whether a type has an UnmarshalJSON of its own, or the UnmarshalJSONFrom of later versions of Go.
func unmarshals(t reflect.Type) bool {
	_, from := reflect.PointerTo(t).MethodByName("UnmarshalJSONFrom")
	return from || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// object passes over an object that is decoded into a struct with these fields, or into a map of elem.
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

// blank writes "" and blanks over a key.
func (n *namer) blank(start, size int) {
	if n.exact == nil {
		n.exact = []byte(n.text)
	}
	copy(n.exact[start:start+size], `""`+strings.Repeat(" ", size-2))
}

// fields returns the fields that encoding/json knows of a struct, by name: its own, and those of embedded structs,
// where the shallowest of a name counts, among several of them the tagged one, and else none.
func (n *namer) fields(t reflect.Type) map[string]reflect.Type {
	if fields, ok := n.known[t]; ok {
		return fields
	}
	type candidate struct {
		t      reflect.Type
		tagged bool
		rivals bool
	}
	fields, seen := map[string]reflect.Type{}, map[reflect.Type]bool{}
	hidden := map[string]bool{}
	for level := []reflect.Type{t}; level != nil; {
		var deeper []reflect.Type
		found := map[string]candidate{}
		for _, t := range level {
			if seen[t] {
				continue // embedded in itself
			}
			for f := range t.Fields() {
				embedded := f.Type
				if embedded.Name() == "" && embedded.Kind() == reflect.Pointer {
					embedded = embedded.Elem()
				}
				isStruct := f.Anonymous && embedded.Kind() == reflect.Struct
				name, given := nameOf(f)
				switch {
				case f.Tag.Get("json") == "-" || !f.IsExported() && !isStruct:
				case isStruct && !given:
					deeper = append(deeper, embedded)
				default:
					c, rival := found[name]
					switch {
					case !rival || given && !c.tagged:
						found[name] = candidate{t: f.Type, tagged: given}
					case given == c.tagged:
						c.rivals = true
						found[name] = c
					}
				}
			}
		}
		for _, t := range level {
			seen[t] = true
		}
		for name, c := range found {
			if !hidden[name] && !c.rivals {
				fields[name] = c.t
			}
			hidden[name] = true
		}
		level = deeper
	}
	n.known[t] = fields
	return fields
}

// nameOf returns a field's name in JSON, and whether a tag gives it.
func nameOf(f reflect.StructField) (name string, given bool) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return f.Name, false // as encoding/json has it
		}
	}
	if name == "" {
		return f.Name, false
	}
	return name, true
}

package storagetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/orginvite/orginvite/storage"
)

// confusing lists texts that a careless store confuses with one another or misinterprets. None is longer than the
// shortest limit.
var confusing = []string{
	"a", "A", "a ", " a", "a  ", "\u00e1", "a\u0301", "\u00c1", "\u00e5", "\u00c5", "A\u030a", "\u212b", "\u00e4", "ae",
	"\u00e6", "ss", "\u00df", "SS", "\u1e9e", "i", "I", "\u0131", "\u0130", "s", "\u017f", "K", "k", "\u212a", "\uff41",
	"a\u200b", "\u200b", "\ufeffa", "a\u00ad", " ", "  ", "\t", "\n", "\r\n", "a\n", "a\t", "a\u00a0", "a\x01", "\x01",
	"'", "''", `"`, `""`, "`", `\`, `\\`, `\'`, `a\b`, `a\0`, "?", "??", "?0", "$1", "$$", ":name", "@p1", "E'a'", "x'00'",
	"%", "%%", "_", "__", "a%", "a_", "%a", "_a", `\%`, `\_`, "[a]", "a*", "*", "-", "--", "/*", ";", "%s", "%d", "{0}",
	"0", "00", "0x0", "1", "1.0", "1e0", "NULL", "null", "true", "{}", "[]", "\u02bc", "\u2019",
	"\U0001F600", "\U0001F601", "\U0001F469\u200d\U0001F467", "\u00e9", "e\u0301", "\ufb01", "fi", "\u03a9", "\u2126",
	"\u65e5\u672c", "\u007f", "\u0080", "\u07ff", "\u0800", "\uffff", "\ufffd", "\U00010000", "\U0010ffff",
}

// apart returns a record for each confusing text, with all text fields set to it.
func apart() []storage.Record {
	var records []storage.Record
	for i, text := range confusing {
		r := record(text, created(i%3), expires(i%2))
		v := reflect.ValueOf(&r).Elem()
		for name := range limits {
			v.FieldByName(name).SetString(text)
		}
		records = append(records, r)
	}
	return records
}

var textCases = []testCase{
	{name: "text compares byte for byte", test: textCompares},
	{name: "ids and slots are unique byte for byte", test: textUnique},
	{name: "text orders byte for byte", test: textOrders},
	{name: "EmailContains is plain text, byte for byte", test: textContains},
	{name: "text at its limit is kept in full and told apart", test: textLimits},
}

// Text in a Filter, Get and Delete compares byte for byte.
func textCompares(t *trial, s storage.Storage) {
	records := apart()
	seed(t, s, records...)
	holds(t, s, records...)
	for _, text := range confusing {
		byID(t, s, storage.Filter{IDs: []string{text}}, text)
		byID(t, s, storage.Filter{OrganizationID: text}, text)
		byID(t, s, storage.Filter{EmailKeys: []string{text}}, text)
		byID(t, s, storage.Filter{Statuses: []string{text}, Now: epoch}, text)
		byID(t, s, storage.Filter{StoredStatuses: []string{text}}, text)
		byID(t, s, storage.Filter{InviterUserID: text}, text)
	}
	for _, text := range []string{"\uff21", "aa", "a   ", "\u00e0", "aE", "nULL", "1.00", "\U0001F602", `\0`} {
		byID(t, s, storage.Filter{IDs: []string{text}})
		byID(t, s, storage.Filter{OrganizationID: text})
		byID(t, s, storage.Filter{EmailKeys: []string{text}})
		byID(t, s, storage.Filter{Statuses: []string{text}, Now: epoch})
		byID(t, s, storage.Filter{StoredStatuses: []string{text}})
		byID(t, s, storage.Filter{InviterUserID: text})
		missing(t, s, text)
		if n, err := s.Delete(t.Context(), text); n != 0 || err != nil {
			t.Errorf("Delete(%q) = %d, %v", text, n, err)
		}
	}
	for i, text := range confusing {
		if n, err := s.Delete(t.Context(), text); n != 1 || err != nil {
			t.Errorf("Delete(%q) = %d, %v", text, n, err)
		}
		if i%20 == 0 {
			holds(t, s, records[i+1:]...)
		}
	}
}

// Ids and slots are unique byte for byte.
func textUnique(t *trial, s storage.Storage) {
	var records []storage.Record
	for i, text := range confusing {
		records = append(records,
			record(text),
			record("key-"+number(i), in("keys"), to(text)),
			record("org-"+number(i), in(text), to("somebody")))
	}
	if err := s.Insert(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	for _, text := range confusing {
		taken(t, fmt.Sprintf("%q", text), s.Insert(t.Context(), record(text, to("free")), record("new-1", to("free")),
			record("new-2", in("keys"), to(text)), record("new-3", in(text), to("somebody"))), 0, 2, 3)
	}
	holds(t, s, records...)
}

// Text orders byte for byte, as in Go.
func textOrders(t *trial, s storage.Storage) {
	// The second round gives all texts a common prefix, because stores may compare shortened texts.
	for _, prefix := range []string{"", "twenty bytes of text"} {
		records := apart()
		for i := range records {
			records[i].ID = prefix + records[i].ID
			records[i].EmailKey = prefix + confusing[len(confusing)-1-i]
			records[i].OrganizationID = "org" + prefix
		}
		seed(t, s, records...)
		for _, field := range sortFields {
			for _, down := range []bool{false, true} {
				q := storage.Query{
					Filter: storage.Filter{OrganizationID: "org" + prefix},
					Sort:   []storage.Sort{{Field: field, Descending: down}},
				}
				want := answer(records, q)
				finds(t, s, q, ids(want)...)
				for i := range want {
					q.After, q.Limit = &want[i], 2
					finds(t, s, q, ids(want[i+1:min(i+3, len(want))])...)
				}
			}
		}
		q := storage.Query{Filter: storage.Filter{OrganizationID: "org" + prefix, StoredStatuses: []string{"same"}}}
		for i := range records {
			records[i].Status, records[i].CreatedAt, records[i].ExpiresAt = "same", epoch, epoch
		}
		update(t, s, records...)
		for _, field := range sortFields {
			for _, down := range []bool{false, true} {
				q.Sort = []storage.Sort{{Field: field, Descending: down}}
				finds(t, s, q, ids(answer(records, q))...)
			}
		}
	}
}

// Filter.EmailContains finds plain text, byte for byte; '%' and '_' have no special meaning.
func textContains(t *trial, s storage.Storage) {
	keys := append(slices.Clone(confusing), "ann@example.com", "Ann@Example.com", "a%b", "a_b", "axb", `a\%b`, `a\b`)
	var records []storage.Record
	for i, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		records = append(records, record(number(i), to(key), func(r *storage.Record) { r.EmailAddress = "no" }))
	}
	if err := s.Insert(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	for _, part := range append(keys, "example", "EXAMPLE", "@", "Ann", "ann@example.com.", "user", "no", "a__", "a%b") {
		for _, organization := range []string{"", "org-1"} {
			q := storage.Query{
				Filter: storage.Filter{EmailContains: part, OrganizationID: organization},
				Sort:   []storage.Sort{{Field: storage.FieldEmailAddress}},
			}
			finds(t, s, q, ids(answer(records, q))...)
		}
	}
}

// Texts of the greatest length that [storage.Record.Validate] allows are kept in full, and are told apart by their last
// byte.
func textLimits(t *trial, s storage.Storage) {
	for i, fill := range []string{"x", "\u00e9", "\u65e5", "\U0001F600", " ", "'", `\`, "%"} {
		// Two records whose texts differ only in their last byte.
		var pair []storage.Record
		for _, last := range []string{"1", "2"} {
			r := record("")
			v := reflect.ValueOf(&r).Elem()
			for name, most := range limits {
				text := number(i) + strings.Repeat(fill, (most-7)/len(fill))
				v.FieldByName(name).SetString(text + strings.Repeat("-", most-1-len(text)) + last)
			}
			if err := r.Validate(); err != nil {
				t.Fatal(err)
			}
			pair = append(pair, r)
		}
		for j, r := range pair {
			keeps(t, s, r)
			byID(t, s, storage.Filter{OrganizationID: r.OrganizationID}, r.ID)
			byID(t, s, storage.Filter{EmailContains: r.EmailKey}, r.ID)
			byID(t, s, storage.Filter{Statuses: []string{r.Status}}, r.ID)
			byID(t, s, storage.Filter{InviterUserID: r.InviterUserID}, r.ID)
			pair[j].Version = 3
		}
		finds(t, s, storage.Query{
			Filter: storage.Filter{IDs: ids(pair)}, Sort: []storage.Sort{{Field: storage.FieldEmailAddress}},
		}, pair[0].ID, pair[1].ID)
		finds(t, s, storage.Query{
			Filter: storage.Filter{IDs: ids(pair)}, Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}, After: &pair[0],
		}, pair[1].ID)
		// The slot of the longest address in the organization with the longest id.
		slot := edit(pair[0], version(1), func(r *storage.Record) { r.ID, r.Status = "slot"+number(i), storage.Pending })
		near := edit(pair[1], version(1), func(r *storage.Record) { r.ID, r.Status = "near"+number(i), storage.Pending })
		seed(t, s, slot, near)
		taken(t, "Insert", s.Insert(t.Context(), edit(slot, func(r *storage.Record) { r.ID = "other" })), 0)
	}
}

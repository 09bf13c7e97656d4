package storagetest

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// times sets every time of a record, each one step later than the one before.
func times(first time.Time, step time.Duration) func(*storage.Record) {
	return func(r *storage.Record) {
		v := reflect.ValueOf(r).Elem()
		for i := range v.NumField() {
			if _, ok := v.Field(i).Interface().(time.Time); ok {
				v.Field(i).Set(reflect.ValueOf(first))
				first = first.Add(step)
			}
		}
	}
}

// keeps inserts r and reads it back in several ways, then does the same with Update.
func keeps(t *trial, s storage.Storage, r storage.Record) {
	t.Helper()
	inserted := edit(r, version(1))
	seed(t, s, inserted)
	readsBack(t, s, inserted.Stored())
	other := record(r.ID, to("other"), in("other"))
	update(t, s, other)
	readsBack(t, s, edit(other.Stored(), version(2)))
	updated := edit(r, version(2))
	update(t, s, updated)
	readsBack(t, s, edit(updated.Stored(), version(3)))
}

func readsBack(t *trial, s storage.Storage, want storage.Record) {
	t.Helper()
	same(t, get(t, s, want.ID), want)
	for _, f := range []storage.Filter{
		{IDs: []string{want.ID}}, {EmailKeys: []string{want.EmailKey}, IDs: []string{want.ID}},
	} {
		got := list(t, s, storage.Query{Filter: f})
		if len(got) != 1 {
			t.Fatalf("List finds %d records by id %q and key %.40q, want 1", len(got), want.ID, want.EmailKey)
		}
		same(t, got[0], want)
	}
}

var valueCases = []testCase{
	{name: "times come back in UTC from any zone", test: valueZones},
	{name: "times are cut to the microsecond, not rounded", test: valuePrecision},
	{name: "times come back from year 1 to 9999, the zero time included", test: valueYears},
	{name: "every time has a place of its own", test: valueTimes},
	{name: "integers come back in full", test: valueIntegers},
	{name: "metadata comes back byte for byte", test: valueMetadata},
	{name: "empty metadata is {}", test: valueEmptyMetadata},
	{name: "nothing passed in is shared with what is stored", test: valueGiven},
	{name: "nothing returned is shared with what is stored", test: valueReturned},
	{name: "what no record may hold is refused, and nothing of the call written", test: valueInvalid},
}

// Times are returned in UTC, whatever zone they were given in.
func valueZones(t *trial, s storage.Storage) {
	for i, zone := range []*time.Location{
		time.UTC, time.Local, time.FixedZone("", 0), time.FixedZone("UTC", 0), time.FixedZone("Tokyo", 9*3600),
		time.FixedZone("Kathmandu", 5*3600+45*60), time.FixedZone("west", -11*3600), time.FixedZone("odd", 1234),
	} {
		r := record(number(i), times(epoch.In(zone), time.Hour))
		keeps(t, s, r)
		if got := get(t, s, r.ID).CreatedAt; got != epoch || got.Location() != time.UTC {
			t.Errorf("CreatedAt is %#v, want %#v", got, epoch)
		}
	}
}

// Times are kept to the microsecond; a finer time is cut, not rounded.
func valuePrecision(t *trial, s storage.Storage) {
	for i, c := range []struct{ given, want time.Time }{
		{epoch.Add(1), epoch},
		{epoch.Add(500), epoch},
		{epoch.Add(999), epoch},
		{epoch.Add(999_999_999), epoch.Add(999_999_000)},
		{time.Unix(1798761599, 999_999_999), time.Unix(1798761599, 999_999_000).UTC()},
		{time.Unix(-1, 999_999_999), time.Unix(-1, 999_999_000).UTC()},
		{time.Unix(-14182940, 1), time.Unix(-14182940, 0).UTC()},
		{time.Date(1, 1, 1, 0, 0, 0, 1999, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)},
		{lastInstant.Add(999), lastInstant},
	} {
		keeps(t, s, record(number(i), times(c.given, 0)))
		if got := get(t, s, number(i)).SentAt; got != c.want {
			t.Errorf("%v comes back as %v, want %v", c.given, got, c.want)
		}
	}
}

// Times from year 1 to 9999 are returned unchanged, including the zero time.
func valueYears(t *trial, s storage.Storage) {
	for i, at := range []time.Time{
		{},
		time.Time{}.In(time.FixedZone("", 3600)),
		time.Time{}.Add(time.Microsecond),
		time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC),
		time.Date(1, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Date(999, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1582, 10, 10, 0, 0, 0, 0, time.UTC),
		time.Date(1900, 2, 28, 23, 59, 59, 0, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Unix(0, 0),
		time.Date(2000, 2, 29, 12, 0, 0, 1000, time.UTC),
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		time.Date(2262, 4, 12, 0, 0, 0, 0, time.UTC),
		lastInstant,
		lastInstant.In(time.FixedZone("", 9*3600)),
	} {
		keeps(t, s, record(number(i), times(at, 0)))
	}
	if r := get(t, s, number(0)); r.ResolvedAt != (time.Time{}) || r.CreatedAt != (time.Time{}) {
		t.Errorf("the zero time comes back as %v and %v", r.CreatedAt, r.ResolvedAt)
	}
}

// The times of a record are not mixed up.
func valueTimes(t *trial, s storage.Storage) {
	keeps(t, s, record("a", times(epoch, time.Hour)))
	keeps(t, s, record("b", times(epoch, -time.Hour)))
	unresolved := record("c", times(epoch, time.Hour), func(r *storage.Record) { r.ResolvedAt = time.Time{} })
	keeps(t, s, unresolved)
}

// Integers are returned with all of their 64 bits.
func valueIntegers(t *trial, s storage.Storage) {
	for i, n := range []int64{0, -1, 1<<31 - 1, 1 << 31, 1 << 53, 1<<53 + 1, 1<<63 - 1, -1 << 63} {
		keeps(t, s, record(number(i), func(r *storage.Record) { r.Generation = n }))
	}
}

// Metadata is returned byte for byte.
func valueMetadata(t *trial, s storage.Storage) {
	for i, text := range metadata {
		keeps(t, s, record(fmt.Sprint("public-", i), func(r *storage.Record) { r.PublicMetadata = []byte(text) }))
		keeps(t, s, record(fmt.Sprint("private-", i), func(r *storage.Record) { r.PrivateMetadata = []byte(text) }))
	}
}

// Nil or empty metadata is stored as {}.
func valueEmptyMetadata(t *trial, s storage.Storage) {
	for i, empty := range [][]byte{nil, {}, []byte("{}"), make([]byte, 0, 8)} {
		id := number(i)
		keeps(t, s, record(id, func(r *storage.Record) { r.PublicMetadata, r.PrivateMetadata = empty, empty }))
		r := get(t, s, id)
		if string(r.PublicMetadata) != "{}" || string(r.PrivateMetadata) != "{}" {
			t.Errorf("empty metadata comes back as %q and %q", r.PublicMetadata, r.PrivateMetadata)
		}
	}
}

// A store shares no memory with its arguments.
func valueGiven(t *trial, s storage.Storage) {
	overwrite := func(records []storage.Record) {
		for i := range records {
			copy(records[i].PublicMetadata, "overwrit")
			copy(records[i].PrivateMetadata, "overwrit")
			records[i] = storage.Record{ID: "overwritten"}
		}
	}
	given := []storage.Record{record("a"), record("b")}
	if err := s.Insert(t.Context(), given...); err != nil {
		t.Fatal(err)
	}
	overwrite(given)
	holds(t, s, record("a"), record("b"))
	given = []storage.Record{record("a", role("x")), record("b", role("y"))}
	update(t, s, given...)
	overwrite(given)
	holds(t, s, record("a", role("x"), version(2)), record("b", role("y"), version(2)))
	doomed := []string{"a"}
	if _, err := s.Delete(t.Context(), doomed...); err != nil {
		t.Fatal(err)
	}
	doomed[0] = "b"
	holds(t, s, record("b", role("y"), version(2)))
}

// A store shares no memory with its results, and no two results share memory.
func valueReturned(t *trial, s storage.Storage) {
	empty := record("b", func(r *storage.Record) { r.PublicMetadata, r.PrivateMetadata = nil, nil })
	seed(t, s, record("a"), empty, record("c", func(r *storage.Record) { r.PrivateMetadata = nil }))
	want := []storage.Record{record("a"), empty, record("c", func(r *storage.Record) { r.PrivateMetadata = nil })}
	q := storage.Query{Sort: []storage.Sort{{Field: storage.FieldEmailAddress}}}
	first, second := list(t, s, q), list(t, s, q)
	for i := range first {
		_ = append(first[i].PublicMetadata, "overwrit"...)
		_ = append(first[i].PrivateMetadata, "overwrit"...)
	}
	for i := range first {
		same(t, first[i], want[i].Stored())
		copy(first[i].PublicMetadata, "overwrit")
		copy(first[i].PrivateMetadata, "overwrit")
		same(t, second[i], want[i].Stored())
	}
	holds(t, s, want...)
	for _, r := range want {
		got, again := get(t, s, r.ID), get(t, s, r.ID)
		copy(got.PublicMetadata, "overwrit")
		if string(got.PrivateMetadata) != string(r.Stored().PrivateMetadata) {
			t.Errorf("record %q: public and private metadata share memory", r.ID)
		}
		copy(got.PrivateMetadata, "overwrit")
		same(t, again, r.Stored())
	}
	holds(t, s, want...)
}

// Insert and Update refuse records that [storage.Record.Validate] refuses, and write none of the call's records.
func valueInvalid(t *trial, s storage.Storage) {
	kept := record("kept")
	seed(t, s, kept)
	tries := func(what string, invalidate func(*storage.Record)) {
		t.Helper()
		bad := record("bad", invalidate)
		if bad.Validate() == nil {
			t.Fatalf("%s: Validate accepts the record", what)
		}
		refused(t, "Insert, "+what, s.Insert(t.Context(), bad), nil)
		refused(t, "Insert after a good one, "+what, s.Insert(t.Context(), record("good"), bad), nil)
		holds(t, s, kept)
		if bad.ID == "bad" {
			bad.ID = "kept"
			refused(t, "Update, "+what, s.Update(t.Context(), bad), nil)
			holds(t, s, kept)
		}
	}
	fields := reflect.TypeFor[storage.Record]()
	for name, most := range limits {
		i, ok := fields.FieldByName(name)
		if !ok {
			t.Fatalf("Record has no field %s", name)
		}
		set := func(text string) func(*storage.Record) {
			return func(r *storage.Record) { reflect.ValueOf(r).Elem().FieldByIndex(i.Index).SetString(text) }
		}
		tries(name+" too long", set(strings.Repeat("x", most+1)))
		tries(name+" too long in bytes only", set(strings.Repeat("\u00e9", most/2)+"x"))
		tries(name+" with trailing spaces too long", set("x"+strings.Repeat(" ", most)))
		for _, text := range impossible {
			tries(fmt.Sprintf("%s %q", name, text), set(text))
		}
	}
	for i := range fields.NumField() {
		if fields.Field(i).Type != reflect.TypeFor[time.Time]() {
			continue
		}
		for _, at := range []time.Time{
			farPast, time.Time{}.Add(-time.Nanosecond), time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)),
			lastInstant.Add(time.Microsecond), time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -3600)),
			time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC), farFuture,
		} {
			tries(fmt.Sprintf("%s %v", fields.Field(i).Name, at), func(r *storage.Record) {
				reflect.ValueOf(r).Elem().Field(i).Set(reflect.ValueOf(at))
			})
		}
	}
	tries("no ID", func(r *storage.Record) { r.ID = "" })
	for _, text := range []string{"{\"a\":\"\x00\"}", "{\"a\":\"\xff\"}"} {
		tries("public metadata", func(r *storage.Record) { r.PublicMetadata = []byte(text) })
		tries("private metadata", func(r *storage.Record) { r.PrivateMetadata = []byte(text) })
	}
}

// limits maps each text field of a record to its limit in bytes.
var limits = map[string]int{
	"ID":                   storage.MaxID,
	"OrganizationID":       storage.MaxReference,
	"OrganizationDomainID": storage.MaxReference,
	"EmailAddress":         storage.MaxEmail,
	"EmailKey":             storage.MaxEmail,
	"Role":                 storage.MaxRole,
	"Status":               storage.MaxStatus,
	"InviterUserID":        storage.MaxReference,
	"RedirectURL":          storage.MaxURL,
	"ResolvedBy":           storage.MaxReference,
}

var metadata = []string{
	`{"b":1,"a":2,"c":{"z":1,"y":2}}`,
	"{ \"a\" :\t1 ,\n\r\n \"b\" : [ ] }  ",
	` {"leading":"space"}`,
	`{"a":1,"a":2}`,
	`{"n":12345678901234567890123456789012345678901234567890,"f":1.10,"e":1E400,"z":-0,"m":0.1e-7}`,
	`{"u":"\u00e9\u0000\ud83d\ude00\/","raw":"` + "\u00e9\U0001F600" + `/"}`,
	"{\"nfc\":\"\u00e9\",\"nfd\":\"e\u0301\"}",
	`{"quotes":"'\"\\","sql":"? $1 :name @p1 %s {0} ' OR 1=1 -- ; /* */"}`,
	`{"":null,"t":true,"f":false,"deep":[[[[{"a":[1,[2,[3]]]}]]]]}`,
	`{"html":"<script>&amp;</script>"}`,
	`{"long":"` + strings.Repeat("0123456789\u00e9", 2000) + `"}`,
	`{"\\":"\\\\","tab":"\t"}`,
}

package storage_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func TestEffectiveStatus(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  string
		expires time.Time
		now     time.Time
		want    string
	}{
		{"before", storage.Pending, noon, noon.Add(-1), storage.Pending},
		{"at the instant", storage.Pending, noon, noon, storage.Expired},
		{"at the instant, elsewhere", storage.Pending, noon, noon.In(time.FixedZone("", 3600)), storage.Expired},
		{"after", storage.Pending, noon, noon.Add(1), storage.Expired},
		{"zero now", storage.Pending, noon, time.Time{}, storage.Pending},
		{"both zero", storage.Pending, time.Time{}, time.Time{}, storage.Expired},
		{"written", storage.Expired, noon, noon.Add(-1), storage.Expired},
		{"any other", "accepted", noon, noon.Add(1), "accepted"},
		{"other case", "Pending", noon, noon.Add(1), "Pending"},
	} {
		t.Run(c.name, func(t *testing.T) {
			is := is.New(t)
			is.Equal(storage.Record{Status: c.status, ExpiresAt: c.expires}.EffectiveStatus(c.now), c.want)
		})
	}
}

func TestStored(t *testing.T) {
	is := is.New(t)
	r := storage.Record{
		ID: "a", Version: 7, PublicMetadata: []byte(` {"b":1}`), PrivateMetadata: []byte{},
		CreatedAt: noon.Add(999).In(time.FixedZone("", 3600)),
		UpdatedAt: time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		SentAt:    time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
	}
	s := r.Stored()
	is.Equal(s.ID, "a")
	is.Equal(s.Version, int64(7)) // unchanged
	is.True(s.CreatedAt == noon)
	is.True(s.UpdatedAt == time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)) // rounded down, not towards zero
	is.True(s.ExpiresAt == time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC))
	is.True(s.SentAt == time.Time{})
	is.True(s.ResolvedAt == time.Time{})
	is.Equal(string(s.PublicMetadata), ` {"b":1}`)
	is.Equal(string(s.PrivateMetadata), "{}")
	is.Equal(string(storage.Record{}.Stored().PublicMetadata), "{}")

	s.PublicMetadata[0] = 'X'
	is.Equal(string(r.PublicMetadata), ` {"b":1}`)     // s shares no memory with r
	is.True(reflect.DeepEqual(r.Stored(), r.Stored())) // Stored does not change r
	is.Equal(r.CreatedAt.Nanosecond(), 123456999)
}

func TestValidate(t *testing.T) {
	limits := map[string]int{
		"ID": storage.MaxID, "OrganizationID": storage.MaxReference, "OrganizationDomainID": storage.MaxReference,
		"EmailAddress": storage.MaxEmail, "EmailKey": storage.MaxEmail, "Role": storage.MaxRole,
		"Status": storage.MaxStatus, "InviterUserID": storage.MaxReference, "RedirectURL": storage.MaxURL,
		"ResolvedBy": storage.MaxReference,
	}
	fields := reflect.TypeFor[storage.Record]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if field.Type.Kind() == reflect.String {
			t.Run(field.Name, func(t *testing.T) {
				is := is.New(t)
				most, ok := limits[field.Name]
				is.True(ok) // a new field needs a limit
				with := func(text string) error {
					r := storage.Record{ID: "a"}
					reflect.ValueOf(&r).Elem().Field(i).SetString(text)
					return r.Validate()
				}
				is.NoErr(with("x"))
				is.NoErr(with(strings.Repeat("x", most)))
				is.NoErr(with(strings.Repeat("\u00e9", most/2)))
				for _, text := range []string{
					strings.Repeat("x", most+1), strings.Repeat("\u00e9", most/2) + "x", "\x00", "secret\x00", "\xff", "\xc3",
				} {
					err := with(text)
					is.True(err != nil)                                // the text is refused
					is.True(strings.Contains(err.Error(), field.Name)) // the error names the field
					is.True(!strings.Contains(err.Error(), "secret"))  // the error does not contain the value
				}
				is.Equal(with("") != nil, field.Name == "ID") // only ID is required
			})
		}
	}
	for _, text := range []string{"{\"a\":\"\x00\"}", "{\"\xff\":1}"} {
		is := is.New(t)
		err := storage.Record{ID: "a", PublicMetadata: []byte(text)}.Validate()
		is.True(err != nil && strings.Contains(err.Error(), "PublicMetadata"))
		err = storage.Record{ID: "a", PrivateMetadata: []byte(text)}.Validate()
		is.True(err != nil && strings.Contains(err.Error(), "PrivateMetadata"))
		is.NoErr(storage.Record{ID: "a", PublicMetadata: []byte("{}"), PrivateMetadata: []byte(`{"\u0000":1}`)}.Validate())
	}
}

func TestValidateTimes(t *testing.T) {
	last := time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	fields := reflect.TypeFor[storage.Record]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if field.Type != reflect.TypeFor[time.Time]() {
			continue
		}
		t.Run(field.Name, func(t *testing.T) {
			is := is.New(t)
			with := func(at time.Time) error {
				r := storage.Record{ID: "a"}
				reflect.ValueOf(&r).Elem().Field(i).Set(reflect.ValueOf(at))
				return r.Validate()
			}
			for _, at := range []time.Time{{}, noon, last, last.In(time.FixedZone("", 3600))} {
				is.NoErr(with(at))
			}
			for _, at := range []time.Time{
				time.Time{}.Add(-1), last.Add(1), time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC),
				time.Unix(1<<60, 0), time.Unix(-1<<60, 0),
			} {
				err := with(at)
				is.True(err != nil && strings.Contains(err.Error(), field.Name))
			}
		})
	}
}

func TestInstant(t *testing.T) {
	is := is.New(t)
	last := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	for _, c := range []struct{ given, want time.Time }{
		{noon, noon},
		{noon.Add(999).In(time.FixedZone("", 3600)), noon},
		{time.Time{}, time.Time{}},
		{time.Time{}.Add(-1), time.Time{}},
		{time.Unix(-1<<60, 0), time.Time{}},
		{last.Add(999), last},
		{last.Add(1000), last},
		{time.Unix(1<<60, 0), last},
		{time.Unix(-1, 999_999_999).UTC(), time.Unix(-1, 999_999_000).UTC()},
	} {
		is.True(storage.Instant(c.given) == c.want)
	}
}

func TestValidText(t *testing.T) {
	is := is.New(t)
	for _, s := range []string{"", "a", "\u00e9", "\U0010ffff", "\n", "\ufffd"} {
		is.True(storage.ValidText(s))
	}
	for _, s := range []string{"\x00", "a\x00b", "\xff", "\xc3\x28", "\xed\xa0\x80"} {
		is.True(!storage.ValidText(s))
	}
}

package bunstore

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// distinctRecord has a different value in every field. Records made with different n differ in every field, too.
func distinctRecord(t *testing.T, n int) storage.Record {
	t.Helper()
	var r storage.Record
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		k := 100*n + i + 1
		switch f := v.Field(i).Addr().Interface().(type) {
		case *string:
			*f = fmt.Sprintf("text %d", k)
		case *[]byte:
			*f = fmt.Appendf(nil, `{"n":%d}`, k)
		case *int64:
			*f = int64(k)
		case *time.Time:
			*f = time.Date(2026, 1, 1, k, 0, 0, 1000, time.UTC)
		default:
			t.Fatalf("%s is a %T: there is no column of that kind", v.Type().Field(i).Name, f)
		}
	}
	r.Version = 1 // the version that Insert stores
	return r
}

// written returns what each column writes for a record.
func written(r storage.Record) map[string]string {
	values := map[string]string{}
	for _, c := range columns {
		w := writer{dialect: sqlitedialect.New()}
		c.write(&w, &newSQLite(tables{}).facts, &r)
		values[c.name] = string(w.b)
	}
	return values
}

// Every field of a Record is written to one column and read back from that column, and no two fields share a column.
// The exception is pending_key, which derives from the address and the status and is not read.
func TestColumnsAreTheFields(t *testing.T) {
	is := is.New(t)
	a, b := distinctRecord(t, 0), distinctRecord(t, 1)
	a.Status = storage.Pending // so that pending_key is written
	b.Version = 2
	is.Equal(len(written(a)), len(columns)) // no two columns have the same name

	var scanned storage.Record
	into := map[any]string{}
	for _, c := range columns {
		if c.scan != nil {
			p := c.scan(&scanned)
			if at, ok := p.(*scannedTime); ok {
				p = (*time.Time)(at)
			}
			is.Equal(into[p], "") // no field is read from two columns
			into[p] = c.name
		}
	}
	fields := reflect.ValueOf(&scanned).Elem()
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		column, ok := into[fields.Field(i).Addr().Interface()]
		if !ok {
			t.Errorf("no column is read into %s", name)
			continue
		}
		changed := a
		reflect.ValueOf(&changed).Elem().Field(i).Set(reflect.ValueOf(b).Field(i))
		before := written(a)
		for c, value := range written(changed) {
			pendingKey := c == "pending_key" && (name == "EmailKey" || name == "Status")
			if (value != before[c]) != (c == column || pendingKey) {
				t.Errorf("another %s, read from %s, changes %s from %s to %s", name, column, c, before[c], value)
			}
		}
	}
	is.Equal(len(into), fields.NumField())
}

// Every field comes back from the database unchanged, after inserts and updates of one record and of several.
func TestColumnsComeBack(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Name == "galera" {
			t.Skip("covered by the single-node engine")
		}
		is := is.New(t)
		s, err := New(e.Open(t), nil)
		is.NoErr(err)
		is.NoErr(s.Migrate(t.Context()))
		same := func(want storage.Record) {
			t.Helper()
			got, err := s.Get(t.Context(), want.ID)
			is.NoErr(err)
			is.Equal(got, want)
		}
		a, b := distinctRecord(t, 0), distinctRecord(t, 1)
		is.NoErr(s.Insert(t.Context(), a))
		is.NoErr(s.Insert(t.Context(), b))
		same(a)
		same(b)
		update := func(list ...*storage.Record) {
			t.Helper()
			var records []storage.Record
			for n, r := range list {
				id, version := r.ID, r.Version
				*r = distinctRecord(t, 10*int(version)+n)
				r.ID, r.Version = id, version
				records = append(records, *r)
				r.Version++
			}
			is.NoErr(s.Update(t.Context(), records...))
			for _, r := range list {
				same(*r)
			}
		}
		update(&a)
		update(&a, &b)
	})
}

// Records inserted together come back unchanged, whichever values they share. What all of them share, and what is the
// same in two columns, may be written only once.
func TestInsertedTogether(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Name == "galera" {
			t.Skip("covered by the single-node engine")
		}
		is := is.New(t)
		s, err := New(e.Open(t), nil)
		is.NoErr(err)
		is.NoErr(s.Migrate(t.Context()))
		inserted := 0
		insert := func(n int, change func(i int, r *storage.Record)) {
			t.Helper()
			records := make([]storage.Record, n)
			for i := range records {
				records[i] = distinctRecord(t, inserted)
				change(i, &records[i])
				inserted++
			}
			is.NoErr(s.Insert(t.Context(), records...))
			for _, want := range records {
				got, err := s.Get(t.Context(), want.ID)
				is.NoErr(err)
				is.Equal(got, want)
			}
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 50 {
			shared := distinctRecord(t, 1000+inserted)
			from, keep := reflect.ValueOf(shared), r.Uint64()
			insert(2+r.IntN(3), func(i int, record *storage.Record) {
				for f := range from.NumField() {
					if name := from.Type().Field(f).Name; keep>>f&1 == 0 && name != "ID" {
						reflect.ValueOf(record).Elem().Field(f).Set(from.Field(f))
					}
				}
				switch {
				case keep>>20&1 == 0:
					record.EmailAddress = record.EmailKey
				case keep>>21&1 == 0:
					record.ResolvedAt = record.SentAt
				}
				if keep>>(22+i)&1 == 0 {
					record.ResolvedAt = time.Time{}
				}
			})
		}
		// The text of a time is not taken for the time, and that of an integer not for the integer.
		insert(3, func(i int, r *storage.Record) {
			r.InviterUserID = r.CreatedAt.Format("2006-01-02 15:04:05.999999+00")
			r.ResolvedBy = r.CreatedAt.Format("2006-01-02 15:04:05.999999")
			r.RedirectURL = fmt.Sprint(r.Generation)
			r.PublicMetadata = []byte(r.EmailAddress)
		})
		// Long values, of which the first is the shortest.
		insert(3, func(i int, r *storage.Record) {
			r.EmailKey = strings.Repeat("x", 100*i+1)
			r.RedirectURL = strings.Repeat("y", 1000*i+1)
			r.PrivateMetadata = []byte(strings.Repeat("z", 100_000*i+1))
		})
	})
}

// A column that a later migration adds is not in the first migration, with which existing databases were made, and the
// later migration exists.
func TestAddedColumns(t *testing.T) {
	is := is.New(t)
	ids := map[string]bool{"": true}
	for _, m := range newSQLite(tables{}).steps() {
		ids[m.ID] = true
	}
	for _, c := range columns {
		is.True(ids[c.added]) // the migration exists
	}

	old := columns
	t.Cleanup(func() { columns = old })
	note := textColumn("note", 1, func(r *storage.Record) *string { return &r.ID }).addedBy("0002_note")
	columns = append(columns[:len(columns):len(columns)], note)
	is.True(!strings.Contains(strings.Join(newSQLite(tables{}).createTables().SQL, ""), "note"))
}

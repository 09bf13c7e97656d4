package bunstore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// column is one column of the invitations table.
type column struct {
	name     string
	kind     kind
	most     int    // the longest text a textKind holds, in bytes
	nullable bool   // NULL if there is no value
	added    string // the ID of the migration that adds the column; "" for the first, which creates the table

	// write writes the value of r. The literals of times are those of f.
	write func(w *writer, f *facts, r *storage.Record)
	// scan returns the destination that a value is scanned into. It is nil if the column is never read.
	scan func(r *storage.Record) any
}

// kind is what a column holds. Each engine has a type for each kind.
type kind int

const (
	textKind kind = iota
	jsonKind
	integerKind
	timeKind
)

// columns are the columns of the invitations table, in the order in which values are written and scanned. Every
// statement on the table, the scan of its rows and CREATE TABLE are made from this list. To add a column, add a line
// here and a migration to steps in schema.go. The line names the migration with addedBy.
var columns = []column{
	textColumn("id", storage.MaxID, func(r *storage.Record) *string { return &r.ID }),
	textColumn("organization_id", storage.MaxReference, func(r *storage.Record) *string { return &r.OrganizationID }),
	textColumn("organization_domain_id", storage.MaxReference,
		func(r *storage.Record) *string { return &r.OrganizationDomainID }),
	textColumn("email_address", storage.MaxEmail, func(r *storage.Record) *string { return &r.EmailAddress }),
	textColumn("email_key", storage.MaxEmail, func(r *storage.Record) *string { return &r.EmailKey }),
	{name: "pending_key", kind: textKind, most: storage.MaxEmail, nullable: true, write: writePendingKey},
	textColumn("role", storage.MaxRole, func(r *storage.Record) *string { return &r.Role }),
	textColumn("status", storage.MaxStatus, func(r *storage.Record) *string { return &r.Status }),
	jsonColumn("public_metadata", func(r *storage.Record) *[]byte { return &r.PublicMetadata }),
	jsonColumn("private_metadata", func(r *storage.Record) *[]byte { return &r.PrivateMetadata }),
	textColumn("inviter_user_id", storage.MaxReference, func(r *storage.Record) *string { return &r.InviterUserID }),
	textColumn("redirect_url", storage.MaxURL, func(r *storage.Record) *string { return &r.RedirectURL }),
	integerColumn("generation", func(r *storage.Record) *int64 { return &r.Generation }),
	timeColumn("created_at", func(r *storage.Record) *time.Time { return &r.CreatedAt }),
	timeColumn("updated_at", func(r *storage.Record) *time.Time { return &r.UpdatedAt }),
	timeColumn("expires_at", func(r *storage.Record) *time.Time { return &r.ExpiresAt }),
	timeColumn("sent_at", func(r *storage.Record) *time.Time { return &r.SentAt }),
	nullableTimeColumn("resolved_at", func(r *storage.Record) *time.Time { return &r.ResolvedAt }),
	textColumn("resolved_by", storage.MaxReference, func(r *storage.Record) *string { return &r.ResolvedBy }),
	integerColumn("version", func(r *storage.Record) *int64 { return &r.Version }),
}

// The lists of columns that statements are made of.
var (
	writtenColumns = namesOf(columns)
	readColumns    = namesOf(filtered(columns, func(c column) bool { return c.scan != nil }))
	// setColumns are the columns that an UPDATE replaces. id identifies the record, and version is incremented.
	setColumns = filtered(columns, func(c column) bool { return c.name != "id" && c.name != "version" })
)

func filtered(list []column, keep func(column) bool) []column {
	return slices.DeleteFunc(slices.Clone(list), func(c column) bool { return !keep(c) })
}

func namesOf(list []column) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

func textColumn(name string, most int, field func(*storage.Record) *string) column {
	return column{
		name: name, kind: textKind, most: most,
		write: func(w *writer, _ *facts, r *storage.Record) { w.text(*field(r)) },
		scan:  func(r *storage.Record) any { return field(r) },
	}
}

// jsonColumn keeps JSON as text. bun would write a []byte as a blob, and a JSON type would rewrite the text.
func jsonColumn(name string, field func(*storage.Record) *[]byte) column {
	return column{
		name: name, kind: jsonKind,
		write: func(w *writer, _ *facts, r *storage.Record) {
			if m := *field(r); len(m) > 0 {
				w.text(string(m))
			} else {
				w.text("{}")
			}
		},
		scan: func(r *storage.Record) any { return field(r) },
	}
}

func integerColumn(name string, field func(*storage.Record) *int64) column {
	return column{
		name: name, kind: integerKind,
		write: func(w *writer, _ *facts, r *storage.Record) { w.integer(*field(r)) },
		scan:  func(r *storage.Record) any { return field(r) },
	}
}

func timeColumn(name string, field func(*storage.Record) *time.Time) column {
	return column{
		name: name, kind: timeKind,
		write: func(w *writer, f *facts, r *storage.Record) { w.time(f, *field(r)) },
		scan:  func(r *storage.Record) any { return (*scannedTime)(field(r)) },
	}
}

// nullableTimeColumn keeps the zero time as NULL.
func nullableTimeColumn(name string, field func(*storage.Record) *time.Time) column {
	c := timeColumn(name, field)
	c.nullable = true
	write := c.write
	c.write = func(w *writer, f *facts, r *storage.Record) {
		if field(r).Truncate(time.Microsecond).IsZero() {
			w.null()
		} else {
			write(w, f, r)
		}
	}
	return c
}

// addedBy returns c as a column that the migration with this ID adds. CREATE TABLE leaves it out.
func (c column) addedBy(id string) column {
	c.added = id
	return c
}

// writePendingKey writes the pending slot that r holds: its EmailKey while it is stored as pending, otherwise NULL.
func writePendingKey(w *writer, _ *facts, r *storage.Record) {
	if r.Status != storage.Pending {
		w.null()
	} else {
		w.text(r.EmailKey)
	}
}

// recordRows writes a list of rows, with the values in the order of columns. All texts must be valid.
func recordRows(f *facts, records []storage.Record) appender {
	return func(w *writer) {
		if !w.binds {
			w.b = slices.Grow(w.b, textOf(records...))
		}
		w.each(len(records), func(i int) {
			w.raw("(")
			for c := range columns {
				if c > 0 {
					w.raw(",")
				}
				columns[c].write(w, f, &records[i])
			}
			w.raw(")")
		})
	}
}

// insertSource writes what an INSERT stores: VALUES and the rows. For several records it may be a SELECT from the rows
// instead. The rows then leave out two kinds of columns: those with one value for all records, and those with the
// values of another column. An address and its key are mostly equal. A bulk is faster that way, because the server has
// fewer values to parse.
func insertSource(f *facts, records []storage.Record) appender {
	return func(w *writer) {
		if !f.sharesValues || len(records) == 1 {
			w.raw("VALUES ")
			recordRows(f, records)(w)
			return
		}
		if w.unbound = w.binds; w.unbound { // do not write what is not used
			return
		}
		written := writeValues(w, f, records)
		var listed []int
		selected := make([]string, len(columns))
		for c := range columns {
			if written.constant(c) {
				selected[c] = string(written.value(0, c))
				continue
			}
			from := slices.IndexFunc(listed, func(other int) bool { return written.equal(c, other) })
			if from < 0 {
				from, listed = len(listed), append(listed, c)
			}
			selected[c] = f.of("v", columns[listed[from]])
		}
		w.raw("WITH v (")
		w.each(len(listed), func(i int) { w.raw(columns[listed[i]].name) })
		w.raw(") AS (VALUES ")
		w.each(len(records), func(i int) {
			w.raw(f.row)
			w.raw("(")
			w.each(len(listed), func(c int) { w.b = append(w.b, written.value(i, listed[c])...) })
			w.raw(")")
		})
		w.raw(") SELECT ")
		w.raw(strings.Join(selected, ","))
		w.raw(" FROM v")
	}
}

// writtenValues are the values of records, as literals.
type writtenValues struct {
	text []byte
	ends []int // of each value in text, record by record
}

func writeValues(w *writer, f *facts, records []storage.Record) writtenValues {
	all := writer{dialect: w.dialect, b: make([]byte, 0, textOf(records...))}
	ends := make([]int, 0, len(records)*len(columns))
	for i := range records {
		for _, c := range columns {
			c.write(&all, f, &records[i])
			ends = append(ends, len(all.b))
		}
	}
	return writtenValues{all.b, ends}
}

// value returns the value that record i has in column c.
func (v writtenValues) value(i, c int) []byte {
	n := i*len(columns) + c
	if n == 0 {
		return v.text[:v.ends[0]]
	}
	return v.text[v.ends[n-1]:v.ends[n]]
}

// constant reports whether all records have the same value in column c.
func (v writtenValues) constant(c int) bool {
	return v.all(func(i int) bool { return bytes.Equal(v.value(i, c), v.value(0, c)) })
}

// equal reports whether each record has the same value in both columns, and the columns are of one kind.
func (v writtenValues) equal(c, other int) bool {
	return columns[c].kind == columns[other].kind &&
		v.all(func(i int) bool { return bytes.Equal(v.value(i, c), v.value(i, other)) })
}

func (v writtenValues) all(holds func(i int) bool) bool {
	for i := range len(v.ends) / len(columns) {
		if !holds(i) {
			return false
		}
	}
	return true
}

// recordSelects writes the same rows as SELECT … UNION ALL SELECT …, with names for the columns.
func recordSelects(f *facts, records []storage.Record) appender {
	return func(w *writer) {
		if w.unbound = w.binds; w.unbound {
			return
		}
		w.b = slices.Grow(w.b, textOf(records...))
		for i := range records {
			if i > 0 {
				w.raw(" UNION ALL ")
			}
			w.raw("SELECT ")
			for c := range columns {
				if c > 0 {
					w.raw(",")
				}
				columns[c].write(w, f, &records[i])
				if i == 0 {
					w.raw(" AS " + columns[c].name)
				}
			}
		}
	}
}

// assignments writes the SET list of one record, after its first assignment. If the stored record is known, it leaves
// out the columns that stay.
func assignments(f *facts, r, old *storage.Record) appender {
	return func(w *writer) {
		both := writer{dialect: w.dialect}
		stays := func(c column) bool {
			both.b = both.b[:0]
			c.write(&both, f, r)
			n := len(both.b)
			c.write(&both, f, old)
			return bytes.Equal(both.b[:n], both.b[n:])
		}
		for _, c := range setColumns {
			if old != nil && stays(c) {
				continue
			}
			w.raw(", ")
			w.raw(c.name)
			w.raw("=")
			c.write(w, f, r)
		}
	}
}

// scanned is the destination for the readColumns of a row. It is reused for every row.
type scanned struct {
	record storage.Record // Scan allocates texts and metadata, so a copy shares no memory with the next row
	dest   []any
}

func newScanned() *scanned {
	s := &scanned{dest: make([]any, 0, len(columns))}
	for _, c := range columns {
		if c.scan != nil {
			s.dest = append(s.dest, c.scan(&s.record))
		}
	}
	return s
}

// scannedTime is a time in any form in which a driver returns one: INTEGER microseconds on SQLite, and on the others a
// time in any zone or, from go-sql-driver without parseTime, text in UTC. NULL is the zero time.
type scannedTime time.Time

// Scan implements sql.Scanner.
func (s *scannedTime) Scan(src any) error {
	var t time.Time
	var err error
	switch v := src.(type) {
	case nil:
	case int64:
		t = time.UnixMicro(v)
	case time.Time:
		t = v
	case []byte:
		t, err = time.Parse("2006-01-02 15:04:05.999999", string(v))
	case string:
		t, err = time.Parse("2006-01-02 15:04:05.999999", v)
	default:
		err = fmt.Errorf("a time comes as %T", src)
	}
	*s = scannedTime(t.UTC())
	return err
}

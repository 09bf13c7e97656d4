package bunstore

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// statement is SQL as bun takes it: '?' where an argument is written into the text. Values are arguments, always.
type statement struct {
	sql  strings.Builder
	args []any
}

func (q *statement) add(sql string, args ...any) {
	q.sql.WriteString(sql)
	for _, a := range args {
		if s, ok := a.(string); ok {
			a = literal(s)
		}
		q.args = append(q.args, a)
	}
}

// each calls fn for every row, scanned into dest.
func (q *statement) each(ctx context.Context, h handle, dest []any, fn func()) error {
	return each(ctx, h, q.sql.String(), q.args, dest, fn)
}

func each(ctx context.Context, h handle, sql string, args, dest []any, fn func()) error {
	rows, err := h.QueryContext(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		fn()
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// exec returns how many rows were written.
func (q *statement) exec(ctx context.Context, h handle) (int64, error) {
	res, err := h.ExecContext(ctx, q.sql.String(), q.args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// A pending record's time, as a part of a filter.
type lapse int

const (
	whenever lapse = iota
	live           // expires_at > Now
	lapsed         // expires_at <= Now
)

// part is the records of one stored status that a filter wants.
type part struct {
	status string
	lapse  lapse
}

// parts says the Statuses and StoredStatuses of f in stored ones; all means that they ask for nothing.
func parts(f storage.Filter) (list []part, all bool) {
	if f.Statuses == nil && f.StoredStatuses == nil {
		return nil, true
	}
	wanted := func(list []string, s string) bool { return list == nil || slices.Contains(list, s) }

	stored := f.StoredStatuses
	if stored == nil {
		stored = append(slices.Clone(f.Statuses), storage.Pending) // pending may count as expired
	}
	for _, s := range distinct(stored) {
		switch {
		case s != storage.Pending:
			if wanted(f.Statuses, s) {
				list = append(list, part{status: s})
			}
		case wanted(f.Statuses, storage.Pending) && wanted(f.Statuses, storage.Expired):
			list = append(list, part{status: s})
		case wanted(f.Statuses, storage.Pending):
			list = append(list, part{status: s, lapse: live})
		case wanted(f.Statuses, storage.Expired):
			list = append(list, part{status: s, lapse: lapsed})
		}
	}
	return list, false
}

// distinct returns the valid texts of list, each once. No record matches the others, and SQL text never sees them.
func distinct(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, 0, len(list))
	if len(list) <= 8 {
		for _, s := range list {
			if storage.ValidText(s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out
	}
	seen := make(map[string]struct{}, len(list))
	for _, s := range list {
		if _, again := seen[s]; !again && storage.ValidText(s) {
			seen[s] = struct{}{}
			out = append(out, s)
		}
	}
	return out
}

// search is a filter made ready for SQL.
type search struct {
	storage.Filter
	parts    []part
	all      bool // any status
	byExpiry bool // in the order of expires_at, or in none: an index on it may serve
}

// newSearch returns none where no record can match.
func newSearch(f storage.Filter) (w search, none bool) {
	for _, s := range []string{f.OrganizationID, f.EmailContains, f.InviterUserID} {
		if !storage.ValidText(s) {
			return w, true
		}
	}
	f.IDs, f.EmailKeys = distinct(f.IDs), distinct(f.EmailKeys)
	w.Filter = f
	w.parts, w.all = parts(f)
	none = f.IDs != nil && len(f.IDs) == 0 || f.EmailKeys != nil && len(f.EmailKeys) == 0 ||
		!w.all && len(w.parts) == 0
	return w, none
}

// where writes the conditions of w, all but the statuses, with emails in place of its EmailKeys.
func (s *Store) where(q *statement, w search, emails []string) {
	sep := " WHERE "
	and := func(sql string, args ...any) {
		q.add(sep)
		q.add(sql, args...)
		sep = " AND "
	}
	in := func(column string, list []string) {
		switch {
		case list == nil:
		case len(list) == 1:
			and(column+" = ?", list[0])
		default:
			and(column+" IN (?)", texts(list))
		}
	}
	and("1 = 1")
	in("id", w.IDs)
	if w.OrganizationID != "" {
		and("organization_id = ?", w.OrganizationID)
	}
	in("email_key", emails)
	if w.InviterUserID != "" {
		and("inviter_user_id = ?", w.InviterUserID)
	}
	if w.Direct {
		and("organization_domain_id = ''")
	}
	if !w.ResolvedBefore.IsZero() {
		// Times are stored in whole microseconds: earlier than a part of one means up to its beginning.
		and("resolved_at < ?", s.instant(ceil(w.ResolvedBefore)))
	}
	if w.EmailContains != "" {
		q.add(sep)
		s.e.contains(q, w.EmailContains)
	}
}

// status writes the condition of list, at most one of which is about pending records.
func (s *Store) status(q *statement, w search, list []part) {
	if w.all {
		return
	}
	column := s.e.expires(w.byExpiry)
	now := s.instant(w.Now)
	if len(list) == 1 {
		q.add(" AND status = ?", list[0].status)
		switch list[0].lapse {
		case live:
			q.add(" AND "+column+" > ?", now)
		case lapsed:
			q.add(" AND "+column+" <= ?", now)
		}
		return
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.status
	}
	q.add(" AND status IN (?)", texts(names))
	for _, p := range list {
		switch p.lapse {
		case live:
			q.add(" AND (status <> ? OR "+column+" > ?)", storage.Pending, now)
		case lapsed:
			q.add(" AND (status <> ? OR "+column+" <= ?)", storage.Pending, now)
		}
	}
}

// term is one field of an order, and where a page begins in it.
type term struct {
	column     string
	descending bool
	value      any
}

// order returns the fields of q's order, the tie by id among them, without those that can decide nothing any more.
// place has the terms After leaves out everything up to, or nil.
func (s *Store) order(q storage.Query) (fields, place []term, err error) {
	after := q.After
	if after != nil && (!storage.ValidText(after.ID) || !storage.ValidText(after.EmailKey)) {
		return nil, nil, errors.New("the text of After is not valid UTF-8, or holds a NUL")
	}
	open := after != nil // whether place still grows
	add := func(t term, at *time.Time) {
		if slices.ContainsFunc(fields, func(f term) bool { return f.column == t.column }) {
			return
		}
		fields = append(fields, t)
		if !open {
			return
		}
		if at != nil {
			floor, up := at.Truncate(time.Microsecond), ceil(*at)
			if t.descending {
				t.value = s.instant(up)
			} else {
				t.value = s.instant(floor)
			}
			open = floor.Equal(up) // no stored time equals a finer one: nothing after it can decide
		}
		place = append(place, t)
	}
	last := false
	for _, f := range q.Order() {
		last = f.Descending
		t := term{descending: f.Descending}
		switch f.Field {
		case storage.FieldCreatedAt:
			t.column = "created_at"
			add(t, when(after, func(r *storage.Record) *time.Time { return &r.CreatedAt }))
		case storage.FieldExpiresAt:
			t.column = "expires_at"
			add(t, when(after, func(r *storage.Record) *time.Time { return &r.ExpiresAt }))
		case storage.FieldEmailAddress:
			t.column = "email_key"
			if after != nil {
				t.value = after.EmailKey
			}
			add(t, nil)
		}
	}
	tie := term{column: "id", descending: last}
	if after != nil {
		tie.value = after.ID
	}
	add(tie, nil)
	return fields, place, nil
}

func when(r *storage.Record, field func(*storage.Record) *time.Time) *time.Time {
	if r == nil {
		return nil
	}
	return field(r)
}

// rowValues is the condition (a, b) > (?, ?), or <, for terms of one direction.
func rowValues(q *statement, place []term) {
	sep, sign := "(", ") > ("
	if place[0].descending {
		sign = ") < ("
	}
	for _, t := range place {
		q.add(sep + t.column)
		sep = ", "
	}
	q.add(sign)
	for i, t := range place {
		if i > 0 {
			q.add(", ")
		}
		q.add("?", t.value)
	}
	q.add(")")
}

// seek leaves out what does not come after place, in the form an index can be searched by.
func seek(q *statement, place []term) {
	for _, t := range place {
		if t.descending != place[0].descending {
			nested(q, place)
			return
		}
	}
	rowValues(q, place)
}

// nested is the same condition for terms of any direction: a >= ? AND (a > ? OR b < ? OR (b = ? AND …)). The bound on
// the first column is what an index is searched by.
func nested(q *statement, place []term) {
	t := place[0]
	sign := " > ?"
	if t.descending {
		sign = " < ?"
	}
	if len(place) == 1 {
		q.add(t.column+sign, t.value)
		return
	}
	q.add(t.column+strings.Replace(sign, " ?", "= ?", 1)+" AND ("+t.column+sign+" OR (", t.value, t.value)
	nested(q, place[1:])
	q.add("))")
}

func orderBy(q *statement, fields []term) {
	sep := " ORDER BY "
	for _, t := range fields {
		q.add(sep + t.column)
		if t.descending {
			q.add(" DESC")
		}
		sep = ", "
	}
}

// columnsOf lists the columns of an order.
func columnsOf(fields []term) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.column
	}
	return strings.Join(names, ", ")
}

// The most branches of one page. A user has a few addresses and a record five statuses.
const maxBranches = 32

// List implements [storage.Storage]. Besides, it refuses an After with text no record can hold.
func (s *Store) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	var list []storage.Record
	err := s.do(ctx, "list", q.ForUpdate, func(ctx context.Context, h handle) error {
		list = nil
		if err := q.Validate(); err != nil {
			return err
		}
		suffix := ""
		if q.ForUpdate {
			if !s.inTx() {
				return errNoTx
			}
			var err error
			if suffix, err = s.e.forUpdate(ctx, h, distinct(q.IDs), s.scope.tx.own); err != nil {
				return err
			}
		}
		fields, place, err := s.order(q)
		if err != nil {
			return err
		}
		w, none := newSearch(q.Filter)
		if none {
			return nil
		}
		w.byExpiry = fields[0].column == "expires_at"
		if q.Limit > 0 {
			list = make([]storage.Record, 0, min(q.Limit, 500))
		}
		r := s.e.row()
		read := func(suffix string, keep func(storage.Record)) error {
			st := s.page(q, w, fields, place)
			st.add(suffix)
			return st.each(ctx, h, r.dest(), func() { keep(r.record()) })
		}
		err = read(suffix, func(r storage.Record) { list = append(list, r) })
		if err != nil || !q.ForUpdate || s.scope.tx.own || !s.e.mixesSnapshots() {
			return err
		}
		// A current read in a transaction of the host's. What it reads by itself is as old as its snapshot: the two must
		// not tell different things.
		var shown []storage.Record
		if err := read("", func(r storage.Record) { shown = append(shown, r) }); err != nil {
			return err
		}
		if !slices.EqualFunc(list, shown, func(a, b storage.Record) bool {
			return a.ID == b.ID && a.Version == b.Version
		}) {
			return &failure{kind: storage.ErrAborted, cause: errOldSnapshot}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// page writes the SELECT of a page. Where the records come from several statuses or addresses, each of these is a
// branch that an index can read in order and stop; what is sorted are the branches' few rows.
func (s *Store) page(q storage.Query, w search, fields, place []term) *statement {
	st := &statement{}
	one := func(read string, list []part, emails []string, limit, offset int) {
		st.add(read)
		st.add(s.e.pick(w, list, emails, fields, limit > 0))
		s.where(st, w, emails)
		s.status(st, w, list)
		if len(place) > 0 {
			st.add(" AND ")
			s.e.after(st, place)
		}
		orderBy(st, fields)
		s.e.limit(st, limit, offset)
	}

	emails := [][]string{w.EmailKeys}
	if len(w.EmailKeys) > 1 && len(w.EmailKeys)*max(1, len(w.parts)) <= maxBranches {
		emails = nil
		for i := range w.EmailKeys {
			emails = append(emails, w.EmailKeys[i:i+1])
		}
	}
	lists := [][]part{w.parts}
	if len(w.parts) > 1 && len(emails)*len(w.parts) <= maxBranches {
		lists = nil
		for i := range w.parts {
			lists = append(lists, w.parts[i:i+1])
		}
	}
	// IDs name the rows already, and without a limit all of them are sorted anyway.
	t := s.e.tables()
	single := len(emails)*len(lists) == 1 || w.IDs != nil || q.Limit == 0
	join := s.e.joinPage(q.Offset)
	if w.IDs != nil || q.Limit == 0 || single && q.Offset == 0 {
		join = ""
	}
	// What a page passes over, and what its branches are sorted by, is in the index; records are read of what is left.
	finish := func() *statement {
		if join != "" {
			st.add(") AS p" + join + t.invitations + " AS t ON t.id = p.i")
			orderBy(st, fields)
		}
		return st
	}
	if join != "" {
		st.add("SELECT " + readColumns + " FROM (")
	}
	if single {
		read := t.read
		if join != "" {
			read = "SELECT id AS i FROM " + t.invitations
		}
		one(read, w.parts, w.EmailKeys, q.Limit, q.Offset)
		return finish()
	}
	most := q.Limit + min(q.Offset, math.MaxInt-q.Limit)
	read, sep := t.read, ""
	if join != "" {
		st.add("SELECT id AS i FROM (")
		read = "SELECT " + columnsOf(fields) + " FROM " + t.invitations
	}
	for _, e := range emails {
		for _, l := range lists {
			st.add(sep + "SELECT * FROM (")
			one(read, l, e, most, 0)
			st.add(") AS b")
			sep = " UNION ALL "
		}
	}
	if join != "" {
		st.add(") AS u")
	}
	orderBy(st, fields)
	s.e.limit(st, q.Limit, q.Offset)
	return finish()
}

// Count implements [storage.Storage], in one statement.
func (s *Store) Count(ctx context.Context, f storage.Filter) (int, error) {
	var n int
	err := s.do(ctx, "count", reads, func(ctx context.Context, h handle) error {
		w, none := newSearch(f)
		if none {
			return nil
		}
		// Within an organization or for an address their own indexes count; only at large the one on expires_at does.
		w.byExpiry = f.OrganizationID == "" && f.EmailKeys == nil
		q := statement{}
		q.add("SELECT count(*) FROM " + s.e.tables().invitations)
		s.where(&q, w, w.EmailKeys)
		s.status(&q, w, w.parts)
		return q.each(ctx, h, []any{&n}, func() {})
	})
	return n, err
}

// instant is a time as an argument.
func (s *Store) instant(t time.Time) appender { return instant(s.e, t) }

// ceil rounds t up to the microsecond.
func ceil(t time.Time) time.Time {
	if floor := t.Truncate(time.Microsecond); !floor.Equal(t) {
		return floor.Add(time.Microsecond)
	}
	return t
}

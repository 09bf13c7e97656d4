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

// List implements [storage.Storage]. Besides, it refuses an After with text no record can hold.
func (s *Store) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	run := s.read
	if q.ForUpdate {
		run = s.write
	}
	var list []storage.Record
	err := run(ctx, "list", func(ctx context.Context, h querier) (err error) {
		list, err = s.list(ctx, h, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (s *Store) list(ctx context.Context, h querier, q storage.Query) ([]storage.Record, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	suffix := ""
	if q.ForUpdate {
		if !s.inTx() {
			return nil, errNoTx
		}
		var err error
		if suffix, err = s.lockRows(ctx, h, distinct(q.IDs)); err != nil {
			return nil, err
		}
	}
	p, none, err := s.e.newPage(q)
	if none || err != nil {
		return nil, err
	}
	list, err := s.e.readPage(ctx, h, p, suffix)
	if err != nil || !q.ForUpdate || s.turns.tx.own || !s.e.mixesSnapshots {
		return list, err
	}
	// A current read in a transaction of the host's. What it reads by itself is as old as its snapshot: the two must
	// not tell different things.
	shown, err := s.e.readPage(ctx, h, p, "")
	if err != nil {
		return nil, err
	}
	same := func(a, b storage.Record) bool { return a.ID == b.ID && a.Version == b.Version }
	if !slices.EqualFunc(list, shown, same) {
		return nil, &failure{kind: storage.ErrAborted, cause: errOldSnapshot}
	}
	return list, nil
}

// readPage reads p with a SELECT that ends with suffix.
func (e *engine) readPage(ctx context.Context, h querier, p page, suffix string) (list []storage.Record, err error) {
	if p.limit > 0 {
		list = make([]storage.Record, 0, min(p.limit, 500))
	}
	row, st := newScanned(), e.selectPage(p)
	st.add(suffix)
	err = st.each(ctx, h, row.dest, func() { list = append(list, row.record) })
	return list, err
}

// page is a page of records, or a branch of one.
type page struct {
	search
	fields        []term // of the order
	place         []term // where the page begins
	limit, offset int    // 0 is no limit
}

// newPage returns none where no record can match.
func (e *engine) newPage(q storage.Query) (p page, none bool, err error) {
	p = page{limit: q.Limit, offset: q.Offset}
	if p.fields, p.place, err = e.order(q); err != nil {
		return p, false, err
	}
	p.search, none = newSearch(q.Filter)
	p.byExpiry = p.fields[0].column == "expires_at"
	return p, none, nil
}

// The most branches of one page. A user has a few addresses and a record five statuses.
const maxBranches = 32

// branches splits a page of several statuses or addresses: each of these is a branch that an index can read in order and
// stop, and only the branches' few rows are sorted. Not so where IDs name the rows already, and without a limit, where
// all of them are sorted anyway.
func (p page) branches() []page {
	list := []page{p}
	if p.IDs != nil || p.limit == 0 {
		return list
	}
	if n := len(p.EmailKeys); n > 1 && n*max(1, len(p.parts)) <= maxBranches {
		list = make([]page, n)
		for i := range list {
			list[i] = p
			list[i].EmailKeys = p.EmailKeys[i : i+1]
		}
	}
	if n := len(p.parts); n > 1 && n*len(list) <= maxBranches {
		whole := list
		list = make([]page, 0, n*len(whole))
		for _, b := range whole {
			for i := range p.parts {
				b.parts = p.parts[i : i+1]
				list = append(list, b)
			}
		}
	}
	if len(list) > 1 {
		for i := range list {
			list[i].limit, list[i].offset = p.limit+min(p.offset, math.MaxInt-p.limit), 0
		}
	}
	return list
}

// selectPage is the SELECT of a page. Where the records are joined, what the page passes over and what its branches are
// sorted by is read from the index, and records of what is left.
func (e *engine) selectPage(p page) *statement {
	st := &statement{}
	branches := p.branches()
	single := len(branches) == 1
	joined := e.joinPage != "" && p.offset >= e.joinFrom && p.IDs == nil && p.limit > 0 && (!single || p.offset > 0)
	if joined {
		st.add("SELECT " + readColumns + " FROM (")
	}
	switch {
	case single && joined:
		e.selectBranch(st, "SELECT id AS i FROM "+e.invitations, p)
	case single:
		e.selectBranch(st, e.read, p)
	case joined:
		st.add("SELECT id AS i FROM (")
		e.selectBranches(st, "SELECT "+columnsOf(p.fields)+" FROM "+e.invitations, branches)
		st.add(") AS u")
		e.orderAndLimit(st, p)
	default:
		e.selectBranches(st, e.read, branches)
		e.orderAndLimit(st, p)
	}
	if joined {
		st.add(") AS p" + e.joinPage + e.invitations + " AS t ON t.id = p.i")
		orderBy(st, p.fields)
	}
	return st
}

// selectBranch writes a SELECT that begins with read.
func (e *engine) selectBranch(st *statement, read string, p page) {
	st.add(read)
	st.add(e.writes.indexHint(p))
	e.where(st, p.search)
	if len(p.place) > 0 {
		st.add(" AND ")
		e.after(st, p.place)
	}
	e.orderAndLimit(st, p)
}

func (e *engine) selectBranches(st *statement, read string, branches []page) {
	for i, b := range branches {
		if i > 0 {
			st.add(" UNION ALL ")
		}
		st.add("SELECT * FROM (")
		e.selectBranch(st, read, b)
		st.add(") AS b")
	}
}

func (e *engine) orderAndLimit(st *statement, p page) {
	orderBy(st, p.fields)
	switch {
	case p.limit > 0:
		st.add(" LIMIT ?", p.limit)
	case p.offset > 0:
		st.add(e.noLimit)
	}
	if p.offset > 0 {
		st.add(" OFFSET ?", p.offset)
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
func (e *engine) order(q storage.Query) (fields, place []term, err error) {
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
				t.value = e.instant(up)
			} else {
				t.value = e.instant(floor)
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

// after leaves out what does not come after place, in the form an index can be searched by.
func (e *engine) after(q *statement, place []term) {
	mixed := slices.ContainsFunc(place, func(t term) bool { return t.descending != place[0].descending })
	if mixed || !e.seeksRowValues {
		nested(q, place)
		return
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

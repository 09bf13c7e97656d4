package bunstore

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// term is one field of an order, with the value of After in that field.
type term struct {
	column     string
	descending bool
	value      any
}

// order returns the fields of q's order, including the tie-break by id, and each field once. place has the terms of the
// position After, or nil without After. A page begins after that position.
func (e *engine) order(q storage.Query) (fields, place []term, err error) {
	after := q.After
	if after != nil && (!storage.ValidText(after.ID) || !storage.ValidText(after.EmailKey)) {
		return nil, nil, errors.New("the text of After is not valid UTF-8, or holds a NUL")
	}
	open := after != nil // whether further terms are added to place
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
			open = floor.Equal(up) // no stored time equals a time finer than a microsecond, so later terms never decide
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

// rowValues writes the condition (a, b) > (?, ?), or <. All terms have the same direction.
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

// after writes the condition that a record comes after place, in a form for which the engine can search an index.
func (e *engine) after(q *statement, place []term) {
	mixed := slices.ContainsFunc(place, func(t term) bool { return t.descending != place[0].descending })
	if mixed || !e.seeksRowValues {
		mixedOrder(q, place)
		return
	}
	rowValues(q, place)
}

// mixedOrder writes the same condition for terms of any direction: a >= ? AND (a > ? OR (b <= ? AND (b < ? OR (…)))).
// The engine searches an index for the bound on the first column.
func mixedOrder(q *statement, place []term) {
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
	mixedOrder(q, place[1:])
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

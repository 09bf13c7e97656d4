package bunstore

import (
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// columnOf returns the column of a field of an order.
func columnOf(t storagekit.Term) string {
	if t.Field == storage.FieldEmailAddress {
		return "email_key"
	}
	return string(t.Field)
}

// value returns the value of a term as an argument.
func (e *engine) value(t storagekit.Term) any {
	if at, ok := t.Value.(time.Time); ok {
		return e.instant(at)
	}
	return t.Value
}

// rowValues writes the condition (a, b) > (?, ?), or <. All terms have the same direction.
func (e *engine) rowValues(q *statement, terms []storagekit.Term) {
	sign := ") > ("
	if terms[0].Descending {
		sign = ") < ("
	}
	q.add("(" + columnsOf(terms) + sign)
	for i, t := range terms {
		if i > 0 {
			q.add(", ")
		}
		q.add("?", e.value(t))
	}
	q.add(")")
}

// after writes the condition that a record comes after the values of terms. The engine can search an index for it.
func (e *engine) after(q *statement, terms []storagekit.Term) {
	mixed := slices.ContainsFunc(terms, func(t storagekit.Term) bool { return t.Descending != terms[0].Descending })
	if mixed || !e.seeksRowValues {
		e.mixedOrder(q, terms)
		return
	}
	e.rowValues(q, terms)
}

// mixedOrder writes the same condition for terms of any direction: a >= ? AND (a > ? OR (b <= ? AND (b < ? OR (…)))).
// The engine searches an index for the bound on the first column.
func (e *engine) mixedOrder(q *statement, terms []storagekit.Term) {
	name, value, sign := columnOf(terms[0]), e.value(terms[0]), " >"
	if terms[0].Descending {
		sign = " <"
	}
	if len(terms) == 1 {
		q.add(name+sign+" ?", value)
		return
	}
	q.add(name+sign+"= ? AND ("+name+sign+" ? OR (", value, value)
	e.mixedOrder(q, terms[1:])
	q.add("))")
}

func orderBy(q *statement, terms []storagekit.Term) {
	sep := " ORDER BY "
	for _, t := range terms {
		q.add(sep + columnOf(t))
		if t.Descending {
			q.add(" DESC")
		}
		sep = ", "
	}
}

// columnsOf lists the columns of an order.
func columnsOf(terms []storagekit.Term) string {
	names := make([]string, len(terms))
	for i, t := range terms {
		names[i] = columnOf(t)
	}
	return strings.Join(names, ", ")
}

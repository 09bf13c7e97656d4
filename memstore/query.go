package memstore

import (
	"slices"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// A plan says where to look for the records of a query.
type plan struct {
	rows    []*row         // candidates in no order, if the filter has IDs
	spans   []span         // all other candidates
	ordered bool           // merging the spans gives the order of the query
	filter  storage.Filter // what the candidates still have to match
}

// mostMerged bounds the number of spans that are merged, because each step of the merge looks at all of them. More
// spans are collected and sorted.
const mostMerged = 16

// plan returns the plan that visits the fewest records, if possible in the order of the query. sorted is the only sort
// field, or "" if the order does not matter or has several fields.
func (s *state) plan(f storage.Filter, sorted storage.Field) plan {
	rest := f
	switch {
	case f.IDs != nil:
		rest.IDs = nil
		return plan{rows: s.named(f.IDs), filter: rest}

	case f.OrganizationID != "":
		spans := make([]span, 0, 8)
		for _, g := range s.matching(f) {
			switch {
			case f.EmailKeys != nil:
				for _, key := range storagekit.Texts(f.EmailKeys) {
					at := g.row()
					at.EmailKey = key
					spans = append(spans, s.span(byGroupKey, at, 2))
				}
			case sorted == storage.FieldCreatedAt:
				spans = append(spans, s.span(byGroupCreated, g.row(), 1))
			case sorted == storage.FieldEmailAddress:
				spans = append(spans, s.span(byGroupKey, g.row(), 1))
			default:
				spans = append(spans, s.cut(g, f))
			}
		}
		return plan{spans: spans, filter: rest, ordered: len(spans) <= mostMerged && sorted != "" &&
			(f.EmailKeys == nil || sorted == storage.FieldEmailAddress)}

	case f.EmailKeys != nil:
		rest.EmailKeys = nil
		var spans []span
		for _, key := range storagekit.Texts(f.EmailKeys) {
			spans = append(spans, s.span(byKeyCreated, row{Record: storage.Record{EmailKey: key}}, 1))
		}
		return plan{spans: spans, filter: rest, ordered: len(spans) <= mostMerged && sorted == storage.FieldCreatedAt}

	case sorted != storage.FieldCreatedAt && slices.Equal(f.StoredStatuses, []string{storage.Pending}):
		p := s.span(byLapse, row{}, 0)
		p.cut(1, f)
		return plan{spans: []span{p}, filter: rest, ordered: sorted == storage.FieldExpiresAt}

	default:
		return plan{spans: []span{s.span(byCreated, row{}, 0)}, filter: rest, ordered: sorted == storage.FieldCreatedAt}
	}
}

func (s *state) named(ids []string) []*row {
	var rows []*row
	for _, id := range storagekit.Texts(ids) {
		if r, ok := s.row(id); ok {
			rows = append(rows, r)
		}
	}
	return rows
}

// matching returns the groups of the organization whose records can match f.
func (s *state) matching(f storage.Filter) []group {
	var found []group
	s.groups.Ascend(group{organization: f.OrganizationID}, func(g group) bool {
		if g.organization != f.OrganizationID {
			return false
		}
		effective := f.Statuses == nil || slices.Contains(f.Statuses, g.status) ||
			g.status == storage.Pending && slices.Contains(f.Statuses, storage.Expired)
		written := f.StoredStatuses == nil || slices.Contains(f.StoredStatuses, g.status)
		if effective && written && (g.direct || !f.Direct) {
			found = append(found, g)
		}
		return true
	})
	return found
}

// row returns a row with the columns that all rows of g share.
func (g group) row() row { return row{group: g.id} }

// cut returns the rows of a group by expires_at, without those that f.Statuses excludes.
func (s *state) cut(g group, f storage.Filter) span {
	p := s.span(byGroupExpires, g.row(), 1)
	if g.status == storage.Pending {
		p.cut(2, f)
	}
	return p
}

// cut removes the rows that f.Statuses excludes from a span of rows stored as pending. expires_at must be the last of
// the first columns.
func (p *span) cut(columns int8, f storage.Filter) {
	if f.Statuses == nil {
		return
	}
	at := *p.low
	at.ExpiresAt, at.depth, at.edge = f.Now, columns, 1 // a record that expires at Now has expired
	lapsed := &at
	if !slices.Contains(f.Statuses, storage.Pending) {
		p.high = lapsed
	}
	if !slices.Contains(f.Statuses, storage.Expired) {
		p.low = lapsed
	}
}

func (s *state) list(q storage.Query) ([]storage.Record, error) {
	if err := q.Validate(); err != nil {
		return nil, wrap(err)
	}
	q.Now = storage.Instant(q.Now)
	if q.After != nil {
		after := q.After.Stored() // its times to the microsecond
		q.After = &after
	}
	var sorted storage.Field
	order := q.Order()
	descending := order[0].Descending
	if len(order) == 1 {
		sorted = order[0].Field
	}
	p := s.plan(q.Filter, sorted)
	var found []*row
	if p.ordered {
		found = s.page(p, q, descending)
	} else {
		s.each(p, func(r *row) { found = append(found, r) })
		found = storagekit.Page(q, found, func(r *row) storage.Record { return r.Record })
	}
	records := make([]storage.Record, len(found))
	for i, r := range found {
		records[i] = r.Record
	}
	detach(records)
	return records, nil
}

// page walks the spans of an ordered plan from q.After to the end of the page.
func (s *state) page(p plan, q storage.Query, descending bool) []*row {
	if q.After != nil {
		for i := range p.spans {
			p.spans[i].from(p.spans[i].position(*q.After, descending), descending)
		}
	}
	found := make([]*row, 0, min(q.Limit, 64))
	skip := q.Offset
	merge(p.spans, q, descending, func(r *row) bool {
		switch {
		case !p.filter.Match(r.Record):
		case skip > 0:
			skip--
		default:
			found = append(found, r)
		}
		return q.Limit == 0 || len(found) < q.Limit
	})
	return found
}

// position returns the position of a in the span. The first column has the value of the span, unless it is the sort
// field.
func (p *span) position(a storage.Record, descending bool) *row {
	at := &row{Record: a, group: p.low.group, depth: stored, edge: 1}
	if p.columns[0] == key {
		at.EmailKey = p.low.EmailKey
	}
	if descending {
		at.edge = -1
	}
	return at
}

// each calls f with every row that matches the plan.
func (s *state) each(p plan, f func(*row)) {
	visit := func(r *row) bool {
		if p.filter.Match(r.Record) {
			f(r)
		}
		return true
	}
	for _, r := range p.rows {
		visit(r)
	}
	for _, span := range p.spans {
		span.walk(false, visit)
	}
}

func (s *state) count(f storage.Filter) (n int) {
	f.Now = storage.Instant(f.Now)
	if groups, ok := s.countable(f); ok {
		for _, g := range groups {
			n += s.size(g, f)
		}
		return n
	}
	s.each(s.plan(f, ""), func(*row) { n++ })
	return n
}

// countable returns the groups that f counts. It reports false if f filters by more than organization, statuses and
// Direct.
func (s *state) countable(f storage.Filter) ([]group, bool) {
	if f.OrganizationID == "" || f.IDs != nil || f.EmailKeys != nil || f.EmailContains != "" || f.Roles != nil ||
		f.InviterUserID != "" || !f.ResolvedBefore.IsZero() || !f.SentAfter.IsZero() || !f.CreatedFrom.IsZero() ||
		!f.CreatedBefore.IsZero() || !f.ExpiresFrom.IsZero() || !f.ExpiresBefore.IsZero() {
		return nil, false
	}
	return s.matching(f), true
}

// size returns how many records of a group match f: all of them, or those on one side of f.Now.
func (s *state) size(g group, f storage.Filter) int {
	if g.status != storage.Pending || f.Statuses == nil {
		return g.n
	}
	whole, part := s.span(byGroupExpires, g.row(), 1), s.cut(g, f)
	start := whole.rank(whole.low, 0, whole.tree.Len())
	from := part.rank(part.low, start, start+g.n)
	return part.rank(part.high, from, start+g.n) - from
}

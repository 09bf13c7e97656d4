package bunstore

import (
	"context"
	"math"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// List implements [storage.Storage]. Besides, it refuses an After with text no record can hold.
func (s *Store) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	var list []storage.Record
	fill := func(ctx context.Context, db querier) (err error) {
		list, err = s.list(ctx, db, q)
		return err
	}
	var err error
	if q.ForUpdate {
		err = s.write(ctx, "list", fill)
	} else {
		err = s.read(ctx, "list", fill)
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (s *Store) list(ctx context.Context, db querier, q storage.Query) ([]storage.Record, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	suffix := ""
	if q.ForUpdate {
		if !s.inTx() {
			return nil, errNoTx
		}
		var err error
		if suffix, err = s.lockRows(ctx, db, distinct(q.IDs)); err != nil {
			return nil, err
		}
	}
	p, none, err := s.e.newPage(q)
	if none || err != nil {
		return nil, err
	}
	list, err := s.e.readPage(ctx, db, p, suffix)
	if err != nil || !q.ForUpdate || s.turns.tx.own || !s.e.mixesSnapshots {
		return list, err
	}
	// A current read in a transaction of the host's. What the host reads is as old as its snapshot: the two must agree.
	shown, err := s.e.readPage(ctx, db, p, "")
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
func (e *engine) readPage(ctx context.Context, db querier, p page, suffix string) (list []storage.Record, err error) {
	if p.limit > 0 {
		list = make([]storage.Record, 0, min(p.limit, 500))
	}
	row, st := newScanned(), e.selectPage(p)
	st.add(suffix)
	err = st.each(ctx, db, row.dest, func() { list = append(list, row.record) })
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

// branch is what one branch of a page reads of its addresses and statuses.
type branch struct {
	emailKeys []string
	parts     []part
}

// branches splits a page of several statuses or addresses: an index can read each branch in order and stop, and only
// the branches' few rows are sorted. It returns nil where the page is better read as a whole. IDs name the rows already,
// and without a limit all of them are sorted anyway.
func (p *page) branches() []branch {
	byEmail, byPart := 1, 1
	if p.IDs != nil || p.limit == 0 {
		return nil
	}
	if n := len(p.EmailKeys); n > 1 && n*max(1, len(p.parts)) <= maxBranches {
		byEmail = n
	}
	if n := len(p.parts); n > 1 && byEmail*n <= maxBranches {
		byPart = n
	}
	if byEmail*byPart == 1 {
		return nil
	}
	list := make([]branch, 0, byEmail*byPart)
	for e := range byEmail {
		for i := range byPart {
			b := branch{p.EmailKeys, p.parts}
			if byEmail > 1 {
				b.emailKeys = p.EmailKeys[e : e+1]
			}
			if byPart > 1 {
				b.parts = p.parts[i : i+1]
			}
			list = append(list, b)
		}
	}
	return list
}

// selectPage is the SELECT of a page. Where the records are joined, what the page passes over and what its branches are
// sorted by is read from the index, and records of what is left.
func (e *engine) selectPage(p page) *statement {
	st := &statement{}
	branches := p.branches()
	whole := branches == nil
	joined := e.joinPage != "" && p.offset >= e.joinFrom && p.IDs == nil && p.limit > 0 && (!whole || p.offset > 0)
	if joined {
		st.add("SELECT " + readColumns + " FROM (")
	}
	switch {
	case whole && joined:
		e.selectFrom(st, "SELECT id AS i FROM "+e.invitations, p)
	case whole:
		e.selectFrom(st, e.read, p)
	case joined:
		st.add("SELECT id AS i FROM (")
		e.selectBranches(st, "SELECT "+columnsOf(p.fields)+" FROM "+e.invitations, p, branches)
		st.add(") AS u")
		e.orderAndLimit(st, p)
	default:
		e.selectBranches(st, e.read, p, branches)
		e.orderAndLimit(st, p)
	}
	if joined {
		st.add(") AS p" + e.joinPage + e.invitations + " AS t ON t.id = p.i")
		orderBy(st, p.fields)
	}
	return st
}

// selectBranches writes one SELECT for each branch, which reads as many rows as the whole page may need of it.
func (e *engine) selectBranches(st *statement, read string, p page, branches []branch) {
	p.limit, p.offset = p.limit+min(p.offset, math.MaxInt-p.limit), 0
	for i, b := range branches {
		if i > 0 {
			st.add(" UNION ALL ")
		}
		st.add("SELECT * FROM (")
		p.EmailKeys, p.parts = b.emailKeys, b.parts
		e.selectFrom(st, read, p)
		st.add(") AS b")
	}
}

// selectFrom writes a SELECT that begins with read.
func (e *engine) selectFrom(st *statement, read string, p page) {
	st.add(read)
	st.add(e.writes.indexHint(p))
	e.where(st, p.search)
	if len(p.place) > 0 {
		st.add(" AND ")
		e.after(st, p.place)
	}
	e.orderAndLimit(st, p)
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

package bunstore

import (
	"context"
	"math"
	"slices"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// List implements [storage.Storage].
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
		if suffix, err = s.lockRows(ctx, db, storagekit.Texts(q.IDs)); err != nil {
			return nil, err
		}
	}
	found, ok := storagekit.NewSearch(q.Filter)
	if !ok {
		return nil, nil
	}
	p := newPage(q, found)
	list, err := s.e.readPage(ctx, db, p, suffix)
	if p.sortedHere() {
		slices.SortFunc(list, q.Compare)
	}
	if err == nil && q.ForUpdate {
		s.lockedRecords(list)
	}
	if err != nil || !q.ForUpdate || s.tx.own || !s.e.mixesSnapshots {
		return list, err
	}
	// This was a current read in the host's transaction. The host itself reads from its snapshot, so the two must
	// agree.
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
	terms         []storagekit.Term // of the order
	after         bool              // the page begins after the values of terms
	limit, offset int               // 0 is no limit
}

func newPage(q storage.Query, found storagekit.Search) page {
	terms := storagekit.Terms(q)
	return page{
		search: search{found, terms[0].Field == storage.FieldExpiresAt},
		terms:  terms, after: q.After != nil,
		limit: q.Limit, offset: q.Offset,
	}
}

// sortedHere reports whether the records are sorted after they are read. An ORDER BY could make the planner read all
// records of the organization in that order, instead of the few slots.
func (p page) sortedHere() bool { return p.bySlot() && p.limit == 0 && p.offset == 0 }

// maxBranches bounds the branches of one page. A user has a few addresses, and there are five statuses.
const maxBranches = 32

// branch is the part of a page for some of its addresses and statuses.
type branch struct {
	emailKeys  []string
	conditions []storagekit.Condition
}

// branches splits a page of several statuses or addresses. The engine can then read each branch in order from an index
// and stop at the limit, and sorts only these few rows. branches returns nil if the page is better read as a whole.
// That is so with IDs and slots, which already name the rows, and without a limit, because all rows are then sorted
// anyway.
func (p *page) branches() []branch {
	byEmail, byStatus := 1, 1
	if p.IDs != nil || p.limit == 0 || p.bySlot() {
		return nil
	}
	if n := len(p.EmailKeys); n > 1 && n*max(1, len(p.Conditions)) <= maxBranches {
		byEmail = n
	}
	if n := len(p.Conditions); n > 1 && byEmail*n <= maxBranches {
		byStatus = n
	}
	if byEmail*byStatus == 1 {
		return nil
	}
	list := make([]branch, 0, byEmail*byStatus)
	for e := range byEmail {
		for i := range byStatus {
			b := branch{p.EmailKeys, p.Conditions}
			if byEmail > 1 {
				b.emailKeys = p.EmailKeys[e : e+1]
			}
			if byStatus > 1 {
				b.conditions = p.Conditions[i : i+1]
			}
			list = append(list, b)
		}
	}
	return list
}

// selectPage returns the SELECT of a page. With joinPage, an inner SELECT skips the Offset and sorts the branches with
// columns of an index alone. The records are then read only for the rows of the page.
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
		e.selectBranches(st, "SELECT "+columnsOf(p.terms)+" FROM "+e.invitations, p, branches)
		st.add(") AS u")
		e.orderAndLimit(st, p)
	default:
		e.selectBranches(st, e.read, p, branches)
		e.orderAndLimit(st, p)
	}
	if joined {
		st.add(") AS p" + e.joinPage + e.invitations + " AS t ON t.id = p.i")
		orderBy(st, p.terms)
	}
	return st
}

// selectBranches writes one SELECT for each branch. It reads as many rows as the whole page may need from that branch.
func (e *engine) selectBranches(st *statement, read string, p page, branches []branch) {
	p.limit, p.offset = p.limit+min(p.offset, math.MaxInt-p.limit), 0
	for i, b := range branches {
		if i > 0 {
			st.add(" UNION ALL ")
		}
		st.add("SELECT * FROM (")
		p.EmailKeys, p.Conditions = b.emailKeys, b.conditions
		e.selectFrom(st, read, p)
		st.add(") AS b")
	}
}

// selectFrom writes a SELECT that begins with read.
func (e *engine) selectFrom(st *statement, read string, p page) {
	st.add(read)
	st.add(e.writes.indexHint(p))
	e.where(st, p.search)
	if p.after {
		st.add(" AND ")
		e.after(st, p.terms)
	}
	e.orderAndLimit(st, p)
}

func (e *engine) orderAndLimit(st *statement, p page) {
	if p.sortedHere() {
		return
	}
	orderBy(st, p.terms)
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

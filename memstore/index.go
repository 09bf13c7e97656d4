package memstore

import (
	"cmp"
	"sort"
	"strings"

	"github.com/tidwall/btree"

	"github.com/orginvite/orginvite/storage"
)

// A row is a stored record, or an edge: a position between stored records. The edge lies before (-1) or after (+1) all
// rows that agree with it in the first columns; depth is the number of those columns. Rows in a tree are never
// modified.
type row struct {
	storage.Record
	group       uint64 // id of the group the record belongs to
	depth, edge int8
}

// stored is the depth of a row that is not an edge. It is more than the number of columns of any index.
const stored = 127

// A column is one part of the sort order of an index.
type column uint8

const (
	inGroup column = iota
	key
	created
	expires
	id
)

func (c column) compare(a, b *row) int {
	switch c {
	case inGroup:
		return cmp.Compare(a.group, b.group)
	case key:
		return strings.Compare(a.EmailKey, b.EmailKey)
	case created:
		return a.CreatedAt.Compare(b.CreatedAt)
	case expires:
		return a.ExpiresAt.Compare(b.ExpiresAt)
	default:
		return strings.Compare(a.ID, b.ID)
	}
}

// An index is one sort order of the rows.
type index struct {
	columns []column
	pending bool // contains only rows stored as pending
}

// The indexes, as positions in state.trees.
const (
	byCreated = iota // all rows
	byLapse          // all rows stored as pending, next to expire first
	byGroupCreated
	byGroupExpires
	byGroupKey   // also finds the holder of a pending slot
	byKeyCreated // the invitations of a user
	indexCount
)

var indexes = [indexCount]index{
	byCreated:      {columns: []column{created, id}},
	byLapse:        {columns: []column{expires, id}, pending: true},
	byGroupCreated: {columns: []column{inGroup, created, id}},
	byGroupExpires: {columns: []column{inGroup, expires, id}},
	byGroupKey:     {columns: []column{inGroup, key, id}},
	byKeyCreated:   {columns: []column{key, created, id}},
}

func (x *index) has(r *row) bool { return !x.pending || r.Status == storage.Pending }

// compare compares rows and edges.
func (x *index) compare(a, b *row) int {
	depth := min(a.depth, b.depth)
	for i, c := range x.columns {
		if i >= int(depth) {
			break
		}
		if n := c.compare(a, b); n != 0 {
			return n
		}
	}
	return cmp.Compare(a.edge, b.edge)
}

// A tree holds rows in the order of an index. Copies share nodes until one of them is written. It has no locks: a
// committed tree is only read, and any other tree is used by one transaction, under its mutex.
type tree = btree.BTreeG[*row]

// treeDegree balances the depth of a tree against the size of the nodes that a write copies.
const treeDegree = 12

func newTree(x *index) *tree {
	return btree.NewBTreeGOptions(func(a, b *row) bool { return x.compare(a, b) < 0 },
		btree.Options{NoLocks: true, Degree: treeDegree})
}

// A span is the part of an index between two edges.
type span struct {
	*index
	tree      *tree
	low, high *row
}

// span returns the rows of an index that agree with r in the first columns.
func (s *state) span(i int, r row, columns int8) span {
	edges := [2]row{r, r} // one piece of memory for both
	low, high := &edges[0], &edges[1]
	low.depth, low.edge = columns, -1
	high.depth, high.edge = columns, 1
	x := &indexes[i]
	return span{index: x, tree: s.trees[i], low: low, high: high}
}

// from reduces the span to the rows after a position, in the given direction.
func (p *span) from(at *row, descending bool) {
	if descending {
		if p.compare(at, p.high) < 0 {
			p.high = at
		}
	} else if p.compare(at, p.low) > 0 {
		p.low = at
	}
}

// walk yields the rows of the span in the given direction until yield returns false.
func (p *span) walk(descending bool, yield func(*row) bool) {
	if descending {
		p.tree.Descend(p.high, func(r *row) bool { return p.compare(r, p.low) > 0 && yield(r) })
	} else {
		p.tree.Ascend(p.low, func(r *row) bool { return p.compare(r, p.high) < 0 && yield(r) })
	}
}

// rank returns how many rows of the index come before a position. The result is known to be from low to high.
func (p *span) rank(at *row, low, high int) int {
	return low + sort.Search(high-low, func(i int) bool {
		e, _ := p.tree.GetAt(low + i)
		return p.compare(e, at) > 0
	})
}

// merge yields the rows of several spans in the order of q until yield returns false.
func merge(spans []span, q storage.Query, descending bool, yield func(*row) bool) {
	if len(spans) == 1 {
		spans[0].walk(descending, yield)
		return
	}
	cursors := make([]cursor, len(spans))
	for i := range spans {
		cursors[i].start(&spans[i], descending)
	}
	for {
		var first *cursor
		for i := range cursors {
			if c := &cursors[i]; c.row != nil && (first == nil || q.Compare(c.row.Record, first.row.Record) < 0) {
				first = c
			}
		}
		if first == nil || !yield(first.row) {
			return
		}
		first.next()
	}
}

// A cursor walks one span of a merge.
type cursor struct {
	*span
	descending bool
	iter       btree.IterG[*row]
	row        *row // nil at the end
}

func (c *cursor) start(p *span, descending bool) {
	c.span, c.descending = p, descending
	c.iter.Init(p.tree, false)
	switch {
	case !descending:
		c.load(c.iter.Seek(p.low))
	case c.iter.Seek(p.high):
		c.load(c.iter.Prev())
	default:
		c.load(c.iter.Last())
	}
}

func (c *cursor) next() {
	if c.descending {
		c.load(c.iter.Prev())
	} else {
		c.load(c.iter.Next())
	}
}

// load loads the row at the iterator, or nil if that row is not in the span.
func (c *cursor) load(ok bool) {
	c.row = nil
	if !ok {
		return
	}
	if r := c.iter.Item(); c.compare(r, c.low) > 0 && c.compare(r, c.high) < 0 {
		c.row = r
	}
}

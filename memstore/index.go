package memstore

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/tidwall/btree"

	"github.com/orginvite/orginvite/storage"
)

// A row is a stored record, or a position between stored records: the edge before (-1) or after (+1) all rows that
// have the same first columns, as many as depth says. Rows of a tree are never written to.
type row struct {
	storage.Record
	group       uint64 // id of the group the record belongs to
	depth, edge int8
}

// stored is the depth of a row that is no edge: deeper than any index has columns.
const stored = 127

// A column is part of the order of an index.
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

// An index is one order of the rows. Its digest sums the first two columns up, a number for each, in a way that
// never contradicts their order; 0 says nothing. What comes after a time says nothing: a position may be finer than
// the microseconds of the digest, and ties are for the columns to tell.
type index struct {
	columns []column
	pending bool // has rows stored as pending only
	digest  func(r *row) (uint64, uint64)
}

// The indexes, and their places in state.trees.
const (
	byID      = iota
	byCreated // everything
	byLapse   // what lapses next, of everything
	byGroupCreated
	byGroupExpires
	byGroupKey   // what holds a pending slot, too
	byKeyCreated // what a user is invited to
	indexCount
)

var indexes = [indexCount]index{
	byID: {columns: []column{id}, digest: func(r *row) (uint64, uint64) { // both for the one column
		return prefix(r.ID), prefix(r.ID[min(8, len(r.ID)):])
	}},
	byCreated: {columns: []column{created, id}, digest: func(r *row) (uint64, uint64) {
		return micros(r.CreatedAt), 0
	}},
	byLapse: {columns: []column{expires, id}, pending: true, digest: func(r *row) (uint64, uint64) {
		return micros(r.ExpiresAt), 0
	}},
	byGroupCreated: {columns: []column{inGroup, created, id}, digest: func(r *row) (uint64, uint64) {
		return r.group, micros(r.CreatedAt)
	}},
	byGroupExpires: {columns: []column{inGroup, expires, id}, digest: func(r *row) (uint64, uint64) {
		return r.group, micros(r.ExpiresAt)
	}},
	byGroupKey: {columns: []column{inGroup, key, id}, digest: func(r *row) (uint64, uint64) {
		return r.group, prefix(r.EmailKey)
	}},
	byKeyCreated: {columns: []column{key, created, id}, digest: func(r *row) (uint64, uint64) {
		// Keys are told apart and not ordered. The second number has to stay out of it: keys of one hash must
		// not mix.
		return hash(r.EmailKey), 0
	}},
}

var seed = maphash.MakeSeed()

func hash(s string) uint64 { return maphash.String(seed, s) }

// prefix is the first eight bytes of s as a number in the order of text.
func prefix(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}

// micros is a time as a number in the order of times. What is out of reach counts as the nearest that is not.
func micros(t time.Time) uint64 {
	const reach = math.MaxInt64/1_000_000 - 1
	us := t.UnixMicro()
	if sec := t.Unix(); sec > reach {
		us = math.MaxInt64
	} else if sec < -reach {
		us = math.MinInt64
	}
	return uint64(us) ^ 1<<63
}

func (x *index) has(r *row) bool { return !x.pending || r.Status == storage.Pending }

// An entry is a row in a tree, beside its digest: nearly every comparison ends there, without a look at the row,
// which is somewhere else in memory.
type entry struct {
	a, b uint64
	*row
}

func (x *index) entry(r *row) entry {
	e := entry{row: r}
	if r.depth > 0 {
		e.a, e.b = x.digest(r)
	}
	if int(r.depth) < min(2, len(x.columns)) { // an edge stands before or after everything beyond its depth
		var beyond uint64
		if r.edge > 0 {
			beyond = math.MaxUint64
		}
		e.b = beyond
		if r.depth == 0 {
			e.a = beyond
		}
	}
	return e
}

func (x *index) compare(a, b entry) int {
	switch {
	case a.a != b.a:
		return cmp.Compare(a.a, b.a)
	case a.b != b.b:
		return cmp.Compare(a.b, b.b)
	}
	depth := min(a.depth, b.depth)
	for i, c := range x.columns {
		if i >= int(depth) {
			break
		}
		if n := c.compare(a.row, b.row); n != 0 {
			return n
		}
	}
	return cmp.Compare(a.edge, b.edge)
}

// A tree is the rows in the order of an index. Copies share their nodes until one of them writes. It has no locks:
// a committed tree is only read, any other is used by one transaction under its mutex.
type tree = btree.BTreeG[entry]

// treeDegree trades the depth of a tree for the size of the nodes that a write has to copy.
const treeDegree = 12

func newTree(x *index) *tree {
	return btree.NewBTreeGOptions(func(a, b entry) bool { return x.compare(a, b) < 0 },
		btree.Options{NoLocks: true, Degree: treeDegree})
}

// A span is the rows of an index between two edges.
type span struct {
	*index
	tree      *tree
	low, high entry
}

// span is the part of an index that agrees with r in the first columns.
func (s *state) span(i int, r row, columns int8) span {
	edges := [2]row{r, r} // one piece of memory for both
	low, high := &edges[0], &edges[1]
	low.depth, low.edge = columns, -1
	high.depth, high.edge = columns, 1
	x := &indexes[i]
	return span{index: x, tree: s.trees[i], low: x.entry(low), high: x.entry(high)}
}

// from cuts the span to what comes after a position, in the span's direction.
func (p *span) from(at entry, descending bool) {
	if descending {
		if p.compare(at, p.high) < 0 {
			p.high = at
		}
	} else if p.compare(at, p.low) > 0 {
		p.low = at
	}
}

// walk yields the rows of the span in its direction until yield returns false.
func (p *span) walk(descending bool, yield func(*row) bool) {
	if descending {
		p.tree.Descend(p.high, func(e entry) bool { return p.compare(e, p.low) > 0 && yield(e.row) })
	} else {
		p.tree.Ascend(p.low, func(e entry) bool { return p.compare(e, p.high) < 0 && yield(e.row) })
	}
}

// rank is how many rows of the index come before a position. It is known to be from low to high.
func (p *span) rank(at entry, low, high int) int {
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
	iter       btree.IterG[entry]
	row        *row // nil at the end
}

func (c *cursor) start(p *span, descending bool) {
	c.span, c.descending = p, descending
	c.iter.Init(p.tree, false)
	switch {
	case !descending:
		c.settle(c.iter.Seek(p.low))
	case c.iter.Seek(p.high):
		c.settle(c.iter.Prev())
	default:
		c.settle(c.iter.Last())
	}
}

func (c *cursor) next() {
	if c.descending {
		c.settle(c.iter.Prev())
	} else {
		c.settle(c.iter.Next())
	}
}

// settle takes the row the iterator stands on, if it is one of the span.
func (c *cursor) settle(ok bool) {
	c.row = nil
	if !ok {
		return
	}
	if e := c.iter.Item(); c.compare(e, c.low) > 0 && c.compare(e, c.high) < 0 {
		c.row = e.row
	}
}

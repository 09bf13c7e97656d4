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

// An index is one sort order of the rows. Its digest turns the first two columns into one number each, so that
// comparing the numbers never contradicts the order of the columns; 0 means undecided. The number after a time is
// always 0: an edge may have a finer time than the microseconds of the digest, and the columns break ties.
type index struct {
	columns []column
	pending bool // contains only rows stored as pending
	digest  func(r *row) (uint64, uint64)
}

// The indexes, as positions in state.trees.
const (
	byID      = iota
	byCreated // all rows
	byLapse   // all rows stored as pending, next to expire first
	byGroupCreated
	byGroupExpires
	byGroupKey   // also finds the holder of a pending slot
	byKeyCreated // the invitations of a user
	indexCount
)

var indexes = [indexCount]index{
	byID: {columns: []column{id}, digest: func(r *row) (uint64, uint64) { // both numbers for one column
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
		// The hash only groups equal keys; it does not order them. The second number must be 0, so that keys with
		// the same hash do not mix.
		return hash(r.EmailKey), 0
	}},
}

var seed = maphash.MakeSeed()

func hash(s string) uint64 { return maphash.String(seed, s) }

// prefix returns the first eight bytes of s as a number that sorts as the text does.
func prefix(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}

// micros returns t as a number that sorts as times do. A time out of range becomes the nearest one in range.
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

// An entry is a row in a tree together with its digest. The digest decides nearly every comparison, which saves loading
// the row from elsewhere in memory.
type entry struct {
	a, b uint64
	*row
}

func (x *index) entry(r *row) entry {
	e := entry{row: r}
	if r.depth > 0 {
		e.a, e.b = x.digest(r)
	}
	if int(r.depth) < min(2, len(x.columns)) { // an edge lies before or after all values of the columns beyond its depth
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

// A tree holds rows in the order of an index. Copies share nodes until one of them is written. It has no locks: a
// committed tree is only read, and any other tree is used by one transaction, under its mutex.
type tree = btree.BTreeG[entry]

// treeDegree balances the depth of a tree against the size of the nodes that a write copies.
const treeDegree = 12

func newTree(x *index) *tree {
	return btree.NewBTreeGOptions(func(a, b entry) bool { return x.compare(a, b) < 0 },
		btree.Options{NoLocks: true, Degree: treeDegree})
}

// A span is the part of an index between two edges.
type span struct {
	*index
	tree      *tree
	low, high entry
}

// span returns the rows of an index that agree with r in the first columns.
func (s *state) span(i int, r row, columns int8) span {
	edges := [2]row{r, r} // one piece of memory for both
	low, high := &edges[0], &edges[1]
	low.depth, low.edge = columns, -1
	high.depth, high.edge = columns, 1
	x := &indexes[i]
	return span{index: x, tree: s.trees[i], low: x.entry(low), high: x.entry(high)}
}

// from reduces the span to the rows after a position, in the given direction.
func (p *span) from(at entry, descending bool) {
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
		p.tree.Descend(p.high, func(e entry) bool { return p.compare(e, p.low) > 0 && yield(e.row) })
	} else {
		p.tree.Ascend(p.low, func(e entry) bool { return p.compare(e, p.high) < 0 && yield(e.row) })
	}
}

// rank returns how many rows of the index come before a position. The result is known to be from low to high.
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
	if e := c.iter.Item(); c.compare(e, c.low) > 0 && c.compare(e, c.high) < 0 {
		c.row = e.row
	}
}

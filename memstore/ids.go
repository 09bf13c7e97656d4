package memstore

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// A trie finds rows by id: a hash trie, whose copies share nodes. It is faster than a tree, and needs no order.
//
// A node is modified only by the trie that made it, which its owner tells. A copy has another owner, and copies the
// nodes on the way to what it writes.
type trie struct {
	root  *node
	owner *owner
}

// An owner is an identity; it must have a size.
type owner struct{ _ byte }

// A node has an entry for each bit that is set, in the order of the bits. Below the last level the hashes are equal,
// and the entries are a list of rows.
type node struct {
	owner   *owner
	bitmap  uint32
	entries []branch
}

// A branch is a row, or a node with at least two rows below it.
type branch struct {
	row   *row
	child *node
}

const (
	trieBits  = 5  // of the hash, for each level
	trieDepth = 60 // the bits of all levels
)

var seed = maphash.MakeSeed()

func hashOf(id string) uint64 { return maphash.String(seed, id) }

func newTrie() trie {
	o := new(owner)
	return trie{root: &node{owner: o}, owner: o}
}

// copy returns a trie that can be written without changing t. t must not be written as long as the copy is in use.
func (t trie) copy() trie { return trie{root: t.root, owner: new(owner)} }

// at returns the bit for a hash on a level, and the index of its entry.
func (n *node) at(hash uint64, shift int) (bit uint32, i int) {
	bit = 1 << (hash >> shift & (1<<trieBits - 1))
	return bit, bits.OnesCount32(n.bitmap & (bit - 1))
}

// list returns the index of an id below the last level, or -1.
func (n *node) list(id string) int {
	return slices.IndexFunc(n.entries, func(b branch) bool { return b.row.ID == id })
}

func (t trie) get(id string) *row {
	h := hashOf(id)
	n := t.root
	for shift := 0; shift < trieDepth; shift += trieBits {
		bit, i := n.at(h, shift)
		if n.bitmap&bit == 0 {
			return nil
		}
		b := &n.entries[i]
		if b.row != nil {
			if b.row.ID == id {
				return b.row
			}
			return nil
		}
		n = b.child
	}
	if i := n.list(id); i >= 0 {
		return n.entries[i].row
	}
	return nil
}

// set adds r, or replaces the row with its id.
func (t *trie) set(r *row) { t.root = t.put(t.root, r, hashOf(r.ID), 0) }

// own returns n itself if t may modify it, otherwise a copy.
func (t *trie) own(n *node) *node {
	if n.owner == t.owner {
		return n
	}
	c := &node{owner: t.owner, bitmap: n.bitmap, entries: make([]branch, len(n.entries), len(n.entries)+1)}
	copy(c.entries, n.entries)
	return c
}

func (t *trie) put(n *node, r *row, h uint64, shift int) *node {
	n = t.own(n)
	if shift >= trieDepth {
		if i := n.list(r.ID); i >= 0 {
			n.entries[i].row = r
		} else {
			n.entries = append(n.entries, branch{row: r})
		}
		return n
	}
	bit, i := n.at(h, shift)
	if n.bitmap&bit == 0 {
		n.bitmap |= bit
		n.entries = slices.Insert(n.entries, i, branch{row: r})
		return n
	}
	switch b := &n.entries[i]; {
	case b.row == nil:
		b.child = t.put(b.child, r, h, shift+trieBits)
	case b.row.ID == r.ID:
		b.row = r
	default: // two rows from here on
		below := t.put(&node{owner: t.owner}, b.row, hashOf(b.row.ID), shift+trieBits)
		*b = branch{child: t.put(below, r, h, shift+trieBits)}
	}
	return n
}

// delete removes the row with this id, if there is one.
func (t *trie) delete(id string) {
	if t.get(id) != nil {
		t.root = t.remove(t.root, id, hashOf(id), 0)
	}
}

// remove removes a row that is below n.
func (t *trie) remove(n *node, id string, h uint64, shift int) *node {
	n = t.own(n)
	if shift >= trieDepth {
		i := n.list(id)
		n.entries = slices.Delete(n.entries, i, i+1)
		return n
	}
	bit, i := n.at(h, shift)
	b := &n.entries[i]
	if b.row != nil {
		n.bitmap &^= bit
		n.entries = slices.Delete(n.entries, i, i+1)
		return n
	}
	b.child = t.remove(b.child, id, h, shift+trieBits)
	if left := b.child.entries; len(left) == 1 && left[0].row != nil {
		*b = left[0]
	}
	return n
}

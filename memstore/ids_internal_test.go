package memstore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
)

// A trie answers as a map does, and its copies keep what they had.
func TestTrie(t *testing.T) {
	is := is.New(t)
	random := rand.New(rand.NewPCG(1, 2))
	type version struct {
		trie trie
		want map[string]*row
	}
	now := version{newTrie(), map[string]*row{}}
	var kept []version
	for range 20_000 {
		id := fmt.Sprint(random.IntN(3000))
		if random.IntN(3) == 0 {
			now.trie.delete(id)
			delete(now.want, id)
		} else {
			r := &row{Record: storage.Record{ID: id}}
			now.trie.set(r)
			now.want[id] = r
		}
		if random.IntN(500) == 0 {
			kept = append(kept, now)
			now = version{now.trie.copy(), maps.Clone(now.want)}
		}
	}
	for _, v := range append(kept, now) {
		for i := range 3000 {
			id := fmt.Sprint(i)
			is.Equal(v.trie.get(id), v.want[id])
		}
	}
}

// Rows with the same hash are told apart.
func TestTrieCollisions(t *testing.T) {
	is := is.New(t)
	tr := newTrie()
	ids := []string{"a", "b", "c"}
	for _, id := range append(ids, ids...) {
		tr.root = tr.put(tr.root, &row{Record: storage.Record{ID: id}}, 7, trieDepth)
	}
	is.Equal(len(tr.root.entries), 3)
	before := tr.copy()
	before.root = before.remove(before.root, "b", 7, trieDepth)
	is.Equal(before.root.list("b"), -1)
	is.True(before.root.list("a") >= 0 && before.root.list("c") >= 0)
	is.True(tr.root.list("b") >= 0)
}

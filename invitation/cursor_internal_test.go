package invitation

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// The hash in a cursor has no key, so a client can forge positions. A forged position must be one that a database can
// be asked for.
func TestForgedCursors(t *testing.T) {
	order := storage.Query{}.Order()
	times := func(created, expires int64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(created)), uint64(expires))
	}
	good := appendText(appendText(times(1, 0), ""), "id")
	forged := map[string][]byte{
		"nothing":          nil,
		"one byte":         {1},
		"no fields":        times(1, 0),
		"half a length":    append(times(1, 0), 0),
		"a length too far": append(times(1, 0), 0xff, 0xff, 'a'),
		"one field":        appendText(times(1, 0), "a"),
		"a byte more":      append(append([]byte{}, good...), 0),
		"not its field":    appendText(appendText(times(1, 7), ""), "id"),
		"nor its address":  appendText(appendText(times(1, 0), "a@b.de"), "id"),
		"invalid UTF-8":    appendText(appendText(times(1, 0), ""), "\xff"),
		"a NUL":            appendText(appendText(times(1, 0), ""), "\x00"),
		"before all time":  appendText(appendText(times(math.MinInt64, 0), ""), "id"),
		"after all time":   appendText(appendText(times(math.MaxInt64, 0), ""), "id"),
	}
	for name, position := range forged {
		for _, kind := range []byte{cursorAfter, cursorBefore} {
			if _, _, ok := decodeCursor("scope", order, encode64(sealCursor(kind, "scope", position))); ok {
				t.Errorf("%s is taken", name)
			}
		}
	}
	for _, kind := range []byte{cursorAfter, cursorBefore} {
		got, at, ok := decodeCursor("scope", order, encode64(sealCursor(kind, "scope", good)))
		if !ok || got != kind || at.ID != "id" || at.CreatedAt.UnixMicro() != 1 {
			t.Errorf("a good one is not: %v", at)
		}
	}
	for _, kind := range []byte{0, 3} {
		if _, _, ok := decodeCursor("scope", order, encode64(sealCursor(kind, "scope", good))); ok {
			t.Errorf("kind %d is taken", kind)
		}
	}
	end := encodeCursor(cursorBefore, "scope", order, storage.Record{})
	if kind, at, ok := decodeCursor("scope", order, end); !ok || kind != cursorBefore || at != nil {
		t.Errorf("the end is %d, %v, %v", kind, at, ok)
	}
}

package invitation

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// A cursor contains the position after which the next page begins, or before which the previous page ends. It is the
// base64url encoding, without padding, of
//
//	kind, cursorAfter or cursorBefore           one byte
//	first half of SHA-256 of scope and position binds the cursor to its list, and detects damage
//	created_at, expires_at                      eight bytes each, microseconds; 0 unless a sort field
//	email key, id                               each preceded by its length in two bytes
//
// A cursorBefore without an id is before the end: it leads to the last page. A cursor contains nothing that its page
// did not show, so it needs no secret. A forged cursor only moves within a list that its caller may read.

const (
	cursorAfter   = 1 // the page after the position
	cursorBefore  = 2 // the page before it
	cursorSumSize = sha256.Size / 2
	maxCursor     = (1 + cursorSumSize + 16 + 4 + storage.MaxEmail + storage.MaxID + 2) / 3 * 4
)

// encodeCursor returns the cursor for the page after or before the record at. scope identifies the list: the operation,
// its owner, its filters and its order.
func encodeCursor(kind byte, scope string, order []storage.Sort, at storage.Record) string {
	return encode64(sealCursor(kind, scope, cursorPosition(order, at)))
}

// decodeCursor returns the kind and the position of a cursor. The position is nil at the end. It reports false for
// anything that encodeCursor did not make for this scope and order.
func decodeCursor(scope string, order []storage.Sort, cursor string) (kind byte, at *storage.Record, ok bool) {
	if len(cursor) > maxCursor {
		return 0, nil, false
	}
	b, ok := decode64(cursor)
	if !ok || len(b) < 1+cursorSumSize || b[0] != cursorAfter && b[0] != cursorBefore {
		return 0, nil, false
	}
	kind, position := b[0], b[1+cursorSumSize:]
	if string(sealCursor(kind, scope, position)) != string(b) {
		return 0, nil, false
	}
	if kind == cursorBefore && string(position) == string(cursorPosition(order, storage.Record{})) {
		return kind, nil, true
	}
	at, ok = decodePosition(order, position)
	return kind, at, ok
}

// decodePosition returns the position that cursorPosition encoded.
func decodePosition(order []storage.Sort, position []byte) (*storage.Record, bool) {
	if len(position) < 16 {
		return nil, false
	}
	last := storage.Record{
		CreatedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(position))).UTC(),
		ExpiresAt: time.UnixMicro(int64(binary.BigEndian.Uint64(position[8:]))).UTC(),
	}
	rest := position[16:]
	for _, field := range []*string{&last.EmailKey, &last.ID} {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return nil, false
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		*field, rest = string(rest[2:n]), rest[n:]
	}
	// Each position has exactly one encoding.
	if string(cursorPosition(order, last)) != string(position) {
		return nil, false
	}
	// A forged position must still be within the range of a database.
	for _, at := range []time.Time{last.CreatedAt, last.ExpiresAt} {
		if at.Year() < 1 || at.Year() > 9999 {
			return nil, false
		}
	}
	return &last, storage.ValidText(last.EmailKey) && storage.ValidText(last.ID)
}

// sealCursor returns the bytes of a cursor.
func sealCursor(kind byte, scope string, position []byte) []byte {
	h := sha256.New()
	h.Write(appendText(nil, scope))
	h.Write(position)
	b := append([]byte{kind}, h.Sum(nil)[:cursorSumSize]...)
	return append(b, position...)
}

// cursorPosition encodes the fields of a record that the order compares.
func cursorPosition(order []storage.Sort, r storage.Record) []byte {
	var created, expires int64
	var email string
	for _, s := range order {
		switch s.Field {
		case storage.FieldCreatedAt:
			created = r.CreatedAt.UnixMicro()
		case storage.FieldExpiresAt:
			expires = r.ExpiresAt.UnixMicro()
		case storage.FieldEmailAddress:
			email = r.EmailKey
		}
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(created))
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	return appendText(appendText(b, email), r.ID)
}

// appendText appends s preceded by its length, so that different lists of texts have different encodings.
func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

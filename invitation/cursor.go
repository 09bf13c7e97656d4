package invitation

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// A cursor says behind which record the next page begins. It is base64url, without padding, of
//
//	1                                                  the version, one byte
//	SHA-256 over scope and position, its first half    binds it to its list, and finds damage
//	created_at, expires_at                             eight bytes each, microseconds; 0 where no sort field
//	email key, id                                      each behind its length in two bytes
//
// It holds nothing that the page it came with did not show, so it needs no secret; who forges one only moves
// about in a list he may read.

const (
	cursorVersion = 1
	cursorSumSize = sha256.Size / 2
	maxCursor     = (1 + cursorSumSize + 16 + 4 + storage.MaxEmail + storage.MaxID + 2) / 3 * 4
)

// encodeCursor returns the cursor behind the record for a list with this order. scope names the list: the
// operation, whose it is, its filters and order.
func encodeCursor(scope string, order []storage.Sort, last storage.Record) string {
	return encode64(sealCursor(scope, cursorPosition(order, last)))
}

// decodeCursor returns the position, or false for what encodeCursor did not make for this scope and order.
func decodeCursor(scope string, order []storage.Sort, cursor string) (*storage.Record, bool) {
	if len(cursor) > maxCursor {
		return nil, false
	}
	b, ok := decode64(cursor)
	if !ok || len(b) < 1+cursorSumSize {
		return nil, false
	}
	position := b[1+cursorSumSize:]
	if string(sealCursor(scope, position)) != string(b) || len(position) < 16 {
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
	// One position has one encoding.
	if string(cursorPosition(order, last)) != string(position) {
		return nil, false
	}
	// A position can be forged, and must still be one that a database can be asked for.
	for _, at := range []time.Time{last.CreatedAt, last.ExpiresAt} {
		if at.Year() < 1 || at.Year() > 9999 {
			return nil, false
		}
	}
	return &last, storage.ValidText(last.EmailKey) && storage.ValidText(last.ID)
}

func sealCursor(scope string, position []byte) []byte {
	h := sha256.New()
	h.Write(appendText(nil, scope))
	h.Write(position)
	b := append([]byte{cursorVersion}, h.Sum(nil)[:cursorSumSize]...)
	return append(b, position...)
}

// cursorPosition is the part of a record that order compares.
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

// appendText appends s behind its length, so that no two lists of texts look the same.
func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

package invitation

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// A ticket is the secret part of an acceptance link. It names one generation of one invitation, and proves that the
// service issued it. It is the base64url encoding, without padding, of
//
//	key id, organization id, invitation id, generation  each preceded by its length in one byte
//	HMAC-SHA-256 of all of that and the audience        32 bytes
//
// The key id is derived from the key, so keys may be reordered. Config.Audience is signed but not sent, because the
// verifying service knows its own. Tickets are not stored. Resending raises the generation, which voids older tickets.

// claims are the contents of a ticket.
type claims struct {
	organizationID, invitationID string
	generation                   int64
}

// keyring signs with its first key and verifies with all keys.
type keyring []ticketKey

type ticketKey struct {
	id       string
	secret   []byte
	audience []byte // preceded by its length, so that different pairs of audience and message have different encodings
}

const (
	keyIDSize = 8
	macSize   = sha256.Size
	// maxTicket is the length of the longest possible ticket. A longer text is not decoded.
	maxTicket = (4 + keyIDSize + storage.MaxReference + storage.MaxID + 8 + macSize + 2) / 3 * 4
)

// Each use of a key has its own purpose, so that the result of one use is never valid for another.
const (
	purposeKeyID  = "orginvite ticket key id\x00"
	purposeTicket = "orginvite ticket\x00"
)

func newKeyring(audience string, keys [][]byte) keyring {
	ring := make(keyring, len(keys))
	for i, k := range keys {
		ring[i].secret = slices.Clone(k)
		ring[i].audience = appendText(nil, audience)
		ring[i].id = string(ring[i].mac(purposeKeyID)[:keyIDSize])
	}
	return ring
}

// sign returns the signature of message for the audience. The length of the audience comes first, so that different
// pairs have different encodings.
func (k ticketKey) sign(message []byte) []byte {
	return k.mac(purposeTicket, k.audience, message)
}

func (k ticketKey) mac(purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte(purpose))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// sign returns the ticket for c, or "" without keys.
func (ring keyring) sign(c claims) string {
	if len(ring) == 0 {
		return ""
	}
	var generation [8]byte
	binary.BigEndian.PutUint64(generation[:], uint64(c.generation))
	b := make([]byte, 0, maxTicket)
	for _, field := range []string{ring[0].id, c.organizationID, c.invitationID, string(generation[:])} {
		b = append(b, byte(len(field))) // storage's limits keep every field below 256
		b = append(b, field...)
	}
	b = append(b, ring[0].sign(b)...)
	return encode64(b)
}

// verify returns the claims of a ticket that one of the keys signed. Before the signature is verified, it reads only
// the key id.
func (ring keyring) verify(ticket string) (claims, bool) {
	if len(ticket) > maxTicket {
		return claims{}, false
	}
	b, ok := decode64(ticket)
	if !ok || len(b) < 1+keyIDSize+macSize || b[0] != keyIDSize {
		return claims{}, false
	}
	i := slices.IndexFunc(ring, func(k ticketKey) bool { return k.id == string(b[1:1+keyIDSize]) })
	message, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if i < 0 || !hmac.Equal(ring[i].sign(message), mac) {
		return claims{}, false
	}
	// The signature is verified: the service wrote these bytes.
	var fields [4]string
	for f := range fields {
		if len(message) == 0 || len(message) <= int(message[0]) {
			return claims{}, false
		}
		fields[f], message = string(message[1:1+int(message[0])]), message[1+int(message[0]):]
	}
	if len(message) != 0 || len(fields[3]) != 8 {
		return claims{}, false
	}
	return claims{
		organizationID: fields[1],
		invitationID:   fields[2],
		generation:     int64(binary.BigEndian.Uint64([]byte(fields[3]))),
	}, true
}

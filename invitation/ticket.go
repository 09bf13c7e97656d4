package invitation

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// A ticket is what the acceptance link carries: it names one generation of one invitation and proves that the
// service issued it. It is base64url, without padding, of
//
//	key id, organization id, invitation id, generation  each behind its length in one byte
//	HMAC-SHA-256 over all of that and the audience      32 bytes
//
// The key id is derived from the key, so that keys may be reordered. The audience, Config.Audience, is signed and not
// sent: who verifies knows their own. Nothing of it is stored: resending raises the generation and so voids older
// tickets.

// claims is what a ticket says.
type claims struct {
	organizationID, invitationID string
	generation                   int64
}

// keyring signs with its first key and verifies with all of them.
type keyring []ticketKey

type ticketKey struct {
	id       string
	secret   []byte
	audience string
}

const (
	keyIDSize = 8
	macSize   = sha256.Size
	// maxTicket is the longest encoded ticket there can be; a longer one is not decoded at all.
	maxTicket = (4 + keyIDSize + storage.MaxReference + storage.MaxID + 8 + macSize + 2) / 3 * 4
)

// Every use of a key is bound to its purpose.
const (
	purposeKeyID  = "orginvite ticket key id\x00"
	purposeTicket = "orginvite ticket\x00"
)

func newKeyring(audience string, keys [][]byte) keyring {
	ring := make(keyring, len(keys))
	for i, k := range keys {
		ring[i].secret = slices.Clone(k)
		ring[i].audience = audience
		ring[i].id = string(ring[i].mac(purposeKeyID, nil)[:keyIDSize])
	}
	return ring
}

// sign returns the signature of a ticket's bytes for the audience. The audience's length comes first, so that no two
// pairs of audience and bytes look the same.
func (k ticketKey) sign(message []byte) []byte {
	return k.mac(purposeTicket, append(appendText(nil, k.audience), message...))
}

func (k ticketKey) mac(purpose string, message []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte(purpose))
	h.Write(message)
	return h.Sum(nil)
}

// sign returns the ticket for c, or "" where there is no key.
func (ring keyring) sign(c claims) string {
	if len(ring) == 0 {
		return ""
	}
	var generation [8]byte
	binary.BigEndian.PutUint64(generation[:], uint64(c.generation))
	var b []byte
	for _, field := range []string{ring[0].id, c.organizationID, c.invitationID, string(generation[:])} {
		b = append(b, byte(len(field))) // storage's limits keep every field below 256
		b = append(b, field...)
	}
	b = append(b, ring[0].sign(b)...)
	return encode64(b)
}

// verify returns what a ticket says if one of the keys signed it. Of what is not verified yet it reads the key id
// alone.
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
	// From here on the bytes are our own.
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

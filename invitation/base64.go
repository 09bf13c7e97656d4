package invitation

import "encoding/base64"

// encode64 is how tickets and cursors are written: base64url without padding (RFC 4648, section 5).
func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode64 reads what encode64 wrote, and nothing that merely decodes to the same: the decoder of the standard
// library passes over line breaks and, at the end, over bits that belong to no byte.
func decode64(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil && encode64(b) == s
}

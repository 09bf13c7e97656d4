package invitation

import "encoding/base64"

// encode64 encodes tickets and cursors in base64url without padding (RFC 4648, section 5).
func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode64 decodes exactly what encode64 returns. The decoder of the standard library also accepts line breaks and
// stray bits at the end.
func decode64(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil && encode64(b) == s
}

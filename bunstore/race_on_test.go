//go:build race

package bunstore

import "os"

// Slow, for the tests of both packages, leaves out what the race detector has nothing to find in: it makes SQLite in Go
// twenty times as slow. CI has the patience.
var Slow = os.Getenv("CI") != "true"

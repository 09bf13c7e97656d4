//go:build race

package bunstore

// Slow, for the tests of both packages, leaves out cases of one goroutine, in which the race detector has nothing to
// find: it makes SQLite in Go twenty times as slow. CI runs them without it.
const Slow = true

//go:build race

package bunstore

// Slow makes the tests of both packages skip cases with one goroutine. The race detector can find nothing there, and
// makes the pure-Go SQLite twenty times as slow. CI also runs them without the detector.
const Slow = true

//go:build !race

package bunstore

// Slow is for the tests of both packages.
const Slow = false

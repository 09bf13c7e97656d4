//go:build !race

package bunstore

// RaceDetector is for the tests of both packages.
const RaceDetector = false

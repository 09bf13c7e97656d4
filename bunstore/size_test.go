package bunstore_test

import "flag"

// size says how much the reliability tests do: those of faults, kills, histories and models. Each has a short version,
// which runs by default, a middle one for CI, and a full one, whose figures are in the README.
var size = flag.String("size", "short", "how much the reliability tests do: short, middle or full")

// bySize returns the value for the selected size.
func bySize[T any](short, middle, full T) T {
	switch *size {
	case "full":
		return full
	case "middle":
		return middle
	}
	return short
}

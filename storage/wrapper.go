package storage

// maxWrappers bounds the search through wrappers, because a wrapper may contain itself.
const maxWrappers = 100

// As returns s as a T if it is one, or else the first T that s wraps. T is an interface such as [Classifier], or the
// type of a store. A wrapper has a method Unwrap() [Storage].
func As[T any](s Storage) (T, bool) {
	for range maxWrappers {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, ok := s.(interface{ Unwrap() Storage })
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	var none T
	return none, false
}

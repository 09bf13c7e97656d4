// Package orginvite is the guided tour; the code is in the packages below it.
package orginvite

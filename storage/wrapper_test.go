package storage_test

import (
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

// loop wraps itself.
type loop struct{ storage.Storage }

func (l *loop) Unwrap() storage.Storage { return l }

func TestAs(t *testing.T) {
	is := is.New(t)
	store := memstore.New()
	for _, s := range []storage.Storage{store, measured{store, nil}, measured{measured{store, nil}, nil}} {
		got, ok := storage.As[*memstore.Store](s)
		is.True(ok && got == store)
	}
	_, ok := storage.As[measured](measured{store, nil})
	is.True(ok)
	for _, s := range []storage.Storage{nil, store, measured{}, measured{store, nil}, &loop{}} {
		got, ok := storage.As[storage.Classifier](s)
		is.True(!ok && got == nil)
	}
}

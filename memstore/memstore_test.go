package memstore_test

import (
	"testing"

	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagetest"
)

func TestStorage(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Storage { return memstore.New() })
}

func BenchmarkStorage(b *testing.B) {
	storagetest.RunBenchmarks(b, func(*testing.B) storage.Storage { return memstore.New() })
}

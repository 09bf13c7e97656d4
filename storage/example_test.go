package storage_test

import (
	"context"
	"fmt"
	"time"

	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

// measured is a wrapper around any store. It measures how long each Insert takes.
type measured struct {
	storage.Storage
	observe func(op string, took time.Duration, err error)
}

// Unwrap lets a store find its own Storage in the wrapper.
func (m measured) Unwrap() storage.Storage { return m.Storage }

func (m measured) Insert(ctx context.Context, records ...storage.Record) error {
	began := time.Now()
	err := m.Storage.Insert(ctx, records...)
	m.observe("insert", time.Since(began), err)
	return err
}

// RunInTx wraps tx too. Otherwise the calls of fn would not be measured.
func (m measured) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	return m.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, measured{tx, m.observe})
	})
}

// A wrapper adds something to any store: here measurements.
func ExampleStorage() {
	ctx := context.Background()
	store := measured{memstore.New(), func(op string, _ time.Duration, err error) { fmt.Println(op, err) }}

	err := store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return tx.Insert(ctx, storage.Record{ID: "inv_1", OrganizationID: "acme", EmailKey: "ann@example.com"})
	})
	fmt.Println("committed:", err == nil)
	// Output:
	// insert <nil>
	// committed: true
}

package storagetest

import (
	"context"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

// A correct store that runs many transactions at once passes the suite.
func TestRun(t *testing.T) {
	Run(t, func(*testing.T) storage.Storage { return newLockStore(flaws{}) }, SecondHandle(secondHandle))
}

// It passes in the application's transaction too.
func TestRunJoined(t *testing.T) {
	RunJoined(t, func(*testing.T) Host { return newLockStore(flaws{}).host() })
}

// host returns an application whose transactions are those of s.
func (s *lockStore) host() Host {
	return Host{
		Storage: s,
		Begin: func(context.Context) (HostTx, error) {
			h := s.begin()
			return HostTx{
				Join:     func() storage.Storage { return h },
				Commit:   func() error { h.close(); return h.commit() },
				Rollback: func() error { h.close(); return h.rollBack() },
			}, nil
		},
		Write: func(ctx context.Context, within storage.Storage, name string) error {
			add := func(h *lockHandle) error {
				return h.call(ctx, func() error { h.names = append(h.names, name); return nil })
			}
			if h, ok := unwrapped(within).(*lockHandle); ok {
				return add(h)
			}
			return s.RunInTx(ctx, func(_ context.Context, tx storage.Storage) error { return add(tx.(*lockHandle)) })
		},
		Names: func(ctx context.Context, within storage.Storage) (names []string, err error) {
			s.mu.Lock()
			names = append(names, s.names...)
			s.mu.Unlock()
			if h, ok := unwrapped(within).(*lockHandle); ok {
				err = h.call(ctx, func() error { names = append(names, h.names...); return nil })
			}
			return names, err
		},
	}
}

func unwrapped(s storage.Storage) storage.Storage {
	for {
		w, ok := s.(interface{ Unwrap() storage.Storage })
		if !ok {
			return s
		}
		s = w.Unwrap()
	}
}

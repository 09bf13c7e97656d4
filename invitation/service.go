package invitation

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/orginvite/orginvite/storage"
)

// Service is the operations on invitations. It is made by [NewService] and safe for concurrent use.
//
// Who calls it is trusted: an operation checks the user it is told acts (CreateParams.InviterUserID,
// RequestingUserID), and nobody where it is told none. Where a browser is on the other side, call through
// [Service.As], which fills that user in and leaves no way around.
type Service struct {
	cfg   *settings
	store storage.Storage
	dir   Directory
	actor *string // the user this Service acts as; nil for the back end
}

// NewService returns a service on a store and the host's directory. cfg may be nil. It keeps copies: changing cfg
// later has no effect. The error is an [*Error] or [Errors] and [ErrInvalid], and names every field that is wrong.
func NewService(store storage.Storage, dir Directory, cfg *Config) (*Service, error) {
	s, err := newSettings(store, dir, cfg)
	if err != nil {
		return nil, err
	}
	return &Service{cfg: s, store: store, dir: dir}, nil
}

// WithStorage returns a copy of the service that works on tx, such as the store's handle on a transaction of the
// host's (bunstore's Store.WithTx). What it changes is committed or undone with that transaction.
func (s *Service) WithStorage(tx storage.Storage) *Service {
	c := *s
	c.store = tx
	return &c
}

// As returns a copy of the service that acts as this user; it is what a browser-facing route calls through. The
// user replaces the inviter of Create and every RequestingUserID. In Accept, Decline and ListForUser an empty user
// id is filled in, and another one is [ErrForbidden]. Get and List need a role that manages. Preview of an invitation
// to somebody else is [ErrNotInvitee].
//
// No operation returns a link, and Link is ErrForbidden, unless Config.ManagersSeeLinks is set. Private metadata in
// Create, CreateBulk and Update is ErrForbidden, and so is what only the back end may do: ListAll and what sweeps and
// deletes. With an empty userID every operation is ErrForbidden with HTTP status 401, so that a request without a
// session cannot pass for the back end.
func (s *Service) As(userID string) *Service {
	c := *s
	c.actor = &userID
	return &c
}

// LockOrganization serialises what Config.Seats and Config.MaxPending count in this organization until the
// transaction ends. A host calls it on the service of its own transaction (see [Service.WithStorage]), at the top
// level and before it reads or adds members by itself; of several organizations in sorted order. The operations
// call it themselves. It is an error outside a transaction, and [ErrAborted] where the transaction has read
// already and its snapshot is too old.
func (s *Service) LockOrganization(ctx context.Context, organizationID string) error {
	if err := s.checkReady(); err != nil {
		return err
	}
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		return e
	}
	return s.wrap(ctx, "lock organization", s.store.Lock(ctx, organizationID))
}

// Format conceals the keys of the configuration.
func (s *Service) Format(f fmt.State, _ rune) { concealed(f, "invitation.Service") }

// LogValue conceals the keys of the configuration.
func (s *Service) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// checkReady refuses what no operation can work with: no storage, and an acting user who is nobody.
func (s *Service) checkReady() error {
	if isNil(s.store) {
		return problemMissing.about("Storage", "is nil; pass WithStorage the store's handle on the transaction")
	}
	if s.actor == nil {
		return nil
	}
	if *s.actor == "" {
		return problemNobody.about(paramUser, "nobody is signed in; sign in and try again")
	}
	if e := checkText(paramUser, *s.actor, storage.MaxReference); e != nil {
		return e
	}
	return nil
}

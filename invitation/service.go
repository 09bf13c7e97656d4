package invitation

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/orginvite/orginvite/storage"
)

// Service performs the operations on invitations. Create one with [NewService]; it is safe for concurrent use.
//
// A Service trusts its caller. An operation checks the acting user that its parameters name:
// CreateParams.InviterUserID, or a RequestingUserID. If they name none, the caller is the trusted back end, and no user
// is checked. For a request from a browser, use [Service.As], which sets the acting user of every operation.
type Service struct {
	cfg   *settings
	store storage.Storage
	dir   Directory
	actor *string // the user of As; nil for the back end

	joined bool // WithStorage has set the store, perhaps to a transaction of the host's
}

// NewService returns a service that works on store and asks dir about users and memberships. store must not be in a
// transaction, which NewService does not check. For a transaction of your own, pass its storage to
// [Service.WithStorage]. cfg may be nil. It is copied, so later changes have no effect. The error is an [*Error] or
// [Errors] that wraps [ErrInvalid] and names every invalid field.
func NewService(store storage.Storage, dir Directory, cfg *Config) (*Service, error) {
	s, err := newSettings(store, dir, cfg)
	if err != nil {
		return nil, err
	}
	return &Service{cfg: s, store: store, dir: dir}, nil
}

// WithStorage returns a copy of the service that works on tx, such as the Storage of a transaction that the host began
// (WithTx or WithSQLTx of a bunstore.Store, or pgxtx.WithTx). Its changes are committed or rolled back with that
// transaction.
func (s *Service) WithStorage(tx storage.Storage) *Service {
	c := s.on(tx)
	c.joined = true
	return c
}

// on returns the service on the storage of its own transaction.
func (s *Service) on(tx storage.Storage) *Service {
	c := *s
	c.store = tx
	return &c
}

// As returns a copy of the service that acts as a user. Use it for requests from a browser. It differs from the service
// of the trusted back end:
//
//   - Create, CreateBulk, CreateEach and CanInvite use this user as the inviter. Operations with a RequestingUserID use
//     this user's id.
//   - In Accept, Decline, ListForUser and Grantable, an empty user id means this user. With the id of another user they
//     return [ErrForbidden].
//   - Get, List, Each and Counts require a role that manages invitations. With [RoleDefinition].ManagesOwn they find
//     only those that this user sent.
//   - Preview of an invitation to somebody else is [ErrNotInvitee].
//   - Operations return no link, and Link is ErrForbidden, unless Config.ManagersSeeLinks is set.
//   - Private metadata in Create, CreateBulk, CreateEach and Update is ErrForbidden. Results contain none.
//   - ListAll, ExpireDue, Purge, Delete, DeleteOrganization and EraseEmail are ErrForbidden.
//
// If userID is empty, every operation returns ErrForbidden with HTTP status 401, so a request without a session never
// acts as the back end.
func (s *Service) As(userID string) *Service {
	c := *s
	c.actor = &userID
	return &c
}

// LockOrganization locks an organization until the transaction ends. The lock protects the counts for Config.Seats,
// Config.MaxPending and Config.SendLimits. Operations that count take the lock themselves. In your own transaction,
// call LockOrganization on the service from [Service.WithStorage], before you read anything, in two cases:
//
//   - Config.Seats or Config.MaxPending is set, and the transaction reads or adds members itself.
//   - Config.SendLimits is set, and the transaction calls several operations. Not all of them take the lock.
//
// Do not call it in a nested transaction. If you lock several organizations, lock them in sorted order.
//
// It returns an error outside a transaction. It returns [ErrAborted] if the transaction has already read data and its
// snapshot is too old.
func (s *Service) LockOrganization(ctx context.Context, organizationID string) error {
	if err := s.checkReady(); err != nil {
		return err
	}
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		return e
	}
	return s.wrap(ctx, "lock organization", s.store.Lock(ctx, organizationID))
}

// Format prints only the name of the type, because the configuration contains keys.
func (s *Service) Format(f fmt.State, _ rune) { concealed(f, "invitation.Service") }

// LogValue logs only the name of the type, because the configuration contains keys.
func (s *Service) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// checkReady refuses a service that no operation can use: without storage, or with an invalid user of As.
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

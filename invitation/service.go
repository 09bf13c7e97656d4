package invitation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

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
	s, err := settle(store, dir, cfg)
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
	if err := s.ready(); err != nil {
		return err
	}
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		return e
	}
	return s.failed(ctx, "lock organization", s.store.Lock(ctx, organizationID))
}

// Format conceals the keys of the configuration.
func (s *Service) Format(f fmt.State, _ rune) { concealed(f, "invitation.Service") }

// LogValue conceals the keys of the configuration.
func (s *Service) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// Names of parameters on the wire.
const (
	paramOrganization = "organization_id"
	paramInvitation   = "invitation_id"
	paramUser         = "user_id"
	paramInviter      = "inviter_user_id"
	paramRequesting   = "requesting_user_id"
	paramPrivate      = "private_metadata"
)

// ready refuses what no operation can work with: no storage, and an acting user who is nobody.
func (s *Service) ready() error {
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

// backendOnly refuses what As may not do.
func (s *Service) backendOnly() error {
	if err := s.ready(); err != nil {
		return err
	}
	if s.actor != nil {
		return problemNotAllowed.about("", "only the application itself may do this")
	}
	return nil
}

// actingUser is who acts where the caller names userID: the user of As, if there is one.
func (s *Service) actingUser(userID string) string {
	if s.actor != nil {
		return *s.actor
	}
	return userID
}

// subject is the user an operation is about where the caller names userID: As fills in its own user, and refuses
// any other.
func (s *Service) subject(userID string) (string, error) {
	if s.actor == nil || userID == *s.actor {
		return userID, nil
	}
	if userID != "" {
		return "", problemNotAllowed.about(paramUser, "must be the signed-in user, or left out")
	}
	return *s.actor, nil
}

// now is the current instant as it can be stored.
func (s *Service) now() time.Time { return time.UnixMicro(s.cfg.Clock.Now().UnixMicro()).UTC() }

// limited reports whether anything is counted that must not change between the count and the write.
func (s *Service) limited() bool { return s.cfg.Seats != nil || s.cfg.MaxPending >= 0 }

// work is one operation in its transaction.
type work struct {
	*Service // on the transaction's storage
	events   []Event
}

// change runs an operation on one organization in a transaction. fn may run again.
func (s *Service) change(ctx context.Context, organizationID string,
	fn func(ctx context.Context, w *work) error) error {
	return s.transact(ctx, func(ctx context.Context, w *work) error {
		if err := w.lock(ctx, organizationID); err != nil {
			return err
		}
		return fn(ctx, w)
	})
}

// lock locks an organization where anything is counted. It comes before any row lock, so that two operations never
// wait for each other.
func (w *work) lock(ctx context.Context, organizationID string) error {
	if !w.limited() {
		return nil
	}
	return w.store.Lock(ctx, organizationID)
}

// transact runs an operation in a transaction, and at its end tells OnEvents what it noted. fn may run again.
func (s *Service) transact(ctx context.Context, fn func(ctx context.Context, w *work) error) error {
	return s.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		w := &work{Service: s.WithStorage(tx)}
		if err := fn(ctx, w); err != nil {
			return err
		}
		return w.tell(ctx)
	})
}

// tell tells OnEvents what was noted since.
func (w *work) tell(ctx context.Context) error {
	events := w.events
	w.events = nil
	if w.cfg.OnEvents == nil || len(events) == 0 {
		return nil
	}
	return w.inLevel(ctx, "Config.OnEvents", func(ctx context.Context, tx storage.Storage) error {
		return w.cfg.OnEvents(ctx, tx, events)
	})
}

// note adds an event of the operation.
func (w *work) note(e Event) { w.events = append(w.events, e) }

// inLevel runs a callback that writes in a level of its own, so that a statement of its that failed is undone,
// and cannot leave the transaction broken behind a nil error.
func (w *work) inLevel(ctx context.Context, name string, fn func(context.Context, storage.Storage) error) error {
	var refused bool
	err := w.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		err := fn(ctx, tx)
		refused = err != nil
		return err
	})
	if refused {
		return callback(name, err)
	}
	return err
}

// list reads from the store, and does not rely on it to know every field of a filter.
func (s *Service) list(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	records, err := s.store.List(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if !q.Filter.Match(r) {
			return nil, fmt.Errorf("invitation: the storage returned the record %s, which the filter leaves out; "+
				"it does not know a field of storage.Filter", printable(r.ID, maxPrinted))
		}
	}
	return records, nil
}

// pick reads the records with these ids that match the filter, and locks them until the transaction ends.
func (w *work) pick(ctx context.Context, f storage.Filter, ids ...string) ([]storage.Record, error) {
	f.IDs = ids
	return w.list(ctx, storage.Query{Filter: f, ForUpdate: true})
}

// one reads an invitation of an organization and locks it. One of another organization is not found either.
func (w *work) one(ctx context.Context, organizationID, invitationID string) (storage.Record, error) {
	found, err := w.pick(ctx, storage.Filter{OrganizationID: organizationID}, invitationID)
	if err != nil {
		return storage.Record{}, err
	}
	if len(found) == 0 {
		return storage.Record{}, noInvitation()
	}
	return found[0], nil
}

func noInvitation() *Error {
	return problemNotFound.about(paramInvitation, "there is no such invitation in this organization")
}

// checkIDs validates the ids of one invitation.
func checkIDs(organizationID, invitationID string) Errors {
	var errs Errors
	for _, e := range []*Error{
		checkText(paramOrganization, organizationID, storage.MaxReference),
		checkText(paramInvitation, invitationID, storage.MaxID),
	} {
		if e != nil {
			errs = append(errs, e)
		}
	}
	return errs
}

// role asks for a user's role. A Directory that has none to tell, and says nothing of it, knows no member.
func (s *Service) role(ctx context.Context, organizationID, userID string) (Role, error) {
	role, err := s.dir.Role(ctx, s.store, organizationID, userID)
	if err == nil && role == "" {
		err = ErrNotMember
	}
	return role, err
}

// notMember reports whether Directory.Role said that the user is no member, and nothing of its own.
func notMember(err error) bool { return errors.Is(err, ErrNotMember) && !shown(err) }

// manager checks that a user's role manages invitations, and returns the role. param names the user.
func (s *Service) manager(ctx context.Context, organizationID, userID, param string) (Role, error) {
	role, err := s.role(ctx, organizationID, userID)
	return role, s.manages(role, err, param)
}

// manages judges what is known of a user's role.
func (s *Service) manages(role Role, err error, param string) error {
	switch {
	case notMember(err):
		return problemNotMember.about(param, "this user is not a member of this organization").because(err)
	case err != nil:
		return directory("Role", paramOrganization, err)
	case !s.cfg.Roles.manages(role):
		return problemNotAdmin.about(param, "the role of this user does not manage invitations")
	}
	return nil
}

// reader checks the acting user of a read, where there is one.
func (s *Service) reader(ctx context.Context, organizationID string) (Role, error) {
	if s.actor == nil {
		return "", nil
	}
	return s.manager(ctx, organizationID, *s.actor, paramUser)
}

// seats refuses where so many more would not fit into Config.Seats.
func (s *Service) seats(ctx context.Context, organizationID string, more int) error {
	if s.cfg.Seats == nil {
		return nil
	}
	members, limit, err := s.cfg.Seats(ctx, s.store, organizationID)
	full := problemQuota.about("", "the organization has no free seat; free one or raise its limit")
	switch {
	case errors.Is(err, ErrQuotaExceeded) && !shown(err):
		return full.because(err)
	case err != nil:
		return callback("Config.Seats", err)
	case limit > 0 && more > limit-members:
		return full
	}
	return nil
}

// pending counts the pending invitations of an organization.
func (s *Service) pending(ctx context.Context, organizationID string, now time.Time) (int, error) {
	return s.store.Count(ctx, storage.Filter{
		OrganizationID: organizationID,
		Statuses:       []string{storage.Pending},
		Now:            now,
	})
}

// directory is callback for the Directory's methods that may say ErrNotFound, about what param names.
func directory(method, param string, err error) error {
	if errors.Is(err, ErrNotFound) && !shown(err) {
		return problemNotFound.about(param, "does not exist").because(err)
	}
	return callback("Directory."+method, err)
}

// callback returns the host's error as it is where it can be shown, and as an internal one that names the callback
// otherwise.
func callback(name string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// failed names the operation in an error that is an internal one. Some drivers do not say that ctx has ended, and one
// may notice a deadline before the context does.
func (s *Service) failed(ctx context.Context, operation string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	done := ctx.Err()
	if at, ok := ctx.Deadline(); ok && done == nil && !time.Now().Before(at) {
		done = context.DeadlineExceeded
	}
	if done != nil && !errors.Is(err, done) {
		return fmt.Errorf("invitation: %s: %w: %w", operation, done, err)
	}
	return fmt.Errorf("invitation: %s: %w", operation, err)
}

// failedRead is failed for an operation without a transaction. A callback may have read on the database by itself: its
// errors mean what the store's own do.
func (s *Service) failedRead(ctx context.Context, operation string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	return s.failed(ctx, operation, storage.Classify(ctx, s.store, err))
}

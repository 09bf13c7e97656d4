package invitation

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/storage"
)

// Directory answers questions about the users and memberships of the host, which is your application. The host
// implements it; invitationtest.RunDirectory tests an implementation on the host's own tables.
//
// Each method gets the [storage.Storage] that the service works in. Inside a transaction, tx is that transaction.
// bunstore.DB(tx), bunstore.SQL(tx) and pgxtx.Tx(tx) return its handle for bun, database/sql and pgx. A method's writes
// through such a handle are committed or rolled back with the invitation. While a transaction is open, a method must
// use such a handle and no other connection.
//
// Methods must be safe for concurrent use, and may be called again when an aborted transaction is retried. They must
// not commit or roll back. They must return the errors of their statements, including those of rows.Err, because a
// failed statement may have ended the transaction. After ctx has ended they must return its error, not an answer such
// as [ErrNotMember].
//
// An [*Error] is returned to the caller as it is. The errors in the comments of the methods have the meaning given
// there. Every other error is internal: the operation changes nothing and returns an error that wraps it.
//
// Ids compare byte for byte: "acme", "ACME" and "acme " are three organizations. The service counts and lists each of
// them separately. If a host treats them as one, limits can be exceeded and invitations are hidden. So columns of ids
// need these collations:
//
//   - MariaDB: utf8mb4_nopad_bin
//   - MySQL 8: utf8mb4_0900_bin
//   - PostgreSQL: any deterministic collation, and not the type citext
//   - SQLite: BINARY, the default; not NOCASE or RTRIM
//
// A method may get any text as an id. If ids are numbers or UUIDs, accept only the text that the database prints for
// the id. Treat any other text as an unknown id.
//
// The interface will not grow. Later additions will be fields of [Config].
type Directory interface {
	// Role returns the user's role in the organization, or [ErrNotMember]. An empty role without an error also means
	// that the user is not a member.
	Role(ctx context.Context, tx storage.Storage, organizationID, userID string) (Role, error)

	// MemberEmails gets canonical addresses. It returns the ones that belong to members of the organization. It may
	// return them in any spelling. If the organization does not exist it returns [ErrNotFound]. It must also find an
	// address that is stored as it was typed, such as Ann@Example.COM: compare LOWER(email), or rewrite old rows with
	// [CanonicalEmail].
	MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) ([]string, error)

	// VerifiedEmails returns all addresses that the user has proved to own, and no other addresses. It may return them
	// in any spelling. If the user does not exist it returns [ErrNotFound]. The service ignores invalid addresses.
	VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error)

	// Join creates the membership. If the user is already a member it returns [ErrAlreadyMember]: the invitation is then
	// accepted and the user keeps their role. Join runs in a nested transaction: when it returns an error, what it wrote
	// is rolled back. So a refused statement in Join does not make the whole transaction unusable. A deadlock or a lost
	// connection may. Join may be called again on a retry, so it must have no effects outside tx.
	//
	// The table of memberships needs a unique key on organization and user. Without it, a user who accepts two
	// invitations to different addresses at the same time may become a member twice, unless Config.Seats or
	// Config.MaxPending is set.
	Join(ctx context.Context, tx storage.Storage, m Membership) error
}

// Config configures a [Service]. The zero value and a nil *Config are valid: there are then no tickets, and users
// accept by organization id and invitation id.
//
// Callbacks must be safe for concurrent use. They may be called again when a transaction is retried, so they must have
// no effects outside tx. A callback's [*Error] is returned to the caller as it is. Any other error counts as an
// internal error, unless the field's comment says otherwise.
//
// A Config contains keys, so %v and slog print none of its values. There is one exception: if a Config is in an
// unexported field of a struct, fmt calls no methods on it and prints the keys.
type Config struct {
	// TicketKeys are HMAC keys, each at least 32 random bytes, all different. The first key signs tickets; all keys
	// verify them. To rotate keys, put the new key first. Drop the old key when all invitations with its tickets have
	// lapsed. Without keys there are no tickets and no links.
	TicketKeys [][]byte

	// AcceptURL is the page that a link leads to if the invitation has no redirect URL: an absolute http or https URL
	// of at most 2048 bytes. Required with TicketKeys.
	AcceptURL string

	// TicketParam is the query parameter of a link that contains the ticket. Defaults to "invitation_ticket".
	TicketParam string

	// Audience names the application that tickets are for. Two applications with the same keys and different audiences
	// reject each other's tickets. Changing the audience voids every ticket. It has at most 2048 bytes and no control
	// characters. Defaults to the origin and path of AcceptURL. Before you move that page, set Audience to the old origin
	// and path, or the move voids every ticket.
	Audience string

	// Roles are the roles of the application. Defaults to [DefaultRoles].
	Roles *Roles

	// ExpiresIn is how long an invitation stays pending if its params do not say otherwise: 1 second to 365 days.
	// Defaults to 30 days.
	ExpiresIn time.Duration

	// MaxBulk is the maximum number of invitations in one CreateBulk or CreateEach. Defaults to 1000; negative means no
	// limit.
	MaxBulk int

	// MaxPending is the maximum number of pending invitations of one organization. It holds under any concurrency.
	// Defaults to no limit; negative also means no limit.
	MaxPending int

	// MaxMetadata is the maximum size of each metadata object, in bytes. Defaults to 8192; negative means no limit.
	MaxMetadata int

	// ResendAfter is the minimum time between SentAt and resending or replacing an invitation. Defaults to 1 minute;
	// negative means no minimum.
	ResendAfter time.Duration

	// SendLimits limit how many invitations acting users may send within a window of time: per organization, per inviter
	// and per address, with at most one limit of each kind. Beyond a limit the result is [ErrTooSoon], with the seconds to
	// wait in Meta["retry_after"]. The trusted back end without an acting user is not bound. Deleted invitations no longer
	// count. So purge, and delete on behalf of users, only invitations that were sent before the longest window. Defaults
	// to no limit.
	SendLimits []SendLimit

	// AllowRedirect refuses a redirect URL by returning an error. An [*Error] is returned as it is; any other error
	// becomes the cause of an [ErrInvalid]. The URL is always an absolute http or https URL without user info, with its
	// host in lower-case ASCII (IDNA); the service refuses any other URL itself, without calling AllowRedirect.
	// AllowRedirect is also called whenever a link is made: if it refuses the stored redirect URL, the link leads to
	// AcceptURL. By default only the origin of AcceptURL is allowed. Without TicketKeys, every absolute http or https URL
	// is allowed by default.
	AllowRedirect func(*url.URL) error

	// AllowEmail refuses an address in an organization by returning an error that wraps [ErrForbidden]. It is called
	// wherever an invitation would be used: by Create, CreateBulk, CreateEach, CanInvite, Resend, Update, Link, Preview
	// and Accept. So a rule that becomes stricter also stops the invitations that are already sent, and an organization
	// can be switched off. Revoke and Decline do not call it, nor does Accept for a user who is already a member.
	// CanInvite, Preview and Link begin no transaction for it. Defaults to allowing every address.
	AllowEmail func(ctx context.Context, tx storage.Storage, r AllowEmailRequest) error

	// Seats returns how many members the organization has and how many it may have. An error that wraps
	// [ErrQuotaExceeded] means that no seat is free, regardless of the numbers. Create needs seats for the members, the
	// pending invitations and the new ones. Accept needs seats for the members and one more. Invitations into a role
	// that is [RoleDefinition].Seatless need no seat. The limit holds under any concurrency. Defaults to no limit.
	Seats func(ctx context.Context, tx storage.Storage, r SeatsRequest) (SeatsResult, error)

	// Organizations returns the organizations to show with invitations, by id. It may leave some out. By default
	// invitations are returned without their Organization.
	Organizations func(ctx context.Context, tx storage.Storage, ids []string) (map[string]Organization, error)

	// Users returns the users to show as inviters, by id. It may leave some out. The lists, Get and Preview call it once,
	// with the ids of all inviters on the page. By default invitations are returned without their Inviter.
	Users func(ctx context.Context, tx storage.Storage, ids []string) (map[string]User, error)

	// OnEvents is called with the events of an operation, in order, inside its transaction and before it commits. Most
	// operations call it once; RevokeAll, ExpireDue and Purge call it for every 500 invitations. Use it to enqueue jobs in
	// your own tables, never to send mail or to call other systems. Returning an error rolls the operation back.
	// OnEvents runs in a nested transaction, like [Directory.Join]. Deleting invitations emits no events.
	OnEvents func(ctx context.Context, tx storage.Storage, events []Event) error

	// ManagersSeeLinks lets managers who act through [Service.As] see links: operations return them, and Link is
	// allowed. Defaults to false: only the back end gets links, and mails them to the address. So a person who opens a
	// link has proved to own the address, and sign-up may rely on that.
	//
	// With ManagersSeeLinks a link proves nothing. A manager may invite any address and open its link. If sign-up takes
	// the link as proof, the manager then owns an account with that address, and can accept what other organizations send
	// to that address. So sign-up must verify addresses by other means. NewService refuses ManagersSeeLinks together with
	// TicketProvesEmail.
	ManagersSeeLinks bool

	// TicketProvesEmail makes a ticket alone prove the address. Anybody who has the link can join, with any account. So
	// a forwarded link works, and every link must be kept secret. Sign-up must then not use the link to mark the
	// address of a new account as verified. Otherwise the recipient of a forwarded link would own an account with the
	// invited address.
	//
	// Defaults to false: the user needs the verified address. Sign-up through a link still works, because your
	// application creates the account with the address verified. NewService refuses TicketProvesEmail together with
	// ManagersSeeLinks, because a manager could then join through every link.
	TicketProvesEmail bool

	// IgnoreInviterAuthority skips the check that the inviter may still grant the role, for example when a user
	// accepts. Defaults to false.
	IgnoreInviterAuthority bool

	// Clock tells the time. Defaults to [clock.System].
	Clock clock.Clock

	// NewID returns a new unique id of at most 64 bytes. Ids that ascend with time are cheaper to store. Defaults to
	// "orginv_" and a ULID with 80 bits from crypto/rand.
	NewID func() string
}

// Format prints only the name of the type, because a Config contains keys.
func (c Config) Format(f fmt.State, _ rune) { concealed(f, "invitation.Config") }

// LogValue logs only the name of the type, because a Config contains keys.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// The defaults of [Config].
const (
	DefaultExpiresIn   = 30 * 24 * time.Hour
	DefaultMaxBulk     = 1000
	DefaultMaxMetadata = 8192 // bytes
	DefaultResendAfter = time.Minute
	DefaultTicketParam = "invitation_ticket"
)

// The bounds of a Config.
const (
	minExpiry    = time.Second
	maxExpiry    = 365 * 24 * time.Hour
	minTicketKey = 32
	noLimit      = -1
)

// settings is a Config with its defaults filled in and its keys and URL parsed.
type settings struct {
	Config
	keys       keyring
	ticketText *regexp.Regexp // see func ticketText
	acceptURL  *url.URL       // nil without AcceptURL
}

// newSettings fills in the defaults of cfg and validates the result. It names each invalid field.
func newSettings(store storage.Storage, dir Directory, cfg *Config) (*settings, error) {
	s := &settings{}
	if cfg != nil {
		s.Config = *cfg
	}
	errs := checkHost(store, dir)
	errs = append(errs, checkKeyring(s.TicketKeys)...)
	errs = append(errs, s.setLinks()...)
	errs = append(errs, s.setRoles()...)
	errs = append(errs, checkSendLimits(s.SendLimits)...)
	if err := errs.err(); err != nil {
		return nil, err
	}
	s.setDefaults()
	s.ticketText = ticketText(s.TicketParam)
	s.keys = newKeyring(s.Audience, s.TicketKeys)
	s.SendLimits = slices.Clone(s.SendLimits)
	s.TicketKeys = nil // the keyring has its own copies
	return s, nil
}

// checkHost requires a store and a directory.
func checkHost(store storage.Storage, dir Directory) Errors {
	var errs Errors
	if isNil(store) {
		errs = append(errs, problemMissing.about("Storage", "is nil; pass a store, such as bunstore.New(db, nil)"))
	}
	if isNil(dir) {
		errs = append(errs, problemMissing.about("Directory", "is nil; pass what answers for your users and memberships"))
	}
	return errs
}

// checkKeyring checks the length of the keys, and that they differ.
func checkKeyring(keys [][]byte) Errors {
	var errs Errors
	for i, k := range keys {
		field := fmt.Sprintf("TicketKeys[%d]", i)
		if len(k) < minTicketKey {
			errs = append(errs, problemValue.about(field, "must be at least 32 bytes, from a random source"))
		}
		// HMAC pads a key with zeros, so keys that differ only in trailing zeros are equal.
		if slices.ContainsFunc(keys[:i], func(other []byte) bool {
			return bytes.Equal(bytes.TrimRight(k, "\x00"), bytes.TrimRight(other, "\x00"))
		}) {
			errs = append(errs, problemValue.about(field, "must differ from the keys before it"))
		}
	}
	return errs
}

// setLinks checks what links and tickets consist of, and fills in the defaults.
func (s *settings) setLinks() Errors {
	var errs Errors
	if s.AcceptURL == "" && len(s.TicketKeys) > 0 {
		errs = append(errs,
			problemMissing.about("AcceptURL", "is required with TicketKeys; set the page that a link leads to"))
	}
	if s.AcceptURL != "" {
		u, e := checkURL("AcceptURL", s.AcceptURL)
		if e != nil {
			errs = append(errs, e)
		}
		s.acceptURL = u
	}
	if s.TicketParam == "" {
		s.TicketParam = DefaultTicketParam
	} else if !paramName.MatchString(s.TicketParam) {
		errs = append(errs, problemFormat.about("TicketParam", "must be up to 64 letters, digits, '_', '-' or '.'"))
	}
	if e := s.setAudience(); e != nil {
		errs = append(errs, e)
	}
	if s.TicketProvesEmail && s.ManagersSeeLinks {
		errs = append(errs, problemValue.about("TicketProvesEmail", "must not be set with ManagersSeeLinks: "+
			"a manager could then join by the link of somebody else; drop one"))
	}
	return errs
}

// setAudience checks the audience, or derives it from AcceptURL.
func (s *settings) setAudience() *Error {
	if s.Audience != "" {
		return checkText("Audience", s.Audience, storage.MaxURL)
	}
	if s.acceptURL != nil {
		s.Audience = origin(s.acceptURL) + s.acceptURL.EscapedPath()
	}
	return nil
}

// setRoles checks the roles and the expiry, and fills in their defaults.
func (s *settings) setRoles() Errors {
	var errs Errors
	if s.Roles == nil {
		s.Roles = DefaultRoles()
	} else if len(s.Roles.defs) == 0 {
		errs = append(errs, problemMissing.about("Roles", "knows no role; build it with NewRoles"))
	}
	setDefault(&s.ExpiresIn, DefaultExpiresIn)
	if s.ExpiresIn < minExpiry || s.ExpiresIn > maxExpiry {
		errs = append(errs, problemValue.about("ExpiresIn", "must be from 1 second to 365 days"))
	}
	return errs
}

// setDefaults fills in the defaults of the fields that need no check.
func (s *settings) setDefaults() {
	setDefault(&s.MaxBulk, DefaultMaxBulk)
	setDefault(&s.MaxPending, noLimit)
	setDefault(&s.MaxMetadata, DefaultMaxMetadata)
	setDefault(&s.ResendAfter, DefaultResendAfter)
	if isNil(s.Clock) {
		s.Clock = clock.System()
	}
	if s.NewID == nil {
		s.NewID = newULID(s.Clock)
	}
	if s.AllowRedirect == nil {
		s.AllowRedirect = s.sameOrigin
	}
}

var paramName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// setDefault sets a field that is zero.
func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// newULID returns the default NewID. Ids of the same millisecond also ascend, so that a bulk keeps its order.
func newULID(c clock.Clock) func() string {
	entropy := &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}
	return func() string {
		ms := max(c.Now().UnixMilli(), 0) // a ULID cannot hold a time before 1970
		id, err := ulid.New(uint64(ms), entropy)
		if err != nil { // 2^80 ids in one millisecond, or a clock beyond the year 10889
			return ""
		}
		return "orginv_" + id.String()
	}
}

// isNil reports whether v is nil or an interface that contains a nil pointer.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return r.IsNil()
	}
	return false
}

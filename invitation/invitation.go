// Package invitation is organization invitations for a Go application: who was invited, by whom, into which
// organization and role, and what became of it.
//
// A [Service] works on a [storage.Storage] (bunstore in production, memstore in tests) and asks the host's
// [Directory] about users and memberships. Everything an operation changes, the membership included, it changes in
// one transaction: its own, or the host's, by [Service.WithStorage]. It sends no mail; it returns the acceptance
// link, and tells Config.OnEvents inside the transaction, where a host enqueues what is to be done about it.
//
// The package example shows the whole of it. The operations, their fields and error codes follow Clerk's
// organization invitations, the reference API this documentation speaks of.
package invitation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// Invitation is an invitation as it stood when it was read. Times are UTC, to the microsecond.
//
// Printed with %v or slog, or marshalled to JSON, it shows what the invited person may see: no private metadata,
// no inviter, no acceptance link. That fails inside an unexported field of another struct, where fmt calls no methods
// and prints the link.
type Invitation struct {
	ID                   string
	OrganizationID       string
	OrganizationDomainID string // set where an organization domain generated it; "" otherwise
	EmailAddress         string // as the inviter wrote it, trimmed; send mail to its [CanonicalEmail]
	Role                 Role
	RoleName             string // display name; a role nobody knows any more is named by its key
	Status               Status // effective when it was read

	PublicMetadata  Metadata
	PrivateMetadata Metadata `json:"-"` // empty through [Service.As]

	InviterUserID string `json:"-"` // "" where the back end itself invited
	RedirectURL   string `json:"-"` // where the acceptance link leads; "" for Config.AcceptURL

	// URL is the acceptance link with its ticket, a secret between the back end and the mailbox. Create, CreateBulk,
	// Resend and Update fill it for the back end; "" through [Service.As] (see Config.ManagersSeeLinks), and without
	// Config.TicketKeys.
	URL string `json:"-"`

	// Terms stand for what the invited person is shown: an opaque text that changes exactly when the role, the public
	// metadata, the expiry, the organization, the address or the link's generation changes. Accept, Decline and
	// Update compare it where the caller passes the one that was shown.
	Terms string

	// Organization is filled by ListAll, ListForUser and Preview where Config.Organizations is set.
	Organization *Organization

	CreatedAt, UpdatedAt time.Time
	ExpiresAt            time.Time // at this instant it is over
	SentAt               time.Time // when its last link was issued
	ResolvedAt           time.Time // zero while pending; ExpiresAt where expired
	ResolvedBy           string    // user who accepted, declined or revoked; "" where the back end did, or time
}

// Membership is what an accepted invitation makes of a user, as [Directory.Join] is to create it.
type Membership struct {
	OrganizationID, UserID          string
	InvitationID, InviterUserID     string // InviterUserID is "" where the back end itself invited
	EmailAddress                    string // as the inviter wrote it
	Role                            Role
	PublicMetadata, PrivateMetadata Metadata
}

// Organization is what the host shows of an organization beside an invitation into it.
type Organization struct {
	ID, Name, Slug, ImageURL string
	HasImage                 bool
}

// Event tells what happened to an invitation. Its Invitation is as the event left it, and never has a URL: a job
// that mails the link carries the ids and asks [Service.Link] when it runs.
type Event struct {
	Type       EventType
	At         time.Time // UTC, microseconds
	ActorID    string    // the user who did it; "" where the back end did, or time
	UserID     string    // on EventAccepted and EventDeclined: the invited user; "" where the ticket alone declined
	Notify     bool      // a link was issued that is to be mailed: created unless Silent, resent, updated with another role
	Invitation Invitation
}

// view is the invitation that an operation returns: through As it has no private metadata.
func (s *Service) view(r storage.Record, now time.Time) Invitation {
	inv := s.whole(r, now)
	if s.actor != nil {
		inv.PrivateMetadata = Metadata{}
	}
	return inv
}

// whole is the one place where a record becomes an Invitation. Whether a lapsed record was written expired yet
// makes no difference to what is read.
func (s *Service) whole(r storage.Record, now time.Time) Invitation {
	if lapsed(r, now) {
		if c, err := move(r, Event{Type: EventExpired, At: now}); err == nil {
			r = c.record
		}
	}
	return Invitation{
		ID:                   r.ID,
		OrganizationID:       r.OrganizationID,
		OrganizationDomainID: r.OrganizationDomainID,
		EmailAddress:         r.EmailAddress,
		Role:                 Role(r.Role),
		RoleName:             s.cfg.Roles.name(Role(r.Role)),
		Status:               Status(r.Status),
		PublicMetadata:       storedMetadata(r.PublicMetadata),
		PrivateMetadata:      storedMetadata(r.PrivateMetadata),
		InviterUserID:        r.InviterUserID,
		RedirectURL:          r.RedirectURL,
		Terms:                terms(r),
		CreatedAt:            r.CreatedAt,
		UpdatedAt:            r.UpdatedAt,
		ExpiresAt:            r.ExpiresAt,
		SentAt:               r.SentAt,
		ResolvedAt:           r.ResolvedAt,
		ResolvedBy:           r.ResolvedBy,
	}
}

// terms returns the Terms of r: a digest, so that nobody is led to read anything from them. A Version would change
// with the private metadata too, which the invited person does not see.
func terms(r storage.Record) string {
	b := []byte("orginvite terms")
	for _, shown := range []string{r.ID, r.OrganizationID, r.EmailAddress, r.Role} {
		b = appendText(b, shown)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.ExpiresAt.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Generation))
	sum := sha256.Sum256(append(b, r.PublicMetadata...))
	return encode64(sum[:len(sum)/2])
}

// Format prints id, organization, address, role and status, whatever the verb: never the link or metadata.
func (i Invitation) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "invitation(%s organization=%s email=%s role=%s status=%s)",
		printable(i.ID, maxPrinted), printable(i.OrganizationID, maxPrinted), printable(i.EmailAddress, maxPrinted),
		printable(string(i.Role), maxPrinted), printable(string(i.Status), maxPrinted))
}

// LogValue logs what Format prints, as a group.
func (i Invitation) LogValue() slog.Value {
	return slog.GroupValue(
		logged("id", i.ID),
		logged("organization_id", i.OrganizationID),
		logged("email_address", i.EmailAddress),
		logged("role", i.Role),
		logged("status", i.Status))
}

// Format prints what LogValue logs, whatever the verb.
func (m Membership) Format(f fmt.State, _ rune) { printGroup(f, "invitation.Membership", m.LogValue()) }

// LogValue logs the membership without its metadata.
func (m Membership) LogValue() slog.Value {
	return slog.GroupValue(
		logged("organization_id", m.OrganizationID),
		logged("user_id", m.UserID),
		logged("invitation_id", m.InvitationID),
		logged("role", m.Role))
}

// MarshalJSON shows what LogValue logs, for a membership that is logged inside of something else. A Directory reads
// the fields.
func (m Membership) MarshalJSON() ([]byte, error) { return marshalGroup(m.LogValue()) }

// marshalGroup returns the attributes of a group as a JSON object.
func marshalGroup(group slog.Value) ([]byte, error) {
	object := map[string]any{}
	for _, a := range group.Group() {
		object[a.Key] = a.Value.Any()
	}
	return json.Marshal(object)
}

// printGroup prints the attributes of a group behind the name of a type.
func printGroup(f fmt.State, name string, group slog.Value) { fmt.Fprintf(f, "%s%v", name, group) }

// concealed prints the name of a type that holds secrets, whatever the verb.
func concealed(f fmt.State, name string) { _, _ = io.WriteString(f, name+"(concealed)") }

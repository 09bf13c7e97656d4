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

// Invitation is an invitation as it was when it was read. Times are in UTC, with microsecond precision.
//
// %v, slog and JSON show only what the invited person may see: no private metadata, no inviter and no acceptance link.
// The exception is an unexported field of another struct: fmt calls no methods there and prints the link.
type Invitation struct {
	ID                   string // "orginv_" and a ULID, unless Config.NewID is set
	OrganizationID       string // the organization that invites
	OrganizationDomainID string // the organization domain that generated it, or ""
	EmailAddress         string // as the inviter wrote it, trimmed; send mail to its [CanonicalEmail]
	Role                 Role   // the role offered
	RoleName             string // display name of the role, or its key
	Status               Status // the effective status when it was read

	PublicMetadata  Metadata // the invited person may see it
	PrivateMetadata Metadata `json:"-"` // empty through [Service.As]

	InviterUserID string `json:"-"` // "" if the back end itself invited
	RedirectURL   string `json:"-"` // where the acceptance link leads; "" means Config.AcceptURL

	// URL is the acceptance link with its ticket. It is a secret between the back end and the mailbox. Create,
	// CreateBulk, Resend and Update set it for the back end. It is empty without Config.TicketKeys and through
	// [Service.As] (see Config.ManagersSeeLinks).
	URL string `json:"-"`

	// Terms identifies what the invited person is shown. It is opaque. It changes exactly when the role, the public
	// metadata, the expiry, the organization, the address or the generation of the link changes. Accept, Decline and
	// Update compare it if the caller passes the Terms that were shown.
	Terms string

	// Organization is set by ListAll, ListForUser and Preview if Config.Organizations returns it.
	Organization *Organization

	CreatedAt, UpdatedAt time.Time // UpdatedAt changes with every write except the one that stores the expiry
	ExpiresAt            time.Time // the first instant at which it is expired
	SentAt               time.Time // when the last link was issued
	ResolvedAt           time.Time // zero while pending; ExpiresAt if expired
	ResolvedBy           string    // user who accepted, declined or revoked; "" for the back end and for expiry
}

// Membership is the membership that [Directory.Join] creates for an accepted invitation.
type Membership struct {
	OrganizationID, UserID          string   // the organization and its new member
	InvitationID, InviterUserID     string   // InviterUserID is "" if the back end itself invited
	EmailAddress                    string   // as the inviter wrote it
	Role                            Role     // the role of the member
	PublicMetadata, PrivateMetadata Metadata // those of the invitation
}

// Organization describes an organization to the invited person.
type Organization struct {
	ID, Name, Slug, ImageURL string // Slug and ImageURL may be empty
	HasImage                 bool   // whether the organization has an image of its own
}

// Event describes what happened to an invitation. Its Invitation never has a URL: a job that mails the link stores the
// ids and calls [Service.Link] when it runs.
type Event struct {
	Type    EventType // what happened
	At      time.Time // UTC, microseconds
	ActorID string    // the user who acted; "" for the back end and for expiry
	UserID  string    // for EventAccepted and EventDeclined the invited user; "" if declined by ticket alone

	// Notify says that the link must be mailed. It is set if the invitation was resent, updated with a new role, or
	// created without Silent.
	Notify bool

	Invitation Invitation // the invitation after the event
}

// view returns the invitation that an operation returns: without private metadata through As.
func (s *Service) view(r storage.Record, now time.Time) Invitation {
	inv := s.whole(r, now)
	if s.actor != nil {
		inv.PrivateMetadata = Metadata{}
	}
	return inv
}

// whole is the only place that converts a record to an Invitation. An expired record reads the same before and after
// its expiry is stored.
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

// terms returns the Terms of r. They are a digest, so that nobody parses them. Record.Version would not do: it also
// changes with the private metadata, which the invited person does not see.
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

// Format prints id, organization, address, role and status, whatever the verb. It never prints the link or metadata.
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

// MarshalJSON returns what LogValue logs, because JSON logs marshal what they log. A Directory reads the fields.
func (m Membership) MarshalJSON() ([]byte, error) { return marshalGroup(m.LogValue()) }

// marshalGroup returns the attributes of a group as a JSON object.
func marshalGroup(group slog.Value) ([]byte, error) {
	object := map[string]any{}
	for _, a := range group.Group() {
		object[a.Key] = a.Value.Any()
	}
	return json.Marshal(object)
}

// printGroup prints the name of a type and the attributes of a group.
func printGroup(f fmt.State, name string, group slog.Value) { fmt.Fprintf(f, "%s%v", name, group) }

// concealed prints only the name of a type that contains secrets, whatever the verb.
func concealed(f fmt.State, name string) { _, _ = io.WriteString(f, name+"(concealed)") }

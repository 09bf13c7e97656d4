package invitation

import (
	"fmt"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// Status is the state of an invitation.
type Status string

// The statuses. An invitation is pending until it gets another status. Only an expired invitation can become pending
// again, by Resend.
const (
	StatusPending  Status = "pending"  // can be accepted
	StatusAccepted Status = "accepted" // the invited user is a member
	StatusRevoked  Status = "revoked"  // withdrawn by a manager, the back end or a Replace
	StatusExpired  Status = "expired"  // not resolved before ExpiresAt
	StatusDeclined Status = "declined" // declined by the invited user; not in Clerk's API
)

// EventType names what happened to an invitation.
type EventType string

// The event types, with the operations that emit them. The names follow Clerk's webhooks.
const (
	EventCreated  EventType = "organizationInvitation.created"  // by Create, CreateBulk and CreateEach
	EventAccepted EventType = "organizationInvitation.accepted" // by Accept
	EventRevoked  EventType = "organizationInvitation.revoked"  // by Revoke, RevokeAll and a Replace
	EventDeclined EventType = "organizationInvitation.declined" // by Decline
	EventExpired  EventType = "organizationInvitation.expired"  // when the status expired is stored, after ExpiresAt
	EventResent   EventType = "organizationInvitation.resent"   // by Resend
	EventUpdated  EventType = "organizationInvitation.updated"  // by Update, if it changed something
)

// outcome is one cell of the transition table: the status that the event leads to, or the reason for a refusal.
type outcome struct {
	to      Status
	refused *problem
}

func goes(to Status) outcome { return outcome{to: to} }

func refused(because problem) outcome { return outcome{refused: &because} }

// transitions is the state machine. Every change of a status goes through it. A pair that is not in the table is
// refused as not pending. Pending and expired are effective statuses: an invitation is expired from ExpiresAt on,
// whether or not that has been stored.
var transitions = map[Status]map[EventType]outcome{
	StatusPending: {
		EventAccepted: goes(StatusAccepted),
		EventDeclined: goes(StatusDeclined),
		EventRevoked:  goes(StatusRevoked),
		EventUpdated:  goes(StatusPending),
		EventResent:   goes(StatusPending),
		EventExpired:  goes(StatusExpired),
	},
	StatusExpired: {
		EventAccepted: refused(problemExpired),
		EventDeclined: goes(StatusDeclined), // the invitee clears it from a list
		EventRevoked:  refused(problemNotPending),
		EventUpdated:  refused(problemNotPending),
		EventResent:   goes(StatusPending),
	},
	StatusAccepted: {
		EventAccepted: refused(problemAccepted),
		EventDeclined: refused(problemNotPending),
		EventRevoked:  refused(problemNotPending),
		EventUpdated:  refused(problemNotPending),
		EventResent:   refused(problemNotPending),
	},
	StatusDeclined: {
		EventAccepted: refused(problemNotPending),
		EventDeclined: refused(problemNotPending),
		EventRevoked:  refused(problemNotPending),
		EventUpdated:  refused(problemNotPending),
		EventResent:   refused(problemNotPending),
	},
	StatusRevoked: {
		EventAccepted: refused(problemRevoked),
		EventDeclined: refused(problemNotPending),
		EventRevoked:  refused(problemNotPending),
		EventUpdated:  refused(problemNotPending),
		EventResent:   refused(problemNotPending),
	},
}

// on returns the status that event leads to from s. If the event is refused, the error is an [*Error] with a
// [*TransitionError] in its chain.
func (s Status) on(event EventType) (Status, error) {
	o, known := transitions[s][event]
	switch {
	case !known:
		o = refused(problemNotPending)
	case o.refused == nil:
		return o.to, nil
	}
	t := &TransitionError{From: s, Event: event}
	return s, o.refused.about("", t.reason()).because(t)
}

// known reports whether s is one of the statuses.
func (s Status) known() bool {
	_, ok := transitions[s]
	return ok
}

// TransitionError is a transition that the state machine refused. It is in the chain of the [*Error] that the operation
// returned. The sentinel of that Error ([ErrNotPending], [ErrExpired], [ErrAccepted] or [ErrRevoked]) gives the reason.
type TransitionError struct {
	From  Status    // the status of the invitation
	Event EventType // the event that was refused
}

// Error names the status and the event.
func (e *TransitionError) Error() string { return "invitation: " + e.reason() }

func (e *TransitionError) reason() string {
	_, verb, _ := strings.Cut(string(e.Event), ".")
	if verb == string(e.From) {
		return "the invitation is already " + verb
	}
	return fmt.Sprintf("the invitation is %s and cannot be %s", printable(string(e.From), maxPrinted), verb)
}

// lapsed reports whether r has expired but is still stored as pending.
func lapsed(r storage.Record, now time.Time) bool {
	return r.Status == storage.Pending && r.EffectiveStatus(now) == storage.Expired
}

// change is the result of an event: the record to store, and the event.
type change struct {
	record storage.Record
	event  Event
}

// move applies e to r as the transition table says, or returns the refusal. Nothing else changes a status.
func move(r storage.Record, e Event) (change, error) {
	from := Status(r.EffectiveStatus(e.At))
	if e.Type == EventExpired { // store the expiry of a record that is stored as pending
		from = Status(r.Status)
	}
	to, err := from.on(e.Type)
	if err != nil {
		return change{}, err
	}
	r.Status = string(to)
	switch to {
	case StatusPending:
		r.ResolvedAt, r.ResolvedBy, r.UpdatedAt = time.Time{}, "", e.At
	case StatusExpired:
		r.ResolvedAt = r.ExpiresAt // nobody changed it, so UpdatedAt stays
	default:
		r.ResolvedAt, r.ResolvedBy, r.UpdatedAt = e.At, e.ActorID, e.At
	}
	return change{r, e}, nil
}

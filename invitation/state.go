package invitation

import (
	"fmt"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// Status says where an invitation stands.
type Status string

// The statuses. An invitation is pending until one of the others resolves it; only an expired one can come back,
// by being sent again.
const (
	StatusPending  Status = "pending"
	StatusAccepted Status = "accepted"
	StatusRevoked  Status = "revoked"
	StatusExpired  Status = "expired"
	StatusDeclined Status = "declined" // ours: the reference has the other four
)

// EventType names what happened to an invitation, and so the transition it took.
type EventType string

// The events, named as the reference names its webhooks.
const (
	EventCreated  EventType = "organizationInvitation.created"
	EventAccepted EventType = "organizationInvitation.accepted"
	EventRevoked  EventType = "organizationInvitation.revoked"
	EventDeclined EventType = "organizationInvitation.declined"
	EventExpired  EventType = "organizationInvitation.expired"
	EventResent   EventType = "organizationInvitation.resent"
	EventUpdated  EventType = "organizationInvitation.updated"
)

// outcome is a cell of the transition table: where the event leads, or why it may not happen.
type outcome struct {
	to      Status
	refused *problem
}

func goes(to Status) outcome { return outcome{to: to} }

func refused(because problem) outcome { return outcome{refused: &because} }

// transitions is the state machine. Every change of a status goes through it; what is not in it is refused as
// not pending. An expired invitation is one whose time has come, whether that was written or not.
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
		EventDeclined: refused(problemExpired),
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

// on returns the status that event leads to from s. Where it may not happen the error is an [*Error] with a
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

// TransitionError says which transition the state machine refused. It is in the chain of the [*Error] that the
// operation returned, whose sentinel ([ErrNotPending], [ErrExpired], [ErrAccepted], [ErrRevoked]) says why.
type TransitionError struct {
	From  Status    // where the invitation stood
	Event EventType // what was asked for
}

// Error names both.
func (e *TransitionError) Error() string { return "invitation: " + e.reason() }

func (e *TransitionError) reason() string {
	_, verb, _ := strings.Cut(string(e.Event), ".")
	if verb == string(e.From) {
		return "the invitation is " + verb + " already"
	}
	return fmt.Sprintf("the invitation is %s and cannot be %s", printable(string(e.From), maxPrinted), verb)
}

// lapsed reports whether r is stored pending although its time has come.
func lapsed(r storage.Record, now time.Time) bool {
	return r.Status == storage.Pending && r.EffectiveStatus(now) == storage.Expired
}

// change is what an event makes of an invitation: its record as it is to be written, and the event.
type change struct {
	record storage.Record
	event  Event
}

// move takes r to the status that the table has for e, or returns the refusal. It is the only way to another status.
func move(r storage.Record, e Event) (change, error) {
	from := Status(r.EffectiveStatus(e.At))
	if e.Type == EventExpired { // the time has come, and that is to be written
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
		r.ResolvedAt = r.ExpiresAt // nobody touched it, so UpdatedAt stays
	default:
		r.ResolvedAt, r.ResolvedBy, r.UpdatedAt = e.At, e.ActorID, e.At
	}
	return change{r, e}, nil
}

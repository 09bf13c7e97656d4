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

// lapse writes a lapsed record expired. That nobody touched it shows: UpdatedAt stays.
func lapse(r storage.Record) storage.Record {
	r.Status, r.ResolvedAt = storage.Expired, r.ExpiresAt
	return r
}

// resolve moves r by an event that ends it.
func resolve(r *storage.Record, event EventType, userID string, now time.Time) error {
	to, err := Status(r.EffectiveStatus(now)).on(event)
	if err != nil {
		return err
	}
	r.Status, r.ResolvedBy = string(to), userID
	r.ResolvedAt, r.UpdatedAt = now, now
	return nil
}

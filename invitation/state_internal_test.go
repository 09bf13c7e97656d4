package invitation

import (
	"errors"
	"testing"

	"github.com/matryer/is"
)

// The whole table of the state machine: every status with every event.
func TestTransitions(t *testing.T) {
	events := []EventType{EventAccepted, EventDeclined, EventRevoked, EventUpdated, EventResent, EventExpired}
	for from, row := range map[Status][]any{
		StatusPending:  {StatusAccepted, StatusDeclined, StatusRevoked, StatusPending, StatusPending, StatusExpired},
		StatusExpired:  {ErrExpired, StatusDeclined, ErrNotPending, ErrNotPending, StatusPending, ErrNotPending},
		StatusAccepted: {ErrAccepted, ErrNotPending, ErrNotPending, ErrNotPending, ErrNotPending, ErrNotPending},
		StatusDeclined: {ErrNotPending, ErrNotPending, ErrNotPending, ErrNotPending, ErrNotPending, ErrNotPending},
		StatusRevoked:  {ErrRevoked, ErrNotPending, ErrNotPending, ErrNotPending, ErrNotPending, ErrNotPending},
	} {
		for i, want := range row {
			t.Run(string(from)+" "+string(events[i]), func(t *testing.T) {
				is := is.New(t)
				to, err := from.on(events[i])
				if refusal, refused := want.(error); refused {
					is.True(errors.Is(err, refusal)) // refused with the sentinel of the table
					is.Equal(to, from)               // and stays
					var e *Error
					is.True(errors.As(err, &e)) // which can be shown
					var tr *TransitionError
					is.True(errors.As(err, &tr)) // and says what was refused
					is.Equal(*tr, TransitionError{From: from, Event: events[i]})
					is.True(tr.Error() != "")
					return
				}
				is.NoErr(err)
				is.Equal(to, want)
			})
		}
	}
	for status := range transitions {
		if !status.known() {
			t.Errorf("%s is not known", status)
		}
	}
	if Status("created").known() || Status("").known() {
		t.Error("a status nobody defined is known")
	}
	if _, err := Status("weird").on(EventAccepted); !errors.Is(err, ErrNotPending) {
		t.Errorf("a status nobody knows moves on: %v", err)
	}
}

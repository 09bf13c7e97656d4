package invitation

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// The views of the wire format. All times are Unix milliseconds.

// frontend is what a browser may see of an invitation.
type frontend struct {
	Object         string            `json:"object"`
	ID             string            `json:"id"`
	EmailAddress   string            `json:"email_address"`
	Role           Role              `json:"role"`
	RoleName       string            `json:"role_name"`
	OrganizationID string            `json:"organization_id"`
	Status         Status            `json:"status"`
	PublicMetadata Metadata          `json:"public_metadata"`
	Terms          string            `json:"terms"`
	ExpiresAt      int64             `json:"expires_at"`
	CreatedAt      int64             `json:"created_at"`
	UpdatedAt      int64             `json:"updated_at"`
	Organization   *organizationData `json:"public_organization_data,omitempty"`
}

type organizationData struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Slug     string `json:"slug"`
	ImageURL string `json:"image_url"`
	HasImage bool   `json:"has_image"`
}

// inviter is what the back end sees besides, in events too.
type inviter struct {
	InviterID         *string   `json:"inviter_id"`
	PublicInviterData *struct{} `json:"public_inviter_data"` // the reference's key; null here
}

// backend is the whole view.
type backend struct {
	frontend
	inviter
	PrivateMetadata Metadata `json:"private_metadata"`
	URL             *string  `json:"url"`
}

func (i Invitation) frontend() frontend {
	return frontend{
		Object:         "organization_invitation",
		ID:             i.ID,
		EmailAddress:   i.EmailAddress,
		Role:           i.Role,
		RoleName:       i.RoleName,
		OrganizationID: i.OrganizationID,
		Status:         i.Status,
		PublicMetadata: i.PublicMetadata,
		Terms:          i.Terms,
		ExpiresAt:      i.ExpiresAt.UnixMilli(),
		CreatedAt:      i.CreatedAt.UnixMilli(),
		UpdatedAt:      i.UpdatedAt.UnixMilli(),
		Organization:   (*organizationData)(i.Organization),
	}
}

func (i Invitation) inviter() inviter { return inviter{InviterID: nullable(i.InviterUserID)} }

// nullable is null on the wire for "".
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// MarshalJSON returns the frontend view of the wire format, which is safe for a browser: no private metadata, no
// inviter, no URL. Times are Unix milliseconds. [Invitation.Backend] shows everything.
func (i Invitation) MarshalJSON() ([]byte, error) { return json.Marshal(i.frontend()) }

// UnmarshalJSON reads both views, for clients and tests in Go. What a view does not show is left empty; times come
// back to the millisecond.
func (i *Invitation) UnmarshalJSON(b []byte) error {
	if string(b) == "null" { // as json.Unmarshal has it
		return nil
	}
	var v backend
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*i = Invitation{
		ID:              v.ID,
		OrganizationID:  v.OrganizationID,
		EmailAddress:    v.EmailAddress,
		Role:            v.Role,
		RoleName:        v.RoleName,
		Status:          v.Status,
		PublicMetadata:  v.PublicMetadata,
		PrivateMetadata: v.PrivateMetadata,
		InviterUserID:   value(v.InviterID),
		URL:             value(v.URL),
		Organization:    (*Organization)(v.Organization),
		CreatedAt:       time.UnixMilli(v.CreatedAt).UTC(),
		UpdatedAt:       time.UnixMilli(v.UpdatedAt).UTC(),
		ExpiresAt:       time.UnixMilli(v.ExpiresAt).UTC(),
		Terms:           v.Terms,
	}
	return nil
}

// BackendInvitation is an [Invitation] that marshals everything: private metadata, inviter and acceptance link.
// Printed with %v, or logged as an attribute of its own, it shows no more than an Invitation does. Inside of another value
// a JSON log marshals it, and so shows everything.
type BackendInvitation struct{ Invitation }

// Backend returns i for a caller that may see everything of it.
func (i Invitation) Backend() BackendInvitation { return BackendInvitation{i} }

// MarshalJSON returns the backend view of the wire format.
func (i BackendInvitation) MarshalJSON() ([]byte, error) {
	return json.Marshal(backend{i.frontend(), i.inviter(), i.PrivateMetadata, nullable(i.URL)})
}

// list is a page on the wire. Data is never null.
type list[T any] struct {
	Data       []T    `json:"data"`
	TotalCount int    `json:"total_count"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// MarshalJSON returns the page with its invitations in the frontend view.
func (p Page) MarshalJSON() ([]byte, error) {
	return json.Marshal(list[Invitation]{append([]Invitation{}, p.Data...), p.TotalCount, p.NextCursor})
}

// UnmarshalJSON reads a page with its invitations in either view.
func (p *Page) UnmarshalJSON(b []byte) error {
	var l list[Invitation]
	err := json.Unmarshal(b, &l)
	if err == nil {
		*p = Page(l)
	}
	return err
}

// BackendPage is a [Page] whose invitations marshal everything. Logged as an attribute of its own it shows what a Page does.
type BackendPage struct{ Page }

// Backend returns p for a caller that may see everything of it. For the answer of a bulk:
//
//	invitation.Page{Data: invs, TotalCount: len(invs)}.Backend()
func (p Page) Backend() BackendPage { return BackendPage{p} }

// MarshalJSON returns the page with its invitations in the backend view.
func (p BackendPage) MarshalJSON() ([]byte, error) {
	data := make([]BackendInvitation, len(p.Data))
	for i, inv := range p.Data {
		data[i] = inv.Backend()
	}
	return json.Marshal(list[BackendInvitation]{data, p.TotalCount, p.NextCursor})
}

// MarshalJSON returns the event as a webhook of the reference has it. Its data is the backend view without url and
// private_metadata.
func (e Event) MarshalJSON() ([]byte, error) {
	type data struct {
		frontend
		inviter
		UserID string `json:"user_id,omitempty"`
	}
	d := data{frontend: e.Invitation.frontend(), inviter: e.Invitation.inviter()}
	if e.Type == EventAccepted {
		d.UserID = e.UserID
	}
	return json.Marshal(struct {
		Object    string    `json:"object"`
		Type      EventType `json:"type"`
		Timestamp int64     `json:"timestamp"`
		Data      data      `json:"data"`
	}{"event", e.Type, e.At.UnixMilli(), d})
}

// HTTPStatus returns the status to answer err with: that of the first refusal it carries; 503 for [ErrOutcomeUnknown];
// 500 if a context has ended, whatever else err is; 409 for [ErrAborted] and [ErrConflict]; 503 for [ErrUnavailable];
// 500 for any other error; and 200 for nil. With 429 send Retry-After too: the refusal's Meta["retry_after"], in
// seconds.
func HTTPStatus(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return refusalsOf(err)[0].Status
}

// ErrorBody returns the JSON body to answer err with, {"errors":[…]}, one entry for each refusal. Of an error that is
// none it says nothing but that there was one.
func ErrorBody(err error) []byte {
	type entry struct {
		Message     string         `json:"message"`
		LongMessage string         `json:"long_message"`
		Code        string         `json:"code"`
		Meta        map[string]any `json:"meta,omitempty"`
	}
	body := struct {
		Errors []entry `json:"errors"`
	}{[]entry{}}
	if err != nil {
		for _, e := range refusalsOf(err) {
			meta := map[string]any{}
			for key, value := range e.Meta {
				meta[key] = value
			}
			if e.Param != "" {
				meta["param_name"] = e.Param
			}
			body.Errors = append(body.Errors, entry{e.Message, e.LongMessage, e.Code, meta})
		}
	}
	b, failed := json.Marshal(body)
	if failed != nil { // a Meta of the host's that does not marshal
		return ErrorBody(problemInternal.about("", "something went wrong; try again later"))
	}
	return b
}

// refusalsOf returns what can be shown of err, at least one.
func refusalsOf(err error) Errors {
	errs := refusals(err)
	switch {
	case errs != nil && errs[0].Status >= 400 && errs[0].Status <= 599:
		return errs
	case errors.Is(err, ErrOutcomeUnknown):
		return Errors{problemOutcome.about("", "the connection was lost while saving; the change may have been made, so check before you try again")}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Nobody waits for the answer any more, whatever the database made of that.
		return Errors{problemInternal.about("", "the request was cancelled or took too long; try again")}
	case errors.Is(err, ErrAborted):
		return Errors{problemLocked.about("", "the database was busy and nothing was changed; try again")}
	case errors.Is(err, ErrUnavailable):
		return Errors{problemUnavailable.about("", "the database is not available and nothing was changed; try again later")}
	case errors.Is(err, ErrConflict):
		return Errors{problemConflict.about("", "somebody else changed the invitation at the same moment; read it again")}
	}
	return Errors{problemInternal.about("", "something went wrong; try again later")}
}

package invitation

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// This file has the JSON of the wire format. All times are Unix milliseconds.

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
	SentAt         int64             `json:"sent_at"`
	ResolvedAt     *int64            `json:"resolved_at"`
	Organization   *organizationData `json:"public_organization_data,omitempty"`
}

type organizationData struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Slug     string `json:"slug"`
	ImageURL string `json:"image_url"`
	HasImage bool   `json:"has_image"`
}

// inviter is what the back end also sees, in events too.
type inviter struct {
	InviterID         *string      `json:"inviter_id"`
	PublicInviterData *inviterData `json:"public_inviter_data"`
}

type inviterData struct {
	UserID     string  `json:"user_id"`
	FirstName  *string `json:"first_name"`
	LastName   *string `json:"last_name"`
	ImageURL   string  `json:"image_url"`
	HasImage   bool    `json:"has_image"`
	Identifier string  `json:"identifier"`
}

// backend is everything.
type backend struct {
	frontend
	inviter
	PrivateMetadata Metadata `json:"private_metadata"`
	URL             *string  `json:"url"`
}

func (i Invitation) frontend() frontend {
	var resolved *int64
	if !i.ResolvedAt.IsZero() {
		ms := i.ResolvedAt.UnixMilli()
		resolved = &ms
	}
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
		SentAt:         i.SentAt.UnixMilli(),
		ResolvedAt:     resolved,
		Organization:   (*organizationData)(i.Organization),
	}
}

func (i Invitation) inviter() inviter {
	data := inviter{InviterID: nullable(i.InviterUserID)}
	if u := i.Inviter; u != nil {
		data.PublicInviterData = &inviterData{
			UserID:     u.ID,
			FirstName:  nullable(u.FirstName),
			LastName:   nullable(u.LastName),
			ImageURL:   u.ImageURL,
			HasImage:   u.HasImage,
			Identifier: u.Identifier,
		}
	}
	return data
}

// user returns the User that was marshaled, or nil.
func (d *inviterData) user() *User {
	if d == nil {
		return nil
	}
	return &User{
		ID:         d.UserID,
		FirstName:  value(d.FirstName),
		LastName:   value(d.LastName),
		Identifier: d.Identifier,
		ImageURL:   d.ImageURL,
		HasImage:   d.HasImage,
	}
}

// nullable returns nil, which is null in JSON, for "".
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

// MarshalJSON returns the frontend view, which is safe for a browser: no private metadata, no inviter, no URL. Times
// are Unix milliseconds. For everything, use [Invitation.Backend].
func (i Invitation) MarshalJSON() ([]byte, error) { return json.Marshal(i.frontend()) }

// UnmarshalJSON reads both views, for clients and tests in Go. Fields that a view does not show stay empty. Times have
// millisecond precision.
func (i *Invitation) UnmarshalJSON(b []byte) error {
	if string(b) == "null" { // as json.Unmarshal does
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
		Inviter:         v.PublicInviterData.user(),
		Organization:    (*Organization)(v.Organization),
		CreatedAt:       time.UnixMilli(v.CreatedAt).UTC(),
		UpdatedAt:       time.UnixMilli(v.UpdatedAt).UTC(),
		ExpiresAt:       time.UnixMilli(v.ExpiresAt).UTC(),
		Terms:           v.Terms,
	}
	if v.SentAt != 0 { // Clerk's own API does not have it
		i.SentAt = time.UnixMilli(v.SentAt).UTC()
	}
	if v.ResolvedAt != nil {
		i.ResolvedAt = time.UnixMilli(*v.ResolvedAt).UTC()
	}
	return nil
}

// BackendInvitation is an [Invitation] whose JSON is the backend view: everything, including private metadata, inviter
// and acceptance link. With %v, or as the value of a slog attribute, it shows no more than an Invitation. But if it is
// part of another value, such as a field of a struct, a JSON log of that value shows everything.
type BackendInvitation struct{ Invitation }

// Backend returns i for a client that may see everything, such as the back end.
func (i Invitation) Backend() BackendInvitation { return BackendInvitation{i} }

// MarshalJSON returns the backend view, which has everything.
func (i BackendInvitation) MarshalJSON() ([]byte, error) {
	return json.Marshal(backend{i.frontend(), i.inviter(), i.PrivateMetadata, nullable(i.URL)})
}

// pageData is the JSON of a page. Data is never null.
type pageData[T any] struct {
	Data       []T    `json:"data"`
	TotalCount int    `json:"total_count"`
	NextCursor string `json:"next_cursor,omitempty"`
	PrevCursor string `json:"prev_cursor,omitempty"`
}

// MarshalJSON returns the page with its invitations in the frontend view.
func (p Page) MarshalJSON() ([]byte, error) {
	return json.Marshal(pageData[Invitation]{append([]Invitation{}, p.Data...), p.TotalCount, p.NextCursor, p.PrevCursor})
}

// UnmarshalJSON reads a page with its invitations in either view.
func (p *Page) UnmarshalJSON(b []byte) error {
	var data pageData[Invitation]
	err := json.Unmarshal(b, &data)
	if err == nil {
		*p = Page(data)
	}
	return err
}

// BackendPage is a [Page] whose JSON has the backend view of its invitations. As the value of a slog attribute it shows
// no more than a Page.
type BackendPage struct{ Page }

// Backend returns p for a client that may see everything. For example, a handler answers a CreateBulk with:
//
//	invitation.Page{Data: invs, TotalCount: len(invs)}.Backend()
func (p Page) Backend() BackendPage { return BackendPage{p} }

// MarshalJSON returns the page with its invitations in the backend view.
func (p BackendPage) MarshalJSON() ([]byte, error) {
	data := make([]BackendInvitation, len(p.Data))
	for i, inv := range p.Data {
		data[i] = inv.Backend()
	}
	return json.Marshal(pageData[BackendInvitation]{data, p.TotalCount, p.NextCursor, p.PrevCursor})
}

// MarshalJSON returns the event in the form of Clerk's webhooks. Its data is the backend view without url and
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

// HTTPStatus returns the HTTP status for err:
//
//   - for an [*Error] or [Errors], the status of the first one
//   - 503 for [ErrOutcomeUnknown]
//   - 500 for [context.Canceled] and [context.DeadlineExceeded]
//   - 409 for [ErrAborted] and [ErrConflict]
//   - 503 for [ErrUnavailable]
//   - 500 for any other error, and 200 for nil
//
// The first match counts. With status 429, send Meta["retry_after"] of the Error as the header Retry-After, in seconds.
func HTTPStatus(err error) int {
	if err == nil {
		return 200
	}
	return shownErrors(err)[0].Status
}

// ErrorBody returns the JSON body for err, {"errors":[…]}, with one entry for each [Error]. As in Clerk's API, the
// duplicates of a CreateBulk share one entry that lists their addresses. An internal error becomes one entry without
// details.
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
		for _, e := range joinDuplicates(shownErrors(err)) {
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
	if failed != nil { // the host's Meta may not marshal
		return ErrorBody(problemInternal.about("", "something went wrong; try again later"))
	}
	return b
}

// joinDuplicates returns errs with all duplicates of a CreateBulk as one, in the place of the first.
func joinDuplicates(errs Errors) Errors {
	var addresses []string
	joined := problemDuplicates.about(paramEmail,
		"some addresses have a pending invitation in this organization; leave them out or replace them")
	var out Errors
	for _, e := range errs {
		own, ok := e.Meta[metaAddresses].([]string)
		if e.Code != CodeDuplicateRecord || !ok { // a host may use the code for an error of its own
			out = append(out, e)
			continue
		}
		if addresses == nil {
			out = append(out, joined)
		}
		addresses = append(addresses, own...)
	}
	if addresses != nil {
		_ = joined.with(metaAddresses, addresses)
	}
	return out
}

// shownErrors returns the errors to show for err, at least one.
func shownErrors(err error) Errors {
	errs := refusals(err)
	switch {
	case errs != nil && errs[0].Status >= 400 && errs[0].Status <= 599:
		return errs
	case errors.Is(err, ErrOutcomeUnknown):
		return Errors{problemOutcome.about("",
			"the connection was lost while saving; the change may have been made, so check before you try again")}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Nobody waits for the response any more, whatever the database returned.
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

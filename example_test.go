package orginvite_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// The tables of the application.
type (
	organization struct {
		ID    string `bun:",pk"`
		Name  string
		Seats int // that it pays for; 0 any number
	}

	user struct {
		ID       string `bun:",pk"`
		Email    string `bun:",unique"` // in the form of invitation.CanonicalEmail
		Verified bool
	}

	membership struct {
		OrganizationID string `bun:",pk"`
		UserID         string `bun:",pk"`
		Role           invitation.Role
		InvitationID   string // "" where they did not join by one
		Public         invitation.Metadata
		Private        invitation.Metadata
	}

	mailJob struct {
		ID             int64 `bun:",pk,autoincrement"`
		OrganizationID string
		InvitationID   string
	}
)

// directory answers for users and memberships. It works on bunstore.DB(tx), the transaction the service is in, so it
// has no state of its own.
type directory struct{}

func (directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	m := membership{OrganizationID: org, UserID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&m).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return m.Role, err
}

func (directory) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	db := bunstore.DB(tx)
	known, err := db.NewSelect().Model(&organization{ID: org}).WherePK().Exists(ctx)
	if err == nil && !known {
		err = invitation.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	var found []string
	err = db.NewSelect().Model((*user)(nil)).Column("email").
		Join("JOIN memberships AS m ON m.user_id = id").
		Where("m.organization_id = ? AND LOWER(email) IN ? AND verified", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	u := user{ID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&u).WherePK().Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, invitation.ErrNotFound
	case err != nil || !u.Verified:
		return nil, err
	}
	return []string{u.Email}, nil
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().On("CONFLICT DO NOTHING").Model(&membership{
		OrganizationID: m.OrganizationID,
		UserID:         m.UserID,
		Role:           m.Role,
		InvitationID:   m.InvitationID,
		Public:         m.PublicMetadata,
		Private:        m.PrivateMetadata,
	}).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

// seats serves as Config.Seats.
func seats(ctx context.Context, tx storage.Storage, org string) (members, limit int, err error) {
	db := bunstore.DB(tx)
	o := organization{ID: org}
	if err := db.NewSelect().Model(&o).WherePK().Scan(ctx); err != nil {
		return 0, 0, err
	}
	n, err := db.NewSelect().Model((*membership)(nil)).Where("organization_id = ?", org).Count(ctx)
	return int(n), o.Seats, err
}

// organizations serves as Config.Organizations.
func organizations(ctx context.Context, tx storage.Storage, ids []string) (map[string]invitation.Organization, error) {
	var rows []organization
	err := bunstore.DB(tx).NewSelect().Model(&rows).Where("id IN ?", bun.Tuple(ids)).Scan(ctx)
	found := map[string]invitation.Organization{}
	for _, o := range rows {
		found[o.ID] = invitation.Organization{ID: o.ID, Name: o.Name}
	}
	return found, err
}

// enqueueMail serves as Config.OnEvents: a job for every link to be mailed, committed with the invitation.
func enqueueMail(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
	var jobs []mailJob
	for _, e := range events {
		if e.Notify {
			jobs = append(jobs, mailJob{OrganizationID: e.Invitation.OrganizationID, InvitationID: e.Invitation.ID})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := bunstore.DB(tx).NewInsert().Model(&jobs).Exec(ctx)
	return err
}

// app is the application.
type app struct {
	db    *bun.DB
	store *bunstore.Store
	svc   *invitation.Service
}

// open opens the application on a SQLite file, with an organization acme of which ann is an admin, and a user bob.
func open(file string, now clock.Clock) (*app, error) {
	ctx := context.Background()
	dsn := "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(500)&_txlock=immediate"
	sqldb, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	a := &app{db: bun.NewDB(sqldb, sqlitedialect.New())}
	if err := a.db.ResetModel(ctx, (*organization)(nil), (*user)(nil), (*membership)(nil), (*mailJob)(nil)); err != nil {
		return nil, err
	}
	for _, rows := range []any{
		&organization{ID: "acme", Name: "Acme"},
		&[]user{{"ann", "ann@acme.example", true}, {"bob", "bob@example.com", true}},
		&membership{OrganizationID: "acme", UserID: "ann", Role: invitation.RoleAdmin},
	} {
		if _, err := a.db.NewInsert().Model(rows).Exec(ctx); err != nil {
			return nil, err
		}
	}

	if a.store, err = bunstore.New(a.db, nil); err != nil {
		return nil, err
	}
	if err := a.store.Migrate(ctx); err != nil {
		return nil, err
	}
	a.svc, err = invitation.NewService(a.store, directory{}, &invitation.Config{
		TicketKeys:    [][]byte{[]byte("an example's key, of 32 bytes or more")}, // a real one is random, and secret
		AcceptURL:     "https://app.acme.example/join",
		Seats:         seats,
		Organizations: organizations,
		OnEvents:      enqueueMail,
		Clock:         now,
	})
	return a, err
}

// example opens the application for an example, and closes and removes it when the example calls end.
func example() (a *app, end func()) {
	dir, err := os.MkdirTemp("", "orginvite")
	if err != nil {
		log.Fatal(err)
	}
	if a, err = open(filepath.Join(dir, "app.db"), clock.System()); err != nil {
		log.Fatal(err)
	}
	return a, func() {
		if err := errors.Join(a.db.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

// count counts the rows of a table.
func (a *app) count(ctx context.Context, table string) int64 {
	n, err := a.db.NewSelect().Table(table).Count(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

// ticketIn is what the page behind a link does first.
func ticketIn(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		log.Fatal(err)
	}
	return u.Query().Get("invitation_ticket")
}

// The application begins the transaction; what the library does in it commits, or is undone, with the rest: here a
// new organization, its first member, the invitation of a colleague, and the job that mails it.
func Example_transaction() {
	a, end := example()
	defer end()
	db, store, svc := a.db, a.store, a.svc

	onboard := func(ctx context.Context, org organization, paid bool) error {
		return db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			svc := svc.WithStorage(store.WithTx(tx))
			// Members are about to be added without the service, which counts them for Seats.
			if err := svc.LockOrganization(ctx, org.ID); err != nil {
				return err
			}
			if _, err := tx.NewInsert().Model(&org).Exec(ctx); err != nil {
				return err
			}
			founder := membership{OrganizationID: org.ID, UserID: "bob", Role: invitation.RoleAdmin}
			if _, err := tx.NewInsert().Model(&founder).Exec(ctx); err != nil {
				return err
			}
			_, err := svc.Create(ctx, org.ID, invitation.CreateParams{
				EmailAddress:  "carol@example.com",
				Role:          invitation.RoleMember,
				InviterUserID: "bob",
			})
			if err == nil && !paid {
				err = errors.New("the card was declined")
			}
			return err
		})
	}

	ctx := context.Background()
	for _, paid := range []bool{false, true} {
		fmt.Println("error:", onboard(ctx, organization{ID: "bazaar", Name: "Bazaar", Seats: 5}, paid))
		fmt.Println("organizations", a.count(ctx, "organizations"), "members", a.count(ctx, "memberships"),
			"invitations", a.count(ctx, "organization_invitations"), "mails", a.count(ctx, "mail_jobs"))
	}
	// Output:
	// error: the card was declined
	// organizations 1 members 1 invitations 0 mails 0
	// error: <nil>
	// organizations 2 members 2 invitations 1 mails 1
}

// Sign-up behind the link. The page shows what Preview returns; its form creates the account and accepts, in one
// transaction. The ticket proves the address, so the user is created with that address verified. This is safe only
// while links reach nothing but the mailbox: mail inv.URL or the answer of Link to the address, show it to nobody, and
// leave Config.ManagersSeeLinks and Config.TicketProvesEmail off.
func Example_signUp() {
	a, end := example()
	defer end()
	db, store, svc := a.db, a.store, a.svc

	signUp := func(ctx context.Context, ticket, terms, userID string) error {
		inv, err := svc.Preview(ctx, ticket) // the address comes from the ticket, never from the form
		if err != nil {
			return err
		}
		email, err := invitation.CanonicalEmail(inv.EmailAddress)
		if err != nil {
			return err
		}
		return db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.NewInsert().Model(&user{userID, email, true}).Exec(ctx); err != nil {
				return err
			}
			_, err := svc.WithStorage(store.WithTx(tx)).Accept(ctx, invitation.AcceptParams{
				Ticket: ticket,
				UserID: userID,
				Terms:  terms, // that the page showed
			})
			return err
		})
	}

	ctx := context.Background()
	for _, revoke := range []bool{true, false} {
		inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
			EmailAddress:  "Carol@Example.com",
			Role:          invitation.RoleMember,
			InviterUserID: "ann",
		})
		if err != nil {
			log.Fatal(err)
		}
		ticket := ticketIn(inv.URL)
		shown, err := svc.Preview(ctx, ticket)
		if err != nil {
			log.Fatal(err)
		}
		if revoke { // while carol looks at the page
			if _, err := svc.Revoke(ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"}); err != nil {
				log.Fatal(err)
			}
		}
		err = signUp(ctx, ticket, shown.Terms, "carol")
		fmt.Println("signed up:", err == nil, "revoked:", errors.Is(err, invitation.ErrRevoked))
		fmt.Println("users", a.count(ctx, "users"), "members", a.count(ctx, "memberships"))
	}
	// Output:
	// signed up: false revoked: true
	// users 2 members 1
	// signed up: true revoked: false
	// users 3 members 2
}

// The mail worker of the application. Its jobs are rows that Config.OnEvents inserted with the invitation; they name
// it and hold no link. What is no longer pending when the worker runs is not mailed.
func Example_mail() {
	a, end := example()
	defer end()
	db, svc := a.db, a.svc

	ctx := context.Background()
	_, err := svc.CreateBulk(ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "bob@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
		{EmailAddress: "carol@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
		{EmailAddress: "dave@example.com", Role: invitation.RoleMember, InviterUserID: "ann", Silent: true},
	})
	if err != nil {
		log.Fatal(err)
	}

	work := func(job mailJob) error {
		link, err := svc.Link(ctx, job.OrganizationID, job.InvitationID)
		if errors.Is(err, invitation.ErrNotPending) || errors.Is(err, invitation.ErrForbidden) {
			return nil // nothing to mail any more
		}
		if err != nil {
			return err
		}
		inv, err := svc.Get(ctx, job.OrganizationID, job.InvitationID)
		if err != nil {
			return err
		}
		to, err := invitation.CanonicalEmail(inv.EmailAddress) // what the link proves, however the inviter spelled it
		if err != nil {
			return err
		}
		address, _, _ := strings.Cut(link, "=")
		fmt.Println("to", to+":", "open", address+"=…")
		return nil
	}
	var jobs []mailJob
	if err := db.NewSelect().Model(&jobs).Order("id").Scan(ctx); err != nil {
		log.Fatal(err)
	}
	for _, job := range jobs {
		if err := work(job); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// to bob@example.com: open https://app.acme.example/join?invitation_ticket=…
	// to carol@example.com: open https://app.acme.example/join?invitation_ticket=…
}

// answer writes what an operation returned: v as JSON, or the error with its status.
func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json") // exactly: one client breaks on a charset
	body, failed := json.Marshal(v)
	if err = cmp.Or(err, failed); err != nil {
		var refusal *invitation.Error
		if errors.As(err, &refusal) && refusal.Code == invitation.CodeTooManyRequests {
			w.Header().Set("Retry-After", fmt.Sprint(refusal.Meta["retry_after"]))
		}
		if invitation.HTTPStatus(err) >= http.StatusInternalServerError {
			log.Print(err) // the answer says nothing about the inside
		}
		w.WriteHeader(invitation.HTTPStatus(err))
		body = invitation.ErrorBody(err)
	}
	_, _ = w.Write(body)
}

// route is a handler that reads its parameters and calls an operation.
func route[P any](read func(*http.Request) (P, error), call func(r *http.Request, p P) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := read(r)
		var v any
		if err == nil {
			v, err = call(r, p)
		}
		answer(w, v, err)
	}
}

// What a route reads.
func query(r *http.Request) (invitation.ListParams, error) {
	return invitation.ParseListParams(r.URL.Query())
}
func create(r *http.Request) (invitation.CreateParams, error) {
	return invitation.Decode[invitation.CreateParams](r.Body)
}
func bulk(r *http.Request) ([]invitation.CreateParams, error) {
	return invitation.Decode[[]invitation.CreateParams](r.Body)
}
func revoke(r *http.Request) (invitation.RevokeParams, error) {
	return invitation.Decode[invitation.RevokeParams](r.Body)
}
func nothing(*http.Request) (struct{}, error) { return struct{}{}, nil }

// backend is the reference's API for the application's own servers: it trusts whoever calls it, and shows everything.
// Never let a browser reach it; that is what the next example is for.
func backend(svc *invitation.Service) http.Handler {
	mux := http.NewServeMux()
	org := func(r *http.Request) string { return r.PathValue("organization_id") }
	id := func(r *http.Request) string { return r.PathValue("invitation_id") }
	const invitations = "/organizations/{organization_id}/invitations"

	mux.Handle("POST "+invitations, route(create, func(r *http.Request, p invitation.CreateParams) (any, error) {
		inv, err := svc.Create(r.Context(), org(r), p)
		return inv.Backend(), err
	}))
	mux.Handle("POST "+invitations+"/bulk", route(bulk, func(r *http.Request, ps []invitation.CreateParams) (any, error) {
		invs, err := svc.CreateBulk(r.Context(), org(r), ps)
		return invitation.Page{Data: invs, TotalCount: len(invs)}.Backend(), err
	}))
	mux.Handle("GET "+invitations, route(query, func(r *http.Request, p invitation.ListParams) (any, error) {
		page, err := svc.List(r.Context(), org(r), p)
		return page.Backend(), err
	}))
	mux.Handle("GET "+invitations+"/pending", route(query, func(r *http.Request, p invitation.ListParams) (any, error) {
		//lint:ignore SA1019 deprecated in the reference too, whose clients still call it
		page, err := svc.ListPending(r.Context(), org(r), p.Limit, p.Offset)
		return page.Backend(), err
	}))
	mux.Handle("GET "+invitations+"/{invitation_id}", route(nothing, func(r *http.Request, _ struct{}) (any, error) {
		inv, err := svc.Get(r.Context(), org(r), id(r))
		return inv.Backend(), err
	}))
	mux.Handle("POST "+invitations+"/{invitation_id}/revoke",
		route(revoke, func(r *http.Request, p invitation.RevokeParams) (any, error) {
			inv, err := svc.Revoke(r.Context(), org(r), id(r), p)
			return inv.Backend(), err
		}))
	mux.Handle("GET /organization_invitations", route(query, func(r *http.Request, p invitation.ListParams) (any, error) {
		page, err := svc.ListAll(r.Context(), p)
		return page.Backend(), err
	}))
	mux.Handle("GET /users/{user_id}/organization_invitations",
		route(query, func(r *http.Request, p invitation.ListParams) (any, error) {
			page, err := svc.ListForUser(r.Context(), r.PathValue("user_id"), p)
			return page.Backend(), err
		}))
	return mux
}

// browser is for people who are signed in: they act as themselves, whatever a request says, and see what is theirs to
// see. userID is the application's session. Opening a link is a GET, which mail scanners do too: it changes nothing.
func browser(svc *invitation.Service, userID func(*http.Request) string) http.Handler {
	mux := http.NewServeMux()
	as := func(r *http.Request) *invitation.Service { return svc.As(userID(r)) }

	mux.Handle("POST /{organization_id}/invite", route(create, func(r *http.Request, p invitation.CreateParams) (any, error) {
		inv, err := as(r).Create(r.Context(), r.PathValue("organization_id"), p)
		return inv, err // the frontend view: the link is for the mail
	}))
	mux.Handle("GET /invitations", route(query, func(r *http.Request, p invitation.ListParams) (any, error) {
		page, err := as(r).ListForUser(r.Context(), "", p)
		return page, err
	}))
	mux.Handle("GET /join", route(nothing, func(r *http.Request, _ struct{}) (any, error) {
		return svc.Preview(r.Context(), r.FormValue("invitation_ticket")) // signed in or not
	}))
	mux.Handle("POST /join", route(nothing, func(r *http.Request, _ struct{}) (any, error) {
		return as(r).Accept(r.Context(), invitation.AcceptParams{
			Ticket: r.PostFormValue("invitation_ticket"),
			Terms:  r.PostFormValue("terms"), // that GET showed
		})
	}))
	mux.Handle("POST /decline", route(nothing, func(r *http.Request, _ struct{}) (any, error) {
		p := invitation.DeclineParams{Ticket: r.PostFormValue("invitation_ticket")}
		if userID(r) == "" { // to say no takes no account: the ticket is enough
			return svc.Decline(r.Context(), p)
		}
		return as(r).Decline(r.Context(), p)
	}))
	return mux
}

// client calls a server on loopback as one user and prints the status, the content type and the answer.
type client struct {
	server *httptest.Server
	user   string
}

func (c client) call(method, path, contentType, body string) map[string]any {
	req, err := http.NewRequest(method, c.server.URL+path, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-User", c.user)
	res, err := c.server.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		log.Fatal(err)
	}
	path, _, _ = strings.Cut(path, "=")
	if before, _, found := strings.Cut(path, "orginv_"); found {
		path = before + "orginv_…"
	}
	fmt.Println(method, path, res.StatusCode, res.Header.Get("Content-Type"))
	return v
}

func (c client) get(path string) map[string]any { return c.call("GET", path, "", "") }

func (c client) post(path, body string) map[string]any {
	return c.call("POST", path, "application/json", body)
}

func (c client) submit(path string, form url.Values) map[string]any {
	return c.call("POST", path, "application/x-www-form-urlencoded", form.Encode())
}

// The eight operations of the reference, for the application's own servers, and acceptance by link for people.
func Example_handlers() {
	a, end := example()
	defer end()
	server := httptest.NewServer(backend(a.svc))
	defer server.Close()
	site := httptest.NewServer(browser(a.svc, func(r *http.Request) string { return r.Header.Get("X-User") }))
	defer site.Close()
	api, bob := client{server: server}, client{site, "bob"}

	inv := api.post("/organizations/acme/invitations",
		`{"email_address":"Bob@example.com","role":"org:member","inviter_user_id":"ann","expires_in_days":7}`)
	fmt.Println(" ", inv["object"], inv["email_address"], inv["role_name"], inv["status"])
	ticket := ticketIn(fmt.Sprint(inv["url"]))

	page := api.post("/organizations/acme/invitations/bulk",
		`[{"email_address":"carol@example.com","role":"org:member"},{"email_address":"dave@example.com","role":"org:member"}]`)
	fmt.Println(" ", page["total_count"], "created")
	carol := fmt.Sprint("/organizations/acme/invitations/", page["data"].([]any)[0].(map[string]any)["id"])
	page = api.get("/organizations/acme/invitations?status=pending&order_by=-email_address&limit=1")
	fmt.Println(" ", page["data"].([]any)[0].(map[string]any)["email_address"], "of", page["total_count"])
	page = api.get("/organizations/acme/invitations/pending")
	fmt.Println(" ", page["total_count"])
	page = api.get("/organization_invitations?query=CAROL")
	fmt.Println(" ", page["data"].([]any)[0].(map[string]any)["public_organization_data"].(map[string]any)["name"])
	page = api.get("/users/bob/organization_invitations")
	fmt.Println(" ", page["total_count"])

	fmt.Println("bob opens the link, and accepts")
	shown := bob.get("/join?invitation_ticket=" + ticket)
	fmt.Println(" ", shown["status"])
	form := url.Values{"invitation_ticket": {ticket}, "terms": {fmt.Sprint(shown["terms"])}}
	fmt.Println(" ", bob.submit("/join", form)["status"])
	fmt.Println("carol's is taken back")
	fmt.Println(" ", api.post(carol+"/revoke", "")["status"])
	fmt.Println(" ", api.get(carol)["status"])

	fmt.Println("what is refused")
	body, err := json.Marshal(api.post("/organizations/acme/invitations", `{"email_address":"bob","rôle":1}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(" ", string(body))
	// Output:
	// POST /organizations/acme/invitations 200 application/json
	//   organization_invitation Bob@example.com Member pending
	// POST /organizations/acme/invitations/bulk 200 application/json
	//   2 created
	// GET /organizations/acme/invitations?status 200 application/json
	//   dave@example.com of 3
	// GET /organizations/acme/invitations/pending 200 application/json
	//   3
	// GET /organization_invitations?query 200 application/json
	//   Acme
	// GET /users/bob/organization_invitations 200 application/json
	//   1
	// bob opens the link, and accepts
	// GET /join?invitation_ticket 200 application/json
	//   pending
	// POST /join 200 application/json
	//   accepted
	// carol's is taken back
	// POST /organizations/acme/invitations/orginv_… 200 application/json
	//   revoked
	// GET /organizations/acme/invitations/orginv_… 200 application/json
	//   revoked
	// what is refused
	// POST /organizations/acme/invitations 422 application/json
	//   {"errors":[{"code":"form_param_unknown","long_message":"is not a parameter; leave it out","message":"Unknown parameter","meta":{"param_name":"rôle"}}]}
}

// Routes that a browser calls go through As: whoever is signed in is the inviter, whatever the body says, and nobody
// is no back end.
func Example_browser() {
	a, end := example()
	defer end()
	site := httptest.NewServer(browser(a.svc, func(r *http.Request) string { return r.Header.Get("X-User") }))
	defer site.Close()
	ann, bob, nobody := client{site, "ann"}, client{site, "bob"}, client{site, ""}
	code := func(v map[string]any) any { return v["errors"].([]any)[0].(map[string]any)["code"] }

	const body = `{"email_address":"bob@example.com","role":"org:admin","inviter_user_id":"ann"}`
	fmt.Println(" ", code(bob.post("/acme/invite", body)))
	fmt.Println(" ", code(nobody.post("/acme/invite", body)))
	inv := ann.post("/acme/invite", body)
	_, link := inv["url"]
	_, private := inv["private_metadata"]
	fmt.Println(" ", inv["status"], "link shown:", link, "private metadata shown:", private)
	fmt.Println(" ", code(ann.post("/acme/invite", `{"email_address":"carol@example.com","role":"org:member","private_metadata":{"a":1}}`)))
	fmt.Println(" ", bob.get("/invitations")["total_count"])

	// The mail worker mails the link; bob, who is not signed in, would rather not.
	mailed, err := a.svc.Link(context.Background(), "acme", fmt.Sprint(inv["id"]))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(" ", nobody.submit("/decline", url.Values{"invitation_ticket": {ticketIn(mailed)}})["status"])
	// Output:
	// POST /acme/invite 403 application/json
	//   not_a_member_in_organization
	// POST /acme/invite 401 application/json
	//   not_allowed_access
	// POST /acme/invite 200 application/json
	//   pending link shown: false private metadata shown: false
	// POST /acme/invite 403 application/json
	//   not_allowed_access
	// GET /invitations 200 application/json
	//   1
	// POST /decline 200 application/json
	//   declined
}

// TestTour walks the main job on a SQLite file and tells what it sees. Read it with
//
//	go test -v -run Tour .
func TestTour(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	say := func(format string, args ...any) { fmt.Fprintf(t.Output(), format+"\n", args...) }
	date := func(at time.Time) string { return at.Format("2 Jan 2006 15:04") }
	code := func(err error) string {
		var e *invitation.Error
		is.True(errors.As(err, &e)) // a refusal can be shown
		return e.Code
	}
	link := func(inv invitation.Invitation) string {
		address, ticket, ok := strings.Cut(inv.URL, "=")
		is.True(ok && len(ticket) > 60) // the link carries a ticket
		return address + "=" + ticket[:12] + "…"
	}

	now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	file := filepath.Join(t.TempDir(), "app.db")
	a, err := open(file, now)
	is.NoErr(err)
	defer func() { is.NoErr(a.db.Close()) }()
	db, svc := a.db, a.svc
	_, err = db.NewInsert().Model(&[]user{
		{"carol", "carol@example.com", true},
		{"dave", "dave@example.com", true},
	}).Exec(ctx)
	is.NoErr(err)
	say("An application with its own tables of users, organizations and memberships, in a SQLite file.")
	say("Ann is an admin of acme. It is %s, by a clock that the test moves.", date(now.Now()))

	say("")
	say("1. Ann invites Bob.")
	public, err := invitation.NewMetadata(map[string]any{"team": "Platform"})
	is.NoErr(err)
	private, err := invitation.NewMetadata(map[string]any{"cost_centre": 4711})
	is.NoErr(err)
	invited, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:    "Bob@Example.com",
		Role:            invitation.RoleMember,
		InviterUserID:   "ann",
		PublicMetadata:  public,
		PrivateMetadata: private,
	})
	is.NoErr(err)
	is.Equal(invited.Status, invitation.StatusPending)
	is.Equal(invited.ExpiresAt, now.Now().AddDate(0, 0, 30)) // the default
	is.True(strings.HasPrefix(invited.ID, "orginv_"))
	is.True(strings.HasPrefix(invited.URL, "https://app.acme.example/join?invitation_ticket="))
	say("   invited   %s into %s as %s (%s)", invited.EmailAddress, invited.OrganizationID, invited.RoleName, invited.Role)
	say("   id        %s", invited.ID)
	say("   status    %s, until %s", invited.Status, date(invited.ExpiresAt))
	say("   link      %s", link(invited))
	var job mailJob
	is.NoErr(db.NewSelect().Model(&job).Scan(ctx))
	is.Equal(job.InvitationID, invited.ID) // the job was committed with the invitation
	say("   mail      a job in the application's own table, written in the same transaction")

	say("")
	say("2. Bob opens the link, signs in and accepts.")
	now.Advance(time.Hour)
	ticket := ticketIn(invited.URL)
	shown, err := svc.Preview(ctx, ticket)
	is.NoErr(err)
	is.Equal(shown.Organization.Name, "Acme")
	say("   the page  \"Join %s as %s\"", shown.Organization.Name, shown.RoleName)
	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticket, UserID: "carol"})
	is.True(errors.Is(err, invitation.ErrNotInvitee))
	say("   refused   Carol, with his link: %s", code(err))
	accept := invitation.AcceptParams{Ticket: ticket, UserID: "bob", Terms: shown.Terms}
	accepted, err := svc.Accept(ctx, accept)
	is.NoErr(err)
	is.Equal(accepted.Status, invitation.StatusAccepted)
	is.Equal(accepted.ResolvedBy, "bob")
	is.Equal(accepted.ResolvedAt, now.Now())
	say("   status    %s by %s, %s", accepted.Status, accepted.ResolvedBy, date(accepted.ResolvedAt))
	row := make(map[string]any)
	is.NoErr(db.NewSelect().Table("memberships").Where("user_id = 'bob'").Scan(ctx, &row))
	say("   his row   in the application's table memberships, written in the same transaction:")
	for _, column := range []struct{ name, want string }{
		{"organization_id", "acme"},
		{"user_id", "bob"},
		{"role", "org:member"},
		{"invitation_id", invited.ID},
		{"public", `{"team":"Platform"}`},
		{"private", `{"cost_centre":4711}`},
	} {
		is.Equal(row[column.name], column.want)
		say("             %-16s %v", column.name, row[column.name])
	}
	again, err := svc.Accept(ctx, accept)
	is.NoErr(err)
	is.Equal(again, accepted)                       // the same answer
	is.Equal(a.count(ctx, "memberships"), int64(2)) // and no second membership
	say("   again     accepting once more gets the same answer; acme still has %d members", a.count(ctx, "memberships"))
	_, err = svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "bob@example.com",
		Role:          invitation.RoleAdmin,
		InviterUserID: "ann",
	})
	is.True(errors.Is(err, invitation.ErrAlreadyMember))
	say("   refused   Ann, who invites him once more: %s", code(err))

	say("")
	say("3. Ann invites Carol, and takes it back.")
	invited, err = svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "carol@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann",
	})
	is.NoErr(err)
	_, err = svc.Revoke(ctx, "acme", invited.ID, invitation.RevokeParams{RequestingUserID: "bob"})
	is.True(errors.Is(err, invitation.ErrForbidden))
	say("   refused   Bob, whose role may not revoke: %s", code(err))
	revoked, err := svc.Revoke(ctx, "acme", invited.ID, invitation.RevokeParams{RequestingUserID: "ann"})
	is.NoErr(err)
	is.Equal(revoked.Status, invitation.StatusRevoked)
	is.Equal(revoked.ResolvedBy, "ann")
	say("   status    %s by %s", revoked.Status, revoked.ResolvedBy)
	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticketIn(invited.URL), UserID: "carol"})
	is.True(errors.Is(err, invitation.ErrRevoked))
	say("   refused   Carol, with the link: %s", code(err))

	say("")
	say("4. Ann invites Dave, who takes his time.")
	now.Advance(time.Hour)
	invited, err = svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "dave@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann",
		ExpiresIn:     7 * 24 * time.Hour,
	})
	is.NoErr(err)
	say("   status    %s, until %s", invited.Status, date(invited.ExpiresAt))
	now.Set(invited.ExpiresAt)
	expired, err := svc.Get(ctx, "acme", invited.ID)
	is.NoErr(err)
	is.Equal(expired.Status, invitation.StatusExpired)
	say("   status    %s, %s; no job had to run for that", expired.Status, date(now.Now()))
	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticketIn(invited.URL), UserID: "dave"})
	is.True(errors.Is(err, invitation.ErrExpired))
	say("   refused   Dave, with the link: %s", code(err))

	say("")
	say("5. Ann invites Dave again and five more, all or none, and looks through the list.")
	now.Advance(time.Hour)
	batch := make([]invitation.CreateParams, 6)
	for i, name := range []string{"dave", "erin", "frank", "grace", "heidi", "ivan"} {
		batch[i] = invitation.CreateParams{
			EmailAddress:  name + "@example.com",
			Role:          invitation.RoleMember,
			InviterUserID: "ann",
		}
	}
	created, err := svc.CreateBulk(ctx, "acme", batch)
	is.NoErr(err)
	is.Equal(len(created), 6)
	_, err = svc.CreateBulk(ctx, "acme", batch[5:])
	is.True(errors.Is(err, invitation.ErrDuplicate))
	say("   refused   Ivan, a second time: %s", code(err))
	var listed []string
	p := invitation.ListParams{Limit: 4}
	for n := 1; ; n++ {
		page, err := svc.List(ctx, "acme", p)
		is.NoErr(err)
		is.Equal(page.TotalCount, 9) // on every page
		say("   page %d, of %d invitations in all, newest first:", n, page.TotalCount)
		for _, inv := range page.Data {
			say("             %-18s %-9s %s", inv.EmailAddress, inv.Status, date(inv.CreatedAt))
			listed = append(listed, inv.EmailAddress+" "+string(inv.Status))
		}
		if p.Cursor = page.NextCursor; p.Cursor == "" {
			break
		}
	}
	is.Equal(listed, []string{
		"ivan@example.com pending", "heidi@example.com pending", "grace@example.com pending",
		"frank@example.com pending", "erin@example.com pending", "dave@example.com pending",
		"dave@example.com expired", "carol@example.com revoked", "Bob@Example.com accepted",
	})
	totals := map[invitation.Status]int{}
	for _, status := range []invitation.Status{invitation.StatusPending, invitation.StatusAccepted,
		invitation.StatusRevoked, invitation.StatusExpired, invitation.StatusDeclined} {
		page, err := svc.List(ctx, "acme", invitation.ListParams{Limit: 1, Statuses: []invitation.Status{status}})
		is.NoErr(err)
		totals[status] = page.TotalCount
	}
	is.Equal(totals, map[invitation.Status]int{"pending": 6, "accepted": 1, "revoked": 1, "expired": 1, "declined": 0})
	say("   totals    %d pending, %d accepted, %d revoked, %d expired, %d declined", totals["pending"],
		totals["accepted"], totals["revoked"], totals["expired"], totals["declined"])

	say("")
	say("The file now holds %d invitations, %d members and %d jobs to mail a link.",
		a.count(ctx, "organization_invitations"), a.count(ctx, "memberships"), a.count(ctx, "mail_jobs"))
	is.Equal(a.count(ctx, "organization_invitations"), int64(9))
	is.Equal(a.count(ctx, "memberships"), int64(2))
	is.Equal(a.count(ctx, "mail_jobs"), int64(9))
}

// TestDirectory tests the directory of the examples, as an application tests its own.
func TestDirectory(t *testing.T) {
	invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
		a, err := open(filepath.Join(t.TempDir(), "app.db"), clock.System())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.db.Close() })
		insert := func(ctx context.Context, row any) error {
			_, err := a.db.NewInsert().Model(row).Exec(ctx)
			return err
		}
		return invitationtest.DirectoryHost{
			Directory: directory{},
			Storage:   a.store,
			AddOrganization: func(ctx context.Context, id string) (string, error) {
				return id, insert(ctx, &organization{ID: id})
			},
			AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
				switch len(verified) {
				case 0:
					return id, insert(ctx, &user{id, "typed.in@example.com", false})
				case 1:
					return id, insert(ctx, &user{id, verified[0], true})
				}
				return "", errors.ErrUnsupported // an application whose users have one address
			},
			AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
				return insert(ctx, &membership{OrganizationID: organizationID, UserID: userID, Role: role})
			},
		}
	})
}

// TestImportDirections keeps the packages pointing one way: a store knows nothing of invitations, and nothing but
// tests knows an SQL dialect or driver.
func TestImportDirections(t *testing.T) {
	const (
		module = "github.com/orginvite/orginvite/"
		bun    = "github.com/uptrace/bun"
	)
	// What the code in a directory may import besides the standard library. Test files may import more.
	allowed := map[string][]string{
		".":                         {},
		"clock":                     {},
		"storage":                   {},
		"storage/storagetest":       {module + "storage"},
		"memstore":                  {module + "storage", "github.com/tidwall/btree"},
		"bunstore":                  {module + "storage", bun, bun + "/dialect", bun + "/schema"},
		"bunstore/internal/faults":  {},
		"bunstore/internal/servers": {"github.com/go-sql-driver/mysql", "github.com/jackc/pgx/v5/stdlib"},
		"bunstore/internal/engines": {module + "bunstore/internal/faults", bun, bun + "/dialect/sqlitedialect", bun + "/dialect/pgdialect",
			bun + "/dialect/mysqldialect", bun + "/driver/pgdriver", "modernc.org/sqlite",
			"github.com/jackc/pgx/v5", "github.com/jackc/pgx/v5/stdlib", "github.com/go-sql-driver/mysql"},
		"invitation": {module + "storage", module + "clock", "github.com/go-playground/validator/v10",
			"github.com/oklog/ulid/v2", "golang.org/x/net/idna", "golang.org/x/text/unicode/norm"},
		"invitation/invitationtest": {module + "storage", module + "memstore", module + "invitation"},
	}
	checked := map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || file != "." && strings.ContainsAny(d.Name()[:1], "._")):
			return fs.SkipDir // as the go command does
		case d.IsDir() && file != "." && isModule(file):
			return fs.SkipDir // it has requirements of its own
		case path.Ext(file) != ".go":
			return nil
		}
		dir, test := path.Dir(file), strings.HasSuffix(file, "_test.go")
		may, known := allowed[dir]
		if !known {
			t.Errorf("%s: the directory is new; say in this test what it may import", file)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		checked[dir] = true
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			root, _, _ := strings.Cut(imported, "/")
			domain := strings.HasPrefix(imported, module+"invitation")
			switch {
			case !strings.Contains(root, "."): // standard library
			case !test && !slices.Contains(may, imported):
				t.Errorf("%s imports %s", file, imported)
			case test && domain && !slices.Contains([]string{".", "invitation", "invitation/invitationtest"}, dir) &&
				f.Name.Name != "bunstore_test":
				t.Errorf("%s, a test, imports %s", file, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range allowed {
		if !checked[dir] {
			t.Errorf("%s: no Go file there; drop it from this test", dir)
		}
	}
}

// isModule reports whether a directory is the root of a module.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(filepath.FromSlash(dir), "go.mod"))
	return err == nil
}

// TestREADME keeps the README's code the code that the tests run: its quickstart is all of the example's file but
// package and imports, and every other block of Go stands in one of the example files.
func TestREADME(t *testing.T) {
	is := is.New(t)
	const quickstart = "invitation/example_quickstart_test.go"
	read := func(file string) string {
		b, err := os.ReadFile(filepath.FromSlash(file))
		is.NoErr(err)
		return string(b)
	}
	flat := func(code string) string { // indentation differs, the rest does not
		lines := strings.Split(strings.TrimSpace(code), "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return strings.Join(lines, "\n")
	}
	var blocks []string
	for _, part := range strings.Split(read("README.md"), "```go\n")[1:] {
		code, _, closed := strings.Cut(part, "```")
		is.True(closed)
		blocks = append(blocks, code)
	}
	is.True(len(blocks) > 0)

	_, body, ok := strings.Cut(read(quickstart), "\n)\n") // the end of the imports
	is.True(ok)
	is.Equal(strings.TrimSpace(blocks[0]), strings.TrimSpace(body)) // copy the example's code to the README
	examples := flat(read("example_test.go")) + flat(read("invitation/example_test.go"))
	for _, block := range blocks[1:] {
		if !strings.Contains(examples, flat(block)) {
			t.Errorf("no example has this code of the README:\n%s", block)
		}
	}

	// What curl is answered is what the golden files have, broken into lines and cut short at each …
	golden, err := filepath.Glob("invitation/testdata/wire/*.json")
	is.NoErr(err)
	var bodies []string
	for _, file := range golden {
		bodies = append(bodies, read(filepath.ToSlash(file)))
	}
	calls := strings.Split(read("README.md"), "    $ curl ")[1:]
	is.True(len(calls) > 0)
	for _, call := range calls {
		_, answer, _ := strings.Cut(call, "\n")
		answer, _, _ = strings.Cut(answer, "\n\n")
		answer = strings.ReplaceAll(flat(answer), "\n", "")
		if !slices.ContainsFunc(bodies, func(body string) bool {
			for part := range strings.SplitSeq(answer, "…") {
				_, rest, found := strings.Cut(body, part)
				if !found {
					return false
				}
				body = rest
			}
			return true
		}) {
			t.Errorf("no golden file has this answer of the README:\n%s", answer)
		}
	}
}

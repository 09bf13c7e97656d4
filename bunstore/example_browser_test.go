package bunstore_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationhttp"
	"github.com/orginvite/orginvite/storage"
)

// The application's tables.
type (
	login struct {
		ID    string `bun:",pk"`
		Email string `bun:",unique"` // verified at sign-up, in the form of invitation.CanonicalEmail
	}

	teammate struct {
		TeamID string `bun:",pk"`
		UserID string `bun:",pk"`
		Role   invitation.Role
	}
)

// teamDirectory implements invitation.Directory on these tables.
type teamDirectory struct{}

func (teamDirectory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	m := teammate{TeamID: org, UserID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&m).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return m.Role, err
}

func (teamDirectory) MemberEmails(
	ctx context.Context, tx storage.Storage, org string, emails []string,
) ([]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*login)(nil)).Column("email").
		Join("JOIN teammates AS m ON m.user_id = id").
		Where("m.team_id = ? AND LOWER(email) IN ?", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (teamDirectory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	u := login{ID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&u).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{u.Email}, err
}

func (teamDirectory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().On("CONFLICT DO NOTHING").
		Model(&teammate{m.OrganizationID, m.UserID, m.Role}).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

// browser serves signed-in users. They act as themselves, whatever a request says, and see only what they may see.
// userID reads the application's session. Opening a link is a GET, which mail scanners send too, so it changes nothing.
func browser(svc *invitation.Service, userID func(*http.Request) string) http.Handler {
	mux := http.NewServeMux()
	as := func(r *http.Request) *invitation.Service { return svc.As(userID(r)) }

	mux.Handle("POST /{team_id}/invite", invitationhttp.Handle(invitation.Decode[invitation.CreateParams],
		func(r *http.Request, p invitation.CreateParams) (any, error) {
			return as(r).Create(r.Context(), r.PathValue("team_id"), p) // the frontend view: the link is in the mail
		}))
	mux.Handle("GET /invitations", invitationhttp.Handle(invitation.ParseListParams,
		func(r *http.Request, p invitation.ListParams) (any, error) {
			return as(r).ListForUser(r.Context(), "", p)
		}))
	mux.HandleFunc("GET /join", func(w http.ResponseWriter, r *http.Request) {
		inv, err := svc.Preview(r.Context(), r.FormValue("invitation_ticket")) // signed in or not
		invitationhttp.Write(w, inv, err)
	})
	mux.HandleFunc("POST /join", func(w http.ResponseWriter, r *http.Request) {
		inv, err := as(r).Accept(r.Context(), invitation.AcceptParams{
			Ticket: r.PostFormValue("invitation_ticket"),
			Terms:  r.PostFormValue("terms"), // as shown by the GET
		})
		invitationhttp.Write(w, inv, err)
	})
	mux.HandleFunc("POST /decline", func(w http.ResponseWriter, r *http.Request) {
		who := as(r)
		if userID(r) == "" { // declining needs no account: the ticket is enough
			who = svc
		}
		inv, err := who.Decline(r.Context(), invitation.DeclineParams{Ticket: r.PostFormValue("invitation_ticket")})
		invitationhttp.Write(w, inv, err)
	})
	return mux
}

// person calls a site on loopback as one user and prints the status.
type person struct {
	site   *httptest.Server
	userID string // "" if not signed in
}

func (p person) call(method, path, contentType, body string) map[string]any {
	req, err := http.NewRequest(method, p.site.URL+path, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-User", p.userID) // stands in for a session
	res, err := p.site.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var v map[string]any
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		log.Fatal(err)
	}
	path, _, _ = strings.Cut(path, "=")
	fmt.Println(method, path, res.StatusCode)
	return v
}

func (p person) post(path, body string) map[string]any {
	return p.call("POST", path, "application/json", body)
}

func (p person) submit(path string, form url.Values) map[string]any {
	return p.call("POST", path, "application/x-www-form-urlencoded", form.Encode())
}

// Routes for browsers go through As: the signed-in user is the inviter, whatever the body says, and a request without a
// session is not the trusted back end.
func Example_browser() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	sqldb, err := sql.Open("sqlite", ":memory:")
	must(err)
	sqldb.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	db := bun.NewDB(sqldb, sqlitedialect.New())
	defer func() { _ = db.Close() }()
	must(db.ResetModel(ctx, (*login)(nil), (*teammate)(nil)))
	_, err = db.NewInsert().Model(&[]login{{"ann", "ann@acme.example"}, {"bob", "bob@example.com"}}).Exec(ctx)
	must(err)
	_, err = db.NewInsert().Model(&teammate{"acme", "ann", invitation.RoleAdmin}).Exec(ctx)
	must(err)
	store, err := bunstore.New(db, nil)
	must(err)
	must(store.Migrate(ctx))
	svc, err := invitation.NewService(store, teamDirectory{}, &invitation.Config{
		TicketKeys: [][]byte{[]byte("an example's key, of 32 bytes or more")}, // use a random, secret key in production
		AcceptURL:  "https://app.acme.example/join",
	})
	must(err)
	site := httptest.NewServer(browser(svc, func(r *http.Request) string { return r.Header.Get("X-User") }))
	defer site.Close()
	ann, bob, stranger := person{site, "ann"}, person{site, "bob"}, person{site, ""}
	code := func(v map[string]any) any { return v["errors"].([]any)[0].(map[string]any)["code"] }
	ticket := func(inv map[string]any) string { // the ticket that the mail worker sends
		link, err := svc.Link(ctx, "acme", fmt.Sprint(inv["id"]))
		must(err)
		u, err := url.Parse(link)
		must(err)
		return u.Query().Get("invitation_ticket")
	}

	const body = `{"email_address":"bob@example.com","role":"org:admin","inviter_user_id":"ann"}`
	fmt.Println(" ", code(bob.post("/acme/invite", body)))
	fmt.Println(" ", code(stranger.post("/acme/invite", body)))
	fmt.Println(" ", code(ann.post("/acme/invite",
		`{"email_address":"carol@example.com","role":"org:member","private_metadata":{"a":1}}`)))
	inv := ann.post("/acme/invite", body)
	_, link := inv["url"]
	_, private := inv["private_metadata"]
	fmt.Println(" ", inv["status"], "link shown:", link, "private metadata shown:", private)

	fmt.Println(" ", bob.call("GET", "/invitations", "", "")["total_count"])
	shown := stranger.call("GET", "/join?invitation_ticket="+ticket(inv), "", "")
	fmt.Println(" ", shown["status"])
	form := url.Values{"invitation_ticket": {ticket(inv)}, "terms": {fmt.Sprint(shown["terms"])}}
	fmt.Println(" ", bob.submit("/join", form)["status"])

	// Carol, who is not signed in, declines.
	inv = ann.post("/acme/invite", `{"email_address":"carol@example.com","role":"org:member"}`)
	fmt.Println(" ", inv["status"])
	fmt.Println(" ", stranger.submit("/decline", url.Values{"invitation_ticket": {ticket(inv)}})["status"])
	// Output:
	// POST /acme/invite 403
	//   not_a_member_in_organization
	// POST /acme/invite 401
	//   not_allowed_access
	// POST /acme/invite 403
	//   not_allowed_access
	// POST /acme/invite 200
	//   pending link shown: false private metadata shown: false
	// GET /invitations 200
	//   1
	// GET /join?invitation_ticket 200
	//   pending
	// POST /join 200
	//   accepted
	// POST /acme/invite 200
	//   pending
	// POST /decline 200
	//   declined
}

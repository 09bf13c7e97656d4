package bunstore_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationhttp"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// backend is Clerk's API for the application's own servers. It trusts every caller and shows everything. Never expose
// it to a browser; see the example of the browser.
func backend(svc *invitation.Service) http.Handler {
	mux := http.NewServeMux()
	org := func(r *http.Request) string { return r.PathValue("organization_id") }
	id := func(r *http.Request) string { return r.PathValue("invitation_id") }
	const invitations = "/organizations/{organization_id}/invitations"

	mux.Handle("POST "+invitations, invitationhttp.Handle(invitation.Decode[invitation.CreateParams],
		func(r *http.Request, p invitation.CreateParams) (any, error) {
			inv, err := svc.Create(r.Context(), org(r), p)
			return inv.Backend(), err
		}))
	mux.Handle("POST "+invitations+"/bulk", invitationhttp.Handle(invitation.Decode[[]invitation.CreateParams],
		func(r *http.Request, ps []invitation.CreateParams) (any, error) {
			invs, err := svc.CreateBulk(r.Context(), org(r), ps)
			return invitation.Page{Data: invs, TotalCount: len(invs)}.Backend(), err
		}))
	mux.Handle("GET "+invitations, invitationhttp.Handle(invitation.ParseListParams,
		func(r *http.Request, p invitation.ListParams) (any, error) {
			page, err := svc.List(r.Context(), org(r), p)
			return page.Backend(), err
		}))
	mux.Handle("GET "+invitations+"/pending", invitationhttp.Handle(invitation.ParseListParams,
		func(r *http.Request, p invitation.ListParams) (any, error) {
			//lint:ignore SA1019 deprecated in Clerk's API too, but its clients still call it
			page, err := svc.ListPending(r.Context(), org(r), p.Limit, p.Offset)
			return page.Backend(), err
		}))
	mux.HandleFunc("GET "+invitations+"/{invitation_id}", func(w http.ResponseWriter, r *http.Request) {
		inv, err := svc.Get(r.Context(), org(r), id(r))
		invitationhttp.Write(w, inv.Backend(), err)
	})
	mux.Handle("POST "+invitations+"/{invitation_id}/revoke", invitationhttp.Handle(
		invitation.Decode[invitation.RevokeParams],
		func(r *http.Request, p invitation.RevokeParams) (any, error) {
			inv, err := svc.Revoke(r.Context(), org(r), id(r), p)
			return inv.Backend(), err
		}))
	mux.Handle("GET /organization_invitations", invitationhttp.Handle(invitation.ParseListParams,
		func(r *http.Request, p invitation.ListParams) (any, error) {
			page, err := svc.ListAll(r.Context(), p)
			return page.Backend(), err
		}))
	mux.Handle("GET /users/{user_id}/organization_invitations", invitationhttp.Handle(invitation.ParseListParams,
		func(r *http.Request, p invitation.ListParams) (any, error) {
			page, err := svc.ListForUser(r.Context(), r.PathValue("user_id"), p)
			return page.Backend(), err
		}))
	return mux
}

// caller calls a server on loopback and prints the status, the content type and the response.
type caller struct{ server *httptest.Server }

func (c caller) call(method, path, contentType, body string) map[string]any {
	req, err := http.NewRequest(method, c.server.URL+path, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := c.server.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
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

func (c caller) get(path string) map[string]any { return c.call("GET", path, "", "") }

func (c caller) post(path, body string) map[string]any {
	return c.call("POST", path, "application/json", body)
}

// The eight operations of Clerk's API, for the application's own servers.
func Example_handlers() {
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
	store, err := bunstore.New(db, nil)
	must(err)
	must(store.Migrate(ctx))
	host := invitationtest.NewHost() // stands in for the application's own Directory
	host.AddOrganization(invitation.Organization{ID: "acme", Name: "Acme"})
	host.AddUser("ann", "ann@acme.example")
	host.AddUser("bob", "bob@example.com")
	host.AddMember("acme", "ann", invitation.RoleAdmin)
	svc, err := invitation.NewService(store, host, &invitation.Config{Organizations: host.Organizations})
	must(err)
	server := httptest.NewServer(backend(svc))
	defer server.Close()
	api := caller{server}

	inv := api.post("/organizations/acme/invitations",
		`{"email_address":"Bob@example.com","role":"org:member","inviter_user_id":"ann","expires_in_days":7}`)
	fmt.Println(" ", inv["object"], inv["email_address"], inv["role_name"], inv["status"])
	page := api.post("/organizations/acme/invitations/bulk", `[
		{"email_address":"carol@example.com","role":"org:member"},
		{"email_address":"dave@example.com","role":"org:member"}]`)
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
	fmt.Println(" ", api.post(carol+"/revoke", "")["status"])
	fmt.Println(" ", api.get(carol)["status"])

	fmt.Println("what is refused")
	refusal := api.post("/organizations/acme/invitations", `{"email_address":"bob","rôle":1}`)
	for _, e := range refusal["errors"].([]any) {
		fmt.Println(" ", e.(map[string]any)["code"], e.(map[string]any)["meta"], e.(map[string]any)["long_message"])
	}
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
	// POST /organizations/acme/invitations/orginv_… 200 application/json
	//   revoked
	// GET /organizations/acme/invitations/orginv_… 200 application/json
	//   revoked
	// what is refused
	// POST /organizations/acme/invitations 422 application/json
	//   form_param_unknown map[param_name:rôle] is not a parameter; leave it out
}

package main

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/invitation"
)

// membersPage is what templates/members.html shows.
type membersPage struct {
	Organization organization
	Members      []struct{ Email, Role string }
	Grantable    []invitation.RoleDefinition // the roles that the visitor may invite into
	Counts       map[invitation.Status]int
	Invitations  invitation.Page
	Query        url.Values // what is listed: tab, search, order, page
	Form         url.Values // what was sent and is shown again, because of Problems
	Problems     []string
}

// With returns a link to the list with one value changed, from its first page.
func (p membersPage) With(key, value string) string {
	q := maps.Clone(p.Query)
	q.Del("cursor")
	q.Del("done")
	q.Set(key, value)
	return "/orgs/" + url.PathEscape(p.Organization.ID) + "?" + q.Encode()
}

// Action returns where a form posts to. It keeps the query, so that the list stays as it is.
func (p membersPage) Action(path ...string) string {
	return "/orgs/" + p.Organization.ID + "/" + strings.Join(path, "/") + "?" + p.Query.Encode()
}

func (a *app) members(w http.ResponseWriter, r *http.Request) error {
	return a.showMembers(w, r, http.StatusOK, nil)
}

// showMembers shows the page again, with what was wrong with a form.
func (a *app) showMembers(w http.ResponseWriter, r *http.Request, status int, problems []string) (err error) {
	ctx, org := r.Context(), r.PathValue("org")
	p := membersPage{Query: r.URL.Query(), Form: r.PostForm, Problems: problems}
	if p.Grantable, err = a.as(r).Grantable(ctx, org, ""); err != nil { // refuses who is not a member
		return err
	}
	if err = a.db.NewSelect().Model(&p.Organization).Where("id = ?", org).Scan(ctx); err != nil {
		return err
	}
	if err = a.db.NewSelect().Table("members").Column("email", "role").Join("JOIN users AS u ON u.id = user_id").
		Where("organization_id = ?", org).Order("email").Scan(ctx, &p.Members); err != nil {
		return err
	}
	if len(p.Grantable) > 0 {
		list, err := invitation.ParseListParams(p.Query)
		if err != nil {
			return err
		}
		if p.Invitations, err = a.as(r).List(ctx, org, list); err != nil {
			return err
		}
		if p.Counts, err = a.as(r).Counts(ctx, org, invitation.ListParams{Query: list.Query}); err != nil {
			return err
		}
	}
	return a.render(w, r, status, "members", p)
}

// invite invites one address or many. Those that are refused stay in the form.
func (a *app) invite(w http.ResponseWriter, r *http.Request) error {
	message, err := invitation.NewMetadata(map[string]string{"message": r.PostFormValue("message")})
	if err != nil {
		return err
	}
	var ps []invitation.CreateParams
	role, separates := r.PostFormValue("role"), func(c rune) bool { return strings.ContainsRune("\r\n,;", c) }
	for _, email := range strings.FieldsFunc(r.PostFormValue("emails"), separates) {
		if email = strings.TrimSpace(email); email != "" {
			ps = append(ps, invitation.CreateParams{EmailAddress: email, Role: invitation.Role(role), PublicMetadata: message})
		}
	}
	results, err := a.as(r).CreateEach(r.Context(), r.PathValue("org"), ps)
	if err != nil {
		return err
	}
	var refused, problems []string
	for i, result := range results {
		if result.Err != nil {
			refused = append(refused, ps[i].EmailAddress)
			problems = append(problems, ps[i].EmailAddress+": "+strings.Join(explain(result.Err), "; "))
		}
	}
	if len(refused) == 0 {
		return redirect(w, r, a.back(r, "invited"), nil)
	}
	r.PostForm.Set("emails", strings.Join(refused, "\n"))
	return a.showMembers(w, r, http.StatusUnprocessableEntity, problems)
}

// manage resends, revokes or changes an invitation.
func (a *app) manage(w http.ResponseWriter, r *http.Request) (err error) {
	org, id, operation := r.PathValue("org"), r.PathValue("id"), r.PathValue("operation")
	switch operation {
	case "resend":
		_, err = a.as(r).Resend(r.Context(), org, id, invitation.ResendParams{})
	case "revoke":
		_, err = a.as(r).Revoke(r.Context(), org, id, invitation.RevokeParams{})
	case "role":
		_, err = a.as(r).Update(r.Context(), org, id, invitation.UpdateParams{
			Role:  invitation.Role(r.PostFormValue("role")),
			Terms: r.PostFormValue("terms"), // as shown: somebody else may have changed it since
		})
	default:
		return problem(http.StatusNotFound, "There is no such page.")
	}
	if err != nil {
		return a.showMembers(w, r, invitation.HTTPStatus(err), explain(err))
	}
	return redirect(w, r, a.back(r, operation), nil)
}

// back returns the list on which a form was, with a word about what was done.
func (a *app) back(r *http.Request, done string) string {
	return membersPage{Organization: organization{ID: r.PathValue("org")}, Query: r.URL.Query()}.With("done", done)
}

// createOrganization makes the visitor its first admin.
func (a *app) createOrganization(w http.ResponseWriter, r *http.Request) error {
	org, userID := organization{rand.Text(), strings.TrimSpace(r.PostFormValue("name"))}, sessionOf(r).UserID
	switch {
	case userID == "":
		return problem(http.StatusUnauthorized, "Sign in first.")
	case org.Name == "" || len(org.Name) > 200:
		return problem(http.StatusUnprocessableEntity, "Give it a name of at most 200 bytes.")
	}
	return redirect(w, r, "/orgs/"+org.ID, a.db.RunInTx(r.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(&org).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&member{org.ID, userID, invitation.RoleAdmin}).Exec(ctx)
		return err
	}))
}

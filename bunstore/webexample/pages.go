package main

import (
	"embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"strings"

	"github.com/orginvite/orginvite/invitation"
)

//go:embed templates static
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"roles": func() []invitation.RoleDefinition { return roles },
	"message": func(m invitation.Metadata) string { // what the inviter wrote
		var v map[string]string
		_ = m.Decode(&v) // what is not text is left out
		return v["message"]
	},
}).ParseFS(files, "templates/*.html"))

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, page := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /signin":                  a.signIn,
		"POST /signin":                 a.mailSignIn,
		"POST /signin/link":            a.useLink,
		"POST /signout":                a.signOut,
		"GET /{$}":                     a.home,
		"POST /orgs":                   a.createOrganization,
		"GET /orgs/{org}":              a.members,
		"POST /orgs/{org}/invitations": a.invite,
		"POST /orgs/{org}/invitations/{id}/{operation}": a.manage,
		"GET /join":          a.join,
		"POST /join/accept":  a.answer,
		"POST /join/decline": a.answer,
		"GET /mail":          a.showMail,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := page(w, r); err != nil {
				a.fail(w, r, err)
			}
		})
	}
	mux.Handle("GET /static/", http.FileServerFS(files))
	return http.NewCrossOriginProtection().Handler(a.protect(mux))
}

// render executes a template, which escapes what people wrote.
func (a *app) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	return templates.ExecuteTemplate(w, name+".html",
		map[string]any{"Page": name, "Session": sessionOf(r), "Done": r.FormValue("done"), "Data": data})
}

// redirect ends a form, so that a reload does not send it again.
func redirect(w http.ResponseWriter, r *http.Request, path string, err error) error {
	if err == nil {
		http.Redirect(w, r, path, http.StatusSeeOther)
	}
	return err
}

// fail shows an error on a page of its own. It redirects a visitor who is not signed in to the sign-in.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	if status := invitation.HTTPStatus(err); status == http.StatusUnauthorized {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
	} else if err := a.render(w, r, status, "problem", explain(err)); err != nil {
		log.Print(err)
	}
}

// problem is an error of the application that fail and explain show.
func problem(status int, text string) error { return &invitation.Error{Status: status, Message: text} }

// explain returns what to tell the visitor: the library's errors are written for people. Any other is for the log.
func explain(err error) (texts []string) {
	var errs invitation.Errors
	if !errors.As(err, &errs) {
		log.Print(err)
		return []string{"Something went wrong. Try again in a minute."}
	}
	for _, e := range errs {
		texts = append(texts, strings.TrimSuffix(e.Message+": "+e.LongMessage, ": "))
	}
	return texts
}

package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

// session is what the server knows of a browser, which has a cookie with a random number.
type session struct {
	Digest, UserID, Email, LinkDigest, LinkEmail string
	LinkExpires, ExpiresAt                       int64

	CSRF string `bun:"-"` // the token of its forms: another site can neither read it nor make it
}

type sessionKey struct{}

func sessionOf(r *http.Request) session { return r.Context().Value(sessionKey{}).(session) }

// as returns the service that acts as the signed-in user. If nobody is signed in, it refuses with status 401.
func (a *app) as(r *http.Request) *invitation.Service { return a.svc.As(sessionOf(r).UserID) }

// digest hides a secret. The purpose keeps a digest in a page from serving as one in the table.
func digest(purpose, secret string) string {
	sum := sha256.Sum256([]byte(purpose + ":" + secret))
	return hex.EncodeToString(sum[:])
}

// protect stands in front of every page.
func (a *app) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer") // links are secrets
		w.Header().Set("Cache-Control", "no-store")
		s, err := a.load(w, r)
		r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case "http://"+r.Host != a.base: // another site may let its name lead here, to read the pages
			http.Redirect(w, r, a.base, http.StatusSeeOther)
		case err != nil:
			a.fail(w, r, err)
		case !reads && !hmac.Equal([]byte(r.PostFormValue("csrf")), []byte(s.CSRF)):
			a.fail(w, r, problem(http.StatusForbidden, "This form is too old or too large. Reload its page and try again."))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// load returns the session of a request. Every browser has a cookie, so that the forms before sign-in have tokens too.
func (a *app) load(w http.ResponseWriter, r *http.Request) (s session, err error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		cookie = a.setCookie(w)
	}
	s.Digest, s.CSRF = digest("session", cookie.Value), digest("csrf", cookie.Value)
	now := a.clock.Now().Unix()
	err = a.db.NewSelect().Model(&s).Where("digest = ? AND expires_at > ?", s.Digest, now).Scan(r.Context())
	if errors.Is(err, sql.ErrNoRows) {
		err = nil // nobody is signed in
	}
	return s, err
}

const lifetime = 7 * 24 * time.Hour

// setCookie sends a new cookie. SameSite=Lax: it comes with a link in a mail, but not with a form of another site.
func (a *app) setCookie(w http.ResponseWriter) *http.Cookie {
	cookie := &http.Cookie{Name: "session", Value: rand.Text(), Path: "/", MaxAge: int(lifetime.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(a.base, "https:")}
	http.SetCookie(w, cookie)
	return cookie
}

// renew replaces the session and its cookie, and leads to a page. Whoever knew the old cookie, or planted it, has
// nothing of the new one. The page is never one that a request names, which could be another site's.
func (a *app) renew(w http.ResponseWriter, r *http.Request, s session, path string) error {
	old := a.db.NewDelete().Model((*session)(nil)).Where("digest = ?", sessionOf(r).Digest)
	if _, err := old.Exec(r.Context()); err != nil {
		return err
	}
	s.Digest, s.ExpiresAt = digest("session", a.setCookie(w).Value), a.clock.Now().Add(lifetime).Unix()
	_, err := a.db.NewInsert().Model(&s).Exec(r.Context())
	return redirect(w, r, path, err)
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) error {
	return a.renew(w, r, session{}, "/signin")
}

// signIn shows the form for an address. With the token of a mailed link it asks for a click and changes nothing,
// because mail scanners open links too.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) error {
	return a.render(w, r, http.StatusOK, "signin", r.FormValue("token"))
}

// mailSignIn mails a link, which proves that the visitor owns the address. So there are no passwords to guess or leak.
// It answers the same whether or not the address has an account.
func (a *app) mailSignIn(w http.ResponseWriter, r *http.Request) error {
	email, err := invitation.CanonicalEmail(r.PostFormValue("email"))
	if err != nil {
		return err
	}
	token, now := rand.Text(), a.clock.Now().Unix()
	recent, err := a.db.NewSelect().Model((*mail)(nil)).Where(`"to" = ? AND sent_at > ?`, email, now-60).Count(r.Context())
	if err != nil {
		return err
	}
	if recent >= 3 { // so that nobody fills the mailbox of another
		return problem(http.StatusTooManyRequests, "This address got several mails. Try again in a minute.")
	}
	if err := a.send(r.Context(), email, "Sign in", a.base+"/signin?token="+token); err != nil {
		return err
	}
	s := session{LinkDigest: digest("link", token), LinkEmail: email, LinkExpires: now + 15*60}
	return a.renew(w, r, s, "/signin?done=mailed")
}

// useLink signs in, and up if the address has no account. The link works once, and only in the browser that asked for
// it. So it is of no use to whoever else sees it, and nobody can sign a victim in to an account of theirs.
func (a *app) useLink(w http.ResponseWriter, r *http.Request) error {
	s, u := sessionOf(r), user{ID: rand.Text()}
	if u.Email = s.LinkEmail; u.Email == "" || s.LinkDigest != digest("link", r.PostFormValue("token")) ||
		s.LinkExpires <= a.clock.Now().Unix() {
		return problem(http.StatusNotFound, "This link was used, has expired or is for another browser. Get a new one.")
	}
	if _, err := a.db.NewInsert().Model(&u).On("CONFLICT DO NOTHING").Exec(r.Context()); err != nil {
		return err
	}
	if err := a.db.NewSelect().Model(&u).Where("email = ?", u.Email).Scan(r.Context()); err != nil {
		return err
	}
	return a.renew(w, r, session{UserID: u.ID, Email: u.Email}, "/")
}

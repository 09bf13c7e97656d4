-- The application's own tables. Those of the library are created by store.Migrate.

-- An account is created only for a visitor who opened a link in a mail to its address. So every address is verified.
CREATE TABLE IF NOT EXISTS users (
	id    TEXT PRIMARY KEY,
	email TEXT NOT NULL UNIQUE -- in the form of invitation.CanonicalEmail
);

CREATE TABLE IF NOT EXISTS organizations (
	id   TEXT PRIMARY KEY,
	name TEXT NOT NULL
);

-- The key of two columns keeps a user from being a member twice.
CREATE TABLE IF NOT EXISTS members (
	organization_id TEXT NOT NULL REFERENCES organizations,
	user_id         TEXT NOT NULL REFERENCES users,
	role            TEXT NOT NULL,
	PRIMARY KEY (organization_id, user_id)
);

-- What the server knows of a browser. The digest is of the cookie, so that nobody who reads the table can sign in.
CREATE TABLE IF NOT EXISTS sessions (
	digest       TEXT PRIMARY KEY,
	user_id      TEXT NOT NULL, -- who is signed in, or ''
	email        TEXT NOT NULL,
	link_digest  TEXT NOT NULL, -- of the token in the link to sign in that was mailed
	link_email   TEXT NOT NULL, -- where it was mailed to
	link_expires INTEGER NOT NULL, -- Unix seconds, as the others
	expires_at   INTEGER NOT NULL
);

-- The outbox: invitations to mail. It has no links, because links are secrets.
CREATE TABLE IF NOT EXISTS mail_jobs (
	id              INTEGER PRIMARY KEY,
	organization_id TEXT NOT NULL,
	invitation_id   TEXT NOT NULL
);

-- Everybody's mail, while you develop. Drop it when you call a mail provider: it has links.
CREATE TABLE IF NOT EXISTS mails (
	id      INTEGER PRIMARY KEY,
	"to"    TEXT NOT NULL,
	subject TEXT NOT NULL,
	link    TEXT NOT NULL,
	sent_at INTEGER NOT NULL
);

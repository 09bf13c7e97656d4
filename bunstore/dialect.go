package bunstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"

	"github.com/orginvite/orginvite/storage"
)

// engine is what differs between databases; there is one file for each. Handles are the caller's: in a transaction
// an engine runs its statements there and nowhere else.
type engine interface {
	name() dialect.Name
	tables() tables

	// migrations in the order they are applied. Each records its own ID with its last statement, so that a host
	// that runs them with a tool of its own satisfies Check.
	migrations() []Migration
	// startMigrating makes the migrations table and keeps other processes out until the transaction ends.
	startMigrating(ctx context.Context, h handle) error
	// commitsDDL: a CREATE commits the transaction it is in. Migrations can then be run any number of times instead.
	commitsDDL() bool
	// objects are the names of the tables and indexes there are, of any owner.
	objects(ctx context.Context, h handle) (map[string]bool, error)
	// sound refuses tables that are there and would break a rule.
	sound(ctx context.Context, h handle) error
	// safe refuses connections that values would not survive. It is asked before a Store's first statement.
	safe(ctx context.Context, h handle) error

	// txOptions are what an outermost transaction of ours begins with, and begin is its first statement.
	txOptions() *sql.TxOptions
	begin(ctx context.Context, h handle) error
	// intact reports whether the transaction on h is still there, after the host has had the handle. watched: the host is
	// known to have read and written rows only, and each of its statements has succeeded as far as bun says.
	intact(ctx context.Context, h handle, watched bool) (there bool, err error)
	// end reports the same where a transaction of ours is about to be committed, or why it cannot be.
	end(ctx context.Context, tx bun.Tx, conn bun.Conn) (there bool, err error)
	// noSavepoint reports whether err says that a savepoint of ours is not there any more.
	noSavepoint(err error) bool
	// statementContext is what a statement in a transaction runs with. done frees it, and says whether ctx ended while
	// the statement ran and the transaction is lost for it.
	statementContext(ctx context.Context, write bool) (inner context.Context, done func() (cut bool))
	// watches: the host's statements in a transaction of ours have to be watched, because one that fails may end it.
	watches() bool
	// endsAlone: a transaction that the engine has aborted is over, and statements after it would commit one by one.
	endsAlone() bool
	// lock implements Lock, on key where the engine tells keys apart. own: begin has run in this transaction.
	lock(ctx context.Context, h handle, key string, own bool) error
	// forUpdate prepares for a SELECT that is a current read of the rows with these ids and locks them, in the order
	// of the ids, and returns what it ends with. ids is nil where the SELECT itself has that order.
	forUpdate(ctx context.Context, h handle, ids []string, own bool) (suffix string, err error)

	// mixesSnapshots: in one transaction a current read may show a row that other reads do not show yet. Other engines
	// refuse such a read.
	mixesSnapshots() bool

	// current ends a SELECT that has to see what a unique index has refused, whatever the transaction's snapshot.
	current() string

	// class says what err means; breach whether a unique index refused.
	class(err error) class
	breach(err error) bool
	// refused reports whether err, of a COMMIT, proves that nothing was committed: it is the database's own answer, and
	// not one by which a server says that it stops. All else leaves the outcome unknown.
	refused(err error) bool
	// remedy says what to do about err, "" where nothing is to be said.
	remedy(err error) string
	// keeps reports whether a connection on which BEGIN, COMMIT or ROLLBACK has failed has no transaction any more and
	// may go back to the pool.
	keeps(ctx context.Context, conn bun.Conn) bool
	// warning says what about the driver's connection may surprise, "" where nothing does.
	warning(conn any) string

	// insert stores records no two of which collide, in one statement. Where a stored one is in the way it writes
	// nothing, leaves the transaction usable and returns false.
	insert(ctx context.Context, h handle, records []storage.Record) (bool, error)
	// update writes records whose version is the stored one, in one statement, and returns how many those were.
	// Slots are released by then where several are written. A breach is an error that leaves the transaction usable.
	update(ctx context.Context, h handle, records []storage.Record) (int64, error)
	// holders asks which of these slots are held; its rows are id, organization_id, pending_key.
	holders(q *statement, slots []slot)

	// pick is what follows the name of the table, so that a page is read from the index that has its order.
	pick(w search, list []part, emails []string, fields []term, limited bool) string
	// joinPage joins the ids of a page with their records, where that is faster than to carry records along; else "".
	joinPage(offset int) string
	// row is what the readColumns of one row are scanned into.
	row() row
	// time writes t as a literal, as the columns keep it.
	time(b []byte, t time.Time) []byte
	// after leaves out what does not come after the place the terms name.
	after(q *statement, terms []term)
	// contains is the condition that email_key holds text, byte for byte.
	contains(q *statement, text string)
	// expires is the expires_at column of a condition. Unless seek is set no index may be chosen for its sake.
	expires(seek bool) string
	// limit ends a SELECT; 0 is no limit.
	limit(q *statement, limit, offset int)
}

// row is scanned into, again and again.
type row interface {
	dest() []any
	record() storage.Record // shares no memory with the row
}

// slot is a pending slot.
type slot struct{ organization, key string }

// newEngine picks the engine for a dialect and checks cfg.
func newEngine(name dialect.Name, cfg *Config) (engine, error) {
	t, err := newTables(cfg)
	if err != nil {
		return nil, err
	}
	switch name {
	case dialect.SQLite:
		return newSQLite(t), nil
	case dialect.PG:
		return newPostgres(t), nil
	case dialect.MySQL:
		return newMySQL(t), nil
	default:
		return nil, fmt.Errorf("bunstore: no support for the dialect %v; there is for %v, %v and %v", name,
			dialect.SQLite, dialect.PG, dialect.MySQL)
	}
}

// tables are the names in use, quoted and with their schema where SQL needs them so.
type tables struct {
	schema, prefix                 string
	invitations, locks, migrations string
	read, get                      string // SELECT the readColumns: of all, of the id that is the argument
	byID                           string // invitations, where its rows are to be found by id and in that order
	deleteFrom                     string // DELETE, where they are
}

const (
	baseName    = "organization_invitations"
	locksName   = "organization_invitation_locks"
	appliedName = "organization_invitation_migrations" // no name is longer
)

func newTables(cfg *Config) (tables, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	most := 63 - len(appliedName)
	if len(cfg.TablePrefix) > most || !plainName(cfg.TablePrefix) {
		return tables{}, fmt.Errorf("bunstore: TablePrefix must be of a-z, 0-9 and _, and at most %d bytes", most)
	}
	if len(cfg.Schema) > 63 || !plainName(cfg.Schema) {
		return tables{}, fmt.Errorf("bunstore: Schema must be of a-z, 0-9 and _, and at most 63 bytes")
	}
	return tables{schema: cfg.Schema, prefix: cfg.TablePrefix}, nil
}

// named sets what follows from prefix and schema, with names quoted by quote.
func (t tables) named(quote string) tables {
	qualified := func(name string) string {
		name = quote + t.prefix + name + quote
		if t.schema != "" {
			name = quote + t.schema + quote + "." + name
		}
		return name
	}
	t.invitations, t.locks, t.migrations = qualified(baseName), qualified(locksName), qualified(appliedName)
	t.byID, t.deleteFrom = t.invitations, "DELETE FROM "+t.invitations
	t.read = "SELECT " + readColumns + " FROM " + t.invitations
	t.get = t.read + " WHERE id = ?"
	return t
}

// plainName reports whether s can be quoted by any engine without a thought.
func plainName(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// columns of the invitations table, in the order values are written. pending_key, the email_key of what is stored as
// pending and NULL of everything else, is written only.
var columns = [...]string{
	"id", "organization_id", "organization_domain_id", "email_address", "email_key", "pending_key", "role", "status",
	"public_metadata", "private_metadata", "inviter_user_id", "redirect_url", "generation",
	"created_at", "updated_at", "expires_at", "sent_at", "resolved_at", "resolved_by", "version",
}

// readColumns are what a row is scanned from.
const readColumns = "id, organization_id, organization_domain_id, email_address, email_key, role, status, " +
	"public_metadata, private_metadata, inviter_user_id, redirect_url, generation, " +
	"created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version"

// appender is an argument that writes itself into the text. It is no struct, because bun would take the fields of a
// single struct for named arguments.
type appender func(gen schema.QueryGen, b []byte) []byte

// AppendQuery implements schema.QueryAppender.
func (a appender) AppendQuery(gen schema.QueryGen, b []byte) ([]byte, error) { return a(gen, b), nil }

// instant is a time as an argument.
func instant(e engine, t time.Time) appender {
	return func(_ schema.QueryGen, b []byte) []byte { return e.time(b, t) }
}

// literal is a text as an argument.
func literal(s string) appender {
	return func(gen schema.QueryGen, b []byte) []byte { return appendText(gen.Dialect(), b, s) }
}

// appendText writes a text literal. On PostgreSQL a backslash in a plain one means itself or begins an escape, as
// standard_conforming_strings says, which a host may set in its transaction. In E'…' it always begins one.
func appendText(d schema.Dialect, b []byte, s string) []byte {
	if d.Name() != dialect.PG || !strings.Contains(s, `\`) {
		return d.AppendString(b, s)
	}
	return d.AppendString(append(b, 'E'), strings.ReplaceAll(s, `\`, `\\`))
}

// texts is a list of text literals.
func texts(list []string) appender {
	return func(gen schema.QueryGen, b []byte) []byte {
		for i, s := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(gen.Dialect(), b, s)
		}
		return b
	}
}

// slotRows is a list of (organization, key) rows.
func slotRows(list []slot) appender {
	return func(gen schema.QueryGen, b []byte) []byte {
		for i, s := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '(')
			b = appendText(gen.Dialect(), b, s.organization)
			b = append(b, ',')
			b = appendText(gen.Dialect(), b, s.key)
			b = append(b, ')')
		}
		return b
	}
}

// recordRows is a list of rows, each of values in the order of columns. Every text in them is valid.
func recordRows(e engine, records []storage.Record) appender {
	return func(gen schema.QueryGen, b []byte) []byte {
		b = slices.Grow(b, textOf(records...))
		for i := range records {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '(')
			for c := range columns {
				if c > 0 {
					b = append(b, ',')
				}
				b = appendColumn(e, gen, b, &records[i], c)
			}
			b = append(b, ')')
		}
		return b
	}
}

// recordSelects is the same as SELECT … UNION ALL SELECT …, the columns named.
func recordSelects(e engine, records []storage.Record) appender {
	return func(gen schema.QueryGen, b []byte) []byte {
		b = slices.Grow(b, textOf(records...))
		for i := range records {
			if i > 0 {
				b = append(b, " UNION ALL "...)
			}
			b = append(b, "SELECT "...)
			for c := range columns {
				if c > 0 {
					b = append(b, ',')
				}
				b = appendColumn(e, gen, b, &records[i], c)
				if i == 0 {
					b = append(append(b, " AS "...), columns[c]...)
				}
			}
		}
		return b
	}
}

// assignments is the SET list of one record: every column but id and version.
func assignments(e engine, r *storage.Record) appender {
	return func(gen schema.QueryGen, b []byte) []byte {
		for c := 1; c < len(columns)-1; c++ {
			if c > 1 {
				b = append(b, ',')
			}
			b = append(append(b, columns[c]...), '=')
			b = appendColumn(e, gen, b, r, c)
		}
		return b
	}
}

// appendColumn writes the value of columns[c].
func appendColumn(e engine, gen schema.QueryGen, b []byte, r *storage.Record, c int) []byte {
	d := gen.Dialect()
	switch columns[c] {
	case "id":
		return appendText(d, b, r.ID)
	case "organization_id":
		return appendText(d, b, r.OrganizationID)
	case "organization_domain_id":
		return appendText(d, b, r.OrganizationDomainID)
	case "email_address":
		return appendText(d, b, r.EmailAddress)
	case "email_key":
		return appendText(d, b, r.EmailKey)
	case "pending_key":
		if r.Status != storage.Pending {
			return append(b, "NULL"...)
		}
		return appendText(d, b, r.EmailKey)
	case "role":
		return appendText(d, b, r.Role)
	case "status":
		return appendText(d, b, r.Status)
	case "public_metadata":
		return appendMetadata(d, b, r.PublicMetadata)
	case "private_metadata":
		return appendMetadata(d, b, r.PrivateMetadata)
	case "inviter_user_id":
		return appendText(d, b, r.InviterUserID)
	case "redirect_url":
		return appendText(d, b, r.RedirectURL)
	case "generation":
		return strconv.AppendInt(b, r.Generation, 10)
	case "created_at":
		return e.time(b, r.CreatedAt)
	case "updated_at":
		return e.time(b, r.UpdatedAt)
	case "expires_at":
		return e.time(b, r.ExpiresAt)
	case "sent_at":
		return e.time(b, r.SentAt)
	case "resolved_at":
		if t := r.ResolvedAt.Truncate(time.Microsecond); t.IsZero() {
			return append(b, "NULL"...)
		}
		return e.time(b, r.ResolvedAt)
	case "resolved_by":
		return appendText(d, b, r.ResolvedBy)
	default:
		return strconv.AppendInt(b, r.Version, 10)
	}
}

// appendMetadata writes JSON as the text it is: as []byte bun would make it a blob, as its JSON types other JSON.
func appendMetadata(d schema.Dialect, b, m []byte) []byte {
	if len(m) == 0 {
		return append(b, "'{}'"...)
	}
	return appendText(d, b, string(m))
}

package bunstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/orginvite/orginvite/storage"
)

const (
	baseName    = "organization_invitations"
	locksName   = "organization_invitation_locks"
	appliedName = "organization_invitation_migrations" // no name is longer
)

// index is one index of the invitations table.
type index struct {
	name    string // without prefix
	unique  bool
	wide    bool // for queries of all organizations; see facts.wideOnly
	columns string
}

// The names of the indexes, without prefix.
const (
	indexSlot      = "organization_invitations_slot"      // one pending record per organization and address
	indexOrg       = "organization_invitations_org"       // an organization's page
	indexOrgStatus = "organization_invitations_org_state" // an organization's page of some statuses, and counting
	indexEmail     = "organization_invitations_email"     // a user's page
	indexCreated   = "organization_invitations_created"   // a page of everything
	indexStatus    = "organization_invitations_status"    // a page of everything of some statuses
	indexDue       = "organization_invitations_due"       // expired records that are still stored as pending
)

// indexes are the indexes of the invitations table, the same on every engine. Some have extra columns at the end, so
// that a count or a search by a part of the address reads only the index. There is no index on (organization_id,
// status, expires_at), because SQLite would use it for a page of expired records and would then have to sort.
var indexes = []index{
	{indexSlot, true, false, "organization_id, pending_key"},
	{indexOrg, false, false, "organization_id, created_at, id, organization_domain_id, email_key"},
	{indexOrgStatus, false, false, "organization_id, status, created_at, id, expires_at, organization_domain_id, email_key"},
	{indexEmail, false, false, "email_key, status, created_at, id, expires_at"},
	{indexCreated, false, true, "created_at, id"},
	{indexStatus, false, true, "status, created_at, id, expires_at"},
	{indexDue, false, true, "status, expires_at, id"},
}

// tables are the names for SQL, quoted and with their schema if there is one.
type tables struct {
	schema, prefix                 string // as in Config
	quote                          string // around a name
	invitations, locks, migrations string
}

// newTables checks cfg.
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

// plainName reports whether every engine can quote s without escaping.
func plainName(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// quoted returns t with the names of its tables in quote.
func (t tables) quoted(quote string) tables {
	t.quote = quote
	t.invitations, t.locks, t.migrations = t.qualified(baseName), t.qualified(locksName), t.qualified(appliedName)
	return t
}

// named returns a name with its prefix, quoted. qualified adds the schema.
func (t *tables) named(name string) string { return t.quote + t.prefix + name + t.quote }

func (t *tables) qualified(name string) string {
	if t.schema == "" {
		return t.named(name)
	}
	return t.quote + t.schema + t.quote + "." + t.named(name)
}

// steps are the migrations, first to last. Each records its own ID with its last statement, so that a host that runs
// them with a tool of its own satisfies Check.
func (e *engine) steps() []Migration {
	list := []Migration{e.createTables()}
	if e.wideOnly != "" {
		list = append(list, e.narrowIndexes())
	}
	return list
}

// narrowIndexes returns the migration that keeps queries of one organization from using the indexes of all.
func (e *engine) narrowIndexes() Migration {
	const id = "0002_wide_indexes"
	var list []string
	for _, i := range indexes {
		if i.wide {
			list = append(list, "DROP INDEX "+e.qualified(i.name), e.createIndex(i)+" WHERE "+e.wideOnly)
		}
	}
	return Migration{ID: id, SQL: append(list, e.record(id))}
}

// record returns the last statement of a migration.
func (e *engine) record(id string) string {
	return "INSERT INTO " + e.migrations + " (id) VALUES ('" + id + "')" + e.insertAgain
}

// createTables returns the first migration. It has the columns that no later migration adds. Databases have been
// created with it, so it must never change.
func (e *engine) createTables() Migration {
	const id = "0001_create"
	create := "CREATE TABLE "
	if e.commitsDDL {
		create = "CREATE TABLE IF NOT EXISTS "
	}
	list := []string{
		e.createMigrations(),
		create + e.locks + " (k " + e.typeOf(textKind, storage.MaxReference) + " NOT NULL PRIMARY KEY, n " +
			e.typeOf(integerKind, 0) + " NOT NULL)" + e.tableOptions,
	}
	var parts []string
	for _, c := range columns {
		if c.added == "" {
			parts = append(parts, e.declaration(c))
		}
	}
	if e.commitsDDL { // the same statement creates the indexes, because it may run several times concurrently
		for _, i := range indexes {
			parts = append(parts, unique(i)+"KEY "+e.named(i.name)+" ("+i.columns+")")
		}
	}
	list = append(list, create+e.invitations+" (\n\t"+strings.Join(parts, ",\n\t")+"\n)"+e.tableOptions)
	if !e.commitsDDL {
		for _, i := range indexes {
			list = append(list, e.createIndex(i))
		}
	}
	return Migration{ID: id, SQL: append(list, e.record(id))}
}

func (e *engine) createMigrations() string {
	return "CREATE TABLE IF NOT EXISTS " + e.migrations + " (id " + e.typeOf(textKind, storage.MaxID) +
		" NOT NULL PRIMARY KEY)" + e.tableOptions
}

// declaration returns the declaration of a column in CREATE TABLE.
func (e *engine) declaration(c column) string {
	text := c.name + " " + e.typeOf(c.kind, c.most)
	switch {
	case c.name == "id":
		return text + " NOT NULL PRIMARY KEY"
	case c.nullable:
		return text + e.nullType
	}
	return text + " NOT NULL"
}

func (e *engine) typeOf(k kind, most int) string {
	return strings.Replace(e.types[k], "%d", strconv.Itoa(most), 1)
}

func (e *engine) createIndex(i index) string {
	name, table := e.named(i.name), e.invitations
	if e.indexSchema {
		name, table = e.qualified(i.name), e.named(baseName)
	}
	return "CREATE " + unique(i) + "INDEX " + name + " ON " + table + " (" + i.columns + ")"
}

func unique(i index) string {
	if i.unique {
		return "UNIQUE "
	}
	return ""
}

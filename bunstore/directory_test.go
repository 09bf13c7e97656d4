package bunstore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// createTables creates a host's tables if they do not exist. Text compares byte for byte, whatever the database's
// default: MariaDB's default treats "acme", "ACME" and "acme " as equal.
func createTables(t testing.TB, db *bun.DB, models ...any) {
	t.Helper()
	for _, model := range models {
		createTable(t, db, model, "/*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */")
	}
}

// createTable creates a table with a MariaDB collation. The pairs in replace are old and new texts, replaced in the
// statement.
func createTable(t testing.TB, db *bun.DB, model any, collation string, replace ...string) {
	t.Helper()
	statement := db.NewCreateTable().Model(model).IfNotExists().String()
	if db.Dialect().Name() == dialect.MySQL {
		statement += " DEFAULT CHARACTER SET utf8mb4 COLLATE " + collation
	}
	if _, err := db.ExecContext(t.Context(), strings.NewReplacer(replace...).Replace(statement)); err != nil {
		t.Fatal(err)
	}
}

// emptyTables serves hosts that share a database. It uses a transaction because only BEGIN makes sure that commits on
// the other nodes of a cluster are seen.
func emptyTables(t testing.TB, store *bunstore.Store, tables ...string) {
	t.Helper()
	err := store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
		for _, table := range tables {
			if _, err := bunstore.DB(tx).ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// directoryOf returns sqlHost, or a wrapper around it, for RunDirectory. The tables exist already.
func directoryOf(t *testing.T, store *bunstore.Store, dir invitation.Directory) invitationtest.DirectoryHost {
	t.Helper()
	emptyTables(t, store, "host_users", "host_members")
	insert := func(ctx context.Context, row any) error {
		return store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			_, err := bunstore.DB(tx).NewInsert().Model(row).Exec(ctx)
			return err
		})
	}
	return invitationtest.DirectoryHost{
		Directory: dir,
		Storage:   store,
		AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
			if len(verified) != 1 {
				return "", errors.ErrUnsupported
			}
			return id, insert(ctx, &hostUser{ID: id, Email: verified[0]})
		},
		AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
			return insert(ctx, &hostMember{OrganizationID: organizationID, UserID: userID, Role: string(role)})
		},
	}
}

// The hosts in these tests keep the rules on every engine.
func TestDirectory(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		t.Run("service", func(t *testing.T) {
			db := e.Open(t)
			store := newStore(t, db)
			createTables(t, db, (*hostUser)(nil), (*hostMember)(nil))
			invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
				return directoryOf(t, store, &sqlHost{})
			})
		})
		t.Run("model", func(t *testing.T) {
			db := e.Open(t)
			store := newStore(t, db)
			host := newTableHost(t, db, store)
			invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
				emptyTables(t, store, "model_organizations", "model_users", "model_addresses", "model_members")
				return invitationtest.DirectoryHost{
					Directory: host,
					Storage:   store,
					AddOrganization: func(ctx context.Context, id string) (string, error) {
						return id, host.addOrganization(ctx, id, id)
					},
					AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
						return id, host.setUser(ctx, id, verified)
					},
					AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
						return host.setMember(ctx, organizationID, userID, string(role))
					},
				}
			})
		})
	})
}

// carelessTables are mistakes that hosts easily make in their tables. Each breaks a rule.
var carelessTables = map[string]func(t *testing.T, db *bun.DB) invitation.Directory{
	// MariaDB's default collation, and similar ones elsewhere.
	"loose": func(t *testing.T, db *bun.DB) invitation.Directory {
		var replace []string
		switch db.Dialect().Name() {
		case dialect.SQLite:
			replace = []string{"VARCHAR", "VARCHAR COLLATE NOCASE"}
		case dialect.PG:
			replace = []string{"VARCHAR", "VARCHAR COLLATE loose"}
			_, err := db.ExecContext(t.Context(),
				"CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
			is.New(t).NoErr(err)
		}
		createTable(t, db, (*hostUser)(nil), "utf8mb4_general_ci", replace...)
		createTable(t, db, (*hostMember)(nil), "utf8mb4_general_ci", replace...)
		return &sqlHost{}
	},
	// A binary collation that ignores trailing spaces.
	"padded": func(t *testing.T, db *bun.DB) invitation.Directory {
		createTable(t, db, (*hostUser)(nil), "utf8mb4_bin")
		createTable(t, db, (*hostMember)(nil), "utf8mb4_bin")
		return &sqlHost{}
	},
	// User ids are numbers: "7", "07" and "7 " are the same user.
	"numbers": func(t *testing.T, db *bun.DB) invitation.Directory {
		replace := []string{`"id" VARCHAR`, `"id" BIGINT`, `"user_id" VARCHAR`, `"user_id" BIGINT`,
			"`id` VARCHAR(255)", "`id` BIGINT", "`user_id` VARCHAR(255)", "`user_id` BIGINT"}
		createTable(t, db, (*hostUser)(nil), "utf8mb4_nopad_bin", replace...)
		createTable(t, db, (*hostMember)(nil), "utf8mb4_nopad_bin", replace...)
		return &sqlHost{}
	},
	"keyless": func(t *testing.T, db *bun.DB) invitation.Directory {
		createTable(t, db, (*hostUser)(nil), "utf8mb4_nopad_bin")
		createTable(t, db, (*hostMember)(nil), "utf8mb4_nopad_bin",
			`, PRIMARY KEY ("organization_id", "user_id")`, "", ", PRIMARY KEY (`organization_id`, `user_id`)", "")
		return &keylessHost{}
	},
}

// keylessHost is a host whose memberships have no unique key. It checks for a row before it inserts one.
type keylessHost struct{ sqlHost }

func (h *keylessHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	_, err := h.Role(ctx, tx, m.OrganizationID, m.UserID)
	switch {
	case err == nil:
		return invitation.ErrAlreadyMember
	case !errors.Is(err, invitation.ErrNotMember):
		return err
	}
	return h.sqlHost.Join(ctx, tx, m)
}

// A host with careless tables fails the suite, and the suite names exactly the rules that they break. The suite runs in
// another process of this test, because a test that contains a failed test cannot pass.
func TestDirectoryOfCarelessTables(t *testing.T) {
	const variable = "ORGINVITE_TEST_CARELESS_TABLES"
	if name := os.Getenv(variable); name != "" {
		db := engines.Named(t, os.Getenv("ORGINVITE_TEST_ENGINE")).Open(t)
		store, dir := newStore(t, db), carelessTables[name](t, db)
		invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
			host := directoryOf(t, store, dir)
			if addUser, n := host.AddUser, 0; name == "numbers" {
				host.AddUser = func(ctx context.Context, _ string, verified ...string) (string, error) {
					n++
					return addUser(ctx, strconv.Itoa(n), verified...)
				}
			}
			return host
		})
		return
	}

	ids := []string{"Join_compares_ids_byte_for_byte", "MemberEmails_compares_ids_byte_for_byte",
		"Role_compares_ids_byte_for_byte", "VerifiedEmails_compares_ids_byte_for_byte"}
	for _, c := range []struct {
		name    string
		engines []string
		fails   []string
	}{
		{"loose", []string{"sqlite", "postgres", "mariadb"}, ids},
		{"padded", []string{"mariadb"}, ids},
		{"numbers", []string{"sqlite", "mariadb"}, []string{ids[0], ids[2], ids[3]}}, // only the ids of users
		// SQLite has one writer at a time, so checking before inserting is enough.
		{"keyless", []string{"postgres", "mariadb"}, []string{"Join_makes_one_member_when_called_twice_at_once"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var list []engines.Engine
			for _, name := range c.engines {
				list = append(list, engines.Named(t, name))
			}
			engines.On(t, list, func(t *testing.T, e engines.Engine) {
				is := is.New(t)
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDirectoryOfCarelessTables$")
				cmd.Env = append(os.Environ(), variable+"="+c.name, "ORGINVITE_TEST_ENGINE="+e.Name)
				out, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				is.True(errors.As(err, &exit)) // the other process fails
				var failed []string
				for line := range strings.Lines(string(out)) {
					if rule, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: TestDirectoryOfCarelessTables/"); ok {
						rule, _, _ = strings.Cut(rule, " ")
						failed = append(failed, rule)
					}
				}
				slices.Sort(failed)
				if !slices.Equal(failed, c.fails) {
					t.Errorf("the suite names %q, want %q\n%s", failed, c.fails, out)
				}
			})
		})
	}
}

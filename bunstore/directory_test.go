package bunstore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
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

// createTables creates tables of a host, if they are not there yet. Text compares byte for byte, whatever the default of
// the database: MariaDB's takes "acme", "ACME" and "acme " for one.
func createTables(t testing.TB, db *bun.DB, models ...any) {
	t.Helper()
	const options = " DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */"
	for _, model := range models {
		statement := db.NewCreateTable().Model(model).IfNotExists().String()
		if db.Dialect().Name() == dialect.MySQL {
			statement += options
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// emptyTables is for hosts that share a database.
func emptyTables(t testing.TB, db *bun.DB, tables ...string) {
	t.Helper()
	for _, table := range tables {
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
}

// directoryOf is sqlHost for RunDirectory. Its tables have been created.
func directoryOf(t *testing.T, db *bun.DB, store *bunstore.Store, dir invitation.Directory) invitationtest.DirectoryHost {
	t.Helper()
	emptyTables(t, db, "host_users", "host_members")
	return invitationtest.DirectoryHost{
		Directory: dir,
		Storage:   store,
		AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
			if len(verified) != 1 {
				return "", errors.ErrUnsupported
			}
			_, err := db.NewInsert().Model(&hostUser{ID: id, Email: verified[0]}).Exec(ctx)
			return id, err
		},
		AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
			_, err := db.NewInsert().Model(&hostMember{OrganizationID: organizationID, UserID: userID, Role: string(role)}).Exec(ctx)
			return err
		},
	}
}

// The hosts of these tests keep the rules on every engine.
func TestDirectory(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		t.Run("service", func(t *testing.T) {
			db := e.Open(t)
			store := newStore(t, db)
			createTables(t, db, (*hostUser)(nil), (*hostMember)(nil))
			invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
				return directoryOf(t, db, store, &sqlHost{})
			})
		})
		t.Run("model", func(t *testing.T) {
			db := e.Open(t)
			store := newStore(t, db)
			host := newTableHost(t, db, store)
			invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
				emptyTables(t, db, "model_organizations", "model_users", "model_addresses", "model_members")
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

// looseTables are tables of a host whose ids compare loosely, as they easily do.
func looseTables(t testing.TB, db *bun.DB) {
	t.Helper()
	text := "VARCHAR"
	switch db.Dialect().Name() {
	case dialect.SQLite:
		text = "VARCHAR COLLATE NOCASE"
	case dialect.PG:
		text = "VARCHAR COLLATE loose"
		_, err := db.ExecContext(t.Context(),
			"CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, model := range []any{(*hostUser)(nil), (*hostMember)(nil)} {
		statement := strings.ReplaceAll(db.NewCreateTable().Model(model).String(), "VARCHAR", text)
		if db.Dialect().Name() == dialect.MySQL {
			statement += " COLLATE utf8mb4_general_ci"
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// keylessHost is a host whose memberships have no unique key. It looks before it inserts.
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

// A host whose columns compare loosely, or whose memberships have no unique key, fails, and the suite names the rule.
// It runs in another process of this test, because a test that fails cannot pass.
func TestDirectoryOfCarelessTables(t *testing.T) {
	const variable = "ORGINVITE_TEST_CARELESS_TABLES"
	careless := map[string]func(t *testing.T, db *bun.DB) invitation.Directory{
		"loose": func(t *testing.T, db *bun.DB) invitation.Directory {
			looseTables(t, db)
			return &sqlHost{}
		},
		"keyless": func(t *testing.T, db *bun.DB) invitation.Directory {
			createTables(t, db, (*hostUser)(nil))
			statement := strings.Replace(db.NewCreateTable().Model((*hostMember)(nil)).String(),
				`, PRIMARY KEY ("organization_id", "user_id")`, "", 1)
			statement = strings.Replace(statement, ", PRIMARY KEY (`organization_id`, `user_id`)", "", 1)
			if db.Dialect().Name() == dialect.MySQL {
				statement += " COLLATE utf8mb4_nopad_bin"
			}
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			return &keylessHost{}
		},
	}
	if name := os.Getenv(variable); name != "" {
		db := engines.Named(t, os.Getenv("ORGINVITE_TEST_ENGINE")).Open(t)
		store, dir := newStore(t, db), careless[name](t, db)
		invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
			return directoryOf(t, db, store, dir)
		})
		return
	}

	for _, c := range []struct {
		name    string
		engines []string
		fails   []string
	}{
		{"loose", []string{"sqlite", "postgres", "mariadb"}, []string{
			"Join_compares_ids_byte_for_byte", "MemberEmails_compares_ids_byte_for_byte",
			"Role_compares_ids_byte_for_byte", "VerifiedEmails_compares_ids_byte_for_byte"}},
		// SQLite has one writer at a time, so that looking before inserting is enough.
		{"keyless", []string{"postgres", "mariadb"}, []string{"Join_makes_one_member_of_two_at_once"}},
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
					t.Errorf("the suite names %q, not %q\n%s", failed, c.fails, out)
				}
			})
		})
	}
}

package bunstore

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/uptrace/bun/dialect"
)

// Migration is one step of the schema.
type Migration struct {
	// ID names the step. IDs sort in the order they are applied in, and are kept in the table
	// organization_invitation_migrations.
	ID string

	// SQL are its statements, to be run in this order, in one transaction where the engine has that. The last one
	// records ID.
	SQL []string
}

// Migrations returns the steps of the schema, first to last, for hosts that run them with a tool of their own.
// Each is complete with the record that [Store.Check] looks for. cfg may be nil. It refuses what [New] refuses.
func Migrations(d dialect.Name, cfg *Config) ([]Migration, error) {
	e, err := newEngine(d, cfg)
	if err != nil {
		return nil, err
	}
	return e.steps(), nil
}

// Migrate brings the tables up to date: it applies the [Migrations] that are missing, in one transaction, and does
// nothing where there are none. Several processes may call it at once. At the end everything [Store.Check] looks
// for is there, or the error says what is not.
//
// On MySQL and MariaDB, where creating a table commits, it is refused in a transaction, and each step can be repeated
// instead.
func (s *Store) Migrate(ctx context.Context) error {
	const op = "migrate"
	if s.Check(ctx) == nil {
		return nil // without writing, so that a process that may only read can start too
	}
	if s.e.commitsDDL {
		return s.migrateInPlace(ctx, op)
	}
	nothing := func(context.Context, querier) error { return nil } // what begin needs is not there yet
	return s.atomically(ctx, op, nothing, func(ctx context.Context, tx *Store) error {
		return tx.write(ctx, op, func(ctx context.Context, db querier) error {
			if err := tx.e.catalog.startMigrating(ctx, db); err != nil {
				return err
			}
			return tx.apply(ctx, db)
		})
	})
}

// migrateInPlace is Migrate where a CREATE commits, and each migration may be run any number of times.
func (s *Store) migrateInPlace(ctx context.Context, op string) error {
	if s.inTx() {
		return wrap(op, fmt.Errorf("%v commits a transaction that creates a table: call Migrate on the database, "+
			"outside of it", s.e.dialect))
	}
	return s.read(ctx, op, func(ctx context.Context, db querier) error {
		if err := s.e.catalog.startMigrating(ctx, db); err != nil {
			return err
		}
		return s.apply(ctx, db)
	})
}

// apply runs the migrations that are missing.
func (s *Store) apply(ctx context.Context, db querier) error {
	applied, err := s.applied(ctx, db)
	if err != nil {
		return err
	}
	for _, m := range s.e.steps() {
		if applied[m.ID] {
			continue
		}
		for _, statement := range m.SQL {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", m.ID, err)
			}
		}
	}
	return s.check(ctx, db)
}

// Check looks whether the tables, their indexes and the record of every migration are there, and writes nothing.
// Its error says what is missing and what to do. It ignores migrations of newer versions.
//
// Check logs a warning to [slog.Default] if go-sql-driver has no readTimeout: its COMMIT hangs on a network that loses
// packets. This is not an error.
func (s *Store) Check(ctx context.Context) error {
	if err := s.read(ctx, "check", s.check); err != nil {
		return err
	}
	return s.warn(ctx)
}

// warn logs what the engine finds surprising about a connection. Inside a transaction there is none to look at.
func (s *Store) warn(ctx context.Context) error {
	if s.inTx() {
		return nil
	}
	conn, err := s.lease(ctx, nil)
	if err != nil {
		return wrap("check", err)
	}
	defer conn.release()
	return conn.Raw(func(c any) error {
		if warning := s.e.catalog.warning(c); warning != "" {
			slog.WarnContext(ctx, "bunstore: "+warning)
		}
		return nil
	})
}

func (s *Store) check(ctx context.Context, db querier) error {
	there, err := s.e.catalog.objects(ctx, db)
	if err != nil {
		return err
	}
	if !there[s.e.prefix+appliedName] {
		return fmt.Errorf("there is no table %s; call Migrate, or run Migrations with a tool of your own, and see "+
			"that TablePrefix and Schema are the same", s.e.migrations)
	}
	applied, err := s.applied(ctx, db)
	if err != nil {
		return err
	}
	for _, m := range s.e.steps() {
		if !applied[m.ID] {
			return fmt.Errorf("migration %s is not in %s; call Migrate, or run it with a tool of your own",
				m.ID, s.e.migrations)
		}
	}
	var missing []string
	wanted := []string{baseName, locksName}
	for _, i := range indexes {
		wanted = append(wanted, i.name)
	}
	for _, name := range wanted {
		if !there[s.e.prefix+name] {
			missing = append(missing, s.e.prefix+name)
		}
	}
	if missing != nil {
		slices.Sort(missing)
		return fmt.Errorf("there is no %s, although the migrations are recorded as applied: create it again with its "+
			"statement from Migrations, or restore a backup", strings.Join(missing, ", "))
	}
	return s.e.catalog.sound(ctx, db)
}

// applied are the recorded migrations.
func (s *Store) applied(ctx context.Context, db querier) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT id FROM " + s.e.migrations)
	applied := map[string]bool{}
	var id string
	err := q.each(ctx, db, []any{&id}, func() { applied[id] = true })
	return applied, err
}

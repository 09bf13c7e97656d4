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
	// ID names the step. The order of the IDs is the order in which the steps are applied. The table
	// organization_invitation_migrations keeps the IDs of applied steps.
	ID string

	// SQL contains the statements of the step. Run them in this order, and in one transaction if the engine can create
	// tables in a transaction. The last statement records ID.
	SQL []string
}

// Migrations returns the steps of the schema, first to last. It is for hosts that run them with their own tool. The
// last statement of each step inserts the record that [Store.Check] looks for. cfg may be nil. Migrations refuses the
// dialects and Configs that [New] refuses.
func Migrations(d dialect.Name, cfg *Config) ([]Migration, error) {
	e, err := newEngine(d, cfg)
	if err != nil {
		return nil, err
	}
	return e.steps(), nil
}

// Migrate brings the tables up to date. It applies the missing [Migrations] in one transaction. If none is missing, it
// does nothing. Several processes may call it at once. At the end it verifies what [Store.Check] verifies, and its
// error says what is missing.
//
// On MySQL and MariaDB, creating a table commits the open transaction. There Migrate uses no transaction. Called inside
// a transaction, it returns an error if a step is missing. Each step can be repeated.
func (s *Store) Migrate(ctx context.Context) error {
	const op = "migrate"
	if s.Check(ctx) == nil {
		return nil // without writing, so that a process that may only read can start too
	}
	if s.e.commitsDDL {
		return s.migrateInPlace(ctx, op)
	}
	nothing := func(context.Context, querier) error { return nil } // the table that begin uses may not exist yet
	return s.atomically(ctx, op, nothing, func(ctx context.Context, tx *Store) error {
		return tx.write(ctx, op, func(ctx context.Context, db querier) error {
			if err := tx.e.catalog.startMigrating(ctx, db); err != nil {
				return err
			}
			return tx.apply(ctx, db)
		})
	})
}

// migrateInPlace is Migrate on an engine where CREATE commits. There each migration may be run any number of times.
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

// Check verifies that the tables, their indexes and the record of every migration exist. It writes nothing. Its error
// says what is missing and what to do. It ignores migrations of newer versions.
//
// Check logs a warning to [slog.Default] if go-sql-driver has no readTimeout: its COMMIT hangs on a network that loses
// packets. This is not an error.
func (s *Store) Check(ctx context.Context) error {
	if err := s.read(ctx, "check", s.check); err != nil {
		return err
	}
	return s.warn(ctx)
}

// warn logs the engine's warning about a connection. Inside a transaction it does nothing.
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

// applied returns the IDs of the recorded migrations.
func (s *Store) applied(ctx context.Context, db querier) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT id FROM " + s.e.migrations)
	applied := map[string]bool{}
	var id string
	err := q.each(ctx, db, []any{&id}, func() { applied[id] = true })
	return applied, err
}

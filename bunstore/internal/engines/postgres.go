package engines

import (
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/uptrace/bun/dialect/pgdialect"
	_ "github.com/uptrace/bun/driver/pgdriver"
)

// postgres are the engines of PostgreSQL.
func postgres() []Engine { return nil }

package engines

import (
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/uptrace/bun/dialect/mysqldialect"
)

// mysql are the engines that speak MySQL.
func mysql() []Engine { return nil }

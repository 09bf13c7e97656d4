package ent

import (
	"database/sql"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// SQLTx returns the transaction of database/sql that tx works on, for bunstore's WithSQLTx. It is nil if the driver of
// the client is not ent's own.
func (tx *Tx) SQLTx() *sql.Tx {
	begun := tx.driver.(*txDriver).tx
	if debug, ok := begun.(*dialect.DebugTx); ok { // of Client.Debug
		begun = debug.Tx
	}
	if own, ok := begun.(*entsql.Tx); ok {
		sqlTx, _ := own.Tx.(*sql.Tx)
		return sqlTx
	}
	return nil
}

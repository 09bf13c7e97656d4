// Package hostexamples has whole applications that use the invitations with their own database library. There is
// nothing to import; read the one with your library and copy it.
//
//   - bun: [bun], the library that the store itself uses
//   - gorm: [GORM]
//   - sqlx: [sqlx]
//   - sqlc: code that [sqlc] has generated for database/sql
//   - sqlcpgx: code that sqlc has generated for pgx
//   - ent: [ent]
//
// The example of pgx alone is bunstore/queueexample, and that of database/sql alone is ExampleStore_WithSQLTx in
// bunstore.
//
// Each application has models, a Directory, and a sign-up. The sign-up begins a transaction with its library, and adds
// an account and a membership. The invitations join that transaction in one line. So account, membership and invitation
// are committed together, or not at all. The store gets the connection pool of the application in a bun.DB. Apart from
// that, only the application of bun uses bun.
//
// The tests run each application on SQLite, PostgreSQL and MariaDB, and sqlcpgx on PostgreSQL. They do so with one
// connection in the pool, and with four. invitationtest.RunDirectory tests every Directory. ORGINVITE_POSTGRES is the
// URL of a server, and ORGINVITE_MARIADB the DSN. Without them, the tests on that server are skipped.
//
// On MariaDB, ids must compare byte for byte. The tests create the database with the collation utf8mb4_nopad_bin. ent
// gives its tables another collation; the schema of the example names the right one.
//
// This module requires modernc.org/sqlite. The driver for GORM, github.com/glebarez/sqlite, registers the same name
// "sqlite" with database/sql. So one program cannot import both.
//
// [bun]: https://bun.uptrace.dev
// [GORM]: https://gorm.io
// [sqlx]: https://github.com/jmoiron/sqlx
// [sqlc]: https://sqlc.dev
// [ent]: https://entgo.io
package hostexamples

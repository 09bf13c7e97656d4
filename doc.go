// Package orginvite adds organization invitations to a Go application. The library records who was invited to which
// organization and role, and the outcome, in your database and your transactions. You provide users, memberships, HTTP
// and mail.
//
// This package holds no code. Start with the guide in the documentation of package invitation:
//
//   - [github.com/orginvite/orginvite/invitation]: the service with all operations, rules and error codes. The package
//     example is a complete application.
//   - [github.com/orginvite/orginvite/invitation/invitationhttp]: optional handlers for net/http.
//   - [github.com/orginvite/orginvite/invitation/invitationtest]: an application in memory for your tests, and a test
//     suite for your Directory.
//   - [github.com/orginvite/orginvite/bunstore]: storage in SQLite, PostgreSQL, MariaDB and Galera, on bun. It joins
//     transactions of bun, of database/sql, and of libraries on database/sql. Its examples are whole applications,
//     about transactions, sign-up, mail and handlers.
//   - [github.com/orginvite/orginvite/bunstore/pgxtx]: the same storage inside transactions of pgx.
//   - The directory bunstore/hostexamples: a module to copy from, with applications on GORM, sqlx, sqlc, ent and bun.
//   - [github.com/orginvite/orginvite/memstore]: storage in memory.
//   - [github.com/orginvite/orginvite/storage]: the interface of a storage, with parts to build one in
//     [github.com/orginvite/orginvite/storage/storagekit] and its test suite in
//     [github.com/orginvite/orginvite/storage/storagetest].
//   - [github.com/orginvite/orginvite/clock]: a clock that tests can replace.
//
// To watch a tour of the main operations on SQLite, step by step, run in a checkout:
//
//	go test -v -run Tour .
//
// The directory bunstore/webexample is a whole web application to copy from. To serve it, run:
//
//	go -C bunstore/webexample run .
//
// The README has the quickstart, the table of operations, the security promises and the reliability figures.
package orginvite

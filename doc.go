// Package orginvite adds organization invitations to a Go application. The library records who was invited to which
// organization and role, and the outcome, in your database and your transactions. You provide users, memberships, HTTP
// and mail.
//
// This package holds no code. Start with the guide in the documentation of package invitation:
//
//   - [github.com/orginvite/orginvite/invitation]: the service with all operations, rules and error codes. The package
//     example is a complete application.
//   - [github.com/orginvite/orginvite/invitation/invitationtest]: an application in memory for your tests, and a test
//     suite for your Directory.
//   - [github.com/orginvite/orginvite/bunstore]: storage in SQLite, PostgreSQL, MariaDB and Galera, on bun. Its
//     examples are whole applications: transactions, sign-up, mail, and handlers.
//   - [github.com/orginvite/orginvite/memstore]: storage in memory.
//   - [github.com/orginvite/orginvite/storage]: the interface of a storage, with its test suite in
//     [github.com/orginvite/orginvite/storage/storagetest].
//   - [github.com/orginvite/orginvite/clock]: a clock that tests can replace.
//
// To watch a tour of the main operations on SQLite, step by step, run in a checkout:
//
//	go test -v -run Tour .
//
// The README has the quickstart, the table of operations, the security promises and duties, and the reliability
// figures.
package orginvite

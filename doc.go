// Package orginvite is the guided tour of a library that keeps organization invitations: who was invited into which
// organization and role, and what became of it, in the application's own database and in its own transactions. The
// application brings users, memberships, HTTP and mail; the library brings the entity, its states, roles, metadata,
// acceptance links and paginated lists. The code is in the packages below this one:
//
//   - [github.com/orginvite/orginvite/invitation]: the invitation.Service with the operations, and all the rules
//   - [github.com/orginvite/orginvite/invitation/invitationtest]: a host application in memory, for tests
//   - [github.com/orginvite/orginvite/bunstore]: storage in SQL, on bun
//   - [github.com/orginvite/orginvite/memstore]: storage in memory
//   - [github.com/orginvite/orginvite/storage]: the interface a storage implements, and in
//     [github.com/orginvite/orginvite/storage/storagetest] the suite it has to pass
//   - [github.com/orginvite/orginvite/clock]: time as a dependency
//
// # Quickstart
//
// The package example of invitation is a whole application, with tables of users and memberships of its own on
// SQLite. An application implements one interface, invitation.Directory, which answers for those tables, and makes a
// service on a store:
//
//	store, err := bunstore.New(db, nil)
//	…
//	err = store.Migrate(ctx)
//	…
//	svc, err := invitation.NewService(store, directory{}, &invitation.Config{
//		TicketKeys: [][]byte{key},
//		AcceptURL:  "https://app.acme.example/join",
//	})
//
// Then an invitation is made, its link is mailed, and the page behind the link accepts it:
//
//	inv, err := svc.Create(ctx, "acme", invitation.CreateParams{
//		EmailAddress:  "Bob@Example.com",
//		Role:          invitation.RoleMember,
//		InviterUserID: "ann",
//	})
//	…
//	inv, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticket, UserID: "bob"})
//
// # States
//
// An invitation is pending until it is accepted, declined or revoked, or until its time has come: then it reads as
// expired, and nothing has to run for that. An expired one may be sent again, and is pending then. An organization has
// at most one pending invitation for an address, whatever its spelling (invitation.CanonicalEmail); a lapsed one never
// stands in the way of a new one.
//
// # Operations
//
// They follow the reference, Clerk's organization invitations: Service.Create and
// Service.CreateBulk; Service.Accept and Service.Decline, by ticket or in the application by ids; Service.Revoke;
// Service.Get, and lists of an organization (Service.List), of a user (Service.ListForUser) and of everything
// (Service.ListAll). Beyond the reference there are Service.Preview, for the page behind the link, Service.Link, for
// the mail worker, and Service.Each, an iterator; Service.Resend and Service.Update for what is pending; and for the
// life of the application Service.RevokeAll, Service.ExpireDue, Service.Purge, Service.DeleteOrganization and
// Service.EraseEmail.
//
// Lists are paged by offset, by page number (invitation.PageNumber) or by cursor, with the total of the filter.
//
// # Storage
//
// memstore.New keeps everything in memory. bunstore.New works on the bun.DB the application has, which brings
// dialect and driver: SQLite from 3.37 on. Its package documentation says how to open a file. Store.Migrate creates
// the tables; bunstore.Migrations and Store.Check are for applications with a migration tool of their own.
//
// # Transactions
//
// Every operation that writes is one transaction. The Directory and the callbacks of invitation.Config get its storage:
// what they read and write through bunstore.DB commits, or is undone, with the invitation. The library retries such a
// transaction when the database aborts it, so callbacks must have no effects outside of it.
//
// An operation joins the application's own transaction by Service.WithStorage and Store.WithTx, as the examples of
// this package do. The library never retries that transaction. Where seats or pending invitations are
// limited and it adds members by itself, it calls Service.LockOrganization first.
//
// # Handlers
//
// There is no HTTP in the library, but the reference's wire format: invitation.Decode and invitation.ParseListParams
// read requests, Backend marshals everything, invitation.HTTPStatus and invitation.ErrorBody answer errors. Such a
// handler trusts its caller, because without an acting user that is the back end. A route that a browser calls goes
// through Service.As, with the user of the session. What json.Marshal makes of an invitation.Invitation is safe for a
// browser, and no log shows a link or private metadata.
//
// # Roles, invitees, metadata
//
// invitation.Roles say which roles may manage invitations, and which roles each of them grants. Who accepts must have
// verified the invitation's address, unless Config.TicketProvesEmail lets the ticket stand for that. Links reach the
// back end alone, which mails them, unless Config.ManagersSeeLinks is set; so the example signUp can create an account
// verified. invitation.Metadata, public and private, arrives on the membership.
//
// # Tickets
//
// With Config.TicketKeys an invitation has an acceptance link. The ticket in it is an HMAC, and nothing that grants
// access is stored. Keys rotate: the first signs, all verify. Without keys users accept in the application, by ids.
//
// # Events and mail
//
// The library sends nothing. Config.OnEvents is told inside the transaction what happened, and enqueues a job there
// that names the invitation; the worker asks Service.Link when it runs, so no secret is ever queued.
//
// # Limits and errors
//
// invitation.Config limits seats and pending invitations of an organization, exactly under any concurrency, and the
// size of a bulk and of metadata. What is refused is a sentinel for errors.Is, such as invitation.ErrDuplicate, and
// an invitation.Error (or invitation.Errors, all that is wrong at once) with status, stable code and parameter.
//
// # Security
//
// TestThreat and TestPeerDefects, in the tests of invitation and bunstore, are attacks that worked elsewhere and fail
// here. The README says what is promised and what stays the application's duty: sessions and the verification of
// addresses, what a mail says, limits on how often one caller may call, TLS, and the secrecy of the keys.
//
// # Testing
//
// invitationtest.Host is an application in memory, and clock.Fake is time that a test moves. The operations have
// examples beside them that use both. invitationtest.RunDirectory tests an application's own Directory: that its
// columns compare ids byte for byte, for example. To watch the main job step by step on SQLite, run in a checkout
//
//	go test -v -run Tour .
//
// # A storage of your own
//
// Implement storage.Storage and let storagetest.Run say what is missing. Applications whose transactions are a sql.Tx
// need this, because no bun.Tx can be made from one.
//
// # What it does not do
//
// It sends no mail, serves no HTTP, runs nothing in the background, and keeps no users, organizations or
// memberships.
package orginvite

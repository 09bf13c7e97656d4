// Package queueexample shows how an application on PostgreSQL mails its invitations with a job queue. It uses pgx
// without database/sql, and [River]. There is nothing to import; read the example and copy it.
//
// The application begins its transactions itself, as a pgx.Tx, and pgxtx.WithTx lets the invitations join them. The
// Directory and Config.OnEvents get the same pgx.Tx from pgxtx.Tx. OnEvents inserts a job in it for each link to be
// mailed (Event.Notify). So an account, a membership, an invitation and its job are committed together, or not at all.
// If the process dies before it mails the link, the job is still in its table, and the next process works it.
//
// The job holds the ids of the organization and the invitation, but no link. The worker asks Service.Link for the link
// that is current when it runs. If the invitation is no longer pending, or has been deleted, there is nothing to mail.
//
// Operations outside a transaction of the application begin their own, on the same pool. There pgxtx.Tx returns a
// handle on that transaction, and OnEvents works the same. On a store that does not work on pgx, OnEvents returns an
// error. Then the operation fails, and no invitation is committed without its job.
//
// River works a job at least once. If the process dies after it sent the mail and before it recorded that, the job is
// retried. To send only one mail nonetheless, use a mail provider that accepts an idempotency key with each request.
// The example has one key for each link issued. Without a key, a mail may rarely arrive twice.
//
// The example and the tests need a PostgreSQL server. Set ORGINVITE_POSTGRES to its address.
//
// [River]: https://riverqueue.com
package queueexample

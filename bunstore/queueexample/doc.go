// Package queueexample shows how an application mails its invitations with a job queue, here [River] on SQLite. There
// is nothing to import; read the example and copy it.
//
// Config.OnEvents inserts a job for each link to be mailed (Event.Notify), in the transaction of the invitation: either
// both are committed or neither is. If the process dies before it mails the link, the job is still in its table, and
// the next process works it. The job holds the ids of the organization and the invitation, but no link. The worker asks
// Service.Link for the link that is current when it runs. If the invitation is no longer pending, or has been deleted,
// there is nothing to mail.
//
// River works a job at least once. If the process dies after it sent the mail and before it recorded that, the job is
// retried. To send only one mail nonetheless, use a mail provider that accepts an idempotency key with each request.
// The example has one key for each link issued. Without a key, a mail may rarely arrive twice.
//
// [River]: https://riverqueue.com
package queueexample

// Package queueexample shows how an application mails its invitations by a job queue, here [River] on SQLite. There is
// nothing in it to import; read and copy its example.
//
// Config.OnEvents inserts a job for each link that is to be mailed (Event.Notify), in the transaction of the invitation:
// both are committed, or neither is. What is committed is mailed although the process dies before it could, because the job is
// still in its table when the next one starts. The job holds the ids of organization and invitation and nothing that
// lets anybody in; its worker asks Service.Link for the link that is current when it runs, and has nothing to do where
// the invitation is no longer pending, or gone.
//
// River works a job at least once: one whose process dies between sending and saying so is worked again. It is one mail
// all the same where the mail provider takes a key with each request and drops a request whose key it knows; the
// example has a key for each link that is issued. Without that a mail may, rarely, arrive twice.
//
// [River]: https://riverqueue.com
package queueexample

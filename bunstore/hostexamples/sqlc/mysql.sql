-- name: AddAccount :exec
INSERT INTO accounts (id, email) VALUES (?, ?);

-- name: AddMember :execrows
INSERT IGNORE INTO memberships (organization_id, user_id, role) VALUES (?, ?, ?);

-- name: Role :one
SELECT role FROM memberships WHERE organization_id = ? AND user_id = ?;

-- name: Email :one
SELECT email FROM accounts WHERE id = ?;

-- name: MemberEmails :many
SELECT email FROM member_emails WHERE organization_id = ? AND lowered IN (sqlc.slice('emails'));

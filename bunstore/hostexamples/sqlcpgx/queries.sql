-- name: AddAccount :exec
INSERT INTO accounts (id, email) VALUES ($1, $2);

-- name: AddMember :execrows
INSERT INTO memberships (organization_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: Role :one
SELECT role FROM memberships WHERE organization_id = $1 AND user_id = $2;

-- name: Email :one
SELECT email FROM accounts WHERE id = $1;

-- name: MemberEmails :many
SELECT email FROM accounts JOIN memberships ON user_id = id
WHERE organization_id = $1 AND LOWER(email) = ANY (sqlc.arg('emails')::text[]);

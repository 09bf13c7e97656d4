-- An account's email was verified at sign-up, and is in the form of invitation.CanonicalEmail.
CREATE TABLE accounts (
    id    VARCHAR(191) NOT NULL PRIMARY KEY,
    email VARCHAR(320) NOT NULL UNIQUE
);

CREATE TABLE memberships (
    organization_id VARCHAR(191) NOT NULL,
    user_id         VARCHAR(191) NOT NULL,
    role            VARCHAR(191) NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

-- sqlc.slice needs a column to its left: LOWER(email) IN (sqlc.slice('emails')) would lose the parameter.
CREATE VIEW member_emails AS
    SELECT organization_id, email, LOWER(email) AS lowered FROM accounts JOIN memberships ON user_id = id;

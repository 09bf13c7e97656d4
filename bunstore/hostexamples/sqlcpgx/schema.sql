-- An account's email was verified at sign-up, and is in the form of invitation.CanonicalEmail.
CREATE TABLE accounts (
    id    text NOT NULL PRIMARY KEY,
    email text NOT NULL UNIQUE
);

CREATE TABLE memberships (
    organization_id text NOT NULL,
    user_id         text NOT NULL,
    role            text NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

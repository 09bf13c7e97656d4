-- Two processes that create the same table at once would fail.
SELECT pg_advisory_xact_lock(7020673110519);

-- Collation "C" compares text byte for byte, as storage.Query.Compare does. Metadata is text, not jsonb: it is kept
-- byte for byte.
CREATE TABLE IF NOT EXISTS invitation_records (
    id                     text COLLATE "C" PRIMARY KEY,
    organization_id        text COLLATE "C" NOT NULL,
    organization_domain_id text COLLATE "C" NOT NULL,
    email_address          text COLLATE "C" NOT NULL,
    email_key              text COLLATE "C" NOT NULL,
    role                   text COLLATE "C" NOT NULL,
    status                 text COLLATE "C" NOT NULL,
    public_metadata        text COLLATE "C" NOT NULL,
    private_metadata       text COLLATE "C" NOT NULL,
    inviter_user_id        text COLLATE "C" NOT NULL,
    redirect_url           text COLLATE "C" NOT NULL,
    generation             bigint NOT NULL,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    expires_at             timestamptz NOT NULL,
    sent_at                timestamptz NOT NULL,
    resolved_at            timestamptz,
    resolved_by            text COLLATE "C" NOT NULL,
    version                bigint NOT NULL
);

-- The pending slot.
CREATE UNIQUE INDEX IF NOT EXISTS invitation_records_slot
    ON invitation_records (organization_id, email_key) WHERE status = 'pending';

-- The pages of an organization, the invitations of an address, and the searches for what expired or was resolved.
CREATE INDEX IF NOT EXISTS invitation_records_page ON invitation_records (organization_id, created_at, id);
CREATE INDEX IF NOT EXISTS invitation_records_email ON invitation_records (email_key);
CREATE INDEX IF NOT EXISTS invitation_records_expiry ON invitation_records (status, expires_at);
CREATE INDEX IF NOT EXISTS invitation_records_resolved ON invitation_records (resolved_at);

-- One row for each key that was ever locked. Low fillfactor: every lock updates its row in place.
CREATE TABLE IF NOT EXISTS invitation_locks (
    key  text COLLATE "C" PRIMARY KEY,
    turn bigint NOT NULL
) WITH (fillfactor = 50);

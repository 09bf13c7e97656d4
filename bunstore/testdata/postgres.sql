-- migration 0001_create
CREATE TABLE IF NOT EXISTS "organization_invitation_migrations" (id text COLLATE "C" NOT NULL PRIMARY KEY)
CREATE TABLE "organization_invitation_locks" (k text COLLATE "C" NOT NULL PRIMARY KEY, n bigint NOT NULL)
CREATE TABLE "organization_invitations" (
	id text COLLATE "C" NOT NULL PRIMARY KEY,
	organization_id text COLLATE "C" NOT NULL,
	organization_domain_id text COLLATE "C" NOT NULL,
	email_address text COLLATE "C" NOT NULL,
	email_key text COLLATE "C" NOT NULL,
	pending_key text COLLATE "C",
	role text COLLATE "C" NOT NULL,
	status text COLLATE "C" NOT NULL,
	public_metadata text COLLATE "C" NOT NULL,
	private_metadata text COLLATE "C" NOT NULL,
	inviter_user_id text COLLATE "C" NOT NULL,
	redirect_url text COLLATE "C" NOT NULL,
	generation bigint NOT NULL,
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	sent_at timestamptz NOT NULL,
	resolved_at timestamptz,
	resolved_by text COLLATE "C" NOT NULL,
	version bigint NOT NULL
)
CREATE UNIQUE INDEX "organization_invitations_slot" ON "organization_invitations" (organization_id, pending_key)
CREATE INDEX "organization_invitations_org" ON "organization_invitations" (organization_id, created_at, id, organization_domain_id, email_key)
CREATE INDEX "organization_invitations_org_state" ON "organization_invitations" (organization_id, status, created_at, id, expires_at, organization_domain_id, email_key)
CREATE INDEX "organization_invitations_email" ON "organization_invitations" (email_key, status, created_at, id, expires_at)
CREATE INDEX "organization_invitations_created" ON "organization_invitations" (created_at, id)
CREATE INDEX "organization_invitations_status" ON "organization_invitations" (status, created_at, id, expires_at)
CREATE INDEX "organization_invitations_due" ON "organization_invitations" (status, expires_at, id)
INSERT INTO "organization_invitation_migrations" (id) VALUES ('0001_create')

-- migration 0002_wide_indexes
DROP INDEX "organization_invitations_created"
CREATE INDEX "organization_invitations_created" ON "organization_invitations" (created_at, id) WHERE id > ''
DROP INDEX "organization_invitations_status"
CREATE INDEX "organization_invitations_status" ON "organization_invitations" (status, created_at, id, expires_at) WHERE id > ''
DROP INDEX "organization_invitations_due"
CREATE INDEX "organization_invitations_due" ON "organization_invitations" (status, expires_at, id) WHERE id > ''
INSERT INTO "organization_invitation_migrations" (id) VALUES ('0002_wide_indexes')

-- migration 0001_create
CREATE TABLE IF NOT EXISTS "s"."app_organization_invitation_migrations" (id text COLLATE "C" NOT NULL PRIMARY KEY)
CREATE TABLE "s"."app_organization_invitation_locks" (k text COLLATE "C" NOT NULL PRIMARY KEY, n bigint NOT NULL)
CREATE TABLE "s"."app_organization_invitations" (
	id text COLLATE "C" NOT NULL PRIMARY KEY,
	organization_id text COLLATE "C" NOT NULL,
	organization_domain_id text COLLATE "C" NOT NULL,
	email_address text COLLATE "C" NOT NULL,
	email_key text COLLATE "C" NOT NULL,
	pending_key text COLLATE "C",
	role text COLLATE "C" NOT NULL,
	status text COLLATE "C" NOT NULL,
	public_metadata text COLLATE "C" NOT NULL,
	private_metadata text COLLATE "C" NOT NULL,
	inviter_user_id text COLLATE "C" NOT NULL,
	redirect_url text COLLATE "C" NOT NULL,
	generation bigint NOT NULL,
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	sent_at timestamptz NOT NULL,
	resolved_at timestamptz,
	resolved_by text COLLATE "C" NOT NULL,
	version bigint NOT NULL
)
CREATE UNIQUE INDEX "app_organization_invitations_slot" ON "s"."app_organization_invitations" (organization_id, pending_key)
CREATE INDEX "app_organization_invitations_org" ON "s"."app_organization_invitations" (organization_id, created_at, id, organization_domain_id, email_key)
CREATE INDEX "app_organization_invitations_org_state" ON "s"."app_organization_invitations" (organization_id, status, created_at, id, expires_at, organization_domain_id, email_key)
CREATE INDEX "app_organization_invitations_email" ON "s"."app_organization_invitations" (email_key, status, created_at, id, expires_at)
CREATE INDEX "app_organization_invitations_created" ON "s"."app_organization_invitations" (created_at, id)
CREATE INDEX "app_organization_invitations_status" ON "s"."app_organization_invitations" (status, created_at, id, expires_at)
CREATE INDEX "app_organization_invitations_due" ON "s"."app_organization_invitations" (status, expires_at, id)
INSERT INTO "s"."app_organization_invitation_migrations" (id) VALUES ('0001_create')

-- migration 0002_wide_indexes
DROP INDEX "s"."app_organization_invitations_created"
CREATE INDEX "app_organization_invitations_created" ON "s"."app_organization_invitations" (created_at, id) WHERE id > ''
DROP INDEX "s"."app_organization_invitations_status"
CREATE INDEX "app_organization_invitations_status" ON "s"."app_organization_invitations" (status, created_at, id, expires_at) WHERE id > ''
DROP INDEX "s"."app_organization_invitations_due"
CREATE INDEX "app_organization_invitations_due" ON "s"."app_organization_invitations" (status, expires_at, id) WHERE id > ''
INSERT INTO "s"."app_organization_invitation_migrations" (id) VALUES ('0002_wide_indexes')

-- get
SHOW standard_conforming_strings
SHOW client_encoding
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id = E'a\\'''
-- storage: not found

-- insert none
BEGIN READ COMMITTED
COMMIT

-- insert one
BEGIN READ COMMITTED
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('z','o','d','A''z','a''z',NULL,E'r\\','accepted',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00','2026-03-01 13:30:45.123456+00','u',1) ON CONFLICT DO NOTHING RETURNING id
COMMIT

-- insert one that is taken
BEGIN READ COMMITTED
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a',E'r\\','pending',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00',NULL,'',1) ON CONFLICT DO NOTHING RETURNING id
ROLLBACK
-- storage: id or pending slot already taken

-- insert several
BEGIN READ COMMITTED
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WITH v (id,email_address,email_key,pending_key,status,resolved_at,resolved_by) AS (VALUES ('a','A''a','a''a','a''a','pending',NULL,''),('b','A''b','a''b','a''b','pending',NULL,''),('z','A''z','a''z',NULL,'accepted','2026-03-01 13:30:45.123456+00','u')) SELECT v.id,'o','d',v.email_address,v.email_key,v.pending_key,E'r\\',v.status,E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00',v.resolved_at::timestamptz,v.resolved_by,1 FROM v ON CONFLICT DO NOTHING RETURNING id
COMMIT

-- insert several, one taken
BEGIN READ COMMITTED
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WITH v (id,email_address,email_key) AS (VALUES ('a','A''a','a''a'),('b','A''b','a''b')) SELECT v.id,'o','d',v.email_address,v.email_key,v.email_key,E'r\\','pending',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00',NULL,'',1 FROM v ON CONFLICT DO NOTHING RETURNING id
DELETE FROM "organization_invitations" WHERE id IN ('a')
SELECT id FROM "organization_invitations" WHERE id IN ('b','a')
SELECT t.id, t.organization_id, t.pending_key FROM (VALUES ('o','a''b'),('o','a''a')) AS v (o, k) JOIN "organization_invitations" AS t ON t.organization_id = v.o AND t.pending_key = v.k
ROLLBACK
-- storage: id or pending slot already taken

-- insert in a host's
BEGIN
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WITH v (id,email_address,email_key) AS (VALUES ('a','A''a','a''a'),('b','A''b','a''b')) SELECT v.id,'o','d',v.email_address,v.email_key,v.email_key,E'r\\','pending',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00',NULL,'',1 FROM v ON CONFLICT DO NOTHING RETURNING id
COMMIT

-- insert in a host's, one taken
BEGIN
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a',E'r\\','pending',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00',NULL,'',1) ON CONFLICT DO NOTHING RETURNING id
ROLLBACK
-- storage: id or pending slot already taken

-- update one
BEGIN READ COMMITTED
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''z', email_key='a''z', pending_key=NULL, role=E'r\\', status='accepted', public_metadata=E'{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456+00', updated_at='2026-03-01 11:30:46.123456+00', expires_at='2026-03-01 12:30:45.123456+00', sent_at='2026-03-01 11:31:45.123456+00', resolved_at='2026-03-01 13:30:45.123456+00', resolved_by='u' WHERE id = 'z' AND version = 7
COMMIT

-- update one that is pending
BEGIN READ COMMITTED
SAVEPOINT orginvite_update
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role=E'r\\', status='pending', public_metadata=E'{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456+00', updated_at='2026-03-01 11:30:46.123456+00', expires_at='2026-03-01 12:30:45.123456+00', sent_at='2026-03-01 11:31:45.123456+00', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
RELEASE SAVEPOINT orginvite_update
COMMIT

-- update one that is stale
BEGIN READ COMMITTED
SAVEPOINT orginvite_update
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role=E'r\\', status='pending', public_metadata=E'{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456+00', updated_at='2026-03-01 11:30:46.123456+00', expires_at='2026-03-01 12:30:45.123456+00', sent_at='2026-03-01 11:31:45.123456+00', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
RELEASE SAVEPOINT orginvite_update
SELECT id FROM "organization_invitations" WHERE id = 'a'
ROLLBACK
-- storage: changed by somebody else

-- update one whose slot is held
BEGIN READ COMMITTED
SAVEPOINT orginvite_update
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role=E'r\\', status='pending', public_metadata=E'{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456+00', updated_at='2026-03-01 11:30:46.123456+00', expires_at='2026-03-01 12:30:45.123456+00', sent_at='2026-03-01 11:31:45.123456+00', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
ROLLBACK TO SAVEPOINT orginvite_update
RELEASE SAVEPOINT orginvite_update
ROLLBACK
-- storage: id or pending slot already taken

-- update several
BEGIN READ COMMITTED
SELECT id, version, organization_id, email_key, status FROM "organization_invitations" WHERE id IN ('a','z') ORDER BY id FOR UPDATE
SAVEPOINT orginvite_update
UPDATE "organization_invitations" AS t SET organization_id = v.organization_id, organization_domain_id = v.organization_domain_id, email_address = v.email_address, email_key = v.email_key, pending_key = v.pending_key, role = v.role, status = v.status, public_metadata = v.public_metadata, private_metadata = v.private_metadata, inviter_user_id = v.inviter_user_id, redirect_url = v.redirect_url, generation = v.generation, created_at = v.created_at::timestamptz, updated_at = v.updated_at::timestamptz, expires_at = v.expires_at::timestamptz, sent_at = v.sent_at::timestamptz, resolved_at = v.resolved_at::timestamptz, resolved_by = v.resolved_by, version = t.version + 1 FROM (VALUES ('a','o','d','A''a','a''a','a''a',E'r\\','pending',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00',NULL,'',7),('z','o','d','A''z','a''z',NULL,E'r\\','accepted',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00','2026-03-01 13:30:45.123456+00','u',7)) AS v (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WHERE t.id = v.id AND t.version = v.version
RELEASE SAVEPOINT orginvite_update
COMMIT

-- update several in a host's
BEGIN
SAVEPOINT orginvite_N
SELECT id, version, organization_id, email_key, status FROM "organization_invitations" WHERE id IN ('a','z') ORDER BY id FOR UPDATE
SAVEPOINT orginvite_update
UPDATE "organization_invitations" AS t SET organization_id = v.organization_id, organization_domain_id = v.organization_domain_id, email_address = v.email_address, email_key = v.email_key, pending_key = v.pending_key, role = v.role, status = v.status, public_metadata = v.public_metadata, private_metadata = v.private_metadata, inviter_user_id = v.inviter_user_id, redirect_url = v.redirect_url, generation = v.generation, created_at = v.created_at::timestamptz, updated_at = v.updated_at::timestamptz, expires_at = v.expires_at::timestamptz, sent_at = v.sent_at::timestamptz, resolved_at = v.resolved_at::timestamptz, resolved_by = v.resolved_by, version = t.version + 1 FROM (VALUES ('a','o','d','A''a','a''a','a''a',E'r\\','pending',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00',NULL,'',7),('z','o','d','A''z','a''z',NULL,E'r\\','accepted',E'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456+00','2026-03-01 11:30:46.123456+00','2026-03-01 12:30:45.123456+00','2026-03-01 11:31:45.123456+00','2026-03-01 13:30:45.123456+00','u',7)) AS v (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WHERE t.id = v.id AND t.version = v.version
RELEASE SAVEPOINT orginvite_update
RELEASE SAVEPOINT orginvite_N
COMMIT

-- delete
BEGIN READ COMMITTED
DELETE FROM "organization_invitations" WHERE id IN ('a','b')
COMMIT

-- nested
BEGIN READ COMMITTED
SAVEPOINT orginvite_N
ROLLBACK TO SAVEPOINT orginvite_N
RELEASE SAVEPOINT orginvite_N
SAVEPOINT orginvite_N
SAVEPOINT orginvite_update
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role=E'r\\', status='pending', public_metadata=E'{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456+00', updated_at='2026-03-01 11:30:46.123456+00', expires_at='2026-03-01 12:30:45.123456+00', sent_at='2026-03-01 11:31:45.123456+00', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
RELEASE SAVEPOINT orginvite_update
RELEASE SAVEPOINT orginvite_N
COMMIT

-- nested in a host's
BEGIN
SAVEPOINT orginvite_N
RELEASE SAVEPOINT orginvite_N
COMMIT

-- lock
BEGIN READ COMMITTED
INSERT INTO "organization_invitation_locks" AS l (k, n) VALUES ('k', 1) ON CONFLICT (k) DO UPDATE SET n = l.n + 1
COMMIT

-- lock in a host's
BEGIN
INSERT INTO "organization_invitation_locks" AS l (k, n) VALUES ('k', 1) ON CONFLICT (k) DO UPDATE SET n = l.n + 1
COMMIT

-- for update
BEGIN READ COMMITTED
SELECT id FROM "organization_invitations" WHERE id IN ('b','a') ORDER BY id FOR UPDATE
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('b','a') ORDER BY created_at DESC, id DESC
COMMIT

-- for update in a host's
BEGIN
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id = 'b' ORDER BY created_at DESC, id DESC FOR UPDATE
COMMIT

-- after the host had its handle
BEGIN READ COMMITTED
SET x = 1
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''z', email_key='a''z', pending_key=NULL, role=E'r\\', status='accepted', public_metadata=E'{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456+00', updated_at='2026-03-01 11:30:46.123456+00', expires_at='2026-03-01 12:30:45.123456+00', sent_at='2026-03-01 11:31:45.123456+00', resolved_at='2026-03-01 13:30:45.123456+00', resolved_by='u' WHERE id = 'z' AND version = 7
SAVEPOINT orginvite_end
COMMIT

-- count
SELECT count(*) FROM "organization_invitations" WHERE id > ''

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE id > '' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00+00' THEN 1 END) FROM "organization_invitations" WHERE id > '' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE id > '' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = ''

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND email_key LIKE E'%a\\%\\_\\\\%' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status IN ('pending','accepted','expired')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status IN ('pending','accepted','expired') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status IN ('pending','accepted','expired') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status IN ('pending','accepted','expired') ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'pending' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'accepted' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'expired' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status IN ('pending','accepted','expired') AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'pending' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456+00' AND status = 'expired' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f')

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r',E's\\') AND sent_at > '2026-03-01 11:30:45.123456+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE id > '' AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999+00')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE id > '' AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999+00') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '9999-12-31 23:59:59.999999+00' THEN 1 END) FROM "organization_invitations" WHERE id > '' AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999+00') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999+00') ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999+00' ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE id > '' AND status = 'expired' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999+00') AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999+00' ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'expired' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00+00' THEN 1 END) FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE id > '' AND status IN ('pending','accepted')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE id > '' AND status IN ('pending','accepted') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00+00' THEN 1 END) FROM "organization_invitations" WHERE id > '' AND status IN ('pending','accepted') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status IN ('pending','accepted') ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM "organization_invitations" WHERE id > '' AND status = 'accepted' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status IN ('pending','accepted') AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'pending' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id > '' AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456+00' AND created_at < '2026-03-01 12:30:45.123456+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456+00' THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45+00', 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p JOIN "organization_invitations" AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND (created_at, id) < ('2026-03-01 11:30:45.123456+00', 'i') ORDER BY created_at DESC, id DESC OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456+00' AND expires_at < '2026-03-01 12:30:45.123456+00' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456+00' AND created_at >= '2026-03-01 11:30:45+00' AND (created_at > '2026-03-01 11:30:45+00' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

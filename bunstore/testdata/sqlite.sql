-- migration 0001_create
CREATE TABLE IF NOT EXISTS "organization_invitation_migrations" (id TEXT NOT NULL PRIMARY KEY) STRICT
CREATE TABLE "organization_invitation_locks" (k TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL) STRICT
CREATE TABLE "organization_invitations" (
	id TEXT NOT NULL PRIMARY KEY,
	organization_id TEXT NOT NULL,
	organization_domain_id TEXT NOT NULL,
	email_address TEXT NOT NULL,
	email_key TEXT NOT NULL,
	pending_key TEXT,
	role TEXT NOT NULL,
	status TEXT NOT NULL,
	public_metadata TEXT NOT NULL,
	private_metadata TEXT NOT NULL,
	inviter_user_id TEXT NOT NULL,
	redirect_url TEXT NOT NULL,
	generation INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	sent_at INTEGER NOT NULL,
	resolved_at INTEGER,
	resolved_by TEXT NOT NULL,
	version INTEGER NOT NULL
) STRICT
CREATE UNIQUE INDEX "organization_invitations_slot" ON "organization_invitations" (organization_id, pending_key)
CREATE INDEX "organization_invitations_org" ON "organization_invitations" (organization_id, created_at, id, organization_domain_id, email_key)
CREATE INDEX "organization_invitations_org_state" ON "organization_invitations" (organization_id, status, created_at, id, expires_at, organization_domain_id, email_key)
CREATE INDEX "organization_invitations_email" ON "organization_invitations" (email_key, status, created_at, id, expires_at)
CREATE INDEX "organization_invitations_created" ON "organization_invitations" (created_at, id)
CREATE INDEX "organization_invitations_status" ON "organization_invitations" (status, created_at, id, expires_at)
CREATE INDEX "organization_invitations_due" ON "organization_invitations" (status, expires_at, id)
INSERT INTO "organization_invitation_migrations" (id) VALUES ('0001_create')

-- migration 0001_create
CREATE TABLE IF NOT EXISTS "s"."app_organization_invitation_migrations" (id TEXT NOT NULL PRIMARY KEY) STRICT
CREATE TABLE "s"."app_organization_invitation_locks" (k TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL) STRICT
CREATE TABLE "s"."app_organization_invitations" (
	id TEXT NOT NULL PRIMARY KEY,
	organization_id TEXT NOT NULL,
	organization_domain_id TEXT NOT NULL,
	email_address TEXT NOT NULL,
	email_key TEXT NOT NULL,
	pending_key TEXT,
	role TEXT NOT NULL,
	status TEXT NOT NULL,
	public_metadata TEXT NOT NULL,
	private_metadata TEXT NOT NULL,
	inviter_user_id TEXT NOT NULL,
	redirect_url TEXT NOT NULL,
	generation INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	sent_at INTEGER NOT NULL,
	resolved_at INTEGER,
	resolved_by TEXT NOT NULL,
	version INTEGER NOT NULL
) STRICT
CREATE UNIQUE INDEX "s"."app_organization_invitations_slot" ON "app_organization_invitations" (organization_id, pending_key)
CREATE INDEX "s"."app_organization_invitations_org" ON "app_organization_invitations" (organization_id, created_at, id, organization_domain_id, email_key)
CREATE INDEX "s"."app_organization_invitations_org_state" ON "app_organization_invitations" (organization_id, status, created_at, id, expires_at, organization_domain_id, email_key)
CREATE INDEX "s"."app_organization_invitations_email" ON "app_organization_invitations" (email_key, status, created_at, id, expires_at)
CREATE INDEX "s"."app_organization_invitations_created" ON "app_organization_invitations" (created_at, id)
CREATE INDEX "s"."app_organization_invitations_status" ON "app_organization_invitations" (status, created_at, id, expires_at)
CREATE INDEX "s"."app_organization_invitations_due" ON "app_organization_invitations" (status, expires_at, id)
INSERT INTO "s"."app_organization_invitation_migrations" (id) VALUES ('0001_create')

-- get
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE id = 'a\'''
-- storage: not found

-- insert none
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
COMMIT

-- insert one
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('z','o','d','A''z','a''z',NULL,'r\','accepted','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,1772371845123456,'u',1)
COMMIT

-- insert one that is taken
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1)
ROLLBACK
-- storage: id or pending slot already taken

-- insert several
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1),('b','o','d','A''b','a''b','a''b','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1),('z','o','d','A''z','a''z',NULL,'r\','accepted','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,1772371845123456,'u',1)
COMMIT

-- insert several, one taken
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1),('b','o','d','A''b','a''b','a''b','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1)
SELECT id FROM "organization_invitations" WHERE id IN ('b','a')
WITH v (o, k) AS (VALUES ('o','a''b'),('o','a''a')) SELECT t.id, t.organization_id, t.pending_key FROM v CROSS JOIN "organization_invitations" AS t ON t.organization_id = v.o AND t.pending_key = v.k
ROLLBACK
-- storage: id or pending slot already taken

-- insert in a host's
BEGIN
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1),('b','o','d','A''b','a''b','a''b','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1)
COMMIT

-- insert in a host's, one taken
BEGIN
INSERT INTO "organization_invitations" (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',1)
ROLLBACK
-- storage: id or pending slot already taken

-- update one
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''z', email_key='a''z', pending_key=NULL, role='r\', status='accepted', public_metadata='{"a":"\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at=1772364645123456, updated_at=1772364646123456, expires_at=1772368245123456, sent_at=1772364705123456, resolved_at=1772371845123456, resolved_by='u' WHERE id = 'z' AND version = 7
COMMIT

-- update one that is pending
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\', status='pending', public_metadata='{"a":"\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at=1772364645123456, updated_at=1772364646123456, expires_at=1772368245123456, sent_at=1772364705123456, resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
COMMIT

-- update one that is stale
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\', status='pending', public_metadata='{"a":"\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at=1772364645123456, updated_at=1772364646123456, expires_at=1772368245123456, sent_at=1772364705123456, resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
SELECT id FROM "organization_invitations" WHERE id = 'a'
ROLLBACK
-- storage: changed by somebody else

-- update one whose slot is held
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\', status='pending', public_metadata='{"a":"\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at=1772364645123456, updated_at=1772364646123456, expires_at=1772368245123456, sent_at=1772364705123456, resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
ROLLBACK
-- storage: id or pending slot already taken

-- update several
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
SELECT id, version, organization_id, email_key, status FROM "organization_invitations" WHERE id IN ('a','z') ORDER BY id
WITH v (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) AS (VALUES ('a','o','d','A''a','a''a','a''a','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',7),('z','o','d','A''z','a''z',NULL,'r\','accepted','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,1772371845123456,'u',7)) UPDATE "organization_invitations" AS t SET organization_id = v.organization_id, organization_domain_id = v.organization_domain_id, email_address = v.email_address, email_key = v.email_key, pending_key = v.pending_key, role = v.role, status = v.status, public_metadata = v.public_metadata, private_metadata = v.private_metadata, inviter_user_id = v.inviter_user_id, redirect_url = v.redirect_url, generation = v.generation, created_at = v.created_at, updated_at = v.updated_at, expires_at = v.expires_at, sent_at = v.sent_at, resolved_at = v.resolved_at, resolved_by = v.resolved_by, version = v.version + 1 FROM v WHERE t.id = v.id AND t.version = v.version
COMMIT

-- update several in a host's
BEGIN
SAVEPOINT orginvite_N
UPDATE "organization_invitation_locks" SET n = n WHERE 0
SELECT id, version, organization_id, email_key, status FROM "organization_invitations" WHERE id IN ('a','z') ORDER BY id
WITH v (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) AS (VALUES ('a','o','d','A''a','a''a','a''a','r\','pending','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,NULL,'',7),('z','o','d','A''z','a''z',NULL,'r\','accepted','{"a":"\n?"}','{}','i','https://example.com/?a=b',-2,1772364645123456,1772364646123456,1772368245123456,1772364705123456,1772371845123456,'u',7)) UPDATE "organization_invitations" AS t SET organization_id = v.organization_id, organization_domain_id = v.organization_domain_id, email_address = v.email_address, email_key = v.email_key, pending_key = v.pending_key, role = v.role, status = v.status, public_metadata = v.public_metadata, private_metadata = v.private_metadata, inviter_user_id = v.inviter_user_id, redirect_url = v.redirect_url, generation = v.generation, created_at = v.created_at, updated_at = v.updated_at, expires_at = v.expires_at, sent_at = v.sent_at, resolved_at = v.resolved_at, resolved_by = v.resolved_by, version = v.version + 1 FROM v WHERE t.id = v.id AND t.version = v.version
RELEASE SAVEPOINT orginvite_N
COMMIT

-- delete
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
DELETE FROM "organization_invitations" WHERE id IN ('a','b')
COMMIT

-- nested
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
SAVEPOINT orginvite_N
ROLLBACK TO SAVEPOINT orginvite_N
RELEASE SAVEPOINT orginvite_N
SAVEPOINT orginvite_N
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\', status='pending', public_metadata='{"a":"\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at=1772364645123456, updated_at=1772364646123456, expires_at=1772368245123456, sent_at=1772364705123456, resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
RELEASE SAVEPOINT orginvite_N
COMMIT

-- nested in a host's
BEGIN
SAVEPOINT orginvite_N
RELEASE SAVEPOINT orginvite_N
COMMIT

-- lock
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
COMMIT

-- lock in a host's
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
COMMIT

-- for update
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('b','a') ORDER BY created_at DESC, id DESC
COMMIT

-- for update in a host's
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id = 'b' ORDER BY created_at DESC, id DESC
COMMIT

-- after the host had its handle
BEGIN
UPDATE "organization_invitation_locks" SET n = n WHERE 0
SET x = 1
BEGIN
UPDATE "organization_invitations" SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''z', email_key='a''z', pending_key=NULL, role='r\', status='accepted', public_metadata='{"a":"\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at=1772364645123456, updated_at=1772364646123456, expires_at=1772368245123456, sent_at=1772364705123456, resolved_at=1772371845123456, resolved_by='u' WHERE id = 'z' AND version = 7
COMMIT

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= -62135596800000000 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > 1772364645123456

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > 1772364645123456 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= 1772364645123456 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND +expires_at > 1772364645123456 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > 1772364645123456 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND +expires_at > 1772364645123456 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = ''

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= -62135596800000000 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= 1772364645123456 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND expires_at > 1772364645123456 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\') > 0 AND status = 'pending' AND +expires_at > 1772364645123456 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status IN ('pending','accepted','expired')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status IN ('pending','accepted','expired') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= 1772364645123456 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status IN ('pending','accepted','expired') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status IN ('pending','accepted','expired') ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'pending' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'accepted' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'expired' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status IN ('pending','accepted','expired') AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'pending' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'accepted' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < 1772364645123456 AND status = 'expired' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= -62135596800000000 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f')

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= 1772364645123456 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > 1772364645123456 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND +expires_at > 1772364645123456 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= -62135596800000000 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\') AND sent_at > 1772364645123456 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= 1772364645123456 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= 253402300799999999)

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= 253402300799999999) LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= 253402300799999999 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR +expires_at <= 253402300799999999) GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR +expires_at <= 253402300799999999) ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= 253402300799999999 ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'expired' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= 253402300799999999 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR +expires_at <= 253402300799999999) AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND expires_at <= 253402300799999999 ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'expired' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= 253402300799999999 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND expires_at <= -62135596800000000

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND expires_at <= -62135596800000000 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= -62135596800000000 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= -62135596800000000 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= -62135596800000000 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= -62135596800000000 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= -62135596800000000 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= -62135596800000000 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND expires_at <= -62135596800000000 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND +expires_at <= -62135596800000000 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND status IN ('pending','accepted')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND status IN ('pending','accepted') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= -62135596800000000 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND status IN ('pending','accepted') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status IN ('pending','accepted') ORDER BY created_at DESC, id DESC

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'accepted' AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 20010) AS b ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status IN ('pending','accepted') AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b ORDER BY expires_at, id LIMIT 10

-- list
SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'pending' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND status = 'accepted' AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= -62135596800000000 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= 1772364645123456 AND created_at < 1772368245123456 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= 1772364645123456 THEN 1 END) FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645000000, 'i') ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456 AND (created_at, id) < (1772364645123456, 'i') ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= 1772364645123456 AND expires_at < 1772368245123456 AND status = 'pending' AND expires_at > 1772364645123456 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM "organization_invitations" WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND +expires_at >= 1772364645123456 AND +expires_at < 1772368245123456 AND status = 'pending' AND +expires_at > 1772364645123456 AND created_at >= 1772364645000000 AND (created_at > 1772364645000000 OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

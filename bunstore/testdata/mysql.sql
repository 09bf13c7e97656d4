SELECT version()

-- migration 0001_create
CREATE TABLE IF NOT EXISTS `organization_invitation_migrations` (id VARCHAR(64) NOT NULL PRIMARY KEY) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
CREATE TABLE IF NOT EXISTS `organization_invitation_locks` (k VARCHAR(128) NOT NULL PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
CREATE TABLE IF NOT EXISTS `organization_invitations` (
	id VARCHAR(64) NOT NULL PRIMARY KEY,
	organization_id VARCHAR(128) NOT NULL,
	organization_domain_id VARCHAR(128) NOT NULL,
	email_address VARCHAR(320) NOT NULL,
	email_key VARCHAR(320) NOT NULL,
	pending_key VARCHAR(320) NULL,
	role VARCHAR(64) NOT NULL,
	status VARCHAR(32) NOT NULL,
	public_metadata LONGTEXT NOT NULL,
	private_metadata LONGTEXT NOT NULL,
	inviter_user_id VARCHAR(128) NOT NULL,
	redirect_url VARCHAR(2048) NOT NULL,
	generation BIGINT NOT NULL,
	created_at DATETIME(6) NOT NULL,
	updated_at DATETIME(6) NOT NULL,
	expires_at DATETIME(6) NOT NULL,
	sent_at DATETIME(6) NOT NULL,
	resolved_at DATETIME(6) NULL,
	resolved_by VARCHAR(128) NOT NULL,
	version BIGINT NOT NULL,
	UNIQUE KEY `organization_invitations_slot` (organization_id, pending_key),
	KEY `organization_invitations_org` (organization_id, created_at, id, organization_domain_id, email_key),
	KEY `organization_invitations_org_state` (organization_id, status, created_at, id, expires_at, organization_domain_id, email_key),
	KEY `organization_invitations_email` (email_key, status, created_at, id, expires_at),
	KEY `organization_invitations_created` (created_at, id),
	KEY `organization_invitations_status` (status, created_at, id, expires_at),
	KEY `organization_invitations_due` (status, expires_at, id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
INSERT INTO `organization_invitation_migrations` (id) VALUES ('0001_create') ON DUPLICATE KEY UPDATE id = id

-- migration 0001_create
CREATE TABLE IF NOT EXISTS `s`.`app_organization_invitation_migrations` (id VARCHAR(64) NOT NULL PRIMARY KEY) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
CREATE TABLE IF NOT EXISTS `s`.`app_organization_invitation_locks` (k VARCHAR(128) NOT NULL PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
CREATE TABLE IF NOT EXISTS `s`.`app_organization_invitations` (
	id VARCHAR(64) NOT NULL PRIMARY KEY,
	organization_id VARCHAR(128) NOT NULL,
	organization_domain_id VARCHAR(128) NOT NULL,
	email_address VARCHAR(320) NOT NULL,
	email_key VARCHAR(320) NOT NULL,
	pending_key VARCHAR(320) NULL,
	role VARCHAR(64) NOT NULL,
	status VARCHAR(32) NOT NULL,
	public_metadata LONGTEXT NOT NULL,
	private_metadata LONGTEXT NOT NULL,
	inviter_user_id VARCHAR(128) NOT NULL,
	redirect_url VARCHAR(2048) NOT NULL,
	generation BIGINT NOT NULL,
	created_at DATETIME(6) NOT NULL,
	updated_at DATETIME(6) NOT NULL,
	expires_at DATETIME(6) NOT NULL,
	sent_at DATETIME(6) NOT NULL,
	resolved_at DATETIME(6) NULL,
	resolved_by VARCHAR(128) NOT NULL,
	version BIGINT NOT NULL,
	UNIQUE KEY `app_organization_invitations_slot` (organization_id, pending_key),
	KEY `app_organization_invitations_org` (organization_id, created_at, id, organization_domain_id, email_key),
	KEY `app_organization_invitations_org_state` (organization_id, status, created_at, id, expires_at, organization_domain_id, email_key),
	KEY `app_organization_invitations_email` (email_key, status, created_at, id, expires_at),
	KEY `app_organization_invitations_created` (created_at, id),
	KEY `app_organization_invitations_status` (status, created_at, id, expires_at),
	KEY `app_organization_invitations_due` (status, expires_at, id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */
INSERT INTO `s`.`app_organization_invitation_migrations` (id) VALUES ('0001_create') ON DUPLICATE KEY UPDATE id = id

-- get
SELECT @@sql_mode, @@character_set_client, @@character_set_connection, @@autocommit, CAST('2026-03-29 02:30:00' AS DATETIME(6))
SHOW VARIABLES LIKE 'wsrep_on'
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE id = 'a\\'''
-- storage: not found

-- insert none
BEGIN READ COMMITTED
COMMIT

-- insert one
BEGIN READ COMMITTED
INSERT INTO `organization_invitations` (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('z','o','d','A''z','a''z',NULL,'r\\','accepted','{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456','2026-03-01 13:30:45.123456','u',1)
COMMIT

-- insert one that is taken
BEGIN READ COMMITTED
INSERT INTO `organization_invitations` (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a','r\\','pending','{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456',NULL,'',1)
ROLLBACK
-- storage: id or pending slot already taken

-- insert several
BEGIN READ COMMITTED
INSERT INTO `organization_invitations` (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WITH v (id,email_address,email_key,pending_key,status,resolved_at,resolved_by) AS (VALUES /*!80019 ROW*/('a','A''a','a''a','a''a','pending',NULL,''),/*!80019 ROW*/('b','A''b','a''b','a''b','pending',NULL,''),/*!80019 ROW*/('z','A''z','a''z',NULL,'accepted','2026-03-01 13:30:45.123456','u')) SELECT v.id,'o','d',v.email_address,v.email_key,v.pending_key,'r\\',v.status,'{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456',v.resolved_at,v.resolved_by,1 FROM v
COMMIT

-- insert several, one taken
BEGIN READ COMMITTED
INSERT INTO `organization_invitations` (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WITH v (id,email_address,email_key) AS (VALUES /*!80019 ROW*/('a','A''a','a''a'),/*!80019 ROW*/('b','A''b','a''b')) SELECT v.id,'o','d',v.email_address,v.email_key,v.email_key,'r\\','pending','{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456',NULL,'',1 FROM v
SELECT id FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE id IN ('b','a') LOCK IN SHARE MODE
SELECT id, organization_id, pending_key FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE (organization_id, pending_key) IN (('o','a''b'),('o','a''a')) LOCK IN SHARE MODE
ROLLBACK
-- storage: id or pending slot already taken

-- insert in a host's
BEGIN
INSERT INTO `organization_invitations` (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) WITH v (id,email_address,email_key) AS (VALUES /*!80019 ROW*/('a','A''a','a''a'),/*!80019 ROW*/('b','A''b','a''b')) SELECT v.id,'o','d',v.email_address,v.email_key,v.email_key,'r\\','pending','{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456',NULL,'',1 FROM v
COMMIT

-- insert in a host's, one taken
BEGIN
INSERT INTO `organization_invitations` (id, organization_id, organization_domain_id, email_address, email_key, pending_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version) VALUES ('a','o','d','A''a','a''a','a''a','r\\','pending','{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456',NULL,'',1)
SELECT id, version FROM `organization_invitations` WHERE (organization_id, pending_key) IN (('o','a''a')) ORDER BY id LOCK IN SHARE MODE
SELECT id, version FROM `organization_invitations` WHERE (organization_id, pending_key) IN (('o','a''a')) ORDER BY id
ROLLBACK
-- storage: id or pending slot already taken

-- update one
BEGIN READ COMMITTED
UPDATE `organization_invitations` SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''z', email_key='a''z', pending_key=NULL, role='r\\', status='accepted', public_metadata='{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456', updated_at='2026-03-01 11:30:46.123456', expires_at='2026-03-01 12:30:45.123456', sent_at='2026-03-01 11:31:45.123456', resolved_at='2026-03-01 13:30:45.123456', resolved_by='u' WHERE id = 'z' AND version = 7
COMMIT

-- update one that is pending
BEGIN READ COMMITTED
UPDATE `organization_invitations` SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\\', status='pending', public_metadata='{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456', updated_at='2026-03-01 11:30:46.123456', expires_at='2026-03-01 12:30:45.123456', sent_at='2026-03-01 11:31:45.123456', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
COMMIT

-- update one that is stale
BEGIN READ COMMITTED
UPDATE `organization_invitations` SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\\', status='pending', public_metadata='{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456', updated_at='2026-03-01 11:30:46.123456', expires_at='2026-03-01 12:30:45.123456', sent_at='2026-03-01 11:31:45.123456', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
SELECT id FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE id = 'a' LOCK IN SHARE MODE
ROLLBACK
-- storage: changed by somebody else

-- update one whose slot is held
BEGIN READ COMMITTED
UPDATE `organization_invitations` SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\\', status='pending', public_metadata='{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456', updated_at='2026-03-01 11:30:46.123456', expires_at='2026-03-01 12:30:45.123456', sent_at='2026-03-01 11:31:45.123456', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
ROLLBACK
-- storage: id or pending slot already taken

-- update several
BEGIN READ COMMITTED
SELECT id, version, organization_id, email_key, status FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE id IN ('a','z') ORDER BY id FOR UPDATE
UPDATE (SELECT 'a' AS id,'o' AS organization_id,'d' AS organization_domain_id,'A''a' AS email_address,'a''a' AS email_key,'a''a' AS pending_key,'r\\' AS role,'pending' AS status,'{"a":"\\n?"}' AS public_metadata,'{}' AS private_metadata,'i' AS inviter_user_id,'https://example.com/?a=b' AS redirect_url,-2 AS generation,'2026-03-01 11:30:45.123456' AS created_at,'2026-03-01 11:30:46.123456' AS updated_at,'2026-03-01 12:30:45.123456' AS expires_at,'2026-03-01 11:31:45.123456' AS sent_at,NULL AS resolved_at,'' AS resolved_by,7 AS version UNION ALL SELECT 'z','o','d','A''z','a''z',NULL,'r\\','accepted','{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456','2026-03-01 13:30:45.123456','u',7) AS v STRAIGHT_JOIN `organization_invitations` AS t FORCE INDEX (PRIMARY) ON t.id = v.id AND t.version = v.version SET t.organization_id = v.organization_id, t.organization_domain_id = v.organization_domain_id, t.email_address = v.email_address, t.email_key = v.email_key, t.pending_key = v.pending_key, t.role = v.role, t.status = v.status, t.public_metadata = v.public_metadata, t.private_metadata = v.private_metadata, t.inviter_user_id = v.inviter_user_id, t.redirect_url = v.redirect_url, t.generation = v.generation, t.created_at = v.created_at, t.updated_at = v.updated_at, t.expires_at = v.expires_at, t.sent_at = v.sent_at, t.resolved_at = v.resolved_at, t.resolved_by = v.resolved_by, t.version = v.version + 1
COMMIT

-- update several in a host's
BEGIN
SAVEPOINT orginvite_N
SELECT id, version, organization_id, email_key, status FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE id IN ('a','z') ORDER BY id FOR UPDATE
UPDATE (SELECT 'a' AS id,'o' AS organization_id,'d' AS organization_domain_id,'A''a' AS email_address,'a''a' AS email_key,'a''a' AS pending_key,'r\\' AS role,'pending' AS status,'{"a":"\\n?"}' AS public_metadata,'{}' AS private_metadata,'i' AS inviter_user_id,'https://example.com/?a=b' AS redirect_url,-2 AS generation,'2026-03-01 11:30:45.123456' AS created_at,'2026-03-01 11:30:46.123456' AS updated_at,'2026-03-01 12:30:45.123456' AS expires_at,'2026-03-01 11:31:45.123456' AS sent_at,NULL AS resolved_at,'' AS resolved_by,7 AS version UNION ALL SELECT 'z','o','d','A''z','a''z',NULL,'r\\','accepted','{"a":"\\n?"}','{}','i','https://example.com/?a=b',-2,'2026-03-01 11:30:45.123456','2026-03-01 11:30:46.123456','2026-03-01 12:30:45.123456','2026-03-01 11:31:45.123456','2026-03-01 13:30:45.123456','u',7) AS v STRAIGHT_JOIN `organization_invitations` AS t FORCE INDEX (PRIMARY) ON t.id = v.id AND t.version = v.version SET t.organization_id = v.organization_id, t.organization_domain_id = v.organization_domain_id, t.email_address = v.email_address, t.email_key = v.email_key, t.pending_key = v.pending_key, t.role = v.role, t.status = v.status, t.public_metadata = v.public_metadata, t.private_metadata = v.private_metadata, t.inviter_user_id = v.inviter_user_id, t.redirect_url = v.redirect_url, t.generation = v.generation, t.created_at = v.created_at, t.updated_at = v.updated_at, t.expires_at = v.expires_at, t.sent_at = v.sent_at, t.resolved_at = v.resolved_at, t.resolved_by = v.resolved_by, t.version = v.version + 1
RELEASE SAVEPOINT orginvite_N
COMMIT

-- delete
BEGIN READ COMMITTED
DELETE t FROM `organization_invitations` AS t FORCE INDEX (PRIMARY) WHERE id IN ('a','b')
COMMIT

-- nested
BEGIN READ COMMITTED
SAVEPOINT orginvite_N
ROLLBACK TO SAVEPOINT orginvite_N
RELEASE SAVEPOINT orginvite_N
SAVEPOINT orginvite_N
UPDATE `organization_invitations` SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''a', email_key='a''a', pending_key='a''a', role='r\\', status='pending', public_metadata='{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456', updated_at='2026-03-01 11:30:46.123456', expires_at='2026-03-01 12:30:45.123456', sent_at='2026-03-01 11:31:45.123456', resolved_at=NULL, resolved_by='' WHERE id = 'a' AND version = 7
RELEASE SAVEPOINT orginvite_N
COMMIT

-- nested in a host's
BEGIN
SAVEPOINT orginvite_N
RELEASE SAVEPOINT orginvite_N
COMMIT

-- lock
BEGIN READ COMMITTED
INSERT INTO `organization_invitation_locks` (k, n) VALUES ('k', 1) ON DUPLICATE KEY UPDATE n = n + 1
COMMIT

-- lock in a host's
BEGIN
INSERT INTO `organization_invitation_locks` (k, n) VALUES ('k', 1) ON DUPLICATE KEY UPDATE n = n
SELECT n FROM `organization_invitation_locks` WHERE k = 'k' FOR UPDATE
SELECT n FROM `organization_invitation_locks` WHERE k = 'k'
UPDATE `organization_invitation_locks` SET n = n + 1 WHERE k = 'k'
COMMIT

-- for update
BEGIN READ COMMITTED
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('b','a') ORDER BY created_at DESC, id DESC FOR UPDATE
COMMIT

-- for update in a host's
BEGIN
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id = 'b' ORDER BY created_at DESC, id DESC FOR UPDATE
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id = 'b' ORDER BY created_at DESC, id DESC
COMMIT

-- after the host had its handle
BEGIN READ COMMITTED
SET x = 1
SELECT @@in_transaction
UPDATE `organization_invitations` SET version = version + 1, organization_id='o', organization_domain_id='d', email_address='A''z', email_key='a''z', pending_key=NULL, role='r\\', status='accepted', public_metadata='{"a":"\\n?"}', private_metadata='{}', inviter_user_id='i', redirect_url='https://example.com/?a=b', generation=-2, created_at='2026-03-01 11:30:45.123456', updated_at='2026-03-01 11:30:46.123456', expires_at='2026-03-01 12:30:45.123456', sent_at='2026-03-01 11:31:45.123456', resolved_at='2026-03-01 13:30:45.123456', resolved_by='u' WHERE id = 'z' AND version = 7
COMMIT

-- count
SELECT count(*) FROM `organization_invitations` WHERE 1 = 1

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` WHERE 1 = 1 LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00.000000' THEN 1 END) FROM `organization_invitations` WHERE 1 = 1 GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_created`) WHERE 1 = 1 ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_created`) WHERE 1 = 1 AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_created`) WHERE 1 = 1 AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456' THEN 1 END) FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (PRIMARY) WHERE 1 = 1 AND id IN ('a','b') AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = ''

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00.000000' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND organization_domain_id = '' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND instr(email_key, 'a%_\\') > 0 AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status IN ('pending','accepted','expired')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status IN ('pending','accepted','expired') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status IN ('pending','accepted','expired') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status IN ('pending','accepted','expired') ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'pending' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'accepted' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'expired' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status IN ('pending','accepted','expired') AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b) AS u ORDER BY expires_at, id LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY expires_at, id

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'pending' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND inviter_user_id = 'i' AND resolved_at < '2026-03-01 11:30:45.123456' AND status = 'expired' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at, email_key DESC, id DESC

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00.000000' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f')

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_slot`) WHERE 1 = 1 AND organization_id = 'o' AND pending_key IN ('e','f') AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00.000000' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s\\') AND sent_at > '2026-03-01 11:30:45.123456' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key IN ('e','f') AND status IN ('pending','accepted','expired') AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b) AS u ORDER BY expires_at, id LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY expires_at, id

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'pending' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'e' AND status = 'expired' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'pending' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_email`) WHERE 1 = 1 AND email_key = 'f' AND status = 'expired' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at, email_key DESC, id DESC

-- count
SELECT count(*) FROM `organization_invitations` WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '9999-12-31 23:59:59.999999' THEN 1 END) FROM `organization_invitations` WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999') ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'expired' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999' ORDER BY created_at DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'expired' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND status IN ('expired','pending') AND (status <> 'pending' OR expires_at <= '9999-12-31 23:59:59.999999') AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_due`) WHERE 1 = 1 AND status = 'expired' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_due`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999' ORDER BY expires_at, id LIMIT 10) AS b) AS u ORDER BY expires_at, id LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY expires_at, id

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'expired' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '9999-12-31 23:59:59.999999' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at, email_key DESC, id DESC

-- count
SELECT count(*) FROM `organization_invitations` WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00.000000' THEN 1 END) FROM `organization_invitations` WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_due`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND expires_at <= '0001-01-01 00:00:00.000000' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` WHERE 1 = 1 AND status IN ('pending','accepted')

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` WHERE 1 = 1 AND status IN ('pending','accepted') LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00.000000' THEN 1 END) FROM `organization_invitations` WHERE 1 = 1 AND status IN ('pending','accepted') GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND status IN ('pending','accepted') ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'accepted' ORDER BY created_at DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b UNION ALL SELECT * FROM (SELECT created_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'accepted' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 20010) AS b) AS u ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND status IN ('pending','accepted') AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_due`) WHERE 1 = 1 AND status = 'pending' ORDER BY expires_at, id LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT expires_at, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_due`) WHERE 1 = 1 AND status = 'accepted' ORDER BY expires_at, id LIMIT 10) AS b) AS u ORDER BY expires_at, id LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY expires_at, id

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM (SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'pending' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b UNION ALL SELECT * FROM (SELECT created_at, email_key, id FROM `organization_invitations` FORCE INDEX (`organization_invitations_status`) WHERE 1 = 1 AND status = 'accepted' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS b) AS u ORDER BY created_at, email_key DESC, id DESC LIMIT 10) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at, email_key DESC, id DESC

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '0001-01-01 00:00:00.000000' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org`) WHERE 1 = 1 AND organization_id = 'o' AND role = 'r' AND created_at >= '2026-03-01 11:30:45.123456' AND created_at < '2026-03-01 12:30:45.123456' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- count
SELECT count(*) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456'

-- count up to 10
SELECT count(*) FROM (SELECT 1 FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' LIMIT 10) AS c

-- count by status
SELECT status, count(*), count(CASE WHEN expires_at <= '2026-03-01 11:30:45.123456' THEN 1 END) FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' GROUP BY status

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY created_at DESC, id DESC LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM (SELECT id AS i FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.000000' AND (created_at < '2026-03-01 11:30:45.000000' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 10 OFFSET 20000) AS p STRAIGHT_JOIN `organization_invitations` AS t ON t.id = p.i ORDER BY created_at DESC, id DESC

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at <= '2026-03-01 11:30:45.123456' AND (created_at < '2026-03-01 11:30:45.123456' OR (id < 'i')) ORDER BY created_at DESC, id DESC LIMIT 18446744073709551615 OFFSET 3

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' ORDER BY expires_at, id LIMIT 10

-- list
SELECT id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at, resolved_at, resolved_by, version FROM `organization_invitations` FORCE INDEX (`organization_invitations_org_state`) WHERE 1 = 1 AND organization_id = 'o' AND role IN ('r','s') AND expires_at >= '2026-03-01 11:30:45.123456' AND expires_at < '2026-03-01 12:30:45.123456' AND status = 'pending' AND expires_at > '2026-03-01 11:30:45.123456' AND created_at >= '2026-03-01 11:30:45.000000' AND (created_at > '2026-03-01 11:30:45.000000' OR (email_key <= 'e' AND (email_key < 'e' OR (id < 'i')))) ORDER BY created_at, email_key DESC, id DESC LIMIT 10

-- name: org.all
-- Every org, the oldest first.
SELECT id, name, created_at FROM orgs ORDER BY created_at, id

-- name: org.add
-- A new tenant.
INSERT INTO orgs (id, name, created_at) VALUES (:id, :name, :now)

-- name: org.rename
-- Its id stays, and with it everything that it owns.
UPDATE orgs SET name = :name WHERE id = :org_id RETURNING id

-- name: org.remove
-- The org with all it owns: connections, credentials, definitions, keys, events and the data keys
-- without which nothing sealed for it opens again. The last one stays.
DELETE FROM orgs WHERE id = :org_id AND (SELECT COUNT(*) FROM orgs) > 1 RETURNING id

-- name: user.all
-- Every person known here; the first is the local owner.
SELECT id, name FROM users ORDER BY created_at, id

-- name: user.add
-- A person.
INSERT INTO users (id, name, created_at) VALUES (:id, :name, :now)

-- name: data_key.all
-- Every wrapped data key, loaded when the vault opens, and the seals on record for it.
SELECT org_id, version, wrapped, created_at, sealed FROM data_keys ORDER BY org_id, version

-- name: data_key.wrapped
-- Every wrapped data key, for the master keys that they need.
SELECT wrapped FROM data_keys

-- name: data_key.add
-- An org's next data key.
INSERT INTO data_keys (org_id, version, wrapped, created_at)
VALUES (:org_id, :version, :wrapped, :now)

-- name: data_key.seals
-- Put seals on record that are about to be made; every daemon adds its own.
UPDATE data_keys SET sealed = sealed + :seals WHERE org_id = :org_id AND version = :version
RETURNING sealed

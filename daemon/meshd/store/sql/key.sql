-- name: key.all
-- Every key of every org, for the snapshot.
SELECT id, org_id, name, prefix, digest, last_four, permissions, role, read_only, owner_id,
       created_at, expires_at, last_used_at, edition, connection_id
FROM keys ORDER BY org_id, created_at DESC, id

-- name: key.add
-- A new key; only its digest is stored.
INSERT INTO keys (id, org_id, name, prefix, digest, last_four, permissions, role, read_only,
                  owner_id, created_at, expires_at, connection_id)
VALUES (:id, :org_id, :name, :prefix, :digest, :last_four, :permissions, :role, :read_only,
        :owner_id, :now, :expires_at, :connection_id)

-- name: key.edit
-- Change what a key may do, if nobody changed it since it was read.
UPDATE keys
SET name = :name, permissions = :permissions, role = :role, read_only = :read_only,
    expires_at = :expires_at, edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition
RETURNING id

-- name: key.rotate
-- A new secret for the same key, if nobody changed it since it was read: of two that were made at
-- once only one would work.
UPDATE keys
SET prefix = :prefix, digest = :digest, last_four = :last_four, expires_at = :expires_at,
    edition = edition + 1
WHERE org_id = :org_id AND id = :id AND edition = :edition
RETURNING id

-- name: key.revoke
-- Gone at once.
DELETE FROM keys WHERE org_id = :org_id AND id = :id RETURNING id

-- name: key.used
-- Coarse last use, written in batches. Never moves back.
UPDATE keys SET last_used_at = :at
WHERE org_id = :org_id AND id = :id AND (last_used_at IS NULL OR last_used_at < :at)

-- name: key.expiring
-- Its end is being told of, once for each end.
UPDATE keys SET told_end = :end
WHERE org_id = :org_id AND id = :id AND expires_at = :end
  AND (told_end IS NULL OR told_end <> :end)
RETURNING id

-- name: approval.all
-- What each pinned connection is approved for, for the snapshot; without the definitions.
SELECT connection_id, fingerprints FROM approvals

-- name: approval.get
-- The definitions that were approved of a connection.
SELECT tools FROM approvals WHERE org_id = :org_id AND connection_id = :connection_id

-- name: approval.put
-- Approve exactly this of a connection. The unit counts its edition, so that of two at once one
-- is refused.
INSERT INTO approvals (connection_id, org_id, fingerprints, tools)
VALUES (:connection_id, :org_id, :fingerprints, :tools)
ON CONFLICT (connection_id) DO UPDATE
SET fingerprints = excluded.fingerprints, tools = excluded.tools

-- name: approval.drop
-- A connection that is not pinned needs none.
DELETE FROM approvals WHERE org_id = :org_id AND connection_id = :connection_id

-- name: call.add
-- One proxied tool call.
INSERT INTO calls (id, org_id, at, connection_id, connection, tool, principal_id, principal, ok,
                   error, receive_us, decide_us, upstream_us, answer_us, arguments, result, cut,
                   client)
VALUES (:id, :org_id, :at, :connection_id, :connection, :tool, :principal_id, :principal, :ok,
        :error, :receive_us, :decide_us, :upstream_us, :answer_us, :arguments, :result, :cut,
        :client)
ON CONFLICT (id) DO NOTHING

-- name: call.list
-- Newest first.
SELECT seq, id, at, connection, tool, principal, ok, error,
       receive_us + decide_us + upstream_us + answer_us AS duration_us
FROM calls
WHERE org_id = :org_id
  AND (CAST(:connection AS TEXT) IS NULL OR connection_id = :connection)
  AND (CAST(:failed AS BIGINT) = 0 OR ok = 0)
ORDER BY seq DESC LIMIT :limit

-- name: call.show
-- One record, whole.
SELECT seq, id, at, connection, tool, principal, ok, error, receive_us, decide_us, upstream_us,
       answer_us, receive_us + decide_us + upstream_us + answer_us AS duration_us, arguments,
       result, cut, client
FROM calls WHERE org_id = :org_id AND id = :id

-- name: call.after
-- What follows a cursor, oldest first.
SELECT seq, id, at, connection, tool, principal, ok, error,
       receive_us + decide_us + upstream_us + answer_us AS duration_us
FROM calls WHERE org_id = :org_id AND seq > :after ORDER BY seq LIMIT :limit

-- name: call.before_time
-- The cursor just before a moment. Records come in the order in which calls ended, and `at` is
-- when they began: the first that began later counts, not the last that began before.
SELECT COALESCE(
    (SELECT MIN(seq) - 1 FROM calls WHERE org_id = :org_id AND at >= :time),
    (SELECT MAX(seq) FROM calls WHERE org_id = :org_id),
    0
) AS seq

-- name: call.last
-- The newest cursor.
SELECT COALESCE(MAX(seq), 0) AS seq FROM calls WHERE org_id = :org_id

-- name: call.count_since
-- How many calls since a moment.
SELECT COUNT(*) AS n FROM calls WHERE org_id = :org_id AND at >= :time

-- name: call.sweep
-- Drop a batch of what is older than retention.
DELETE FROM calls WHERE seq IN (SELECT seq FROM calls WHERE at < :time ORDER BY at LIMIT 500)
RETURNING seq

-- name: call.erase
-- Drop a batch of what is left of a removed org.
DELETE FROM calls
WHERE org_id = :org_id
  AND seq IN (SELECT seq FROM calls WHERE org_id = :org_id ORDER BY seq LIMIT 500)
RETURNING seq

-- name: call.orgs
-- Every org that has records, found by one step through the index for each.
WITH RECURSIVE found (org_id) AS (
    SELECT MIN(org_id) FROM calls
    UNION ALL
    SELECT (SELECT MIN(org_id) FROM calls WHERE org_id > found.org_id)
    FROM found WHERE found.org_id IS NOT NULL
)
SELECT org_id FROM found WHERE org_id IS NOT NULL

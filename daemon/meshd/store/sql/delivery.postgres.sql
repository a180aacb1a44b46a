-- name: delivery.line_up
-- As everywhere. The one in front stays as it is until this is written: who ends it waits so long,
-- and then sees who stands behind it. One that is just ending keeps nobody back.
WITH due AS MATERIALIZED (
    SELECT id, order_key, event_seq FROM deliveries
    WHERE org_id = :org_id AND subscription_id = :subscription AND behind = 0
      AND order_key IS NOT NULL AND available_at <= :now
    ORDER BY available_at, event_seq LIMIT :window
    FOR UPDATE SKIP LOCKED
), late AS MATERIALIZED (
    SELECT due.id FROM due CROSS JOIN LATERAL (
        SELECT 1 FROM deliveries AS earlier
        WHERE earlier.subscription_id = :subscription AND earlier.order_key = due.order_key
          AND earlier.event_seq < due.event_seq AND earlier.available_at IS NOT NULL
          AND (earlier.fence > 0 OR earlier.available_at <= :now)
        ORDER BY earlier.event_seq LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS front
)
UPDATE deliveries SET behind = 1
FROM late WHERE org_id = :org_id AND deliveries.id = late.id
RETURNING deliveries.id

-- name: delivery.claim
-- As everywhere; what another daemon is just taking is passed over. "The first earlier one, which is
-- none" keeps the planner from joining a whole line where NOT EXISTS would let it.
WITH due AS MATERIALIZED (
    SELECT id, order_key, event_seq, available_at FROM deliveries
    WHERE org_id = :org_id AND subscription_id = :subscription AND behind = 0
      AND available_at <= :now
    ORDER BY available_at, event_seq LIMIT :window
), free AS MATERIALIZED (
    SELECT id FROM deliveries
    WHERE org_id = :org_id AND available_at <= :now AND behind = 0 AND id IN (
        SELECT id FROM due
        WHERE order_key IS NULL OR (
            SELECT earlier.id FROM deliveries AS earlier
            WHERE earlier.subscription_id = :subscription AND earlier.order_key = due.order_key
              AND earlier.event_seq < due.event_seq AND earlier.available_at IS NOT NULL
              AND (earlier.fence > 0 OR earlier.available_at <= :now)
            ORDER BY earlier.event_seq LIMIT 1
        ) IS NULL
    )
    ORDER BY available_at, event_seq LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE deliveries
SET state = 'inflight', attempt = attempt + 1, crashes = crashes + 1, fence = fence + 1,
    lease_owner = :lease_owner, available_at = :until
FROM free
WHERE org_id = :org_id AND deliveries.id = free.id
RETURNING deliveries.id, event_seq, subscription_id, attempt, fence, crashes, deferred_since,
          created_at

-- name: delivery.cancel
-- As everywhere.
UPDATE deliveries SET state = 'cancelled', available_at = NULL, ended_at = :now
WHERE org_id = :org_id AND event_seq = :event_seq AND available_at IS NOT NULL
RETURNING id

-- name: delivery.hurry
-- As everywhere.
UPDATE deliveries SET available_at = :now, waits_from = :now
WHERE org_id = :org_id AND event_seq = :event_seq AND state = 'ready'
RETURNING id

-- name: delivery.ack
-- As everywhere.
UPDATE deliveries SET state = 'done', available_at = NULL, ended_at = :now, error = NULL
WHERE org_id = :org_id AND event_seq = :event_seq AND available_at IS NOT NULL
  AND subscription_id IN (SELECT jsonb_array_elements_text(CAST(CAST(:subscriptions AS TEXT) AS JSONB)))
RETURNING id

-- name: delivery.held
-- As everywhere; they stay so until the unit ends.
SELECT id, fence FROM deliveries
WHERE org_id = :org_id
  AND id IN (SELECT jsonb_array_elements_text(CAST(CAST(:ids AS TEXT) AS JSONB)))
ORDER BY id FOR UPDATE

-- name: delivery.end
-- As everywhere.
UPDATE deliveries
SET state = given.state, available_at = given.available_at, attempt = given.attempt, crashes = 0,
    lease_owner = NULL, deferred_since = given.deferred_since, error = given.error,
    ended_at = given.ended_at
FROM jsonb_to_recordset(CAST(CAST(:ended AS TEXT) AS JSONB)) AS given (
    id TEXT, fence BIGINT, state TEXT, available_at BIGINT, attempt BIGINT, deferred_since BIGINT,
    error TEXT, ended_at BIGINT
)
WHERE deliveries.org_id = :org_id AND deliveries.id = given.id
  AND deliveries.fence = given.fence AND deliveries.state = 'inflight'

-- name: delivery.attempted
-- As everywhere.
INSERT INTO delivery_attempts (delivery_id, fence, org_id, attempt, daemon, started_at,
                               duration_us, outcome, status, error)
SELECT deliveries.id, given.fence, org_id, given.attempt, :daemon, given.started_at,
       given.duration_us, given.outcome, given.status, given.error
FROM jsonb_to_recordset(CAST(CAST(:ended AS TEXT) AS JSONB)) AS given (
    id TEXT, fence BIGINT, attempt BIGINT, started_at BIGINT, duration_us BIGINT, outcome TEXT,
    status BIGINT, error TEXT
) JOIN deliveries ON deliveries.id = given.id
WHERE org_id = :org_id
ON CONFLICT (delivery_id, fence) DO NOTHING

-- name: delivery.counts
-- As everywhere.
WITH live AS MATERIALIZED (
    SELECT state, CAST(CASE WHEN available_at > :now THEN 1 ELSE 0 END AS BIGINT) AS later,
           COUNT(*) AS n, MIN(waits_from) AS oldest
    FROM deliveries
    WHERE org_id = :org_id AND available_at IS NOT NULL GROUP BY state, later
), ended AS MATERIALIZED (
    SELECT state, expired, COUNT(*) AS n FROM deliveries
    WHERE org_id = :org_id AND state = 'dead' GROUP BY state, expired
    UNION ALL
    SELECT state, 0, COUNT(*) FROM deliveries
    WHERE org_id = :org_id AND state = 'cancelled' GROUP BY state
)
SELECT state, 0 AS expired, later, n, oldest FROM live
UNION ALL
SELECT state, expired, 0, n, NULL FROM ended
UNION ALL
SELECT 'done', 0, 0, CAST(
    (SELECT COUNT(*) FROM deliveries WHERE org_id = :org_id)
    - (SELECT COALESCE(SUM(n), 0) FROM live) - (SELECT COALESCE(SUM(n), 0) FROM ended) AS BIGINT
), NULL

-- name: delivery.counts_of
-- As everywhere.
SELECT event_seq, state, expired,
       CAST(CASE WHEN available_at > :now THEN 1 ELSE 0 END AS BIGINT) AS later, COUNT(*) AS n
FROM deliveries
WHERE org_id = :org_id
  AND event_seq IN (
      SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST(CAST(:seqs AS TEXT) AS JSONB))
  )
GROUP BY event_seq, state, expired, later

-- name: delivery.revive
-- As everywhere.
UPDATE deliveries
SET state = 'ready', available_at = :now, attempt = 0, crashes = 0, deferred_since = NULL,
    replays = replays + 1, ended_at = NULL, waits_from = :now, expired = 0, behind = 0
WHERE org_id = :org_id AND event_seq = :event_seq
  AND (state = 'dead' OR (CAST(:ended AS BIGINT) = 1 AND state IN ('done', 'cancelled')))
  AND subscription_id IN (SELECT id FROM subscriptions WHERE org_id = :org_id)
RETURNING id

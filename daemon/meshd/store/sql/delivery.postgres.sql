-- name: delivery.claim
-- As everywhere; what another daemon is just taking is passed over.
WITH due AS MATERIALIZED (
    SELECT id FROM deliveries AS one
    WHERE org_id = :org_id AND subscription_id = :subscription AND available_at <= :now
      AND (order_key IS NULL OR NOT EXISTS (
          SELECT 1 FROM deliveries AS earlier
          WHERE earlier.subscription_id = one.subscription_id AND earlier.order_key = one.order_key
            AND earlier.event_seq < one.event_seq AND earlier.available_at IS NOT NULL
            AND (earlier.fence > 0 OR earlier.available_at <= :now)
      ))
    ORDER BY available_at, event_seq LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE deliveries
SET state = 'inflight', attempt = attempt + 1, crashes = crashes + 1, fence = fence + 1,
    lease_owner = :lease_owner, available_at = :until
FROM due
WHERE org_id = :org_id AND deliveries.id = due.id
RETURNING deliveries.id, event_seq, subscription_id, attempt, fence, crashes, deferred_since,
          created_at

-- name: delivery.ack
-- As everywhere.
UPDATE deliveries SET state = 'done', available_at = NULL, ended_at = :now, error = NULL
WHERE org_id = :org_id AND event_seq = :event_seq AND available_at IS NOT NULL
  AND subscription_id IN (SELECT jsonb_array_elements_text(CAST(CAST(:subscriptions AS TEXT) AS JSONB)))
RETURNING id

-- name: delivery.held
-- As everywhere; they stay so until the unit ends.
SELECT id, fence FROM deliveries
WHERE org_id = :org_id AND state = 'inflight'
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

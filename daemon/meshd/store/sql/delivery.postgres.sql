-- name: delivery.claim
-- As everywhere; what another daemon is just taking is passed over.
WITH due AS MATERIALIZED (
    SELECT id FROM deliveries
    WHERE org_id = :org_id AND subscription_id = :subscription AND available_at <= :now
    ORDER BY available_at LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE deliveries
SET state = 'inflight', attempt = attempt + 1, crashes = crashes + 1, fence = fence + 1,
    lease_owner = :lease_owner, available_at = :until
FROM due
WHERE org_id = :org_id AND deliveries.id = due.id
RETURNING deliveries.id, event_seq, subscription_id, attempt, fence, crashes, deferred_since,
          created_at

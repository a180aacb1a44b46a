-- name: delivery.add
-- One event for one subscription, in the event's own unit. A subscription that another daemon has
-- just removed gets none, nor does an event that was there before: "own" tells this one.
INSERT INTO deliveries (id, org_id, event_seq, subscription_id, subscription, available_at,
                         waits_from, created_at, order_key)
SELECT :id, :org_id, events.seq, subscriptions.id, subscriptions.name, :at, :at, :now,
       CAST(:order_key AS TEXT)
FROM events, subscriptions
WHERE events.org_id = :org_id AND events.source = :source AND events.id = :event
  AND COALESCE(events.own_id, events.id) = :own
  AND subscriptions.org_id = :org_id AND subscriptions.id = :subscription

-- name: delivery.due
-- Who has deliveries that wait, found by one step through the index for each. Those behind another
-- of their key come after it.
WITH RECURSIVE found (subscription_id) AS (
    SELECT MIN(subscription_id) FROM deliveries WHERE available_at IS NOT NULL
    UNION ALL
    SELECT (SELECT MIN(subscription_id) FROM deliveries
            WHERE available_at IS NOT NULL AND subscription_id > found.subscription_id)
    FROM found WHERE found.subscription_id IS NOT NULL
), due (subscription_id, available_at) AS (
    SELECT subscription_id, (
        SELECT MIN(available_at) FROM deliveries
        WHERE deliveries.subscription_id = found.subscription_id AND behind = 0
          AND available_at IS NOT NULL
    )
    FROM found WHERE subscription_id IS NOT NULL
)
SELECT subscription_id, available_at FROM due WHERE available_at IS NOT NULL

-- name: delivery.line_up
-- Pass over, of the next few that are due, those that come after another of their key: nothing
-- earlier of it may wait or be tried, but for what was published for later and was never tried.
-- When one of the key ends, the database takes the first of them into account again. The signs as at
-- delivery.claim.
UPDATE deliveries SET behind = 1
WHERE +org_id = :org_id AND id IN (
    SELECT id FROM (
        SELECT id, order_key, event_seq FROM deliveries INDEXED BY deliveries_keyed
        WHERE +org_id = :org_id AND subscription_id = :subscription AND behind = 0
          AND order_key IS NOT NULL AND available_at <= :now
        ORDER BY available_at, event_seq LIMIT :window
    ) AS one
    WHERE EXISTS (
        SELECT 1 FROM deliveries AS earlier
        WHERE earlier.subscription_id = :subscription AND earlier.order_key = one.order_key
          AND earlier.event_seq < one.event_seq AND earlier.available_at IS NOT NULL
          AND (earlier.fence > 0 OR earlier.available_at <= :now)
    )
)
RETURNING id

-- name: delivery.claim
-- Take what is due for one subscription, also what somebody had and let its lease run out. The
-- attempt counts from here: what kills the daemon each time is not tried for ever. Of the next few
-- that are due, what has a key still waits for what delivery.line_up tells of. The signs keep SQLite
-- from going through all that the org has instead of those few.
UPDATE deliveries
SET state = 'inflight', attempt = attempt + 1, crashes = crashes + 1, fence = fence + 1,
    lease_owner = :lease_owner, available_at = :until
WHERE +org_id = :org_id AND id IN (
    SELECT id FROM (
        SELECT id, order_key, event_seq, available_at FROM deliveries
        WHERE +org_id = :org_id AND subscription_id = :subscription AND behind = 0
          AND available_at <= :now
        ORDER BY available_at, event_seq LIMIT :window
    ) AS one
    WHERE order_key IS NULL OR NOT EXISTS (
        SELECT 1 FROM deliveries AS earlier
        WHERE earlier.subscription_id = :subscription AND earlier.order_key = one.order_key
          AND earlier.event_seq < one.event_seq AND earlier.available_at IS NOT NULL
          AND (earlier.fence > 0 OR earlier.available_at <= :now)
    )
    ORDER BY available_at, event_seq LIMIT :limit
)
RETURNING id, event_seq, subscription_id, attempt, fence, crashes, deferred_since, created_at

-- name: delivery.extend
-- A heartbeat: who has it still works on it.
UPDATE deliveries SET available_at = :until
WHERE org_id = :org_id AND id = :id AND fence = :fence AND state = 'inflight'
RETURNING id

-- name: delivery.end
-- The way out of inflight, for who holds the lease alone: `ended` is a JSON array of objects.
UPDATE deliveries
SET state = given.state, available_at = given.available_at, attempt = given.attempt, crashes = 0,
    lease_owner = NULL, deferred_since = given.deferred_since, error = given.error,
    ended_at = given.ended_at
FROM (
    SELECT json_extract(value, '$.id') AS id, json_extract(value, '$.fence') AS fence, json_extract(value, '$.state') AS state,
           json_extract(value, '$.available_at') AS available_at, json_extract(value, '$.attempt') AS attempt,
           json_extract(value, '$.deferred_since') AS deferred_since, json_extract(value, '$.error') AS error,
           json_extract(value, '$.ended_at') AS ended_at
    FROM json_each(:ended)
) AS given
WHERE +deliveries.org_id = :org_id AND deliveries.id = given.id
  AND deliveries.fence = given.fence AND +deliveries.state = 'inflight'

-- name: delivery.held
-- By whose claim some deliveries, a JSON array of ids, were tried last; the sign as above.
SELECT id, fence FROM deliveries
WHERE +org_id = :org_id AND id IN (SELECT value FROM json_each(:ids))

-- name: delivery.orphans
-- What a daemon of this file had when it was killed: nobody else can have it.
UPDATE deliveries SET available_at = :now WHERE state = 'inflight' AND lease_owner <> :lease_owner
RETURNING id

-- name: delivery.attempted
-- How attempts went: `ended` is a JSON array of objects.
INSERT INTO delivery_attempts (delivery_id, fence, org_id, attempt, daemon, started_at,
                               duration_us, outcome, status, error)
SELECT deliveries.id, json_extract(value, '$.fence'), org_id, json_extract(value, '$.attempt'), :daemon,
       json_extract(value, '$.started_at'), json_extract(value, '$.duration_us'), json_extract(value, '$.outcome'), json_extract(value, '$.status'),
       json_extract(value, '$.error')
FROM json_each(:ended) JOIN deliveries ON deliveries.id = json_extract(value, '$.id')
WHERE +org_id = :org_id
ON CONFLICT (delivery_id, fence) DO NOTHING

-- name: delivery.cancel_of
-- What waits for a subscription that is removed.
UPDATE deliveries SET state = 'cancelled', available_at = NULL, ended_at = :now
WHERE org_id = :org_id AND subscription_id = :subscription AND available_at IS NOT NULL
RETURNING id

-- name: delivery.cancel
-- What waits of one event. What is on its way is fenced off: its end changes nothing. The sign as at
-- delivery.claim, as in the next ones.
UPDATE deliveries SET state = 'cancelled', available_at = NULL, ended_at = :now
WHERE +org_id = :org_id AND event_seq = :event_seq AND available_at IS NOT NULL
RETURNING id

-- name: delivery.ack
-- What waits of one event for some subscriptions, whose target says by itself that it is done.
UPDATE deliveries SET state = 'done', available_at = NULL, ended_at = :now, error = NULL
WHERE +org_id = :org_id AND event_seq = :event_seq AND available_at IS NOT NULL
  AND subscription_id IN (SELECT value FROM json_each(:subscriptions))
RETURNING id

-- name: delivery.hurry
-- Try now what waits for its next try.
UPDATE deliveries SET available_at = :now, waits_from = :now
WHERE +org_id = :org_id AND event_seq = :event_seq AND +state = 'ready'
RETURNING id

-- name: delivery.revive
-- Deliver an event again, with all attempts, to those that are subscribed still: where it failed for
-- good, and, where `ended` is 1, where it was delivered or cancelled too.
-- The sign as at delivery.claim.
UPDATE deliveries
SET state = 'ready', available_at = :now, attempt = 0, crashes = 0, deferred_since = NULL,
    replays = replays + 1, ended_at = NULL, waits_from = :now, expired = 0, behind = 0
WHERE +org_id = :org_id AND event_seq = :event_seq
  AND (state = 'dead' OR (CAST(:ended AS BIGINT) = 1 AND state IN ('done', 'cancelled')))
  AND subscription_id IN (SELECT id FROM subscriptions WHERE org_id = :org_id)
RETURNING id

-- name: delivery.revive_dead
-- The same for one delivery that failed for good.
UPDATE deliveries
SET state = 'ready', available_at = :now, attempt = 0, crashes = 0, deferred_since = NULL,
    replays = replays + 1, ended_at = NULL, waits_from = :now, expired = 0, behind = 0
WHERE org_id = :org_id AND id = :id AND state = 'dead'
  AND subscription_id IN (SELECT id FROM subscriptions WHERE org_id = :org_id)
RETURNING id

-- name: delivery.revive_all
-- The same for all that failed for good, or all of one subscription.
UPDATE deliveries
SET state = 'ready', available_at = :now, attempt = 0, crashes = 0, deferred_since = NULL,
    replays = replays + 1, ended_at = NULL, waits_from = :now, expired = 0, behind = 0
WHERE org_id = :org_id AND state = 'dead'
  AND (CAST(:subscription AS TEXT) IS NULL OR subscription_id = :subscription)
  AND subscription_id IN (SELECT id FROM subscriptions WHERE org_id = :org_id)
RETURNING id

-- name: delivery.drop_dead
-- Give up what failed for good; it goes with those that were cancelled.
UPDATE deliveries SET state = 'cancelled', ended_at = :now
WHERE org_id = :org_id AND id = :id AND state = 'dead'
RETURNING id

-- name: delivery.drop_all
-- The same for all of them, or all of one subscription.
UPDATE deliveries SET state = 'cancelled', ended_at = :now
WHERE org_id = :org_id AND state = 'dead'
  AND (CAST(:subscription AS TEXT) IS NULL OR subscription_id = :subscription)
RETURNING id

-- name: delivery.edge
-- When the newest few before a moment begin.
SELECT MIN(created_at) AS since FROM (
    SELECT created_at FROM deliveries WHERE org_id = :org_id AND created_at < :before
    ORDER BY created_at DESC LIMIT :slice
) AS newest

-- name: delivery.list
-- Newest first, of those from one moment until before another. `expired` and `later` (than now) are
-- 0 or 1, or NULL for both.
SELECT d.id, d.subscription_id, d.subscription, d.state, d.expired, d.available_at, d.attempt,
       d.replays, d.error, d.created_at, d.ended_at, e.id AS event, e.type, e.source
FROM deliveries d JOIN events e ON e.seq = d.event_seq
WHERE d.org_id = :org_id AND d.created_at >= :since AND d.created_at < :before
  AND (CAST(:state AS TEXT) IS NULL OR d.state = :state)
  AND (CAST(:expired AS BIGINT) IS NULL OR d.expired = :expired)
  AND (CAST(:later AS BIGINT) IS NULL OR (d.available_at > :now) = (CAST(:later AS BIGINT) = 1))
  AND (CAST(:subscription AS TEXT) IS NULL OR d.subscription_id = :subscription)
ORDER BY d.created_at DESC, d.id LIMIT :limit

-- name: delivery.list_of
-- The same of one event, by its own index on both databases: the || changes nothing else.
SELECT d.id, d.subscription_id, d.subscription, d.state, d.expired, d.available_at, d.attempt,
       d.replays, d.error, d.created_at, d.ended_at, e.id AS event, e.type, e.source
FROM deliveries d JOIN events e ON e.seq = d.event_seq
WHERE d.org_id || '' = :org_id AND d.event_seq = :event_seq
  AND (CAST(:state AS TEXT) IS NULL OR d.state = :state)
  AND (CAST(:expired AS BIGINT) IS NULL OR d.expired = :expired)
  AND (CAST(:later AS BIGINT) IS NULL OR (d.available_at > :now) = (CAST(:later AS BIGINT) = 1))
  AND (CAST(:subscription AS TEXT) IS NULL OR d.subscription_id = :subscription)
ORDER BY d.created_at DESC, d.id LIMIT :limit

-- name: delivery.list_dead
-- The same of what was given up, which is little: it is sorted, where SQLite would go through all by
-- age.
SELECT d.id, d.subscription_id, d.subscription, d.state, d.expired, d.available_at, d.attempt,
       d.replays, d.error, d.created_at, d.ended_at, e.id AS event, e.type, e.source
FROM deliveries d JOIN events e ON e.seq = d.event_seq
WHERE d.org_id = :org_id AND d.state = 'dead'
  AND (CAST(:expired AS BIGINT) IS NULL OR d.expired = :expired)
  AND (CAST(:subscription AS TEXT) IS NULL OR d.subscription_id = :subscription)
ORDER BY +d.created_at DESC, d.id LIMIT :limit

-- name: delivery.show
-- One of them.
SELECT d.id, d.subscription_id, d.subscription, d.state, d.expired, d.available_at, d.attempt,
       d.replays, d.error, d.created_at, d.ended_at, e.id AS event, e.type, e.source
FROM deliveries d JOIN events e ON e.seq = d.event_seq
WHERE d.org_id = :org_id AND d.id = :id

-- name: delivery.attempts
-- Its attempts, the first one first.
SELECT fence, attempt, daemon, started_at, duration_us, outcome, status, error
FROM delivery_attempts WHERE org_id = :org_id AND delivery_id = :id ORDER BY fence

-- name: delivery.counts
-- How many there are of each state, and since when the oldest could have been delivered. Nearly all
-- are done: those are what is left of all, which an index counts, without the others. The signs as at
-- delivery.claim.
WITH live AS MATERIALIZED (
    SELECT state, CAST(CASE WHEN available_at > :now THEN 1 ELSE 0 END AS BIGINT) AS later,
           COUNT(*) AS n, MIN(waits_from) AS oldest
    FROM deliveries INDEXED BY deliveries_by_age
    WHERE +org_id = :org_id AND available_at IS NOT NULL GROUP BY state, later
), ended AS MATERIALIZED (
    SELECT state, expired, COUNT(*) AS n FROM deliveries
    WHERE org_id = :org_id AND state = 'dead' GROUP BY state, expired
    UNION ALL
    SELECT state, 0, COUNT(*) FROM deliveries
    WHERE +org_id = :org_id AND state = 'cancelled' GROUP BY state
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
-- The same for each of some events, a JSON array of their numbers.
SELECT event_seq, state, expired,
       CAST(CASE WHEN available_at > :now THEN 1 ELSE 0 END AS BIGINT) AS later, COUNT(*) AS n
FROM deliveries
WHERE +org_id = :org_id AND event_seq IN (SELECT CAST(value AS INTEGER) FROM json_each(:seqs))
GROUP BY event_seq, state, expired, later

-- name: delivery.overdue
-- A batch of what could have been delivered for too long, also what was being tried when its daemon
-- ended; not what is being tried.
SELECT d.id, d.org_id, d.fence, d.subscription_id, d.subscription, d.attempt, d.error,
       e.id AS event, e.type, e.source
FROM deliveries d JOIN events e ON e.seq = d.event_seq
WHERE d.id IN (
    SELECT id FROM deliveries
    WHERE available_at IS NOT NULL AND waits_from < :time
      AND (state = 'ready' OR available_at <= :now)
    ORDER BY waits_from LIMIT 100
)

-- name: delivery.expire
-- Give up such a one, if it is still what it was.
UPDATE deliveries
SET state = 'dead', expired = 1, available_at = NULL, ended_at = :now, lease_owner = NULL,
    error = :error
WHERE org_id = :org_id AND id = :id AND fence = :fence AND waits_from < :time
  AND (state = 'ready' OR (state = 'inflight' AND available_at <= :now))

-- name: delivery.sweep
-- Drop a batch of what ended long enough ago.
DELETE FROM deliveries
WHERE id IN (SELECT id FROM deliveries WHERE state = :state AND ended_at < :time LIMIT 500)
RETURNING id

-- name: delivery.sweep_attempts
-- Drop a batch of old attempts.
DELETE FROM delivery_attempts
WHERE (delivery_id, fence) IN (
    SELECT delivery_id, fence FROM delivery_attempts WHERE started_at < :time LIMIT 500
)
RETURNING fence

-- name: delivery.waiting
-- How many deliveries wait or are being tried. Counted up to a bound: a scraper asks again.
SELECT COUNT(*) AS n FROM (
    SELECT id FROM deliveries WHERE available_at IS NOT NULL LIMIT :limit
) AS waiting

-- name: schedule.soonest
-- When the next slot of any schedule comes.
SELECT MIN(next_at) AS next_at FROM schedules WHERE next_at IS NOT NULL

-- name: schedule.due
-- Schedules of which a slot is due, some at a time.
SELECT id, org_id, name, type, subject, data, cron, zone, misfire, overlap, maker, owner_id,
       next_at, queued, last_event
FROM schedules WHERE next_at <= :now AND id > :after ORDER BY id LIMIT 100

-- name: schedule.all
-- Those of an org, newest first, without what they say.
SELECT id, org_id, name, type, subject, cron, zone, misfire, overlap, maker, owner_id, state,
       reason, next_at, queued, created_at
FROM schedules WHERE org_id = :org_id ORDER BY created_at DESC, id LIMIT :limit

-- name: schedule.find
-- One by id or name.
SELECT id, org_id, name, type, subject, data, cron, zone, misfire, overlap, maker, owner_id, state,
       reason, next_at, queued, created_at, published
FROM schedules WHERE org_id = :org_id AND (id = :name OR name = :folded) LIMIT 1

-- name: schedule.add
-- An event that comes again and again from now on.
INSERT INTO schedules (id, org_id, name, type, subject, data, cron, zone, misfire, overlap,
                       published, maker, owner_id, next_at, created_at)
VALUES (:id, :org_id, :name, :type, :subject, :data, :cron, :zone, :misfire, :overlap,
        :published, :maker, :owner_id, :next_at, :now)

-- name: schedule.published
-- The one that must be the only one of its kind.
SELECT id, org_id, name, type, cron, zone, maker, owner_id, state, next_at FROM schedules
WHERE org_id = :org_id AND published = :published

-- name: schedule.turn
-- Pause it with a reason, or resume it at its next slot.
UPDATE schedules SET state = :state, reason = :reason, next_at = :next_at, queued = 0
WHERE org_id = :org_id AND id = :id AND state <> :state
RETURNING id

-- name: schedule.take_over
-- Another maker; it goes on at its next slot.
UPDATE schedules
SET maker = :maker, owner_id = :owner_id, published = :published, state = 'active', reason = NULL,
    next_at = :next_at, queued = 0
WHERE org_id = :org_id AND id = :id
RETURNING id

-- name: schedule.remove
-- It fires no more.
DELETE FROM schedules WHERE org_id = :org_id AND id = :id RETURNING id

-- name: schedule.advance
-- Go on from a slot, unless somebody else did, or it was paused. What is fired with it stands in
-- the same unit.
UPDATE schedules
SET next_at = :next_at, queued = 0,
    last_event = COALESCE(CAST(:event AS TEXT), last_event)
WHERE org_id = :org_id AND id = :id AND next_at = :slot
RETURNING id

-- name: schedule.queue
-- Its slot waits for the fire before it.
UPDATE schedules SET queued = 1 WHERE org_id = :org_id AND id = :id AND next_at = :slot
RETURNING id

-- name: schedule.ran
-- It was fired by hand.
UPDATE schedules SET last_event = :event WHERE org_id = :org_id AND id = :id
RETURNING id

-- name: schedule.fire
-- What became of a slot. There is one of it already if this fails.
INSERT INTO schedule_fires (schedule_id, slot, org_id, at, outcome, missed, event)
VALUES (:id, :slot, :org_id, :now, :outcome, :missed, :event)

-- name: schedule.fires
-- What became of its last slots, newest first.
SELECT slot, at, outcome, missed, event FROM schedule_fires
WHERE org_id = :org_id AND schedule_id = :id ORDER BY slot DESC LIMIT :limit

-- name: schedule.open
-- Whether something of an event is still to be delivered. What waits for a subscription that is paused
-- holds nobody up: nothing says when that ends.
SELECT d.id FROM events e
JOIN deliveries d ON d.event_seq = e.seq
JOIN subscriptions s ON s.id = d.subscription_id
WHERE e.org_id = :org_id AND e.id = :event AND d.available_at IS NOT NULL AND s.state = 'active'
LIMIT 1

-- name: schedule.sweep
-- Drop a batch of what became of slots long ago.
DELETE FROM schedule_fires
WHERE (schedule_id, slot) IN (
    SELECT schedule_id, slot FROM schedule_fires WHERE at < :time LIMIT 500
)
RETURNING slot

-- name: schedule.published_types
-- Those without a name of their own that publish a type.
SELECT id, org_id, name, maker, owner_id FROM schedules
WHERE org_id = :org_id AND type = :type AND published IS NOT NULL

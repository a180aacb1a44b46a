-- name: event.add
-- An event, stored with the change that it tells of.
INSERT INTO events (org_id, id, type, source, subject, time, data)
VALUES (:org_id, :id, :type, :source, :subject, :time, :data)

-- name: event.after
-- What follows a cursor, oldest first.
SELECT seq, id, type, source, subject, time, data FROM events
WHERE org_id = :org_id AND seq > :after ORDER BY seq LIMIT :limit

-- name: event.before_time
-- The cursor just before a moment.
SELECT COALESCE(MAX(seq), 0) AS seq FROM events WHERE org_id = :org_id AND time < :time

-- name: event.last
-- The newest cursor.
SELECT COALESCE(MAX(seq), 0) AS seq FROM events WHERE org_id = :org_id

-- name: event.sweep
-- Drop a batch of what is older than retention.
DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE time < :time ORDER BY seq LIMIT 500)
RETURNING seq

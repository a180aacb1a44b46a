-- name: event.add
-- An event, stored with the change that it tells of.
INSERT INTO events (org_id, id, type, source, subject, time, data)
VALUES (:org_id, :id, :type, :source, :subject, :time, :data)

-- name: event.add_dead
-- The same, if a delivery was given up at that moment and under that fence: whoever lost the lease
-- tells nothing.
INSERT INTO events (org_id, id, type, source, subject, time, data)
SELECT :org_id, :id, :type, :source, :subject, :time, :data FROM deliveries
WHERE org_id = :org_id AND deliveries.id = :delivery
  AND fence = :fence AND state = 'dead' AND ended_at = :time

-- name: event.publish
-- An event that somebody published. One of the same source and id stays as it is.
INSERT INTO events (org_id, id, own_id, type, source, subject, time, said_time, content_type,
                    data_schema, extensions, encoded, data, digest, told)
VALUES (:org_id, :id, :own_id, :type, :source, :subject, :time, :said_time, :content_type,
        :data_schema, :extensions, :encoded, :data, :digest, :told)
ON CONFLICT (org_id, source, id) DO NOTHING

-- name: event.published
-- Those of some ids, a JSON array, and to how many each was said to go.
SELECT id, own_id, type, source, time, said_time, digest,
       COALESCE(told, (SELECT COUNT(*) FROM deliveries WHERE event_seq = seq)) AS deliveries
FROM events WHERE org_id = :org_id AND id IN (SELECT value FROM json_each(:ids))

-- name: event.clash
-- Which of some events, a JSON array of source, id and digest in hex, have a name that another has.
-- CROSS has SQLite look each of them up; else it goes through all that the org has.
SELECT events.id
FROM json_each(:named) AS given
CROSS JOIN events ON events.org_id = :org_id
  AND events.source = json_extract(given.value, '$.source')
  AND events.id = json_extract(given.value, '$.id')
WHERE lower(hex(events.digest)) <> json_extract(given.value, '$.digest')

-- name: event.after
-- What follows a cursor, oldest first.
SELECT seq, id, own_id, type, source, subject, time, said_time, content_type, data_schema,
       extensions, encoded, data
FROM events
WHERE org_id = :org_id AND seq > :after ORDER BY seq LIMIT :limit

-- name: event.edge
-- Where the newest few before a cursor begin.
SELECT MIN(seq) AS since FROM (
    SELECT seq FROM events WHERE org_id = :org_id AND seq < :before ORDER BY seq DESC LIMIT :slice
) AS newest

-- name: event.list
-- Newest first, of those from one cursor until before another.
SELECT seq, id, own_id, type, source, subject, time, said_time FROM events
WHERE org_id = :org_id AND seq >= :since AND seq < :before
  AND (CAST(:type AS TEXT) IS NULL OR type = :type)
  AND (CAST(:source AS TEXT) IS NULL OR source = :source)
ORDER BY seq DESC LIMIT :limit

-- name: event.find
-- By our id or the publisher's, which other sources may have given too.
SELECT seq, id, own_id, type, source, subject, time, said_time, content_type, data_schema,
       extensions, encoded, data
FROM (
    SELECT seq AS found FROM events WHERE org_id = :org_id AND id = :event
    UNION
    SELECT seq FROM events WHERE org_id = :org_id AND own_id = :event
) AS named JOIN events ON events.seq = named.found
ORDER BY seq DESC LIMIT 10

-- name: event.some
-- The events of deliveries that were claimed; `seqs` is a JSON array. The sign keeps SQLite from
-- going through all that the org has.
SELECT seq, id, own_id, type, source, subject, time, said_time, content_type, data_schema,
       extensions, encoded, data
FROM events
WHERE +org_id = :org_id AND seq IN (SELECT CAST(value AS INTEGER) FROM json_each(:seqs))

-- name: event.before_time
-- The cursor just before the first event of a moment or later. The sign has databases look at those
-- alone, and not at all that came before.
SELECT COALESCE(
    (SELECT MIN(+seq) - 1 FROM events WHERE org_id = :org_id AND time >= :time),
    (SELECT MAX(seq) FROM events WHERE org_id = :org_id), 0
) AS seq

-- name: event.last
-- The newest cursor.
SELECT COALESCE(MAX(seq), 0) AS seq FROM events WHERE org_id = :org_id

-- name: event.sweep
-- Drop a batch of what is older than retention, unless a delivery still needs it.
DELETE FROM events
WHERE seq IN (
    SELECT seq FROM events
    WHERE time < :time AND NOT EXISTS (
        SELECT 1 FROM deliveries WHERE event_seq = seq AND state IN ('ready', 'inflight', 'dead')
    )
    ORDER BY time LIMIT 500
)
RETURNING seq

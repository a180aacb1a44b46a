-- name: event.add
-- As everywhere, but one unit of an org after the other: numbers are given before the commit, and
-- whoever follows by number would never see a lower one that is committed later.
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('events ' || :org_id, 0))
)
INSERT INTO events (org_id, id, type, source, subject, time, data)
SELECT :org_id, :id, :type, :source, :subject, :time, :data FROM turn

-- name: event.add_dead
-- As everywhere, in its turn as event.add.
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('events ' || :org_id, 0))
)
INSERT INTO events (org_id, id, type, source, subject, time, data)
SELECT :org_id, :id, :type, :source, :subject, :time, :data FROM turn, deliveries
WHERE deliveries.org_id = :org_id AND deliveries.id = :delivery
  AND fence = :fence AND state = 'dead' AND ended_at = :time

-- name: event.publish
-- As everywhere, and one after the other for the reason that event.add has.
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('events ' || :org_id, 0))
)
INSERT INTO events (org_id, id, own_id, type, source, subject, time, said_time, content_type,
                    data_schema, extensions, encoded, data, digest, told)
SELECT :org_id, :id, :own_id, :type, :source, :subject, :time, :said_time, :content_type,
       :data_schema, :extensions, :encoded, :data, :digest, :told
FROM turn
ON CONFLICT (org_id, source, id) DO NOTHING

-- name: event.published
-- As everywhere.
SELECT id, own_id, type, source, time, said_time, digest,
       COALESCE(told, (SELECT COUNT(*) FROM deliveries WHERE event_seq = seq)) AS deliveries
FROM events
WHERE org_id = :org_id
  AND id IN (SELECT jsonb_array_elements_text(CAST(CAST(:ids AS TEXT) AS JSONB)))

-- name: event.clash
-- As everywhere; JSON is read in other words here.
SELECT events.id
FROM jsonb_array_elements(CAST(CAST(:named AS TEXT) AS JSONB)) AS given
JOIN events ON events.org_id = :org_id
  AND events.source = given ->> 'source' AND events.id = given ->> 'id'
WHERE encode(COALESCE(events.digest, ''), 'hex') <> given ->> 'digest'

-- name: event.some
-- As everywhere; JSON is read in other words here.
SELECT seq, id, own_id, type, source, subject, time, said_time, content_type, data_schema,
       extensions, encoded, data
FROM events
WHERE org_id = :org_id
  AND seq IN (
      SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST(CAST(:seqs AS TEXT) AS JSONB))
  )

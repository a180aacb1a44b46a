-- name: event.add
-- As everywhere, but one unit of an org after the other: numbers are given before the commit, and
-- whoever follows by number would never see a lower one that is committed later.
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('events ' || :org_id, 0))
)
INSERT INTO events (org_id, id, type, source, subject, time, data)
SELECT :org_id, :id, :type, :source, :subject, :time, :data FROM turn

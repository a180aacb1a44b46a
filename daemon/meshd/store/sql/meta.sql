-- name: meta.get
-- A fact about this installation.
SELECT value FROM meta WHERE name = :name

-- name: meta.all
-- Every fact about this installation, for a report on the database.
SELECT name, value FROM meta

-- name: meta.add
-- State a fact about this installation. Of daemons that begin together only one can.
INSERT INTO meta (name, value) VALUES (:name, :value)

-- name: meta.put
-- Restate a fact about this installation.
INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: meta.time
-- The database's own time in microseconds since the epoch, to the millisecond here: the file's one
-- daemon goes by its own clock.
SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000) * 1000 AS INTEGER) AS now

-- name: revision.bump
-- Tell every snapshot that this topic changed.
INSERT INTO revisions (topic, n) VALUES (:topic, 1)
ON CONFLICT (topic) DO UPDATE SET n = revisions.n + 1

-- name: revision.sum
-- One number that grows with every change of any topic.
SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) AS n FROM revisions

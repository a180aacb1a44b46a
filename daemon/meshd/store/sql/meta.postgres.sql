-- name: meta.time
-- The server's time at this statement: the clocks of its daemons may differ.
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now

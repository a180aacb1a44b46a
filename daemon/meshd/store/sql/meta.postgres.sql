-- name: meta.time
-- The server's time at this statement, for daemons whose own may differ; that of a file is its
-- daemon's.
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now

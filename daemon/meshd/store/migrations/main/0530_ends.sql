-- Ends that are told of, or come by age. Builds on the keys and events of 0200 and the deliveries of
-- 0500. Moments are microseconds since the epoch, UTC.

-- The end that "mesh.key.expiring" told of last: once for each end, however many daemons look.
ALTER TABLE keys ADD COLUMN told_end BIGINT;

-- Since when it could have been delivered: age begins there, also for what was scheduled or is
-- delivered again. What grew too old is dead with "expired" set.
ALTER TABLE deliveries ADD COLUMN waits_from BIGINT;
ALTER TABLE deliveries ADD COLUMN expired BIGINT NOT NULL DEFAULT 0;
UPDATE deliveries SET waits_from = COALESCE(available_at, created_at);
CREATE INDEX deliveries_by_age ON deliveries (waits_from) WHERE available_at IS NOT NULL;

-- Retention is over all orgs.
CREATE INDEX events_by_age ON events (time);

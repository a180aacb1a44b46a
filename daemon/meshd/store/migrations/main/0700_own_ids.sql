-- Only ids that publishers chose stand in the index of what we called those events: most have none,
-- and each event paid for a place there. Builds on the events of 0500.
DROP INDEX events_by_own_id;
CREATE INDEX events_by_own_id ON events (org_id, own_id) WHERE own_id IS NOT NULL;

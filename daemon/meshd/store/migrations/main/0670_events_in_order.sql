-- The events of an org in their order, for those who follow or list them: without it each look goes
-- through all that the org has, or all that the others have. Builds on the events of 0200.

CREATE INDEX events_in_order ON events (org_id, seq);

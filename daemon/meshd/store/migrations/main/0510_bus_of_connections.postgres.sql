-- Keys of connections, order by key, and a second signing secret while the first is replaced.
-- Builds on the keys of 0200 and the tables of 0500. Moments are microseconds since the epoch, UTC.

-- The connection whose own key it is: the source of what is published with it. It may be gone; its
-- id is never given again.
ALTER TABLE keys ADD COLUMN connection_id TEXT COLLATE "C";

ALTER TABLE subscriptions ADD COLUMN changed_at BIGINT;
ALTER TABLE subscriptions ADD COLUMN ordered_by TEXT;    -- what of an event is its key; none, no order
ALTER TABLE subscriptions ADD COLUMN old_secret BYTEA;    -- sealed; it signs too until "old_until"
ALTER TABLE subscriptions ADD COLUMN old_until BIGINT;

-- Those of one key go one after the other.
ALTER TABLE deliveries ADD COLUMN order_key TEXT COLLATE "C";
CREATE INDEX deliveries_in_order ON deliveries (subscription_id, order_key, event_seq)
    WHERE order_key IS NOT NULL AND available_at IS NOT NULL;

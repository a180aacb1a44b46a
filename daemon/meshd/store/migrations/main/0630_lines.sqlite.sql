-- Deliveries that stand in line behind another of their key are left out where what is due is looked
-- for, so that a claim costs the same however long a line is. Builds on the deliveries of 0500 and
-- the order of 0510.

-- 1: it was found behind an earlier one, and is passed over until one of its key ends.
ALTER TABLE deliveries ADD COLUMN behind INTEGER NOT NULL DEFAULT 0;

DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (subscription_id, behind, available_at, event_seq)
    WHERE available_at IS NOT NULL;
CREATE INDEX deliveries_keyed ON deliveries (subscription_id, available_at, event_seq)
    WHERE available_at IS NOT NULL AND behind = 0 AND order_key IS NOT NULL;
CREATE INDEX deliveries_behind ON deliveries (subscription_id, order_key, event_seq)
    WHERE available_at IS NOT NULL AND behind = 1;

-- Whichever way one ends, the next in its line is looked at again.
CREATE TRIGGER deliveries_next AFTER UPDATE OF available_at ON deliveries
WHEN OLD.available_at IS NOT NULL AND NEW.available_at IS NULL AND NEW.order_key IS NOT NULL
BEGIN
    UPDATE deliveries SET behind = 0
    WHERE id = (
        SELECT id FROM deliveries
        WHERE subscription_id = NEW.subscription_id AND order_key = NEW.order_key
          AND available_at IS NOT NULL AND behind = 1
        ORDER BY event_seq LIMIT 1
    );
END;

-- What was given up is found without going through all that the org has.
CREATE INDEX deliveries_dead ON deliveries (org_id) WHERE state = 'dead';

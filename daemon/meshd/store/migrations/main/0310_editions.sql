-- Counts the edits of a row of 0200. Whoever changes what they have read names its edition, so that
-- of two daemons that change the same thing at once the second is refused and nothing is mixed.
ALTER TABLE connections ADD COLUMN edition BIGINT NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN edition BIGINT NOT NULL DEFAULT 0;

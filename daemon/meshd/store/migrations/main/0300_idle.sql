-- Seconds without use after which a stdio server is stopped: NULL is the default, 0 is never.
ALTER TABLE connections ADD COLUMN idle_s BIGINT;

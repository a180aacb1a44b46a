-- How often a data key has sealed, written ahead of use: after so many it is to be rotated. What was
-- sealed before this number was kept is far below one batch of it.
ALTER TABLE data_keys ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;

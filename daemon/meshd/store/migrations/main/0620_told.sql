-- What a publisher was told: the same again gets the same answer. Builds on the events of 0500.

-- How many deliveries there were; none for what was published before, and for what nobody can repeat.
ALTER TABLE events ADD COLUMN told BIGINT;

-- Retention is over all orgs, and looks every minute. Builds on the records of 0201.
CREATE INDEX calls_by_age ON calls (at);

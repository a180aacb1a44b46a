-- Events that people and programs publish, who subscribed to them, and their deliveries.
-- Moments are microseconds since the epoch, UTC. Builds on the tables of 0200.

ALTER TABLE events ADD COLUMN own_id TEXT;      -- where the publisher chose the id
ALTER TABLE events ADD COLUMN said_time TEXT;    -- the publisher's; "time" is when it came
ALTER TABLE events ADD COLUMN content_type TEXT; -- none is application/json
ALTER TABLE events ADD COLUMN data_schema TEXT;
ALTER TABLE events ADD COLUMN extensions TEXT;   -- JSON object
ALTER TABLE events ADD COLUMN encoded INTEGER NOT NULL DEFAULT 0; -- data is base64 of bytes
ALTER TABLE events ADD COLUMN digest BLOB;      -- of what was published, to know it again
CREATE INDEX events_by_id ON events (org_id, id);
CREATE INDEX events_by_own_id ON events (org_id, own_id);

-- The maker's scope is kept as it was: what it made never holds more than it did.
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    types TEXT NOT NULL,       -- JSON array of patterns
    publisher TEXT,            -- the source to be heard; all without it
    filter TEXT,               -- JSON array of CloudEvents filters
    kind TEXT NOT NULL CHECK (kind IN ('connection', 'call', 'webhook')),
    target TEXT NOT NULL,      -- JSON object, as it may be shown
    url BLOB,                 -- sealed, as is the secret that signs
    secret BLOB,
    maker TEXT NOT NULL,       -- JSON object: the principal that made it
    owner_id TEXT NOT NULL REFERENCES users (id),
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
    reason TEXT,
    created_at INTEGER NOT NULL,
    edition INTEGER NOT NULL DEFAULT 0,
    UNIQUE (org_id, name)
) WITHOUT ROWID;

-- One event for one subscription. "available_at" is when it may be claimed: at its next try, or
-- when the lease of who has it runs out; never, where it is NULL.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    event_seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    subscription_id TEXT NOT NULL,
    subscription TEXT NOT NULL, -- its name then, for deliveries that outlive it
    state TEXT NOT NULL DEFAULT 'ready'
        CHECK (state IN ('ready', 'inflight', 'done', 'dead', 'cancelled')),
    available_at INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0, -- claims since an attempt last ended
    lease_owner TEXT,
    deferred_since INTEGER,      -- since when the target puts it off
    replays INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    UNIQUE (event_seq, subscription_id)
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (subscription_id, available_at)
    WHERE available_at IS NOT NULL;
CREATE INDEX deliveries_listed ON deliveries (org_id, created_at);
CREATE INDEX deliveries_ended ON deliveries (state, ended_at);

CREATE TABLE delivery_attempts (
    delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    fence INTEGER NOT NULL,
    org_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    daemon TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,             -- of HTTP, where there is one
    error TEXT,                -- redacted and cut
    PRIMARY KEY (delivery_id, fence)
) WITHOUT ROWID;
CREATE INDEX delivery_attempts_by_time ON delivery_attempts (started_at);

-- Schedules, whose slots are fired once whatever daemons there are; and webhooks that come in.
-- Moments are microseconds since the epoch, UTC. Builds on the tables of 0200.

-- The maker's scope is kept as it was: what it made never holds more than it did.
CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,        -- JSON
    cron TEXT NOT NULL,
    zone TEXT NOT NULL,        -- of the IANA database
    misfire TEXT NOT NULL CHECK (misfire IN ('skip', 'once', 'all')),
    overlap TEXT NOT NULL CHECK (overlap IN ('allow', 'skip', 'queue')),
    published TEXT,            -- digest of type, source, cron and zone, where it must be the only one
    maker TEXT NOT NULL,       -- JSON object: the principal that made it
    owner_id TEXT NOT NULL REFERENCES users (id),
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
    reason TEXT,
    next_at INTEGER,           -- its next slot; NULL while it is paused
    queued INTEGER NOT NULL DEFAULT 0, -- that slot is due, and waits for the fire before it
    last_event TEXT,           -- the id of what it fired last
    created_at INTEGER NOT NULL,
    UNIQUE (org_id, name),
    UNIQUE (org_id, published)
) WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (next_at);

-- Each slot once.
CREATE TABLE schedule_fires (
    schedule_id TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,       -- when it was decided on
    outcome TEXT NOT NULL CHECK (outcome IN ('fired', 'missed', 'overlap', 'run')),
    missed INTEGER NOT NULL DEFAULT 0, -- slots that were passed over with it
    event TEXT,
    PRIMARY KEY (schedule_id, slot)
) WITHOUT ROWID;
CREATE INDEX schedule_fires_by_time ON schedule_fires (at);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    signature TEXT NOT NULL CHECK (signature IN ('github', 'stripe', 'slack', 'standard')),
    type TEXT,                 -- of its events; else the name and what the sender calls it
    secret BLOB NOT NULL,      -- sealed, as is the one before it
    secret_before BLOB,
    before_until INTEGER,      -- until when that one counts as well
    maker TEXT NOT NULL,       -- JSON object: the principal that made it
    owner_id TEXT NOT NULL REFERENCES users (id),
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
    reason TEXT,
    created_at INTEGER NOT NULL,
    edition INTEGER NOT NULL DEFAULT 0,
    UNIQUE (org_id, name)
) WITHOUT ROWID;

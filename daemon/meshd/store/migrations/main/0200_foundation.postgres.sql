-- The house's first tables. Moments are microseconds since the epoch, UTC. Every number is as wide
-- as SQLite's. Keys sort by byte as they do there, and no update of the system's locales, which
-- changes the order of words, breaks their indexes.

CREATE TABLE meta (
    name TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row a topic; its number grows with every change that the in-memory snapshots must see.
CREATE TABLE revisions (
    topic TEXT COLLATE "C" PRIMARY KEY,
    n BIGINT NOT NULL
);

CREATE TABLE orgs (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Data keys, each wrapped by the master key. Without its data key an org's secrets are gone.
CREATE TABLE data_keys (
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, version)
);

CREATE TABLE connections (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    transport TEXT NOT NULL CHECK (transport IN ('http', 'stdio')),
    url TEXT,          -- as it may be shown: no userinfo, a query is "?…"
    command TEXT,      -- JSON array
    cwd TEXT,
    bodies TEXT NOT NULL CHECK (bodies IN ('off', 'redacted', 'full')),
    enabled BIGINT NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'unknown',
    reason TEXT,
    seen_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (org_id, name)
);

-- Sealed values of a connection: headers, environment, the whole URL where it holds a secret.
CREATE TABLE credentials (
    connection_id TEXT COLLATE "C" NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('header', 'env', 'url')),
    name TEXT COLLATE "C" NOT NULL,
    org_id TEXT NOT NULL,
    blob BYTEA NOT NULL,
    PRIMARY KEY (connection_id, kind, name)
);

-- The last tool list received whole from each connection.
CREATE TABLE definitions (
    connection_id TEXT COLLATE "C" PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    org_id TEXT NOT NULL,
    tools BYTEA NOT NULL,
    listed_at BIGINT NOT NULL
);

CREATE TABLE keys (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    prefix TEXT NOT NULL,          -- "mshs_" and the public id
    digest BYTEA NOT NULL UNIQUE,  -- SHA-256 of the whole key
    last_four TEXT NOT NULL,
    permissions TEXT NOT NULL,     -- JSON object: target id, "self" or "*" to grants
    role TEXT,
    read_only BIGINT NOT NULL DEFAULT 0,
    owner_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    UNIQUE (org_id, name)
);

CREATE TABLE events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    type TEXT NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    subject TEXT,
    time BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (org_id, source, id)
);
CREATE INDEX events_by_time ON events (org_id, time);

-- The house's first tables. Moments are microseconds since the epoch, UTC.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row a topic; its number grows with every change that the in-memory snapshots must see.
CREATE TABLE revisions (
    topic TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE orgs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Data keys, each wrapped by the master key. Without its data key an org's secrets are gone.
CREATE TABLE data_keys (
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, version)
) WITHOUT ROWID;

CREATE TABLE connections (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    transport TEXT NOT NULL CHECK (transport IN ('http', 'stdio')),
    url TEXT,          -- as it may be shown: no userinfo, a query is "?…"
    command TEXT,      -- JSON array
    cwd TEXT,
    bodies TEXT NOT NULL CHECK (bodies IN ('off', 'redacted', 'full')),
    enabled INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'unknown',
    reason TEXT,
    seen_at INTEGER,
    created_at INTEGER NOT NULL,
    UNIQUE (org_id, name)
) WITHOUT ROWID;

-- Sealed values of a connection: headers, environment, the whole URL where it holds a secret.
CREATE TABLE credentials (
    connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('header', 'env', 'url')),
    name TEXT NOT NULL,
    org_id TEXT NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (connection_id, kind, name)
) WITHOUT ROWID;

-- The last tool list received whole from each connection.
CREATE TABLE definitions (
    connection_id TEXT PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    org_id TEXT NOT NULL,
    tools BLOB NOT NULL,
    listed_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,          -- "mshs_" and the public id
    digest BLOB NOT NULL UNIQUE,   -- SHA-256 of the whole key
    last_four TEXT NOT NULL,
    permissions TEXT NOT NULL,     -- JSON object: target id, "self" or "*" to grants
    role TEXT,
    read_only INTEGER NOT NULL DEFAULT 0,
    owner_id TEXT NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    UNIQUE (org_id, name)
) WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    time INTEGER NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (org_id, source, id)
);
CREATE INDEX events_by_time ON events (org_id, time);

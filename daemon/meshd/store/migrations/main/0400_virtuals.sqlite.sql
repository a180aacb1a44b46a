-- Virtual MCPs: several connections, and other virtual MCPs, served as one.
-- Moments are microseconds since the epoch, UTC. Builds on the tables of 0200.

-- The maker's scope is kept as it was: what it made never holds more than it did.
CREATE TABLE virtuals (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL, -- never that of a connection of the org
    description TEXT NOT NULL,
    instructions TEXT,         -- what clients are told at the start
    mode TEXT NOT NULL,        -- how its tools are offered
    naming TEXT NOT NULL CHECK (naming IN ('prefixed', 'plain')),
    enabled INTEGER NOT NULL DEFAULT 1,
    maker TEXT NOT NULL,       -- JSON object: the principal that made it
    owner_id TEXT NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    edition INTEGER NOT NULL DEFAULT 0,
    UNIQUE (org_id, name)
) WITHOUT ROWID;

-- What one is made of, in order. A child is a connection or another virtual MCP.
CREATE TABLE virtual_children (
    virtual_id TEXT NOT NULL REFERENCES virtuals (id) ON DELETE CASCADE,
    child_id TEXT NOT NULL,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    tools TEXT,                -- JSON array of patterns of its own names; NULL is all of them
    resources TEXT,
    prompts TEXT,
    overrides TEXT NOT NULL,   -- JSON object: by tool, what is shown and called otherwise
    PRIMARY KEY (virtual_id, child_id)
) WITHOUT ROWID;
CREATE INDEX virtual_children_by_child ON virtual_children (child_id);

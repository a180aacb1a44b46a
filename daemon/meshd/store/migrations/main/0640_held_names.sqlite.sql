-- Which of several things bears a name that they want at a virtual MCP: whoever had it first.
-- Builds on the tables of 0400.

CREATE TABLE virtual_names (
    virtual_id TEXT PRIMARY KEY REFERENCES virtuals (id) ON DELETE CASCADE,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    held TEXT NOT NULL         -- JSON object: by kind and name, the connection and its own name
) WITHOUT ROWID;

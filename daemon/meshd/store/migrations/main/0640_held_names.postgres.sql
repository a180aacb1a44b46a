-- Which of several things bears a name that they want at a virtual MCP: whoever had it first.
-- Builds on the tables of 0400.

CREATE TABLE virtual_names (
    virtual_id TEXT COLLATE "C" PRIMARY KEY REFERENCES virtuals (id) ON DELETE CASCADE,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    held TEXT NOT NULL         -- JSON object: by kind and name, the connection and its own name
);

-- As in 0330: a second wall between orgs.
ALTER TABLE virtual_names ENABLE ROW LEVEL SECURITY;
ALTER TABLE virtual_names FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON virtual_names
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

-- Pinned connections serve what was approved and nothing else. Builds on the tables of 0200.
ALTER TABLE connections ADD COLUMN trust TEXT NOT NULL DEFAULT 'open'
    CHECK (trust IN ('open', 'pinned'));

-- The list before the present one, to show what changed.
ALTER TABLE definitions ADD COLUMN previous BYTEA;

-- What was approved of a pinned connection; of any other there is no row.
CREATE TABLE approvals (
    connection_id TEXT COLLATE "C" PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    org_id TEXT COLLATE "C" NOT NULL,
    fingerprints TEXT NOT NULL, -- JSON object: tool to fingerprint
    tools BYTEA NOT NULL        -- JSON array: the definitions, to be compared with
);
ALTER TABLE approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE approvals FORCE ROW LEVEL SECURITY;
CREATE POLICY one_org ON approvals
    USING (org_id = current_setting('meshctl.org', true)
           OR current_setting('meshctl.org', true) = '*');

-- Pinned connections serve what was approved and nothing else. Builds on the tables of 0200.
ALTER TABLE connections ADD COLUMN trust TEXT NOT NULL DEFAULT 'open'
    CHECK (trust IN ('open', 'pinned'));

-- The list before the present one, to show what changed.
ALTER TABLE definitions ADD COLUMN previous BLOB;

-- What was approved of a pinned connection; of any other there is no row.
CREATE TABLE approvals (
    connection_id TEXT PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    org_id TEXT NOT NULL,
    fingerprints TEXT NOT NULL, -- JSON object: tool to fingerprint
    tools BLOB NOT NULL         -- JSON array: the definitions, to be compared with
) WITHOUT ROWID;

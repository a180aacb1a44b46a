-- Call records live in a file of their own, so that they never compete with what is promised.

CREATE TABLE calls (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    connection_id TEXT NOT NULL,
    connection TEXT NOT NULL,
    tool TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    ok INTEGER NOT NULL,
    error TEXT,
    receive_us INTEGER NOT NULL,
    decide_us INTEGER NOT NULL,
    upstream_us INTEGER NOT NULL,
    answer_us INTEGER NOT NULL,
    arguments BLOB,
    result BLOB,
    cut INTEGER NOT NULL,
    client TEXT
);
CREATE INDEX calls_by_time ON calls (org_id, at);
CREATE INDEX calls_by_connection ON calls (org_id, connection_id, seq);

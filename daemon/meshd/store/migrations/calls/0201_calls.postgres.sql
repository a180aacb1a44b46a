-- Call records. Whoever writes them does without a synchronous commit.

CREATE TABLE calls (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    org_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    connection_id TEXT COLLATE "C" NOT NULL,
    connection TEXT NOT NULL,
    tool TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    ok BIGINT NOT NULL,
    error TEXT,
    receive_us BIGINT NOT NULL,
    decide_us BIGINT NOT NULL,
    upstream_us BIGINT NOT NULL,
    answer_us BIGINT NOT NULL,
    arguments BYTEA,
    result BYTEA,
    cut BIGINT NOT NULL,
    client TEXT
);
CREATE INDEX calls_by_time ON calls (org_id, at);
CREATE INDEX calls_by_connection ON calls (org_id, connection_id, seq);

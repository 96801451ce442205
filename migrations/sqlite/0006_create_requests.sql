-- See the PostgreSQL file of the same name. TEXT PRIMARY KEY needs NOT NULL in SQLite.
-- Answers by idempotency key: the same key with the same request gives the first answer again.
CREATE TABLE requests (
    principal  TEXT NOT NULL, -- keys of different principals never meet
    key        TEXT NOT NULL,
    method     TEXT NOT NULL,
    digest     TEXT NOT NULL, -- SHA-256 of the request
    resource   TEXT NOT NULL, -- id of what the first call made
    created_at BIGINT NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX requests_created_at ON requests (created_at);

-- Answers by idempotency key: the same key with the same request gives the first answer again.
CREATE TABLE requests (
    principal  TEXT COLLATE "C" NOT NULL, -- keys of different principals never meet
    key        TEXT COLLATE "C" NOT NULL,
    method     TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL, -- SHA-256 of the request
    resource   TEXT COLLATE "C" NOT NULL, -- id of what the first call made
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX requests_created_at ON requests (created_at);

-- Text that is sorted or compared is COLLATE "C": byte order, the same as SQLite's and independent of the server's locale.

CREATE TABLE datasets (
    id             TEXT COLLATE "C" PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL,
    description    TEXT             NOT NULL,
    tags           TEXT             NOT NULL, -- JSON object of strings
    created_at     BIGINT           NOT NULL, -- milliseconds since 1970, as every *_at
    updated_at     BIGINT           NOT NULL,
    etag           BIGINT           NOT NULL, -- grows with every change of the row
    latest_version BIGINT           NOT NULL, -- number of the newest version; 0: none. The counter that keeps numbers gapless
    CONSTRAINT datasets_name_key UNIQUE (name)
);

CREATE TABLE uploads (
    id             TEXT COLLATE "C" PRIMARY KEY,
    file_name      TEXT             NOT NULL, -- a label from the client, never a path
    size_bytes     BIGINT,                    -- announced by the client, if it knew
    received_bytes BIGINT           NOT NULL, -- as of the last finished append; the spool file is the truth until completion
    digest         TEXT COLLATE "C",          -- SHA-256 of the blob; set when complete
    created_at     BIGINT           NOT NULL
);
CREATE INDEX uploads_created_at ON uploads (created_at);

CREATE TABLE dataset_versions (
    id             TEXT COLLATE "C" PRIMARY KEY,
    dataset_id     TEXT COLLATE "C" NOT NULL,
    number         BIGINT           NOT NULL, -- 1, 2, 3, ... within the dataset
    state          TEXT COLLATE "C" NOT NULL,
    source_digest  TEXT COLLATE "C" NOT NULL, -- SHA-256 of the uploaded bytes
    source_bytes   BIGINT           NOT NULL,
    file_name      TEXT             NOT NULL,
    options        TEXT             NOT NULL, -- JSON
    options_digest TEXT COLLATE "C" NOT NULL, -- SHA-256 of the canonical options
    job_id         BIGINT,                    -- no foreign key: finished jobs are pruned
    error          TEXT,
    created_at     BIGINT           NOT NULL,
    finished_at    BIGINT,
    outcome        TEXT,                      -- JSON, set when succeeded
    CONSTRAINT dataset_versions_dataset_fk FOREIGN KEY (dataset_id) REFERENCES datasets (id) ON DELETE CASCADE,
    CONSTRAINT dataset_versions_number_key UNIQUE (dataset_id, number)
);
-- The same bytes with the same options are one version, unless that one failed.
CREATE UNIQUE INDEX dataset_versions_identity ON dataset_versions (dataset_id, source_digest, options_digest)
    WHERE state IN ('pending', 'running', 'succeeded');

CREATE TABLE splits (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    dataset_version_id TEXT COLLATE "C" NOT NULL,
    state              TEXT COLLATE "C" NOT NULL,
    options            TEXT             NOT NULL, -- JSON
    options_digest     TEXT COLLATE "C" NOT NULL,
    job_id             BIGINT,
    error              TEXT,
    created_at         BIGINT           NOT NULL,
    finished_at        BIGINT,
    outcome            TEXT,
    CONSTRAINT splits_dataset_version_fk FOREIGN KEY (dataset_version_id) REFERENCES dataset_versions (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX splits_identity ON splits (dataset_version_id, options_digest)
    WHERE state IN ('pending', 'running', 'succeeded');
CREATE INDEX splits_dataset_version ON splits (dataset_version_id, id);

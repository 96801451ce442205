CREATE TABLE registered_models (
    id             TEXT COLLATE "C" PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL,
    description    TEXT             NOT NULL,
    tags           TEXT             NOT NULL, -- JSON object of strings
    created_at     BIGINT           NOT NULL,
    updated_at     BIGINT           NOT NULL,
    etag           BIGINT           NOT NULL,
    latest_version BIGINT           NOT NULL, -- 0: none. The counter that keeps version numbers gapless
    CONSTRAINT registered_models_name_key UNIQUE (name)
);

CREATE TABLE model_versions (
    id            TEXT COLLATE "C" PRIMARY KEY,
    model_id      TEXT COLLATE "C" NOT NULL,
    number        BIGINT           NOT NULL, -- 1, 2, 3, ... within the model
    run_id        TEXT COLLATE "C" NOT NULL,
    digest        TEXT COLLATE "C" NOT NULL, -- SHA-256 of the model file
    size_bytes    BIGINT           NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    classes       TEXT             NOT NULL, -- JSON array of strings
    contract_hash TEXT COLLATE "C" NOT NULL,
    metrics       TEXT             NOT NULL, -- JSON object; numbers, or the text NaN, inf, -inf
    description   TEXT             NOT NULL,
    created_at    BIGINT           NOT NULL,
    CONSTRAINT model_versions_model_fk FOREIGN KEY (model_id) REFERENCES registered_models (id) ON DELETE CASCADE,
    CONSTRAINT model_versions_run_fk FOREIGN KEY (run_id) REFERENCES runs (id),
    CONSTRAINT model_versions_number_key UNIQUE (model_id, number),
    -- A training job that is tried again registers its model once.
    CONSTRAINT model_versions_origin_key UNIQUE (model_id, run_id, digest)
);
CREATE INDEX model_versions_run ON model_versions (run_id);

CREATE TABLE model_aliases (
    model_id TEXT COLLATE "C" NOT NULL,
    alias    TEXT COLLATE "C" NOT NULL,
    version  BIGINT,                    -- NULL: removed. The row stays, so that its etag never repeats
    etag     BIGINT           NOT NULL, -- 1, 2, 3, ...: number of changes
    at       BIGINT           NOT NULL,
    PRIMARY KEY (model_id, alias),
    CONSTRAINT model_aliases_model_fk FOREIGN KEY (model_id) REFERENCES registered_models (id) ON DELETE CASCADE,
    CONSTRAINT model_aliases_version_fk FOREIGN KEY (model_id, version) REFERENCES model_versions (model_id, number)
);

CREATE TABLE model_alias_events (
    model_id TEXT COLLATE "C" NOT NULL,
    alias    TEXT COLLATE "C" NOT NULL,
    etag     BIGINT           NOT NULL, -- the alias's etag after this change
    version  BIGINT,                    -- NULL: removed
    previous BIGINT,
    actor    TEXT             NOT NULL,
    why      TEXT             NOT NULL,
    at       BIGINT           NOT NULL, -- never decreases with etag
    PRIMARY KEY (model_id, alias, etag),
    CONSTRAINT model_alias_events_model_fk FOREIGN KEY (model_id) REFERENCES registered_models (id) ON DELETE CASCADE
);

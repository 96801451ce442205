CREATE TABLE experiments (
    id          TEXT COLLATE "C" PRIMARY KEY,
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT             NOT NULL,
    tags        TEXT             NOT NULL, -- JSON object of strings
    created_at  BIGINT           NOT NULL,
    updated_at  BIGINT           NOT NULL,
    etag        BIGINT           NOT NULL,
    CONSTRAINT experiments_name_key UNIQUE (name)
);

CREATE TABLE runs (
    id            TEXT COLLATE "C" PRIMARY KEY,
    experiment_id TEXT COLLATE "C" NOT NULL,
    parent_run_id TEXT COLLATE "C",
    name          TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL, -- model kind; empty for a run that was logged from outside
    state         TEXT COLLATE "C" NOT NULL,
    note          TEXT COLLATE "C" NOT NULL,
    split_id      TEXT COLLATE "C",
    job_id        BIGINT,                    -- no foreign key: finished jobs are pruned
    spec          TEXT,                      -- JSON, for a training run
    model         TEXT,                      -- JSON facts of the model file that the run made, from which a version is registered
    error         TEXT COLLATE "C",
    created_at    BIGINT           NOT NULL,
    started_at    BIGINT,
    finished_at   BIGINT,
    etag          BIGINT           NOT NULL,
    CONSTRAINT runs_experiment_fk FOREIGN KEY (experiment_id) REFERENCES experiments (id),
    CONSTRAINT runs_parent_fk FOREIGN KEY (parent_run_id) REFERENCES runs (id) ON DELETE CASCADE,
    CONSTRAINT runs_split_fk FOREIGN KEY (split_id) REFERENCES splits (id)
);
CREATE INDEX runs_created_at ON runs (created_at, id);
CREATE INDEX runs_experiment ON runs (experiment_id, created_at, id);
CREATE INDEX runs_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX runs_split ON runs (split_id) WHERE split_id IS NOT NULL;

CREATE TABLE run_params (
    run_id TEXT COLLATE "C" NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL, -- bool, int, float, text
    value  TEXT COLLATE "C" NOT NULL, -- the exact value
    number DOUBLE PRECISION,          -- the same for comparisons; NULL unless kind is int or float, and for NaN
    PRIMARY KEY (run_id, key),
    CONSTRAINT run_params_run_fk FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX run_params_key ON run_params (key, number);

CREATE TABLE run_tags (
    run_id TEXT COLLATE "C" NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    value  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, key),
    CONSTRAINT run_tags_run_fk FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX run_tags_key ON run_tags (key);

-- A metric of a run, with its last point, so that a search reads one row a run and not a history.
CREATE TABLE run_series (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id TEXT COLLATE "C" NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    step   BIGINT NOT NULL,  -- the highest
    value  DOUBLE PRECISION, -- at that step; NULL is NaN
    prior  BIGINT,           -- the highest step before the last write
    CONSTRAINT run_series_run_key UNIQUE (run_id, key),
    CONSTRAINT run_series_run_fk FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX run_series_key ON run_series (key, value);

-- Points of a series. Chunks of one series never overlap.
CREATE TABLE run_chunks (
    series_id BIGINT NOT NULL,
    last_step BIGINT NOT NULL,
    points    BYTEA NOT NULL, -- see server/store/src/run/chunk.rs
    PRIMARY KEY (series_id, last_step),
    CONSTRAINT run_chunks_series_fk FOREIGN KEY (series_id) REFERENCES run_series (id) ON DELETE CASCADE
);
-- Dense already: trying to compress it costs more than it saves.
ALTER TABLE run_chunks ALTER COLUMN points SET STORAGE EXTERNAL;

CREATE TABLE artifacts (
    run_id     TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL, -- a label such as plots/confusion.svg, never a path on a disk
    digest     TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT           NOT NULL,
    media_type TEXT             NOT NULL,
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (run_id, name),
    CONSTRAINT artifacts_run_fk FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
);

-- See the PostgreSQL file of the same name. TEXT PRIMARY KEY needs NOT NULL in SQLite.
CREATE TABLE studies (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    tags        TEXT NOT NULL, -- JSON object of strings
    state       TEXT NOT NULL, -- active, paused, stopped, completed, failed
    spec        TEXT NOT NULL, -- JSON
    revision    BIGINT NOT NULL, -- grows by one with each change of the study or its trials
    trial_count BIGINT NOT NULL, -- and so the number of the next trial
    jobs        TEXT NOT NULL, -- JSON array of the live jobs that run trials; no foreign keys: finished jobs are pruned
    spent_ms    BIGINT NOT NULL, -- active before resumed_at
    resumed_at  BIGINT,
    outcome     TEXT,                      -- JSON: the winner, why, and the run of its refit
    error       TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    finished_at BIGINT,
    etag        BIGINT NOT NULL,
    CONSTRAINT studies_name_key UNIQUE (name)
);

CREATE TABLE trials (
    study_id        TEXT NOT NULL,
    number          BIGINT NOT NULL,
    state           TEXT NOT NULL, -- waiting, running, complete, pruned, failed
    params          TEXT NOT NULL, -- JSON object
    metrics         TEXT NOT NULL, -- JSON object of finite numbers
    violation       DOUBLE PRECISION NOT NULL,
    origin          TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    job_id          BIGINT,
    lease_until     BIGINT,
    error           TEXT,
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT,
    revision        BIGINT NOT NULL, -- the study's with the last change of this trial
    start_revision  BIGINT,
    finish_revision BIGINT,
    PRIMARY KEY (study_id, number),
    CONSTRAINT trials_study_fk FOREIGN KEY (study_id) REFERENCES studies (id) ON DELETE CASCADE
);
CREATE INDEX trials_revision ON trials (study_id, revision);

CREATE TABLE trial_reports (
    study_id TEXT NOT NULL,
    number   BIGINT NOT NULL,
    step     BIGINT NOT NULL,
    reported TEXT NOT NULL, -- JSON array of numbers
    prune    BOOLEAN NOT NULL, -- the decision, which stays
    reason   TEXT NOT NULL,
    at       BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (study_id, number, step),
    CONSTRAINT trial_reports_trial_fk FOREIGN KEY (study_id, number) REFERENCES trials (study_id, number) ON DELETE CASCADE
);
CREATE INDEX trial_reports_revision ON trial_reports (study_id, revision);

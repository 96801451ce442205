-- The job queue: jobs, the edges between them, and their history. Times are milliseconds since 1970 (UTC) by the
-- clock of the database. JSON documents are TEXT: no statement looks into them. Life cycle: server/queue/README.md.

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    result TEXT,
    -- Of the last attempt that failed; shown to clients.
    error TEXT,
    state TEXT NOT NULL,
    -- Higher first, within the queue.
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    -- Grows with each claim and never shrinks; a write under an older one is refused.
    fence BIGINT NOT NULL DEFAULT 0,
    -- Who holds the lease, or held it last.
    worker TEXT,
    lease_until BIGINT,
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    -- 0 to 1 of the running attempt.
    progress REAL NOT NULL DEFAULT 0,
    -- Held while the job is waiting, ready or running.
    unique_key TEXT,
    -- The job that enqueued this one while it ran. No foreign key: it may be swept earlier.
    parent_id BIGINT,
    -- Dependencies that have not ended.
    waits_for INTEGER NOT NULL DEFAULT 0,
    -- Whether a dependency has the policy any_success, and whether one of those succeeded.
    wants_any BOOLEAN NOT NULL DEFAULT FALSE,
    any_succeeded BOOLEAN NOT NULL DEFAULT FALSE,
    -- The last number given to a row of job_events.
    event_seq BIGINT NOT NULL DEFAULT 0,
    -- When the ended-hook is due; NULL while nothing is owed.
    settle_at BIGINT,
    -- W3C trace context of whoever enqueued.
    traceparent TEXT,
    created_at BIGINT NOT NULL,
    -- Not claimed before.
    run_at BIGINT NOT NULL,
    -- Of the last attempt.
    started_at BIGINT,
    finished_at BIGINT,
    CONSTRAINT jobs_state_check CHECK (state IN ('waiting', 'ready', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT jobs_waits_for_check CHECK (waits_for >= 0)
);

CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at, id) WHERE state = 'ready';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE UNIQUE INDEX jobs_unique_key ON jobs (unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('waiting', 'ready', 'running');
CREATE INDEX jobs_parent_id ON jobs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_settle_at ON jobs (settle_at) WHERE settle_at IS NOT NULL;
CREATE INDEX jobs_finished_at ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE job_dependencies (
    job_id BIGINT NOT NULL,
    -- Always older than job_id, so there is no cycle.
    needs_id BIGINT NOT NULL,
    policy TEXT NOT NULL,
    CONSTRAINT job_dependencies_pkey PRIMARY KEY (job_id, needs_id),
    CONSTRAINT job_dependencies_job_id_fkey FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE CASCADE,
    CONSTRAINT job_dependencies_needs_id_fkey FOREIGN KEY (needs_id) REFERENCES jobs (id) ON DELETE CASCADE,
    CONSTRAINT job_dependencies_policy_check CHECK (policy IN ('all_success', 'any_success', 'all_done'))
);

CREATE INDEX job_dependencies_needs_id ON job_dependencies (needs_id);

CREATE TABLE job_events (
    job_id BIGINT NOT NULL,
    -- 1, 2, 3, ... without a gap within the job, in the order of commit.
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    progress REAL,
    data TEXT,
    CONSTRAINT job_events_pkey PRIMARY KEY (job_id, seq),
    CONSTRAINT job_events_job_id_fkey FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE CASCADE,
    CONSTRAINT job_events_level_check CHECK (level IN ('state', 'progress', 'info', 'warn', 'error'))
);

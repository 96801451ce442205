//! Templates of what puts a job into the queue, and of what its fate means for others.

macro_rules! enqueue {
    ($d:ident, $returning:expr) => {
        concat!(
            "-- enqueue
INSERT INTO jobs (queue, kind, payload, state, priority, max_attempts, unique_key, parent_id, waits_for, wants_any,
    any_succeeded, traceparent, error, created_at, run_at, timeout_ms, finished_at, settle_at, event_seq)
SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS INTEGER),
    CAST($6 AS INTEGER), CAST($7 AS TEXT), CAST($8 AS BIGINT), CAST($9 AS INTEGER), $10, $11, CAST($12 AS TEXT),
    CAST($13 AS TEXT), clock.ms, clock.ms + CAST($14 AS BIGINT), CAST($15 AS BIGINT),
    CASE WHEN $4 = 'failed' THEN clock.ms END, CASE WHEN $4 = 'failed' THEN clock.ms END,
    CASE WHEN $4 = 'failed' THEN 1 ELSE 0 END
FROM ",
            clock!($d),
            "
WHERE TRUE
ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND state IN ('waiting', 'ready', 'running') DO NOTHING
RETURNING ",
            $returning
        )
    };
}

macro_rules! add_dependencies {
    ($d:ident) => {
        concat!(
            "-- add_dependencies
INSERT INTO job_dependencies (job_id, needs_id, policy)
SELECT $2, CAST(value->>'id' AS BIGINT), value->>'policy'
FROM ",
            rows!($d)
        )
    };
}

macro_rules! lock_dependents {
    ($d:ident) => {
        concat!(
            "-- lock_dependents
SELECT jobs.id
FROM jobs
WHERE jobs.state = 'waiting' AND jobs.id IN (SELECT job_id FROM job_dependencies WHERE needs_id ",
            among_ids!($d),
            ")
ORDER BY jobs.id
",
            lock!($d)
        )
    };
}

macro_rules! release_dependents {
    ($d:ident) => {
        concat!(
            "-- release_dependents
UPDATE jobs
SET waits_for = jobs.waits_for - edge.ended, any_succeeded = jobs.any_succeeded OR edge.any_ok = 1,
    state = CASE
        WHEN edge.broken_by IS NOT NULL THEN 'failed'
        WHEN jobs.waits_for > edge.ended THEN 'waiting'
        WHEN jobs.wants_any AND NOT jobs.any_succeeded AND edge.any_ok = 0 THEN 'failed'
        ELSE 'ready'
    END,
    event_seq = CASE WHEN edge.broken_by IS NULL AND jobs.waits_for > edge.ended THEN jobs.event_seq ELSE jobs.event_seq + 1 END,
    error = CASE
        WHEN edge.broken_by IS NOT NULL THEN 'job ' || edge.broken_by || ', which it depends on, did not succeed'
        WHEN jobs.waits_for <= edge.ended AND jobs.wants_any AND NOT jobs.any_succeeded AND edge.any_ok = 0
            THEN 'none of the jobs that it depends on succeeded'
    END,
    -- Ready from now on, not from when it was enqueued; a longer delay stays.
    run_at = CASE WHEN jobs.run_at < clock.ms THEN clock.ms ELSE jobs.run_at END,
    finished_at = CASE
        WHEN edge.broken_by IS NOT NULL THEN clock.ms
        WHEN jobs.waits_for <= edge.ended AND jobs.wants_any AND NOT jobs.any_succeeded AND edge.any_ok = 0 THEN clock.ms
    END,
    settle_at = CASE
        WHEN edge.broken_by IS NOT NULL THEN clock.ms
        WHEN jobs.waits_for <= edge.ended AND jobs.wants_any AND NOT jobs.any_succeeded AND edge.any_ok = 0 THEN clock.ms
    END
FROM (
    SELECT dependency.job_id, CAST(COUNT(*) AS INTEGER) AS ended,
        MAX(CASE WHEN dependency.policy = 'any_success' AND parent.ok = 1 THEN 1 ELSE 0 END) AS any_ok,
        MIN(CASE WHEN dependency.policy = 'all_success' AND parent.ok = 0 THEN parent.id END) AS broken_by
    FROM job_dependencies AS dependency
    JOIN (SELECT CAST(value->>'id' AS BIGINT) AS id, CAST(value->>'ok' AS INTEGER) AS ok FROM ",
            rows!($d),
            ") AS parent ON parent.id = dependency.needs_id
    GROUP BY dependency.job_id
) AS edge, ",
            clock!($d),
            "
WHERE jobs.id = edge.job_id AND jobs.state = 'waiting'
",
            returning_moved!()
        )
    };
}

// One step down the tree: jobs enqueued by these while they ran, and jobs that cannot run without those that go on.
macro_rules! children {
    ($d:ident) => {
        concat!(
            "-- children
SELECT id FROM jobs WHERE parent_id ",
            among_ids!($d),
            "
UNION
SELECT dependency.job_id
FROM job_dependencies AS dependency
JOIN jobs ON jobs.id = dependency.needs_id AND jobs.state IN ('waiting', 'ready', 'running')
WHERE dependency.policy = 'all_success' AND dependency.needs_id ",
            among_ids!($d)
        )
    };
}

macro_rules! cancel {
    ($d:ident) => {
        concat!(
            "-- cancel
UPDATE jobs
SET cancel_requested = TRUE, event_seq = jobs.event_seq + 1,
    state = CASE WHEN jobs.state = 'running' THEN 'running' ELSE 'cancelled' END,
    error = CASE WHEN jobs.state = 'running' THEN jobs.error ELSE 'cancelled on request' END,
    finished_at = CASE WHEN jobs.state = 'running' THEN NULL ELSE clock.ms END,
    settle_at = CASE WHEN jobs.state = 'running' THEN NULL ELSE clock.ms END
FROM (
    SELECT jobs.id
    FROM jobs
    WHERE (state IN ('waiting', 'ready') OR (state = 'running' AND NOT cancel_requested)) AND id ",
            among_ids!($d),
            "
    ORDER BY jobs.id
    ",
            lock!($d),
            "
) AS held, ",
            clock!($d),
            "
WHERE jobs.id = held.id
",
            returning_moved!()
        )
    };
}

macro_rules! requeue {
    ($d:ident) => {
        concat!(
            "-- requeue
UPDATE jobs
SET state = 'ready', attempt = 0, error = NULL, result = NULL, cancel_requested = FALSE, progress = 0,
    event_seq = jobs.event_seq + 1, finished_at = NULL, settle_at = NULL, run_at = clock.ms
FROM ",
            clock!($d),
            "
WHERE jobs.id = $1 AND jobs.state IN ('failed', 'cancelled')
",
            returning_moved!()
        )
    };
}

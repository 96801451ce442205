//! Templates of the history, of owed hooks and of the sweep.

macro_rules! append_lines {
    ($d:ident) => {
        concat!(
            "-- append_lines
UPDATE jobs
SET event_seq = jobs.event_seq + held.lines, progress = COALESCE(held.progress, jobs.progress)
FROM (
    SELECT jobs.id, lease.lines, lease.progress
    FROM jobs
    JOIN (
        SELECT CAST(value->>'job' AS BIGINT) AS id, CAST(value->>'token' AS BIGINT) AS fence,
            CAST(value->>'lines' AS BIGINT) AS lines, CAST(value->>'progress' AS DOUBLE PRECISION) AS progress
        FROM ",
            rows!($d),
            "
    ) AS lease ON jobs.id = lease.id AND jobs.fence = lease.fence
    WHERE jobs.state = 'running'
    ORDER BY jobs.id
    ",
            lock!($d),
            "
) AS held
WHERE jobs.id = held.id
RETURNING jobs.id, jobs.fence, jobs.event_seq"
        )
    };
}

macro_rules! note {
    ($d:ident) => {
        concat!(
            "-- note
INSERT INTO job_events (job_id, seq, at, level, message, progress, data)
SELECT CAST(value->>'job' AS BIGINT), CAST(value->>'seq' AS BIGINT), clock.ms - CAST(value->>'age_ms' AS BIGINT),
    value->>'level', value->>'message', CAST(value->>'progress' AS DOUBLE PRECISION), value->>'data'
FROM ",
            rows!($d),
            ", ",
            clock!($d)
        )
    };
}

macro_rules! due_to_settle {
    ($d:ident) => {
        concat!(
            "-- due_to_settle
UPDATE jobs
SET settle_at = clock.ms + $3
FROM (
    SELECT jobs.id
    FROM jobs
    WHERE settle_at IS NOT NULL AND settle_at <= (SELECT ",
            now!($d),
            ") AND kind ",
            among_texts!($d),
            "
    ORDER BY settle_at
    LIMIT $2
    ",
            lock_free!($d),
            "
) AS held, ",
            clock!($d),
            "
WHERE jobs.id = held.id
RETURNING ",
            job_columns!()
        )
    };
}

macro_rules! sweep {
    ($d:ident) => {
        concat!(
            "-- sweep
DELETE FROM jobs
WHERE id IN (
    SELECT id FROM jobs
    WHERE finished_at IS NOT NULL AND settle_at IS NULL AND finished_at < (SELECT ",
            now!($d),
            ") - $1
    ORDER BY finished_at
    LIMIT $2
    ",
            lock_free!($d),
            "
)"
        )
    };
}

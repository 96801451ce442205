//! Templates of what begins, keeps and ends an attempt.

macro_rules! ready_ids {
    ($d:ident, $lock:expr) => {
        concat!(
            "SELECT id FROM jobs
    WHERE state = 'ready' AND queue = $2 AND kind ",
            among_texts!($d),
            "
        AND run_at <= (SELECT ",
            now!($d),
            ")
    ORDER BY priority DESC, run_at, id
    LIMIT $3 ",
            $lock
        )
    };
}

macro_rules! set_claimed {
    () => {
        "UPDATE jobs
SET state = 'running', attempt = jobs.attempt + 1, fence = jobs.fence + 1, worker = $4, started_at = clock.ms,
    lease_until = clock.ms + $5, progress = 0, event_seq = jobs.event_seq + 1
FROM "
    };
}

macro_rules! beat {
    ($d:ident) => {
        concat!(
            "-- beat
UPDATE jobs
SET lease_until = clock.ms + $2
FROM (
    SELECT jobs.id
    FROM jobs
    JOIN (SELECT CAST(value->>'job' AS BIGINT) AS id, CAST(value->>'token' AS BIGINT) AS fence FROM ",
            rows!($d),
            ") AS lease
        ON jobs.id = lease.id AND jobs.fence = lease.fence
    WHERE jobs.state = 'running'
    ORDER BY jobs.id
    ",
            lock!($d),
            "
) AS held, ",
            clock!($d),
            "
WHERE jobs.id = held.id
RETURNING jobs.id, jobs.fence, jobs.cancel_requested"
        )
    };
}

macro_rules! finish {
    ($d:ident) => {
        concat!(
            "-- finish
UPDATE jobs
SET state = held.next, result = held.result, progress = CASE WHEN held.next = 'succeeded' THEN 1 ELSE jobs.progress END,
    error = CASE WHEN held.next = 'succeeded' THEN NULL WHEN held.next = 'cancelled' THEN 'cancelled on request' ELSE held.error END,
    lease_until = NULL, event_seq = jobs.event_seq + 1, attempt = jobs.attempt - held.refund,
    run_at = CASE WHEN held.next = 'ready' THEN clock.ms + held.delay_ms ELSE jobs.run_at END,
    finished_at = CASE WHEN held.next = 'ready' THEN NULL ELSE clock.ms END,
    settle_at = CASE WHEN held.next IN ('failed', 'cancelled') THEN clock.ms END
FROM (
    SELECT jobs.id, lease.result, lease.error, lease.delay_ms,
        -- An attempt that a shutdown cut short does not count.
        CASE WHEN lease.outcome = 'released' AND NOT jobs.cancel_requested THEN 1 ELSE 0 END AS refund,
        CASE
            WHEN lease.outcome = 'succeeded' THEN 'succeeded'
            WHEN jobs.cancel_requested THEN 'cancelled'
            WHEN lease.outcome = 'released' THEN 'ready'
            WHEN lease.outcome = 'retry' AND jobs.attempt < jobs.max_attempts THEN 'ready'
            ELSE 'failed'
        END AS next
    FROM jobs
    JOIN (
        SELECT CAST(value->>'job' AS BIGINT) AS id, CAST(value->>'token' AS BIGINT) AS fence, value->>'outcome' AS outcome,
            value->>'result' AS result, value->>'error' AS error, CAST(value->>'delay_ms' AS BIGINT) AS delay_ms
        FROM ",
            rows!($d),
            "
    ) AS lease ON jobs.id = lease.id AND jobs.fence = lease.fence
    WHERE jobs.state = 'running'
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

macro_rules! reap {
    ($d:ident) => {
        concat!(
            "-- reap
UPDATE jobs
SET state = held.next, lease_until = NULL, event_seq = jobs.event_seq + 1,
    error = CASE
        WHEN held.next = 'cancelled' THEN 'cancelled on request'
        ELSE 'worker ' || jobs.worker || ' stopped or lost contact in attempt ' || jobs.attempt
    END,
    run_at = CASE WHEN held.next = 'ready' THEN clock.ms ELSE jobs.run_at END,
    finished_at = CASE WHEN held.next = 'ready' THEN NULL ELSE clock.ms END,
    settle_at = CASE WHEN held.next <> 'ready' THEN clock.ms END
FROM (
    SELECT jobs.id,
        CASE WHEN cancel_requested THEN 'cancelled' WHEN attempt >= max_attempts THEN 'failed' ELSE 'ready' END AS next
    FROM jobs
    WHERE state = 'running' AND lease_until < (SELECT ",
            now!($d),
            ")
    ORDER BY lease_until
    LIMIT $1
    ",
            lock_free!($d),
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

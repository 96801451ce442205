//! Where the two databases differ: the clock, how a JSON list is read, row locks. And the columns that are read.

// The clock of the database; `clock_timestamp`, because `now` stands still within a transaction.
#[rustfmt::skip]
macro_rules! now {
    (pg) => { "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)" };
    (lite) => { "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)" };
}

// One instant for all columns of a statement.
#[rustfmt::skip]
macro_rules! clock {
    ($d:ident) => { concat!("(SELECT ", now!($d), " AS ms) AS clock") };
}

// The rows of the JSON array in $1, as a table with the column `value`.
#[rustfmt::skip]
macro_rules! rows {
    (pg) => { "json_array_elements(CAST($1 AS JSON)) AS list(value)" };
    (lite) => { "json_each($1) AS list" };
}

// The ids in $1. On PostgreSQL an array, so that the planner sees few rows however long the list is.
#[rustfmt::skip]
macro_rules! among_ids {
    (pg) => { "= ANY(ARRAY(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON))))" };
    (lite) => { "IN (SELECT value FROM json_each($1))" };
}

// The texts in $1.
#[rustfmt::skip]
macro_rules! among_texts {
    (pg) => { "= ANY(ARRAY(SELECT value FROM json_array_elements_text(CAST($1 AS JSON))))" };
    (lite) => { "IN (SELECT value FROM json_each($1))" };
}

// Locks in the order of ids, the same everywhere, so that two transactions rarely wait for each other in a circle.
#[rustfmt::skip]
macro_rules! lock {
    (pg) => { "FOR NO KEY UPDATE OF jobs" };
    (lite) => { "" };
}

#[rustfmt::skip]
macro_rules! lock_free {
    (pg) => { "FOR NO KEY UPDATE OF jobs SKIP LOCKED" };
    (lite) => { "" };
}

#[rustfmt::skip]
macro_rules! job_columns {
    () => {
        "jobs.id, jobs.kind, jobs.queue, jobs.state, jobs.priority, jobs.attempt, jobs.max_attempts, jobs.timeout_ms, jobs.payload, \
         jobs.result, jobs.error, jobs.cancel_requested, jobs.unique_key, jobs.worker, jobs.traceparent, jobs.progress, \
         jobs.created_at, jobs.run_at, jobs.started_at, jobs.finished_at, jobs.fence, jobs.event_seq"
    };
}

// What a change of state tells the caller: `row::Moved`.
#[rustfmt::skip]
macro_rules! returning_moved {
    () => {
        "RETURNING jobs.id, jobs.fence, jobs.queue, jobs.state, jobs.attempt, jobs.event_seq, jobs.error"
    };
}

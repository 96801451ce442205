//! Every statement. Lists travel as one JSON text, so that the same Rust binds serve both databases; where the texts
//! differ (the clock, how a JSON list is read, row locks) a template makes both. A test prepares each on its database,
//! another pins the plan of the claim.

// In this order: a template is made of those above it.
#[macro_use]
mod dialect;
#[macro_use]
mod lease;
#[macro_use]
mod tree;
#[macro_use]
mod history;

use tenor_store::{Dialect, Statement, Tx};

/// Declares constants and the list of them.
macro_rules! statements {
    ($($(#[$doc:meta])* $dialect:ident $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)*
        /// Every statement of this crate.
        pub const STATEMENTS: &[Statement] =
            &[$(Statement { name: stringify!($name), dialect: Dialect::$dialect, sql: $name },)*];
    };
}

/// Every statement of this crate, for the test that prepares them.
pub fn statements() -> impl Iterator<Item = Statement> {
    STATEMENTS.iter().copied()
}

/// The text for the database behind `tx`.
pub(crate) fn pick(tx: &Tx, pg: &'static str, lite: &'static str) -> &'static str {
    if tx.is_postgres() { pg } else { lite }
}

statements! {
    // Tells the listeners within the statement, so that it costs no further round trip; equal notices of one
    // transaction are merged by PostgreSQL.
    Pg PG_ENQUEUE = enqueue!(pg, "id, CASE WHEN state = 'ready' AND run_at = created_at THEN CAST(pg_notify('tenor_queue', 'r:' || queue) AS TEXT) END");
    Lite LITE_ENQUEUE = enqueue!(lite, "id, NULL");

    Both LIVE_BY_KEY = "\
-- live_by_key
SELECT id FROM jobs WHERE unique_key = $1 AND state IN ('waiting', 'ready', 'running')";

    // A share lock: a dependency cannot end between this look at it and the commit of the job that waits for it.
    Pg PG_DEPENDENCIES = concat!("-- dependencies
SELECT id, state FROM jobs WHERE id ", among_ids!(pg), " ORDER BY id FOR SHARE");
    Lite LITE_DEPENDENCIES = concat!("-- dependencies
SELECT id, state FROM jobs WHERE id ", among_ids!(lite), " ORDER BY id");

    Pg PG_ADD_DEPENDENCIES = add_dependencies!(pg);
    Lite LITE_ADD_DEPENDENCIES = add_dependencies!(lite);

    // `= ANY(ARRAY(..))` is evaluated once and estimated as a few rows, whatever the LIMIT parameter: joined directly,
    // a tenth of the table would be assumed and the table scanned. One round trip, history line included.
    Pg PG_CLAIM = concat!(
        "-- claim
WITH claimed AS (
", set_claimed!(), clock!(pg), "
WHERE id = ANY(ARRAY(
    ", ready_ids!(pg, "FOR NO KEY UPDATE SKIP LOCKED"), "
))
RETURNING ", job_columns!(), "
), noted AS (
    INSERT INTO job_events (job_id, seq, at, level, message, data)
    SELECT id, event_seq, started_at, 'state', 'running', CAST(json_build_object('attempt', attempt, 'worker', worker) AS TEXT)
    FROM claimed
)
SELECT * FROM claimed ORDER BY priority DESC, run_at, id");
    Lite LITE_CLAIM = concat!("-- claim
", set_claimed!(), clock!(lite), "
WHERE id IN (
    ", ready_ids!(lite, ""), "
)
RETURNING ", job_columns!());
    Lite LITE_NOTE_CLAIMED = concat!("-- note_claimed
INSERT INTO job_events (job_id, seq, at, level, message, data)
SELECT id, event_seq, started_at, 'state', 'running', json_object('attempt', attempt, 'worker', worker)
FROM jobs
WHERE id ", among_ids!(lite));
    // A look by a reading connection: an idle worker must not take SQLite's one write lock at each poll.
    Lite LITE_ANY_READY = concat!("-- any_ready
SELECT EXISTS (SELECT 1 FROM (", ready_ids!(lite, ""), "))");

    Pg PG_BEAT = beat!(pg);
    Lite LITE_BEAT = beat!(lite);
    Pg PG_FINISH = finish!(pg);
    Lite LITE_FINISH = finish!(lite);
    Pg PG_REAP = reap!(pg);
    Lite LITE_REAP = reap!(lite);
    Pg PG_LOCK_DEPENDENTS = lock_dependents!(pg);
    Lite LITE_LOCK_DEPENDENTS = lock_dependents!(lite);
    Pg PG_RELEASE_DEPENDENTS = release_dependents!(pg);
    Lite LITE_RELEASE_DEPENDENTS = release_dependents!(lite);
    Pg PG_CHILDREN = children!(pg);
    Lite LITE_CHILDREN = children!(lite);
    Pg PG_CANCEL = cancel!(pg);
    Lite LITE_CANCEL = cancel!(lite);
    Pg PG_REQUEUE = requeue!(pg);
    Lite LITE_REQUEUE = requeue!(lite);
    // The end of the job was counted, in the transaction that ended it.
    Both WAIT_AGAIN = "\
-- wait_again
UPDATE jobs SET waits_for = waits_for + 1
WHERE state = 'waiting' AND id IN (SELECT job_id FROM job_dependencies WHERE needs_id = $1)";
    Pg PG_APPEND_LINES = append_lines!(pg);
    Lite LITE_APPEND_LINES = append_lines!(lite);
    Pg PG_NOTE = note!(pg);
    Lite LITE_NOTE = note!(lite);
    Pg PG_DUE_TO_SETTLE = due_to_settle!(pg);
    Lite LITE_DUE_TO_SETTLE = due_to_settle!(lite);
    Pg PG_SWEEP = sweep!(pg);
    Lite LITE_SWEEP = sweep!(lite);

    // The fence of the settled attempt: a job that was requeued and failed again is owed another call.
    Both SETTLED = "\
-- settled
UPDATE jobs SET settle_at = NULL WHERE id = $1 AND fence = $2 AND state IN ('failed', 'cancelled')";

    // The lock keeps the lease from being taken away before the transaction that asks commits.
    Pg PG_CHECK_FENCE = "\
-- check_fence
SELECT cancel_requested FROM jobs WHERE id = $1 AND fence = $2 AND state = 'running' FOR NO KEY UPDATE";
    Lite LITE_CHECK_FENCE = "\
-- check_fence
SELECT cancel_requested FROM jobs WHERE id = $1 AND fence = $2 AND state = 'running'";

    Pg PG_LOCK_STATE = "\
-- lock_state
SELECT state FROM jobs WHERE id = $1 FOR NO KEY UPDATE";
    Lite LITE_LOCK_STATE = "\
-- lock_state
SELECT state FROM jobs WHERE id = $1";

    Pg PG_CANCELLED_AMONG = concat!("-- cancelled_among
SELECT id FROM jobs WHERE state = 'running' AND cancel_requested AND id ", among_ids!(pg));
    Lite LITE_CANCELLED_AMONG = concat!("-- cancelled_among
SELECT id FROM jobs WHERE state = 'running' AND cancel_requested AND id ", among_ids!(lite));

    Both GET = concat!("-- get
SELECT ", job_columns!(), " FROM jobs WHERE id = $1");

    // $2 is a list like `,ready,running,`, or NULL for all.
    Both LIST = concat!("-- list
SELECT ", job_columns!(), "
FROM jobs
WHERE (CAST($1 AS BIGINT) IS NULL OR id < $1)
    AND (CAST($2 AS TEXT) IS NULL OR $2 LIKE '%,' || state || ',%')
    AND (CAST($3 AS TEXT) IS NULL OR kind = $3)
ORDER BY id DESC
LIMIT $4");

    Both HISTORY_END = "\
-- history_end
SELECT state, event_seq FROM jobs WHERE id = $1";

    Both EVENTS = "\
-- events
SELECT seq, at, level, message, progress, data FROM job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";

    // Both counts come from small partial indexes.
    Both COUNT_LIVE = "\
-- count_live
SELECT 'ready' AS state, CAST(COUNT(*) AS BIGINT) AS jobs FROM jobs WHERE state = 'ready'
UNION ALL
SELECT 'running', CAST(COUNT(*) AS BIGINT) FROM jobs WHERE state = 'running'";

    Pg PG_NOTIFY = "\
-- notify
SELECT CAST(pg_notify('tenor_queue', value) AS TEXT) FROM json_array_elements_text(CAST($1 AS JSON))";
}

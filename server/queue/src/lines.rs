//! Lines that running jobs say: kept for a moment, written many at once, refused when the fence no longer holds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sqlx::Row as _;
use tenor_domain::{JobEventLevel, JobId};
use tenor_store::{Tx, on};

use crate::error::shown;
use crate::events::{Note, note};
use crate::hints::Effects;
use crate::options::ms;
use crate::row::json;
use crate::{Error, Fence, sql};

/// More lines than this in one buffer are written without waiting for the next tick.
pub(crate) const PLENTY: usize = 500;
/// A database that is away must not fill the memory.
const MOST: usize = 50_000;
const MOST_DATA_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Line {
    fence: Fence,
    said_at: Instant,
    level: JobEventLevel,
    message: String,
    progress: Option<f64>,
    data: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Buffer>);

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<Line>,
    /// Where the last line of a job is, if it may be replaced: its progress with an unchanged message.
    last: HashMap<i64, usize>,
}

impl Lines {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        // No code that can panic runs while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a line. Returns false when it had to be dropped.
    pub(crate) fn push(
        &self,
        fence: Fence,
        level: JobEventLevel,
        message: &str,
        progress: Option<f64>,
        data: Option<&serde_json::Value>,
    ) -> bool {
        let data = data.map(ToString::to_string).map(|text| match text.len() {
            0..=MOST_DATA_BYTES => text,
            bytes => format!("{{\"omitted_bytes\":{bytes}}}"),
        });
        let line = Line { fence, said_at: Instant::now(), level, message: shown(message), progress, data };
        let mut buffer = self.buffer();
        let Buffer { lines, last } = &mut *buffer;
        if level == JobEventLevel::Progress {
            let same = last.get(&fence.job.0).and_then(|at| lines.get_mut(*at));
            if let Some(same) = same.filter(|same| same.fence == fence && same.message == line.message) {
                *same = line;
                return true;
            }
        }
        if lines.len() >= MOST {
            return false;
        }
        if level == JobEventLevel::Progress {
            last.insert(fence.job.0, lines.len());
        } else {
            last.remove(&fence.job.0);
        }
        lines.push(line);
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer().lines.len()
    }

    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.buffer()).lines
    }

    /// Puts lines back that could not be written, before those that came since.
    pub(crate) fn put_back(&self, mut lines: Vec<Line>) {
        let mut buffer = self.buffer();
        lines.append(&mut buffer.lines);
        *buffer = Buffer { lines, last: HashMap::new() };
    }
}

#[derive(serde::Serialize)]
struct Share {
    #[serde(flatten)]
    fence: Fence,
    lines: i64,
    progress: Option<f64>,
}

/// Appends the lines to the histories of their jobs.
pub(crate) async fn append(tx: &mut Tx, lines: &[Line], effects: &mut Effects) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut shares: HashMap<Fence, Share> = HashMap::new();
    for line in lines {
        let share = shares.entry(line.fence).or_insert(Share { fence: line.fence, lines: 0, progress: None });
        share.lines += 1;
        share.progress = line.progress.or(share.progress);
    }
    let statement = sql::pick(tx, sql::PG_APPEND_LINES, sql::LITE_APPEND_LINES);
    let rows = json(&shares.values().collect::<Vec<_>>());
    let mut next: HashMap<Fence, i64> = HashMap::new();
    on!(tx, connection => {
        for row in sqlx::query(statement).bind(rows).fetch_all(connection).await? {
            next.insert(Fence { job: JobId(row.try_get(0)?), token: row.try_get(1)? }, row.try_get(2)?);
        }
    });
    for (fence, end) in &mut next {
        effects.changed.push(fence.job.0);
        *end -= shares.get(fence).map_or(0, |share| share.lines);
    }
    let mut notes = Vec::with_capacity(lines.len());
    for line in lines {
        let Some(seq) = next.get_mut(&line.fence) else { continue };
        *seq += 1;
        notes.push(Note {
            job: line.fence.job.0,
            seq: *seq,
            age_ms: ms(line.said_at.elapsed()),
            level: line.level.as_str(),
            message: line.message.clone(),
            progress: line.progress,
            data: line.data.clone(),
        });
    }
    note(tx, &notes).await
}

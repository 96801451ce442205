//! Streams of metric batches: what has arrived meanwhile is one transaction.

use std::time::Duration;

use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _};
use tenor_domain::{Caller, Clock, Error, ErrorKind, RequestId, RunId};
use tenor_platform::{MetricBatch, Runs};
use tenor_proto::v1 as pb;
use tonic::Status;

use crate::decode;
use crate::status::status;

/// A stream may be silent for this long.
const SILENCE: Duration = Duration::from_secs(3_600);
/// The most batches and points of one transaction. One batch may have more points than that, and is one by itself then.
const GROUP_BATCHES: usize = 256;
const GROUP_POINTS: usize = 10_000;

/// Writes the batches of a stream in their order, as fast as the database takes them: no more is read while it writes. A wrong
/// batch ends the stream; those before it are stored.
pub(super) async fn log_stream(
    runs: Runs<'_>,
    clock: &dyn Clock,
    caller: &Caller,
    mut messages: impl Stream<Item = Result<pb::LogMetricsRequest, Status>> + Unpin,
) -> Result<pb::LogMetricsResponse, Status> {
    let mut done = pb::LogMetricsResponse::default();
    let mut run_id = String::new();
    while let Some(first) = tokio::time::timeout(SILENCE, messages.try_next()).await.map_err(|_| status(silent()))?? {
        let mut group = Vec::new();
        let mut points = 0;
        let mut next = Some(Ok(first));
        let mut wrong = None;
        while let Some(message) = next.take() {
            match message.and_then(|message| batch(message, &mut run_id, clock).map_err(status)) {
                Ok(batch) => {
                    points += batch.metrics.len();
                    group.push(batch);
                }
                Err(error) => wrong = Some(error),
            }
            if wrong.is_none() && points < GROUP_POINTS && group.len() < GROUP_BATCHES {
                // `None`: nothing more has arrived. The end of the stream is seen by the next look.
                next = messages.next().now_or_never().flatten();
            }
        }
        let counts: Vec<usize> = group.iter().map(|batch| batch.metrics.len()).collect();
        let results = runs.log_metric_batches(caller, group).await.map_err(status)?;
        for (count, result) in counts.into_iter().zip(results) {
            result.map_err(status)?;
            done.batches += 1;
            done.metrics += i64::try_from(count).unwrap_or(i64::MAX);
        }
        wrong.map_or(Ok(()), Err)?;
    }
    Ok(done)
}

/// Reads a batch. One that names no run belongs to the run of the one before.
pub(super) fn batch(
    message: pb::LogMetricsRequest,
    run_id: &mut String,
    clock: &dyn Clock,
) -> Result<MetricBatch, Error> {
    if !message.run_id.is_empty() {
        *run_id = message.run_id;
    }
    Ok(MetricBatch {
        run: RunId::parse(run_id)?,
        id: RequestId::parse(&message.batch_id).map_err(|_| Error::invalid("batch_id", "must be a UUID, or empty"))?,
        metrics: decode::metrics(message.metrics, clock.now())?,
    })
}

fn silent() -> Error {
    let seconds = SILENCE.as_secs();
    let why = format!("no batch came for {seconds} seconds; open the stream again and send the last batch again");
    Error::new(ErrorKind::DeadlineExceeded, "STREAM_SILENT", why)
}

//! What every job is given, and how compute leaves the async threads.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use tenor_data::Work;
use tenor_domain::{Caller, Job, JobState, State};
use tenor_learn::Registry;
use tenor_platform::Platform;
use tenor_queue::{CancelReason, JobContext, JobError, WorkerBuilder};
use tracing::info;

use crate::kept::Kept;
use crate::{ImportDataset, ProcessDataset, RowsCache, RunTrial, TrainRun};

/// Shared by all jobs of a worker.
#[derive(Clone)]
pub struct Jobs {
    pub platform: Arc<Platform>,
    pub registry: Arc<Registry>,
    /// Threads of one job; trials that run at once share them.
    pub threads: usize,
    /// Temporary files go here.
    pub scratch_dir: PathBuf,
    /// Checkpoints and feature blocks stay here.
    pub kept: Kept,
    /// What trials learn from.
    pub rows: RowsCache,
    /// How many trials this worker runs now.
    pub trials: TrialCount,
}

impl Jobs {
    /// Registers every job kind there is.
    pub fn register(&self, worker: WorkerBuilder) -> WorkerBuilder {
        let (import, process, train, trial) = (self.clone(), self.clone(), self.clone(), self.clone());
        worker
            .register(move |context, job: ImportDataset| {
                let jobs = import.clone();
                async move { jobs.ended(&context, job.run(&jobs, &context).await).await }
            })
            .register(move |context, job: ProcessDataset| {
                let jobs = process.clone();
                async move { jobs.ended(&context, job.run(&jobs, &context).await).await }
            })
            .register(move |context, job: TrainRun| {
                let jobs = train.clone();
                async move { jobs.ended(&context, job.run(&jobs, &context).await).await }
            })
            .register(move |context, job: RunTrial| {
                let jobs = trial.clone();
                async move { jobs.ended(&context, job.run(&jobs, &context).await).await }
            })
    }

    /// Moves the row first when this attempt is the job's last: whoever waits for the job finds both ended. Should it fail,
    /// the worker's hook does it later.
    async fn ended(&self, context: &JobContext, outcome: Result<Value, JobError>) -> Result<Value, JobError> {
        let Err(error) = &outcome else { return outcome };
        let state = match context.cancel_reason() {
            Some(CancelReason::Requested) => JobState::Cancelled,
            Some(CancelReason::LeaseLost | CancelReason::ShuttingDown) => return outcome,
            // The queue has words of its own for that, and decides whether there is another attempt.
            None if context.is_timed_out() => return outcome,
            None if error.is_retryable() && context.job.attempt < context.job.max_attempts => return outcome,
            None => JobState::Failed,
        };
        let why = (state == JobState::Failed).then(|| error.to_string());
        let job = Job { state, error: why, ..(*context.job).clone() };
        if let Err(error) = self.platform.job_ending(&context.fence(), &job).await {
            info!(job.id = %job.id, error = %error, "the row of an ending job is left to the hook");
        }
        outcome
    }

    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir, JobError> {
        // Internal: the message of an I/O error names a path, which is for the log only.
        std::fs::create_dir_all(&self.scratch_dir).map_err(tenor_domain::Error::internal)?;
        let folder = tempfile::Builder::new().prefix("job-").tempdir_in(&self.scratch_dir);
        Ok(folder.map_err(tenor_domain::Error::internal)?)
    }
}

/// Counts the trials that run at once.
#[derive(Clone, Default)]
pub struct TrialCount(Arc<AtomicUsize>);

impl TrialCount {
    /// One more, until it is dropped; with how many there are now.
    pub(crate) fn enter(&self) -> (CountedTrial, usize) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        (CountedTrial(self.clone()), before + 1)
    }
}

pub(crate) struct CountedTrial(TrialCount);

impl Drop for CountedTrial {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs data work on a blocking thread, with progress to the job's events and cancellation from its token.
pub(crate) async fn blocking<T: Send + 'static>(
    jobs: &Jobs,
    context: &JobContext,
    work: impl FnOnce(&Work<'_>) -> Result<T, tenor_data::Error> + Send + 'static,
) -> Result<T, JobError> {
    let (threads, scratch) = (jobs.threads, jobs.scratch_dir.clone());
    compute(context, move |progress, cancelled| {
        let asked = || cancelled.load(Ordering::Relaxed);
        work(&Work { progress: &|share, step| progress(share, step), cancelled: &asked, threads, scratch: &scratch })
            .map_err(tenor_domain::Error::from)
    })
    .await
}

/// Runs `work` on a blocking thread. It is given a progress function and a flag that says when to stop.
pub(crate) async fn compute<T: Send + 'static>(
    context: &JobContext,
    work: impl FnOnce(&(dyn Fn(f64, &str) + Sync), &Arc<AtomicBool>) -> Result<T, tenor_domain::Error> + Send + 'static,
) -> Result<T, JobError> {
    let flag = Arc::new(AtomicBool::new(false));
    // A job that is dropped half-way, because it was abandoned or the server leaves at once, stops computing as well.
    let _stop_on_drop = StopOnDrop(Arc::clone(&flag));
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<(f64, String)>(64);
    let span = tracing::Span::current();
    let seen = Arc::clone(&flag);
    let mut task = tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        // Progress is a hint: when the channel is full, a line is left out rather than the work held up.
        let progress = |share: f64, step: &str| drop(sender.try_send((share, step.to_owned())));
        work(&progress, &seen)
    });
    let cancelled = context.cancelled();
    loop {
        tokio::select! {
            result = &mut task => {
                return match result {
                    Ok(Ok(value)) => Ok(value),
                    Ok(Err(error)) => Err(error.into()),
                    Err(_) => Err(JobError::fail(anyhow::anyhow!("the job panicked; see the server's log"))),
                };
            }
            () = cancelled.cancelled(), if !flag.load(Ordering::Relaxed) => flag.store(true, Ordering::Relaxed),
            Some((share, step)) = receiver.recv() => context.progress(share, &step).await,
        }
    }
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The worker, under the trace of whoever asked for the job.
pub(crate) fn caller(context: &JobContext) -> Caller {
    Caller { traceparent: context.job.traceparent.clone(), principal: "worker".to_owned() }
}

/// What to answer for a row that is final already: an attempt before this one ended it, but could not say so.
pub(crate) fn already(state: State, error: Option<&str>) -> Result<Value, JobError> {
    match state {
        State::Succeeded => Ok(json!({ "already": state })),
        _ => Err(JobError::fail(error.unwrap_or("it was cancelled before"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_counted_until_they_end() {
        let trials = TrialCount::default();
        let (first, alone) = trials.enter();
        let (_second, both) = trials.clone().enter();
        assert_eq!((alone, both), (1, 2));
        drop(first);
        assert_eq!(trials.enter().1, 2);
    }
}

//! What the end of a job means for the row it was about, when the job itself cannot say: it failed for good, it was
//! cancelled, its worker died too often, or what it waited for failed.

use std::time::Duration;

use tenor_domain::{Error, Job, JobId, JobState, RunId, State, StudyId, Timestamp};
use tenor_queue::Fence;
use tenor_store::{Tx, dataset, run, split};

use crate::job::{IMPORT_DATASET, PROCESS_DATASET, RUN_TRIAL, TRAIN_RUN};
use crate::{Platform, check};

impl Platform {
    /// Moves the row of a job that ended failed or cancelled to the same state. The worker calls it for each such job,
    /// perhaps more than once: a row that is final already stays as it is. Other kinds and ends are ignored.
    pub async fn job_ended(&self, job: &Job) -> Result<(), Error> {
        let state = match job.state {
            JobState::Failed => State::Failed,
            JobState::Cancelled => State::Cancelled,
            _ => return Ok(()),
        };
        let mut tx = self.write().await?;
        // Under its lock the job cannot go back to the queue meanwhile; what came late finds that it did. Swept jobs have ended.
        if tenor_queue::lock_state(&mut tx, job.id).await?.is_some_and(|now| now != job.state) {
            return Ok(());
        }
        self.settle(tx, job, state).await
    }

    /// The same from within a job that is about to end without success, under its fence: whoever waits for the job then
    /// finds its row in the final state already. `job` carries the state and the error that it will have.
    pub async fn job_ending(&self, fence: &Fence, job: &Job) -> Result<(), Error> {
        let state = if job.state == JobState::Cancelled { State::Cancelled } else { State::Failed };
        let mut tx = self.write().await?;
        tenor_queue::check_fence(&mut tx, fence).await?;
        self.settle(tx, job, state).await
    }

    /// Puts a failed or cancelled job back in the queue, and its row back to pending.
    ///
    /// # Errors
    /// `JOB_STATE`, or `JOB_SUPERSEDED` when the same import or split was started again since.
    pub(crate) async fn requeue(&self, id: JobId) -> Result<Job, Error> {
        let row = row_of(&self.queue.get(id).await?);
        if let Row::Study(study) = row {
            let text = format!(
                "job {id} ran a trial of study {study}, which has gone on without it; enqueue its point again instead"
            );
            return Err(Error::precondition("JOB_SUPERSEDED", text));
        }
        let mut requeue = self.queue.begin_requeue(id).await?;
        match reopen(requeue.tx(), row, self.now()).await {
            Ok(()) => Ok(requeue.commit().await?),
            Err(error) if error.is_unique_violation() => Err(Error::precondition(
                "JOB_SUPERSEDED",
                format!("what job {id} was about was started again since; follow the newer job"),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes and commits.
    async fn settle(&self, mut tx: Tx, job: &Job, state: State) -> Result<(), Error> {
        let why = check::failure(job.error.as_deref().unwrap_or(match state {
            State::Cancelled => "the job was cancelled",
            _ => "the job failed; see its events",
        }));
        let now = self.now();
        match row_of(job) {
            Row::Version(id) => drop(dataset::move_version(&mut tx, &id, state, Some(&why), None, now).await?),
            Row::Split(id) => drop(split::move_to(&mut tx, &id, state, Some(&why), None, now).await?),
            Row::Run(id) => {
                for from in [State::Pending, State::Running] {
                    run::move_to(&mut tx, &id, from, state, Some(&why), now).await?;
                }
            }
            Row::Study(id) => return self.studies().job_ended(tx, job.id, &id, state, &why).await,
            Row::None => {}
        }
        Ok(tx.commit().await?)
    }

    /// Forgets idempotency keys older than a day and uploads older than a week, and removes the files that killed processes left
    /// behind. For a scheduler to call now and then.
    pub async fn tidy(&self) -> Result<(), Error> {
        const DAY_MS: i64 = 24 * 3_600_000;
        const STRAY: Duration = Duration::from_secs(24 * 3_600);
        let now = self.now().0;
        tenor_store::request::prune(&self.db, Timestamp(now - DAY_MS)).await?;
        self.uploads().clear(Timestamp(now - 7 * DAY_MS)).await?;
        self.uploads().clear_strays(STRAY).await?;
        self.blobs.tidy(STRAY).await?;
        Ok(())
    }
}

/// What a job is about.
#[derive(Debug, Clone)]
enum Row {
    Version(String),
    Split(String),
    Run(RunId),
    /// A trial of it.
    Study(StudyId),
    None,
}

fn row_of(job: &Job) -> Row {
    let (member, row): (_, fn(String) -> Row) = match job.kind.as_str() {
        IMPORT_DATASET => ("dataset_version_id", Row::Version),
        PROCESS_DATASET => ("split_id", Row::Split),
        TRAIN_RUN => ("run_id", |id| Row::Run(RunId::trusted(id))),
        RUN_TRIAL => ("study_id", |id| Row::Study(StudyId::trusted(id))),
        _ => return Row::None,
    };
    match job.payload.get(member).and_then(serde_json::Value::as_str) {
        Some(id) => row(id.to_owned()),
        None => {
            // Calling again would not help.
            tracing::error!(job.id = %job.id, job.kind = %job.kind, "the payload of a job names no row");
            Row::None
        }
    }
}

async fn reopen(tx: &mut Tx, row: Row, now: Timestamp) -> Result<(), tenor_store::Error> {
    match row {
        Row::Version(id) => dataset::reopen_version(tx, &id).await,
        Row::Split(id) => split::reopen(tx, &id).await,
        Row::Run(id) => {
            for from in [State::Failed, State::Cancelled] {
                run::move_to(tx, &id, from, State::Pending, None, now).await?;
            }
            Ok(())
        }
        Row::Study(_) | Row::None => Ok(()),
    }
}

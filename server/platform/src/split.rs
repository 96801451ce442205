//! Splits of dataset versions.

use serde_json::{Value, json};
use tenor_domain::{Caller, Error, JobId, Page, PageRequest, RequestId, Split, SplitId, SplitOutcome, State};
use tenor_queue::Fence;
use tenor_store::{Tx, split};

use crate::Platform;
use crate::canonical::options;
use crate::check;
use crate::dataset::version;
use crate::find::{self, illegal_transition, texts};
use crate::idempotency::Request;
use crate::job::{PROCESS_DATASET, enqueue};
use crate::page::Paging;

/// The use cases of splits.
#[derive(Clone, Copy)]
pub struct Splits<'a>(pub(crate) &'a Platform);

impl Splits<'_> {
    /// Makes a split of version `number` (`None`: the newest) and enqueues the job that computes it, after the import
    /// if that has not finished. The same version with the same options is the split that is there already.
    pub async fn create(
        &self,
        caller: &Caller,
        dataset: &str,
        number: Option<i64>,
        split_options: Value,
        request_id: Option<RequestId>,
    ) -> Result<Split, Error> {
        self.create_or_check(caller, (dataset, number), split_options, request_id, false).await
    }

    /// The split that [`create`](Self::create) would make or find; nothing is made.
    pub async fn check(
        &self,
        caller: &Caller,
        dataset: &str,
        number: Option<i64>,
        split_options: Value,
    ) -> Result<Split, Error> {
        self.create_or_check(caller, (dataset, number), split_options, None, true).await
    }

    async fn create_or_check(
        &self,
        caller: &Caller,
        (dataset, number): (&str, Option<i64>),
        split_options: Value,
        request_id: Option<RequestId>,
        check_only: bool,
    ) -> Result<Split, Error> {
        let (stored_options, options_digest) = options("options", &split_options)?;
        self.0.acceptance.as_ref().map_or(Ok(()), |acceptance| acceptance.split_options(&stored_options))?;
        let now = self.0.now();
        let request = Request::new(caller, request_id.as_ref(), "CreateSplit", &(dataset, number, &stored_options))?;
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.earlier(&mut tx).await? {
            return by_id(&mut tx, &SplitId::trusted(earlier)).await;
        }
        let found = find::dataset(&mut tx, dataset).await?;
        let seen = version(&mut tx, &found, number).await?;
        if let Some(job) = seen.job_id.filter(|_| !seen.state.is_final()) {
            // First the job, then its row: the order in which the job itself writes.
            tenor_queue::lock_state(&mut tx, job).await?;
        }
        split::lock_version(&mut tx, &seen.id).await?;
        // Read again under the lock: the import may just have ended.
        let number = seen.number;
        let version = version(&mut tx, &found, Some(number)).await?;
        if matches!(version.state, State::Failed | State::Cancelled) {
            return Err(Error::precondition(
                "DATASET_VERSION_NOT_READY",
                format!("version {number} of dataset `{}` is {}; import the file again", found.name, version.state),
            ));
        }
        let split = match split::same(&mut tx, &version.id, &options_digest).await? {
            Some(split) => split,
            None => {
                let mut split = Split {
                    id: SplitId::new(),
                    dataset_version_id: version.id,
                    state: State::Pending,
                    options: stored_options,
                    options_digest,
                    job_id: None,
                    error: None,
                    created_at: now,
                    finished_at: None,
                    outcome: None,
                };
                if check_only {
                    return Ok(split);
                }
                split::insert(&mut tx, &split).await?;
                let after = version.job_id.filter(|_| !version.state.is_final());
                let payload = json!({ "split_id": split.id });
                let job = enqueue(self.0, &mut tx, caller, PROCESS_DATASET, payload, after).await?;
                split::set_job(&mut tx, &split.id, job).await?;
                split.job_id = Some(job);
                split
            }
        };
        if let Some(earlier) = request.claim(&mut tx, split.id.as_str(), now).await? {
            tx.rollback().await?;
            return by_id(&mut self.0.read().await?, &SplitId::trusted(earlier)).await;
        }
        tx.commit().await?;
        self.0.queue.wake();
        Ok(split)
    }

    pub async fn get(&self, id: &SplitId) -> Result<Split, Error> {
        by_id(&mut self.0.read().await?, id).await
    }

    /// Those of these splits that exist, in any order.
    pub async fn by_ids(&self, ids: &[SplitId]) -> Result<Vec<Split>, Error> {
        Ok(split::by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// Splits of a dataset, or of one version of it, newest first.
    pub async fn list(&self, dataset: &str, number: Option<i64>, page: PageRequest) -> Result<Page<Split>, Error> {
        let mut tx = self.0.read().await?;
        let found = find::dataset(&mut tx, dataset).await?;
        let paging: Paging<String> = Paging::start("ListSplits", &(&found.id, number), &page)?;
        // Ids are hexadecimal, so all are below `g`.
        let before = paging.after.as_deref().unwrap_or("g");
        let rows = split::list(&mut tx, &found.id, number, before, paging.limit()).await?;
        paging.finish(rows, |split| split.id.as_str().to_owned())
    }

    /// The job has begun.
    pub async fn start(&self, fence: &Fence, id: &SplitId) -> Result<(), Error> {
        self.settle(fence, id, State::Running, None, None).await
    }

    /// The job has ended: with what it made, or with why not.
    pub async fn finish(
        &self,
        fence: &Fence,
        id: &SplitId,
        result: Result<SplitOutcome, String>,
    ) -> Result<Split, Error> {
        match &result {
            Ok(outcome) => self.settle(fence, id, State::Succeeded, None, Some(outcome)).await?,
            Err(why) => self.settle(fence, id, State::Failed, Some(&check::failure(why)), None).await?,
        }
        self.get(id).await
    }

    async fn settle(
        &self,
        fence: &Fence,
        id: &SplitId,
        state: State,
        error: Option<&str>,
        outcome: Option<&SplitOutcome>,
    ) -> Result<(), Error> {
        let mut tx = self.0.write().await?;
        tenor_queue::check_fence(&mut tx, fence).await?;
        if !split::move_to(&mut tx, id.as_str(), state, error, outcome, self.0.now()).await? {
            let found = by_id(&mut tx, id).await?;
            return Err(illegal_transition("split", found.state, state));
        }
        Ok(tx.commit().await?)
    }
}

/// A split to be trained on, and the job that makes it if that has not finished. Holds the split's version: under its lock the job cannot
/// end between looking and depending on it unseen, since the queue takes a finished dependency for what it is.
pub(crate) async fn hold(tx: &mut Tx, id: &SplitId) -> Result<(Split, Option<JobId>), Error> {
    let found = by_id(tx, id).await?;
    split::lock_version(tx, &found.dataset_version_id).await?;
    let found = by_id(tx, id).await?;
    if matches!(found.state, State::Failed | State::Cancelled) {
        let text = format!("split `{}` is {}; create it again", found.id, found.state);
        return Err(Error::precondition("SPLIT_NOT_READY", text));
    }
    let job = found.job_id.filter(|_| !found.state.is_final());
    Ok((found, job))
}

pub(crate) async fn by_id(tx: &mut Tx, id: &SplitId) -> Result<Split, Error> {
    split::by_id(tx, id)
        .await?
        .ok_or_else(|| Error::not_found(format!("split `{id}` does not exist; it may have been deleted")))
}

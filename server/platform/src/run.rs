//! Runs: training by a job, or logging from outside.

mod compare;
mod finish;
mod log;
mod train;

use std::collections::BTreeMap;

use serde::Serialize;
use tenor_domain::{Caller, Error, Etag, Metric, Page, PageRequest, ParamValue, RequestId, Run, RunId, State, Tags};
use tenor_queue::Fence;
use tenor_store::run::{Search, SortValue, fits, sort_values};
use tenor_store::{Tx, run};

pub use compare::{AnswersCompared, CompareRuns, FlippedRow, ParamDifference, RunsCompared};
pub use finish::{FinishedTraining, TrainedModel};
pub use log::NewArtifact;
pub use train::{TrainRows, TrainSpec};

use crate::Platform;
use crate::check::{self, MAX_NOTE_CHARS};
use crate::find::{self, check_etag, illegal_transition, stale, texts};
use crate::idempotency::{Request, deleted_since};
use crate::page::Paging;
use crate::search::{parse_filter, parse_order};

/// The most parameters of one call.
const MAX_PARAMS: usize = 1_000;
/// The longest text of a parameter.
const MAX_PARAM_CHARS: usize = 10_000;

/// A run to be logged from outside. It begins as running.
#[derive(Debug, Clone, Serialize)]
pub struct NewRun {
    /// Name or id.
    pub experiment: String,
    pub parent_run_id: Option<RunId>,
    pub name: String,
    pub note: String,
    pub params: BTreeMap<String, ParamValue>,
    pub tags: Tags,
}

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RunPatch {
    pub name: Option<String>,
    pub note: Option<String>,
    /// Replaces all tags.
    pub tags: Option<Tags>,
    /// Only for runs that were logged from outside; those with a job follow it.
    pub state: Option<State>,
    /// Why, when `state` is failed.
    pub error: Option<String>,
}

/// A search over runs; the language is that of [`parse_filter`] and [`parse_order`].
#[derive(Debug, Clone, Default, Serialize)]
pub struct SearchRuns {
    /// Names or ids; empty means all.
    pub experiments: Vec<String>,
    pub filter: String,
    pub order_by: String,
}

/// The use cases of runs.
#[derive(Clone, Copy)]
pub struct Runs<'a>(pub(crate) &'a Platform);

impl Runs<'_> {
    /// Begins a run that is logged from outside.
    pub async fn create(&self, caller: &Caller, new: NewRun, request_id: Option<RequestId>) -> Result<Run, Error> {
        check::label("name", &new.name)?;
        check::text("note", &new.note, MAX_NOTE_CHARS)?;
        check::tags(&new.tags)?;
        check_params(&new.params)?;
        let now = self.0.now();
        let id = RunId::new();
        let request = Request::new(caller, request_id.as_ref(), "CreateRun", &new)?;
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.claim(&mut tx, id.as_str(), now).await? {
            return run::by_id(&mut tx, &RunId::trusted(earlier)).await?.ok_or_else(|| deleted_since("run"));
        }
        let experiment = find::experiment(&mut tx, &new.experiment).await?;
        if let Some(parent) = &new.parent_run_id
            && run::existing(&mut tx, &[parent.as_str()]).await?.is_empty()
        {
            return Err(missing(parent));
        }
        let created = Run {
            id,
            experiment_id: experiment.id,
            parent_run_id: new.parent_run_id,
            name: new.name,
            kind: String::new(),
            state: State::Running,
            params: new.params,
            tags: new.tags,
            note: new.note,
            split_id: None,
            job_id: None,
            spec: None,
            error: None,
            created_at: now,
            started_at: Some(now),
            finished_at: None,
            etag: Etag(1),
            metrics: BTreeMap::new(),
        };
        match run::insert(&mut tx, &created).await {
            Ok(()) => {}
            // The experiment went in between; the parent is held.
            Err(error) if error.is_foreign_key_violation() => {
                tx.rollback().await?;
                return self.0.experiments().get(&new.experiment).await.and(Err(error.into()));
            }
            Err(error) => return Err(error.into()),
        }
        tx.commit().await?;
        Ok(created)
    }

    pub async fn get(&self, id: &RunId) -> Result<Run, Error> {
        by_id(&mut self.0.read().await?, id).await
    }

    /// Those of these runs that exist, in any order.
    pub async fn by_ids(&self, ids: &[RunId]) -> Result<Vec<Run>, Error> {
        Ok(run::by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// One page of the runs that match, in the order that was asked for.
    pub async fn list(&self, search: SearchRuns, page: PageRequest) -> Result<Page<Run>, Error> {
        let filter = parse_filter(&search.filter)?;
        let order = parse_order(&search.order_by)?;
        let paging: Paging<(Vec<CursorValue>, String)> = Paging::start("ListRuns", &search, &page)?;
        let mut tx = self.0.read().await?;
        let mut experiments = Vec::with_capacity(search.experiments.len().min(1_000));
        if search.experiments.len() > 1_000 {
            return Err(Error::invalid("experiments", "must name at most 1,000 experiments"));
        }
        for experiment in &search.experiments {
            experiments.push(find::experiment(&mut tx, experiment).await?.id);
        }
        let values: Vec<SortValue>;
        let after = match &paging.after {
            Some((cursor, id)) => {
                values = cursor.iter().map(SortValue::from).collect();
                // The checksum is no signature: a client can write values that PostgreSQL would refuse to compare.
                if !fits(&values, &order) {
                    return Err(Error::invalid("page_token", "is not a token of this server; begin again without one"));
                }
                Some((values.as_slice(), id.as_str()))
            }
            None => None,
        };
        let limit = paging.limit();
        let found = run::search(
            &mut tx,
            &Search { experiments: &experiments, filter: filter.as_ref(), order: &order, after, limit },
        )
        .await?;
        paging.finish(found, |run| {
            (sort_values(run, &order).iter().map(CursorValue::from).collect(), run.id.as_str().to_owned())
        })
    }

    /// Changes name, note, tags or state, all or nothing.
    pub async fn update(&self, id: &RunId, patch: RunPatch, etag: Option<Etag>) -> Result<Run, Error> {
        patch.name.as_deref().map_or(Ok(()), |name| check::label("name", name))?;
        patch.note.as_deref().map_or(Ok(()), |note| check::text("note", note, MAX_NOTE_CHARS))?;
        patch.error.as_deref().map_or(Ok(()), |error| check::text("error", error, MAX_NOTE_CHARS))?;
        patch.tags.as_ref().map_or(Ok(()), check::tags)?;
        let mut tx = self.0.write().await?;
        let found = by_id(&mut tx, id).await?;
        check_etag("run", etag, found.etag)?;
        // Under the etag that was read: the state machine must see the row that it changes.
        if !run::update(&mut tx, id, patch.name.as_deref(), patch.note.as_deref(), Some(found.etag)).await? {
            return Err(stale("run"));
        }
        if let Some(tags) = &patch.tags {
            run::replace_tags(&mut tx, id, tags).await?;
        }
        if let Some(state) = patch.state {
            if let Some(job) = found.job_id {
                return Err(Error::precondition(
                    "RUN_HAS_JOB",
                    format!("run `{id}` follows job {job}; cancel the job instead"),
                ));
            }
            self.change_state(&mut tx, &found, state, patch.error.as_deref()).await?;
        }
        let updated = by_id(&mut tx, id).await?;
        tx.commit().await?;
        Ok(updated)
    }

    async fn change_state(&self, tx: &mut Tx, found: &Run, to: State, error: Option<&str>) -> Result<(), Error> {
        if !found.state.may_become(to) {
            return Err(illegal_transition("run", found.state, to));
        }
        if !run::move_to(tx, &found.id, found.state, to, error, self.0.now()).await? {
            return Err(stale("run"));
        }
        Ok(())
    }

    /// The job has begun. A job that is tried again may begin again.
    pub async fn start(&self, fence: &Fence, id: &RunId) -> Result<Run, Error> {
        let mut tx = self.begin(Some(fence)).await?;
        let found = by_id(&mut tx, id).await?;
        if found.state == State::Running {
            return Ok(found);
        }
        self.change_state(&mut tx, &found, State::Running, None).await?;
        let settled = by_id(&mut tx, id).await?;
        tx.commit().await?;
        Ok(settled)
    }

    /// Deletes a run with all that was logged to it, and the runs below it. Refused while its job is live, and for good
    /// once a model version came from it.
    pub async fn delete(&self, id: &RunId, etag: Option<Etag>) -> Result<(), Error> {
        let mut tx = self.0.write().await?;
        let found = by_id(&mut tx, id).await?;
        check_etag("run", etag, found.etag)?;
        if let Some(job) = found.job_id
            && !found.state.is_final()
        {
            return Err(Error::precondition(
                "RUN_ACTIVE",
                format!("run `{id}` is {}; cancel job {job} first", found.state),
            ));
        }
        let in_use =
            || Error::precondition("RUN_IN_USE", format!("a model version came from run `{id}` or from one below it"));
        if run::versions_from(&mut tx, id).await? > 0 {
            return Err(in_use());
        }
        match run::delete(&mut tx, id, etag).await {
            Ok(true) => Ok(tx.commit().await?),
            Ok(false) => Err(stale("run")),
            Err(error) if error.is_foreign_key_violation() => Err(in_use()),
            Err(error) => Err(error.into()),
        }
    }

    /// The points of one metric in step order.
    pub async fn metric_history(&self, id: &RunId, key: &str, page: PageRequest) -> Result<Page<Metric>, Error> {
        Metric::check_key("key", key)?;
        let paging: Paging<i64> = Paging::start("ListMetricHistory", &(id, key), &page)?;
        let mut tx = self.0.read().await?;
        let points = run::history(&mut tx, id, key, paging.after, paging.limit()).await?;
        if points.is_empty() && run::by_id(&mut tx, id).await?.is_none() {
            return Err(missing(id));
        }
        paging.finish(points, |metric| metric.step)
    }
}

pub(crate) fn missing(id: &RunId) -> Error {
    Error::not_found(format!("run `{id}` does not exist; it may have been deleted"))
}

pub(crate) async fn by_id(tx: &mut Tx, id: &RunId) -> Result<Run, Error> {
    run::by_id(tx, id).await?.ok_or_else(|| missing(id))
}

pub(crate) fn check_params(params: &BTreeMap<String, ParamValue>) -> Result<(), Error> {
    if params.len() > MAX_PARAMS {
        return Err(Error::invalid("params", format!("must have at most {MAX_PARAMS} keys")));
    }
    for (key, value) in params {
        Metric::check_key("params", key)?;
        if let ParamValue::Text(text) = value {
            check::text("params", text, MAX_PARAM_CHARS)?;
        }
    }
    Ok(())
}

/// A [`SortValue`] in a cursor. Numbers as bits: infinities have no JSON.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
enum CursorValue {
    N(Option<u64>),
    I(Option<i64>),
    T(Option<String>),
}

impl From<&SortValue> for CursorValue {
    fn from(value: &SortValue) -> Self {
        match value {
            SortValue::Number(number) => Self::N(number.map(f64::to_bits)),
            SortValue::Integer(integer) => Self::I(*integer),
            SortValue::Text(text) => Self::T(text.clone()),
        }
    }
}

impl From<&CursorValue> for SortValue {
    fn from(value: &CursorValue) -> Self {
        match value {
            CursorValue::N(bits) => Self::Number(bits.map(f64::from_bits)),
            CursorValue::I(integer) => Self::Integer(*integer),
            CursorValue::T(text) => Self::Text(text.clone()),
        }
    }
}

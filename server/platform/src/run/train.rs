//! Training as a job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenor_domain::{
    AliasName, CalibrationMethod, Caller, Error, Etag, ExperimentId, ExperimentName, JobId, Metric, ModelName,
    ParamValue, RequestId, Run, RunId, SplitId, State, Tags,
};
use tenor_store::{Tx, experiment, run};

use super::{Runs, check_params};
use crate::canonical::options;
use crate::check;
use crate::find;
use crate::idempotency::{Request, deleted_since};
use crate::job::{TRAIN_RUN, enqueue};
use crate::model::contract::check_contract;
use crate::split;

/// Most slices that a training may ask for.
const MAX_SLICES: usize = 20;

/// What to train, on what. Stored with the run as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// Created when it does not exist.
    pub experiment: ExperimentName,
    pub split_id: SplitId,
    /// Model kind, e.g. `logreg`.
    pub kind: String,
    /// Parameters of the kind as a JSON object; null for the defaults.
    pub params: Value,
    #[serde(default, skip_serializing_if = "TrainRows::is_train")]
    pub rows: TrainRows,
    /// The same data, parameters and seed give the same model file.
    pub seed: u64,
    /// How probabilities are calibrated on the validation rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationMethod>,
    /// Folds of a cross-validation on the training rows, 2 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<u32>,
    /// Filters, each of which makes a slice of the test rows to be judged besides the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<String>,
    /// Of the run; may be empty.
    pub name: String,
    pub tags: Tags,
    /// Register the model under this name when the run succeeds.
    pub register_model: Option<ModelName>,
    /// Point these aliases at the new version.
    pub aliases: Vec<AliasName>,
}

/// The rows that a model learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainRows {
    /// Those of the training part; the validation part judges meanwhile.
    #[default]
    Train,
    /// Both; for the last fit of parameters that were chosen by the validation part.
    TrainAndValidation,
}

impl TrainRows {
    fn is_train(&self) -> bool {
        *self == Self::Train
    }
}

impl Runs<'_> {
    /// Creates a run and enqueues the job that trains it, after the split's job if that has not finished.
    ///
    /// # Errors
    /// `CONTRACT_BREAKING` when a deployment follows one of the aliases and the split's contract breaks what it serves.
    pub async fn train(&self, caller: &Caller, spec: TrainSpec, request_id: Option<RequestId>) -> Result<Run, Error> {
        self.train_or_check(caller, spec, request_id, false).await
    }

    /// The run that [`train`](Self::train) would begin, with its parameters complete; nothing is made.
    pub async fn check_train(&self, caller: &Caller, spec: TrainSpec) -> Result<Run, Error> {
        self.train_or_check(caller, spec, None, true).await
    }

    async fn train_or_check(
        &self,
        caller: &Caller,
        mut spec: TrainSpec,
        request_id: Option<RequestId>,
        check_only: bool,
    ) -> Result<Run, Error> {
        let params = self.complete(&mut spec)?;
        let now = self.0.now();
        let id = RunId::new();
        let request = Request::new(caller, request_id.as_ref(), "TrainRun", &spec)?;
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.claim(&mut tx, id.as_str(), now).await? {
            return run::by_id(&mut tx, &RunId::trusted(earlier)).await?.ok_or_else(|| deleted_since("run"));
        }
        let (mut created, after) = self.prepare(&mut tx, id, &spec, params).await?;
        if check_only {
            return Ok(created);
        }
        match run::insert(&mut tx, &created).await {
            Ok(()) => {}
            // The experiment went in between; the split is held.
            Err(error) if error.is_foreign_key_violation() => {
                tx.rollback().await?;
                return self.0.experiments().get(spec.experiment.as_str()).await.and(Err(error.into()));
            }
            Err(error) => return Err(error.into()),
        }
        self.enqueue(&mut tx, caller, &mut created, after).await?;
        tx.commit().await?;
        self.0.queue.wake();
        Ok(created)
    }

    /// The same in the caller's transaction. Wake the queue after the commit.
    pub(crate) async fn train_in(&self, tx: &mut Tx, caller: &Caller, mut spec: TrainSpec) -> Result<Run, Error> {
        let params = self.complete(&mut spec)?;
        let (mut created, after) = self.prepare(tx, RunId::new(), &spec, params).await?;
        run::insert(tx, &created).await?;
        self.enqueue(tx, caller, &mut created, after).await?;
        Ok(created)
    }

    /// Checks what can be known without the database, completes the kind's parameters, and returns all that the run shows.
    fn complete(&self, spec: &mut TrainSpec) -> Result<BTreeMap<String, ParamValue>, Error> {
        check::label("name", &spec.name)?;
        check::tags(&spec.tags)?;
        if spec.kind.is_empty() {
            return Err(Error::invalid("kind", "must name a model kind, e.g. `logreg`"));
        }
        check::label("kind", &spec.kind)?;
        if spec.register_model.is_none() && !spec.aliases.is_empty() {
            return Err(Error::invalid("aliases", "need `register_model`: an alias points at a registered version"));
        }
        check::folds("folds", spec.folds)?;
        if spec.slices.len() > MAX_SLICES {
            let count = spec.slices.len();
            return Err(Error::invalid("slices", format!("must be at most {MAX_SLICES}, got {count}")));
        }
        check::aliases("aliases", &spec.aliases)?;
        (spec.params, _) = options("params", &spec.params)?;
        if let Some(acceptance) = &self.0.acceptance {
            // Complete, so that the run shows what it was trained with and a later default changes nothing.
            spec.params = acceptance.train_params(&spec.kind, &spec.params)?;
            spec.slices.iter().try_for_each(|filter| acceptance.slice_filter(filter))?;
        }
        let mut params = typed(&spec.params)?;
        params.insert("seed".to_owned(), seed(spec.seed));
        if let Some(method) = spec.calibration {
            params.insert("calibration".to_owned(), ParamValue::Text(method.as_str().to_owned()));
        }
        if let Some(folds) = spec.folds {
            params.insert("folds".to_owned(), ParamValue::Int(i64::from(folds)));
        }
        if spec.rows == TrainRows::TrainAndValidation {
            if spec.calibration.is_some() {
                let text = "learns on the validation rows, so they cannot be trained on as well; leave one of both out";
                return Err(Error::invalid("calibration", text));
            }
            params.insert("rows".to_owned(), ParamValue::Text("train_and_validation".to_owned()));
        }
        check_params(&params)?;
        Ok(params)
    }

    /// The run to be made, and the job of its split if that has not finished. Holds the split's version; the experiment is made.
    async fn prepare(
        &self,
        tx: &mut Tx,
        id: RunId,
        spec: &TrainSpec,
        params: BTreeMap<String, ParamValue>,
    ) -> Result<(Run, Option<JobId>), Error> {
        let now = self.0.now();
        let (split, after) = split::hold(tx, &spec.split_id).await?;
        if let (Some(model), Some(outcome)) = (&spec.register_model, &split.outcome) {
            // What is bound to be refused at the end is refused before it costs anything. The job looks again.
            check_contract(tx, model, &spec.aliases, &outcome.contract).await?;
        }
        // `false`: it is there, which serves as well.
        experiment::insert(tx, &ExperimentId::new(), &spec.experiment, "", &Tags::new(), now).await?;
        let experiment = find::experiment(tx, spec.experiment.as_str()).await?;
        let created = Run {
            id,
            experiment_id: experiment.id,
            parent_run_id: None,
            name: spec.name.clone(),
            kind: spec.kind.clone(),
            state: State::Pending,
            params,
            tags: spec.tags.clone(),
            note: String::new(),
            split_id: Some(split.id),
            job_id: None,
            spec: Some(serde_json::to_value(spec).map_err(Error::internal)?),
            error: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            etag: Etag(1),
            metrics: BTreeMap::new(),
        };
        Ok((created, after))
    }

    /// Enqueues the run's job, after the split's.
    async fn enqueue(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        created: &mut Run,
        after: Option<JobId>,
    ) -> Result<(), Error> {
        let job = enqueue(self.0, tx, caller, TRAIN_RUN, json!({ "run_id": created.id }), after).await?;
        run::set_job(tx, &created.id, job).await?;
        created.job_id = Some(job);
        Ok(())
    }
}

/// The members of a JSON object as parameters; arrays and objects as JSON text.
fn typed(params: &Value) -> Result<BTreeMap<String, ParamValue>, Error> {
    let Some(members) = params.as_object() else { return Ok(BTreeMap::new()) };
    let mut typed = BTreeMap::new();
    for (key, value) in members {
        Metric::check_key("params", key)?;
        let value = match value {
            Value::Null => continue,
            Value::Bool(value) => ParamValue::Bool(*value),
            Value::String(text) => ParamValue::Text(text.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => ParamValue::Int(integer),
                (None, Some(float)) => ParamValue::Float(float),
                (None, None) => ParamValue::Text(number.to_string()),
            },
            nested => ParamValue::Text(nested.to_string()),
        };
        typed.insert(key.clone(), value);
    }
    Ok(typed)
}

/// Seeds above 2^63 do not fit an integer parameter.
fn seed(seed: u64) -> ParamValue {
    i64::try_from(seed).map_or_else(|_| ParamValue::Text(seed.to_string()), ParamValue::Int)
}

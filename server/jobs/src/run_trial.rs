//! Runs one trial of a study: fits with its parameters, and measures what the study looks at.

mod measure;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenor_domain::{Error, State, StudyId};
use tenor_learn::Registry;
use tenor_platform::{BegunTrial, Platform, TrialEnd};
use tenor_queue::{Fence, Job, JobContext, JobError};

use crate::context::{Jobs, caller, compute};
use crate::kept::{Kept, RunCheckpoints};
pub(crate) use measure::MEASURED;
use measure::{Measured, Trial, latencies};
pub use rows::RowsCache;
pub(crate) use rows::load_examples;

/// Runs whatever trial the study has next. Idempotent: the job's own trial, once it has ended, is not run again.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunTrial {
    pub study_id: StudyId,
}

impl Job for RunTrial {
    const KIND: &'static str = "run_trial";
}

impl RunTrial {
    pub(crate) async fn run(self, jobs: &Jobs, context: &JobContext) -> Result<Value, JobError> {
        let (studies, caller, fence) = (jobs.platform.studies(), caller(context), context.fence());
        let Some(BegunTrial { study, spec, trial }) = studies.begin_trial(&caller, &fence, &self.study_id).await?
        else {
            jobs.rows.clear();
            return Ok(json!({ "trial": null }));
        };
        let number = trial.number;
        context.info(format!("trial {number} of study {}", study.name)).await;
        let Some(training) = spec.training.clone() else {
            return Err(JobError::fail(anyhow::anyhow!("study {} has no trainings", study.name)));
        };
        let split = jobs.platform.splits().get(&training.split_id).await?;
        let Some(outcome) = split.outcome.filter(|_| split.state == State::Succeeded) else {
            return Err(JobError::fail(anyhow::anyhow!(
                "split {} is {}; trials need a succeeded one",
                split.id,
                split.state
            )));
        };
        let rows = jobs.rows.load(jobs, &outcome).await?;
        let (kind, params) = training.of(&trial.params);
        let checkpoints = Arc::new(jobs.kept.checkpoints(format!("{}-{number}", study.id)));
        // Small fits gain little from a second thread: trials side by side are faster than each on all threads. Models are the same.
        let (_counted, running) = jobs.trials.enter();
        let work = TrialWork {
            registry: Arc::clone(&jobs.registry),
            threads: (jobs.threads / running).max(1),
            kept: jobs.kept.clone(),
            checkpoints: Arc::clone(&checkpoints),
            rows,
            kind,
            params,
            seed: spec.seed,
            folds: training.folds,
            latency_counts: latencies().any(|metric| spec.looks_at(metric)),
            report: Reporter {
                runtime: tokio::runtime::Handle::current(),
                platform: Arc::clone(&jobs.platform),
                fence,
                study: self.study_id.clone(),
                number,
                metrics: spec.prune_metrics().iter().map(|metric| metric.metric.clone()).collect(),
            },
        };
        let measured = compute(context, move |progress, cancelled| work.run(progress, cancelled)).await?;
        let (state, end) = match measured {
            Measured::Complete(metrics) => ("complete", TrialEnd::Complete(metrics)),
            Measured::Pruned(metrics) => ("pruned", TrialEnd::Pruned(metrics)),
        };
        let result = match &end {
            TrialEnd::Complete(metrics) => {
                let wanted = spec.metrics();
                let shown: BTreeMap<&String, &f64> =
                    metrics.iter().filter(|(name, _)| wanted.contains(name.as_str())).collect();
                json!({ "trial": number, "state": state, "metrics": shown })
            }
            _ => json!({ "trial": number, "state": state }),
        };
        let study = studies.end_trial(&caller, &fence, &self.study_id, number, end).await?;
        if study.jobs.is_empty() {
            jobs.rows.clear();
        }
        checkpoints.remove();
        Ok(result)
    }
}

/// Everything that the blocking part needs.
struct TrialWork {
    registry: Arc<Registry>,
    threads: usize,
    kept: Kept,
    checkpoints: Arc<RunCheckpoints>,
    rows: Arc<rows::TrialRows>,
    kind: String,
    params: Value,
    seed: u64,
    folds: Option<u32>,
    latency_counts: bool,
    report: Reporter,
}

impl TrialWork {
    fn run(self, progress: &(dyn Fn(f64, &str) + Sync), cancelled: &Arc<AtomicBool>) -> Result<Measured, Error> {
        let report = |step, metrics| self.report.report(step, metrics);
        let trial = Trial {
            trainer: self.registry.get(&self.kind)?,
            params: &self.params,
            seed: self.seed,
            threads: self.threads,
            rows: &self.rows,
            folds: self.folds,
            kept: &self.kept,
            checkpoints: self.checkpoints.as_ref(),
            prune_metrics: &self.report.metrics,
            latency_counts: self.latency_counts,
            report: &report,
            progress,
            cancelled,
        };
        trial.measure()
    }
}

/// Tells the study how its trial goes, from the thread that computes.
struct Reporter {
    runtime: tokio::runtime::Handle,
    platform: Arc<Platform>,
    fence: Fence,
    study: StudyId,
    number: i64,
    /// What trials are pruned by.
    metrics: Vec<String>,
}

impl Reporter {
    /// Whether the trial should end.
    fn report(&self, step: i64, metrics: BTreeMap<String, f64>) -> Result<bool, Error> {
        let studies = self.platform.studies();
        let told = studies.report_trial(&self.fence, &self.study, self.number, step, metrics);
        Ok(self.runtime.block_on(told)?.prune)
    }
}

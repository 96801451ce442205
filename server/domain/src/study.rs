//! Studies and their trials: searches for good hyper-parameters.

use std::collections::BTreeMap;

use crate::entity::states;
use crate::{Etag, JobId, ParamValue, StudyId, StudyName, Tags, Timestamp};

states! {
    /// The life of a study. `Active` and `Paused` may alternate; the other three are final.
    StudyState {
        Active "active",
        /// Nothing is suggested; trials that run may end.
        Paused "paused",
        /// Somebody ended it.
        Stopped "stopped",
        /// Its budget is spent.
        Completed "completed",
        Failed "failed",
    }
}

impl StudyState {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Stopped | Self::Completed | Self::Failed)
    }
}

states! {
    /// The life of a trial. The last three are final.
    TrialState {
        /// Enqueued; nobody has taken it yet.
        Waiting "waiting",
        Running "running",
        Complete "complete",
        /// Ended early because it did not look good.
        Pruned "pruned",
        Failed "failed",
    }
}

impl TrialState {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Pruned | Self::Failed)
    }
}

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    pub id: StudyId,
    pub name: StudyName,
    pub description: String,
    pub tags: Tags,
    pub state: StudyState,
    /// `platform::StudySpec` as JSON.
    pub spec: serde_json::Value,
    /// Grows by one with each change of the study or of one of its trials.
    pub revision: i64,
    /// Trials so far, and so the number of the next.
    pub trial_count: i64,
    /// Jobs that run trials now, or are about to.
    pub jobs: Vec<JobId>,
    /// Time for which it was active before `resumed_at`.
    pub spent_ms: i64,
    /// Since when it is active; `None` while it is not.
    pub resumed_at: Option<Timestamp>,
    /// `platform::StudyOutcome` as JSON, once the winner is chosen.
    pub outcome: Option<serde_json::Value>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub etag: Etag,
}

/// One point of the space, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub study_id: StudyId,
    /// 0, 1, 2, ... without a gap within the study.
    pub number: i64,
    pub state: TrialState,
    pub params: BTreeMap<String, ParamValue>,
    /// Finite numbers; of a complete trial at least the objectives and what is constrained.
    pub metrics: BTreeMap<String, f64>,
    /// By how much the constraints are broken, all together; 0 when they are kept.
    pub violation: f64,
    /// Where the point comes from: a sampler's name, `enqueued`, `default` or `warm_start`.
    pub origin: String,
    /// Who runs it.
    pub client_id: String,
    /// The job that runs it, if one does.
    pub job_id: Option<JobId>,
    /// When somebody else may take it over; `None` when a job runs it, which has a lease of its own.
    pub lease_until: Option<Timestamp>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// The study's revision with the last change of this trial.
    pub revision: i64,
    /// The study's revision when it began: its point was chosen from what was there at the one before.
    pub start_revision: Option<i64>,
    /// The study's revision when it ended.
    pub finish_revision: Option<i64>,
    /// With rising steps.
    pub reports: Vec<TrialReport>,
}

/// What a trial looked like at a step, and what was decided then.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialReport {
    pub step: i64,
    /// One a metric that trials are pruned by.
    pub values: Vec<f64>,
    pub prune: bool,
    /// For people: what it was compared with.
    pub reason: String,
    pub at: Timestamp,
}

//! The plain data of each noun, and the states it passes through. Rows, not behaviour: rules live in `platform`.

use std::collections::BTreeMap;

use crate::{
    AliasName, DatasetId, DatasetName, DatasetVersionId, DeploymentId, DeploymentName, Digest, Etag, ExperimentId,
    ExperimentName, JobId, ModelName, ModelVersionId, ParamValue, RegisteredModelId, RunId, SplitId, Timestamp,
    UploadId,
};

/// Free key-value text of a resource: at most 64 keys, keys as metric keys, values up to 5,000 characters.
pub type Tags = BTreeMap<String, String>;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The text in the database and in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use states;

states! {
    /// The life of anything that a job makes: a dataset version, a split, a run.
    State { Pending "pending", Running "running", Succeeded "succeeded", Failed "failed", Cancelled "cancelled", }
}

impl State {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
    /// Whether a row may go from `self` to `next`. Final states are left by nothing. A running row may go back to
    /// pending: its worker was shut down, or lost its lease, and another will take it.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Running | Self::Succeeded | Self::Failed | Self::Cancelled),
            Self::Running => matches!(next, Self::Pending | Self::Succeeded | Self::Failed | Self::Cancelled),
            Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }
}

states! {
    /// The life of a job in the queue. `Waiting` has unfinished dependencies, `Ready` may be claimed once `run_at` is past.
    JobState {
        Waiting "waiting", Ready "ready", Running "running", Succeeded "succeeded", Failed "failed", Cancelled "cancelled",
    }
}

impl JobState {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

states! {
    /// What a deployment does with input that breaks the feature contract.
    ContractMode { Strict "strict", Warn "warn", Impute "impute", }
}

states! {
    /// Which label a model learns. `Star`: the stars, 1 to 5. `Binary`: stars >= 4 `positive`, <= 2 `negative`, 3 dropped. `Label`: the label
    /// column as it is.
    Task { Binary "binary", Star "star", Label "label", }
}

/// A named dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    pub id: DatasetId,
    pub name: DatasetName,
    pub description: String,
    pub tags: Tags,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub etag: Etag,
    /// Number of the newest version, 0 when there is none.
    pub latest_version: i64,
}

/// A file on its way in. Bytes arrive in order; `received_bytes` is where to resume.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    pub id: UploadId,
    pub file_name: String,
    pub received_bytes: i64,
    /// Announced size, if the client knew it.
    pub size_bytes: Option<i64>,
    /// Set once the upload is complete; then the bytes are a blob.
    pub digest: Option<Digest>,
    pub created_at: Timestamp,
}

/// An immutable version of a dataset: source bytes, accepted rows, quarantined rows, reports.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetVersion {
    pub id: DatasetVersionId,
    pub dataset_id: DatasetId,
    /// 1, 2, 3, ... without a gap within the dataset.
    pub number: i64,
    pub state: State,
    /// SHA-256 of the uploaded bytes.
    pub source_digest: Digest,
    pub source_bytes: i64,
    pub file_name: String,
    /// `data::ImportOptions` as JSON.
    pub options: serde_json::Value,
    /// Digest of the canonical options; with `source_digest` it is the version's identity.
    pub options_digest: Digest,
    pub job_id: Option<JobId>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// Filled by the import job.
    pub outcome: Option<ImportOutcome>,
}

/// What an import made. `rows_read == rows_accepted + rows_quarantined`, always.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ImportOutcome {
    pub rows_read: i64,
    pub rows_accepted: i64,
    /// Accepted after a repair (counted within `rows_accepted`).
    pub rows_repaired: i64,
    pub rows_quarantined: i64,
    /// Parquet of the accepted rows.
    pub data_digest: Digest,
    pub data_bytes: i64,
    /// Parquet of the quarantined rows; `None` when there are none.
    pub quarantine_digest: Option<Digest>,
    /// `data::Profile` as JSON.
    pub profile: serde_json::Value,
    /// `data::ValidationReport` as JSON.
    pub validation: serde_json::Value,
    /// Whether no rule of severity `error` failed.
    pub valid: bool,
}

/// Train, validation and test rows made from one dataset version: cleaned, balanced, with the numeric features.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub id: SplitId,
    pub dataset_version_id: DatasetVersionId,
    pub state: State,
    /// `data::ProcessOptions` as JSON.
    pub options: serde_json::Value,
    /// Digest of the canonical options; with the dataset version it is the split's identity.
    pub options_digest: Digest,
    pub job_id: Option<JobId>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub outcome: Option<SplitOutcome>,
}

/// What processing made.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SplitOutcome {
    pub train: SplitPart,
    pub validation: SplitPart,
    pub test: SplitPart,
    /// `features::FeatureContract` as JSON.
    pub contract: serde_json::Value,
    pub contract_hash: Digest,
    /// `data::ProcessReport` as JSON: rows dropped by reason, class counts before and after, feature statistics.
    pub report: serde_json::Value,
}

/// One part of a split.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SplitPart {
    pub digest: Digest,
    pub rows: i64,
    pub size_bytes: i64,
}

/// A group of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    pub id: ExperimentId,
    pub name: ExperimentName,
    pub description: String,
    pub tags: Tags,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub etag: Etag,
}

/// One training, or one piece of work logged from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: RunId,
    pub experiment_id: ExperimentId,
    pub parent_run_id: Option<RunId>,
    pub name: String,
    /// Model kind, e.g. `logreg`; empty for a run that was logged from outside.
    pub kind: String,
    pub state: State,
    pub params: BTreeMap<String, ParamValue>,
    pub tags: Tags,
    pub note: String,
    pub split_id: Option<SplitId>,
    pub job_id: Option<JobId>,
    /// `platform::TrainSpec` as JSON for a training run.
    pub spec: Option<serde_json::Value>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub etag: Etag,
    /// The last value of each metric, by key.
    pub metrics: BTreeMap<String, f64>,
}

/// A file that a run left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    pub run_id: RunId,
    /// Slash-separated relative name, e.g. `plots/confusion.svg`. A label, never a path on a disk.
    pub name: String,
    pub digest: Digest,
    pub size_bytes: i64,
    pub media_type: String,
    pub created_at: Timestamp,
}

/// A named model with versions.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredModel {
    pub id: RegisteredModelId,
    pub name: ModelName,
    pub description: String,
    pub tags: Tags,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub etag: Etag,
    /// Number of the newest version, 0 when there is none.
    pub latest_version: i64,
    /// Alias name to version number.
    pub aliases: BTreeMap<String, i64>,
}

/// An immutable version of a registered model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    pub id: ModelVersionId,
    pub model_id: RegisteredModelId,
    pub model_name: ModelName,
    /// 1, 2, 3, ... without a gap within the model.
    pub number: i64,
    pub run_id: RunId,
    /// The model file.
    pub digest: Digest,
    pub size_bytes: i64,
    pub kind: String,
    pub classes: Vec<String>,
    pub contract_hash: Digest,
    /// Test metrics at registration.
    pub metrics: BTreeMap<String, f64>,
    pub description: String,
    pub created_at: Timestamp,
}

/// One line of an alias's history: from `at` on, `alias` meant `version`.
#[derive(Debug, Clone, PartialEq)]
pub struct AliasEvent {
    pub model_id: RegisteredModelId,
    pub alias: AliasName,
    /// `None` when the alias was removed.
    pub version: Option<i64>,
    pub previous: Option<i64>,
    pub actor: String,
    pub why: String,
    pub at: Timestamp,
    /// Grows by one with each change of this alias; the etag of a compare-and-set.
    pub etag: Etag,
}

/// A model under a stable name that answers predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    pub id: DeploymentId,
    pub name: DeploymentName,
    pub model_id: RegisteredModelId,
    pub model_name: ModelName,
    pub target: DeploymentTarget,
    pub contract_mode: ContractMode,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub etag: Etag,
    /// The version that `target` means now; `None` while the alias points nowhere.
    pub current_version: Option<i64>,
}

/// What a deployment serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentTarget {
    /// Follows the alias wherever it points.
    Alias(AliasName),
    /// Stays on one version.
    Version(i64),
}

/// A job as clients see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub kind: String,
    pub queue: String,
    pub state: JobState,
    pub priority: i32,
    pub attempt: i32,
    pub max_attempts: i32,
    pub payload: serde_json::Value,
    pub result: Option<serde_json::Value>,
    pub error: Option<String>,
    pub cancel_requested: bool,
    pub unique_key: Option<String>,
    pub worker: Option<String>,
    pub traceparent: Option<String>,
    /// 0 to 1 of the running attempt.
    pub progress: f64,
    pub created_at: Timestamp,
    pub run_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// One line of a job's history. `seq` grows by one within the job: a reader resumes after the last it saw.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    pub job_id: JobId,
    pub seq: i64,
    pub at: Timestamp,
    pub level: JobEventLevel,
    pub message: String,
    /// 0 to 1 for progress lines.
    pub progress: Option<f64>,
    pub data: Option<serde_json::Value>,
}

states! {
    /// What a job event is about. `State` lines mark a change of the job's state.
    JobEventLevel { State "state", Progress "progress", Info "info", Warn "warn", Error "error", }
}

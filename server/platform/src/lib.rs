#![doc = include_str!("../README.md")]

mod canonical;
mod check;
mod dataset;
mod deployment;
mod experiment;
mod find;
mod idempotency;
mod job;
mod metric;
mod model;
mod page;
mod platform;
mod run;
mod search;
mod settle;
mod split;
mod study;
mod upload;

pub use dataset::{DatasetPatch, Datasets, ImportRequest, NewDataset};
pub use deployment::{DeploymentPatch, Deployments, NewDeployment};
pub use experiment::{ExperimentPatch, Experiments, NewExperiment};
pub use job::{Jobs, Watched};
pub use metric::MetricBatch;
pub use model::{AliasMove, ModelFacts, ModelPatch, Models, NewModel, VersionRef};
pub use platform::Platform;
pub use run::{
    AnswersCompared, CompareRuns, FinishedTraining, FlippedRow, NewArtifact, NewRun, ParamDifference, RunPatch, Runs,
    RunsCompared, SearchRuns, TrainRows, TrainSpec, TrainedModel,
};
pub use search::{parse_filter, parse_order};
pub use split::Splits;
pub use study::{
    BegunTrial, Budget, Chosen, Constraint, KIND_PARAM, NewReport, NewStudy, Objective, PolicySpec, PrunerSpec,
    STANDARD_ERROR, SearchTrials, Studies, StudyChange, StudyChanges, StudyImportance, StudyOutcome, StudyPatch,
    StudySpec, StudyTraining, Suggested, TrialEnd,
};
pub use tenor_queue::{Fence, JobFilter};
pub use tenor_tune::{Direction, Param, SamplerKind};
pub use upload::Uploads;

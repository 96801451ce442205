#![doc = include_str!("../README.md")]

pub mod blocking;
mod client;
mod datasets;
mod deployments;
mod error;
mod experiments;
mod jobs;
mod models;
mod page;
mod predictions;
mod request;
mod resume;
mod studies;
mod trace;
mod upload;

pub use client::{Client, ClientBuilder, Health};
pub use datasets::{Datasets, NewImport, NewSplit};
pub use deployments::{DeploymentChange, Deployments, NewDeployment, Target};
pub use error::{Error, Kind, Violation};
pub use experiments::{CompareRuns, DownloadRange, Experiments, NewArtifact, NewRun, RunChange, RunQuery, TrainRun};
pub use jobs::{Jobs, is_final};
pub use models::{AliasMove, Models};
pub use page::Items;
pub use predictions::{Answer, Explain, Predictions, instance};
pub use request::{Change, NewNamed};
pub use studies::{NewStudy, Studies, TrialQuery, is_over};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The messages that the server answers with, as `tenor.v1` defines them.
pub mod types {
    pub use prost_types::Timestamp;
    pub use tenor_proto::v1::*;
}

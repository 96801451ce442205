//! Ids: UUIDv7 text, a newtype for each noun.

use std::fmt;

use crate::Error;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $field:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A fresh, time-ordered id.
            #[expect(clippy::new_without_default, reason = "a new id is an act, not a default value")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7().to_string())
            }
            /// Parses an id that came from outside.
            pub fn parse(text: &str) -> Result<Self, Error> {
                match uuid::Uuid::try_parse(text) {
                    Ok(id) if text.len() == 36 => Ok(Self(id.to_string())),
                    _ => Err(Error::invalid($field, format!("must be an id like `0199d2c4-...`, got `{}`", crate::name::shown(text)))),
                }
            }
            /// Takes an id that this system wrote, e.g. from a database row.
            pub fn trusted(text: String) -> Self {
                Self(text)
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    DatasetId "dataset_id";
    UploadId "upload_id";
    DatasetVersionId "dataset_version_id";
    SplitId "split_id";
    ExperimentId "experiment_id";
    RunId "run_id";
    RegisteredModelId "registered_model_id";
    ModelVersionId "model_version_id";
    DeploymentId "deployment_id";
    PredictionId "prediction_id";
    StudyId "study_id";
}

/// A job's id: an integer, because the queue's order needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl JobId {
    /// Parses a positive decimal integer.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.parse::<i64>() {
            Ok(id) if id > 0 => Ok(Self(id)),
            _ => {
                Err(Error::invalid("job_id", format!("must be a positive integer, got `{}`", crate::name::shown(text))))
            }
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

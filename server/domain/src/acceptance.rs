//! What background work accepts, asked before it is enqueued.

use serde_json::Value;

use crate::Error;

/// Checks options when they are requested, so that a wrong one is the answer to the request and not the end of a job.
/// `null` means the defaults.
pub trait Acceptance: Send + Sync {
    fn import_options(&self, options: &Value) -> Result<(), Error>;
    fn split_options(&self, options: &Value) -> Result<(), Error>;
    /// The parameters of model kind `kind`, completed by its defaults.
    fn train_params(&self, kind: &str, params: &Value) -> Result<Value, Error>;
    /// A filter that makes a slice of test rows; whether its fields are there is known when the rows are.
    fn slice_filter(&self, filter: &str) -> Result<(), Error>;
    /// The space in which these kinds are usually searched. With several kinds, `kind` is a parameter too.
    fn search_space(&self, kinds: &[String]) -> Result<SearchSpace, Error>;
    /// Whether trials measure this metric on rows with this feature contract; without it, on any.
    fn trial_metric(&self, metric: &str, contract: Option<&Value>) -> Result<(), Error>;
    /// The metrics that a fit of model kind `kind` tells step by step.
    fn curves(&self, kind: &str, params: &Value) -> Result<&'static [&'static str], Error>;
}

/// What to search, as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpace {
    /// A list of `tune::Param`.
    pub space: Value,
    /// Points that are known to be good, as objects of names and values: the defaults of the kinds.
    pub initial: Vec<Value>,
}

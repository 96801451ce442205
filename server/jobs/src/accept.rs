//! What the jobs of this crate accept.

use std::sync::Arc;

use serde_json::Value;
use tenor_data::{ImportOptions, ProcessOptions};
use tenor_domain::{Acceptance, Error};
use tenor_learn::Registry;
use tenor_learn::slices::SliceFilter;

/// Asks the crates that do the work.
pub struct JobAcceptance(pub Arc<Registry>);

impl Acceptance for JobAcceptance {
    fn import_options(&self, options: &Value) -> Result<(), Error> {
        ImportOptions::parse(options).map(drop).map_err(Error::from)
    }

    fn split_options(&self, options: &Value) -> Result<(), Error> {
        ProcessOptions::parse(options).map(drop).map_err(Error::from)
    }

    fn train_params(&self, kind: &str, params: &Value) -> Result<Value, Error> {
        self.0.get(kind)?.check_params(params)
    }

    fn slice_filter(&self, filter: &str) -> Result<(), Error> {
        SliceFilter::parse(filter).map(drop)
    }
}

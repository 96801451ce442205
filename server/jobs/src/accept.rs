//! What the jobs of this crate accept.

use std::sync::Arc;

use serde_json::Value;
use tenor_data::{ImportOptions, ProcessOptions};
use tenor_domain::{Acceptance, Error, SearchSpace};
use tenor_learn::Registry;
use tenor_learn::metrics::{SCORES, STAR_SCORES};
use tenor_learn::slices::SliceFilter;

use crate::run_trial::MEASURED;
use crate::spaces::search_space;

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

    fn search_space(&self, kinds: &[String]) -> Result<SearchSpace, Error> {
        search_space(kinds)
    }

    fn trial_metric(&self, metric: &str) -> Result<(), Error> {
        let scores = SCORES.iter().chain(&STAR_SCORES).chain(&MEASURED);
        let of_class = ["precision/", "recall/", "f1/"].iter().any(|prefix| metric.starts_with(prefix));
        if of_class || scores.clone().any(|score| *score == metric) {
            return Ok(());
        }
        let names: Vec<&str> = scores.copied().collect();
        let text = format!(
            "is `{metric}`, which trials do not measure; there are {}, f1/<class> and the like",
            names.join(", ")
        );
        Err(Error::invalid("metric", text))
    }

    fn curves(&self, kind: &str, params: &Value) -> Result<&'static [&'static str], Error> {
        self.0.get(kind)?.curves(params)
    }
}

//! What the jobs of this crate accept.

use std::sync::Arc;

use serde_json::Value;
use tenor_data::{ImportOptions, ProcessOptions};
use tenor_domain::{Acceptance, Error, SearchSpace};
use tenor_features::contract::FeatureContract;
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

    fn trial_metric(&self, metric: &str, contract: Option<&Value>) -> Result<(), Error> {
        let contract: Option<FeatureContract> = contract.and_then(|it| serde_json::from_value(it.clone()).ok());
        let has_stars = contract.as_ref().is_none_or(|contract| contract.stars.is_some());
        let of_stars = STAR_SCORES.iter().filter(|_| has_stars);
        let scores = SCORES.iter().chain(of_stars).chain(&MEASURED);
        let class = ["precision/", "recall/", "f1/"].iter().find_map(|prefix| metric.strip_prefix(prefix));
        let classes = contract.as_ref().map(|contract| contract.classes.as_slice());
        let is_class = class.is_some_and(|class| classes.is_none_or(|classes| classes.iter().any(|it| it == class)));
        if is_class || scores.clone().any(|score| *score == metric) {
            return Ok(());
        }
        let names = scores.copied().collect::<Vec<_>>().join(", ");
        let classes = classes.map_or_else(|| "each class".to_owned(), |classes| classes.join(", "));
        let text = format!(
            "is `{metric}`, which trials do not measure; there are {names}, and precision/, recall/ and f1/ of {classes}"
        );
        Err(Error::invalid("metric", text))
    }

    fn curves(&self, kind: &str, params: &Value) -> Result<&'static [&'static str], Error> {
        self.0.get(kind)?.curves(params)
    }
}

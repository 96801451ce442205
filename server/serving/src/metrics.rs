//! The series of serving. Label values come from loaded deployments and enums, never from a request.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use tenor_domain::ContractMode;
use tenor_features::contract::Violation;

use crate::cache::Entry;

/// Every series that this crate emits.
pub struct Metrics {
    predictions: IntCounterVec,
    labels: IntCounterVec,
    confidence: HistogramVec,
    pub(crate) duration: Histogram,
    /// By rule, in the order of [`Violation::RULES`], and by what happened: answered in a mode, in the order of
    /// [`ContractMode::ALL`], or refused.
    violations: Vec<Vec<IntCounter>>,
    pub(crate) rejected: IntCounterVec,
    pub(crate) loaded_version: IntGaugeVec,
    pub(crate) model_bytes: IntGaugeVec,
    pub(crate) load_seconds: Histogram,
    pub(crate) load_failures: IntCounterVec,
}

/// The series that a prediction moves, looked up once a loaded model.
pub(crate) struct Series {
    pub predictions: IntCounter,
    pub confidence: Histogram,
    /// By class.
    pub labels: Vec<IntCounter>,
}

impl Metrics {
    /// Registers the series with `registry`.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let series = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(series.clone()))?;
            Ok(series)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let series = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(series.clone()))?;
            Ok(series)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| -> Result<Histogram, prometheus::Error> {
            let series = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(series.clone()))?;
            Ok(series)
        };
        let confidence = HistogramVec::new(
            HistogramOpts::new("tenor_prediction_confidence_ratio", "Probability of the predicted class.")
                .buckets((1..=10).map(|tenth| f64::from(tenth) / 10.0).collect()),
            &["deployment"],
        )?;
        registry.register(Box::new(confidence.clone()))?;
        let violations = counter(
            "tenor_contract_violations_total",
            "Violations of the feature contract, by rule and what happened.",
            &["rule", "outcome"],
        )?;
        let of_rule = |rule| {
            let outcomes = ContractMode::ALL.iter().map(|mode| mode.as_str()).chain(["refused"]);
            outcomes.map(|outcome| violations.with_label_values(&[rule, outcome])).collect()
        };
        Ok(Self {
            predictions: counter(
                "tenor_predictions_total",
                "Texts answered, by deployment; tenor_model_loaded tells the version.",
                &["deployment"],
            )?,
            labels: counter("tenor_prediction_labels_total", "Predicted labels.", &["deployment", "label"])?,
            confidence,
            duration: histogram(
                "tenor_inference_compute_seconds",
                "Time of one call in the model, all its texts.",
                vec![5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.25, 1.0],
            )?,
            violations: Violation::RULES.into_iter().map(of_rule).collect(),
            rejected: counter("tenor_inference_rejected_total", "Calls refused before the model.", &["reason"])?,
            loaded_version: gauge("tenor_model_loaded", "Model version that a deployment serves.", &["deployment"])?,
            model_bytes: gauge("tenor_model_bytes", "Size of the loaded model file.", &["deployment"])?,
            load_seconds: histogram(
                "tenor_model_load_seconds",
                "Time to load, warm up and check a model.",
                vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0],
            )?,
            load_failures: counter("tenor_model_load_failures_total", "Loads that failed.", &["deployment"])?,
        })
    }

    /// Counts one broken rule of a row that was answered, in this mode, or that was refused.
    pub(crate) fn violated(&self, rule: &str, mode: Option<ContractMode>) {
        let modes = ContractMode::ALL;
        let outcome = mode.and_then(|mode| modes.iter().position(|known| *known == mode)).unwrap_or(modes.len());
        if let Some(rule) = Violation::RULES.iter().position(|known| *known == rule) {
            self.violations[rule][outcome].inc();
        }
    }

    /// The series of a model that `deployment` serves from now on.
    pub(crate) fn series(&self, deployment: &str, classes: &[String]) -> Series {
        Series {
            predictions: self.predictions.with_label_values(&[deployment]),
            confidence: self.confidence.with_label_values(&[deployment]),
            labels: classes.iter().map(|class| self.labels.with_label_values(&[deployment, class])).collect(),
        }
    }

    /// Removes the labels that `old` could predict and a model with `classes` cannot.
    pub(crate) fn forget_labels(&self, old: &Entry, classes: &[String]) {
        let given = old.serving.iter().flat_map(|serving| serving.classes.iter());
        for label in given.filter(|label| !classes.contains(label)) {
            // A series that is not there is no error, here and below.
            let _ = self.labels.remove_label_values(&[old.name.as_ref(), label]);
        }
    }

    /// Removes every series of a deployment that is gone, or serves nothing any more.
    pub(crate) fn forget(&self, old: &Entry) {
        self.forget_labels(old, &[]);
        let name = &[old.name.as_ref()];
        let _ = self.predictions.remove_label_values(name);
        let _ = self.confidence.remove_label_values(name);
        let _ = self.loaded_version.remove_label_values(name);
        let _ = self.model_bytes.remove_label_values(name);
        let _ = self.load_failures.remove_label_values(name);
    }
}

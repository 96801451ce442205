//! One text to one answer: contract, vector, probabilities, explanation.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use tenor_domain::predict::{
    Answer, ExplainOptions, Explained, Explanation, Instance, Limits, LoadFailure, Loaded, PredictOptions, Predictor,
    Row, Warning,
};
use tenor_domain::{ContractMode, Error, ErrorKind, FieldViolation, PredictionId};
use tenor_features::Stop;
use tenor_features::contract::{Input, NumericValue, Violation};
use tenor_learn::label_of;
use tenor_learn::occlusion::{MAX_TOKENS, occlusion};
use tenor_learn::serve::{Buffers, answer};

use crate::cache::{Absent, Cache, Entry, Serving};
use crate::metrics::Metrics;

/// Most contributions that an answer carries.
const MAX_EXPLAIN: usize = 100;

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Answers from the [`Cache`].
pub struct ModelPredictor {
    cache: Arc<Cache>,
    metrics: Arc<Metrics>,
    limits: Limits,
}

impl ModelPredictor {
    pub fn new(cache: Arc<Cache>, metrics: Arc<Metrics>, limits: Limits) -> Self {
        Self { cache, metrics, limits }
    }

    fn reject(&self, reason: &'static str, error: Error) -> Error {
        self.metrics.rejected.with_label_values(&[reason]).inc();
        error
    }

    fn row(
        &self,
        serving: &Serving,
        mode: ContractMode,
        instance: &Instance<'_>,
        options: &PredictOptions,
        buffers: &mut Buffers,
    ) -> Result<Row, Error> {
        // Bytes first: a text of N characters has at least N bytes, so most texts need no count.
        if instance.text.len() > self.limits.max_text_chars {
            let chars = instance.text.chars().count();
            if chars > self.limits.max_text_chars {
                let limit = self.limits.max_text_chars;
                return Err(self.reject(
                    "text_too_long",
                    Error::invalid("instance.text", format!("has {chars} characters; the limit is {limit}")),
                ));
            }
        }
        let numeric: Vec<(&str, NumericValue)> =
            instance.numeric.iter().map(|(name, value)| (*name, NumericValue::Number(*value))).collect();
        let input = Input { text: instance.text, numeric: &numeric };
        let mut probabilities = vec![0.0; serving.classes.len()];
        let warnings = match answer(serving.model.as_ref(), mode, &input, buffers, &mut probabilities) {
            Ok(warnings) => warnings,
            Err(violations) => return Err(self.refused(violations)),
        };
        for warning in &warnings {
            self.metrics.violated(warning.rule, Some(mode));
        }
        let label = label_of(&probabilities);
        let explanation = (options.explain_top_k > 0).then(|| {
            let found = serving.model.explain(&buffers.prepared, label, options.explain_top_k, &mut buffers.scratch);
            let contributions = found.contributions.into_iter().map(|c| (c.feature, c.value)).collect();
            Explanation { label, bias: found.bias, logit: found.logit, contributions }
        });
        let warnings =
            warnings.into_iter().map(|w| Warning { field: w.field, rule: w.rule, description: w.description });
        Ok(Row {
            prediction_id: PredictionId::new().to_string(),
            abstained: probabilities[label] < options.min_confidence,
            label,
            probabilities,
            warnings: warnings.collect(),
            explanation,
        })
    }

    /// What the cache has for a deployment, whether or not it serves.
    fn entry(&self, deployment: &str) -> Result<Arc<Entry>, Error> {
        self.cache.find(deployment).map_err(|absent| match absent {
            Absent::NotListed => self.reject("not_loaded", loading(deployment)),
            Absent::Unknown => self.reject("unknown_deployment", unknown(deployment)),
        })
    }

    /// What answers for a deployment.
    fn serving<'a>(&self, deployment: &str, entry: &'a Entry) -> Result<&'a Serving, Error> {
        entry.serving.as_deref().ok_or_else(|| self.reject("not_loaded", not_loaded(deployment, entry)))
    }

    /// The index of the class called `label`.
    fn class(&self, serving: &Serving, label: &str) -> Result<usize, Error> {
        const LISTED: usize = 20;
        serving.classes.iter().position(|class| class == label).ok_or_else(|| {
            let known: Vec<String> =
                serving.classes.iter().take(LISTED).map(|class| format!("`{}`", shown(class))).collect();
            let more = if serving.classes.len() > LISTED { ", ..." } else { "" };
            let text = format!("`{}` is no class of this model; it has {}{more}", shown(label), known.join(", "));
            self.reject("unknown_class", Error::invalid("class", text))
        })
    }

    fn refused(&self, violations: Vec<Violation>) -> Error {
        let first = violations.first().map_or_else(String::new, |v| format!("`{}` {}", v.field, v.description));
        let mut error = Error::new(
            ErrorKind::InvalidArgument,
            "CONTRACT_VIOLATION",
            format!("the input breaks the feature contract: {first}"),
        );
        for violation in violations {
            self.metrics.violated(violation.rule, None);
            error.violations.push(FieldViolation {
                field: format!("instance.{}", violation.field),
                description: violation.description,
            });
        }
        error
    }
}

impl Predictor for ModelPredictor {
    fn predict(&self, deployment: &str, instances: &[Instance<'_>], options: &PredictOptions) -> Result<Answer, Error> {
        if instances.is_empty() {
            return Err(self.reject("empty_batch", Error::invalid("instances", "must hold at least one text")));
        }
        if instances.len() > self.limits.max_batch {
            let limit = self.limits.max_batch;
            let message = format!("must hold at most {limit} texts, got {}; split the batch", instances.len());
            return Err(self.reject("batch_too_large", Error::invalid("instances", message)));
        }
        if options.explain_top_k > MAX_EXPLAIN {
            return Err(self.reject(
                "explain_too_large",
                Error::invalid("options.explain_top_k", format!("must be 0 to {MAX_EXPLAIN}")),
            ));
        }
        if !(0.0..=1.0).contains(&options.min_confidence) {
            let error =
                Error::invalid("options.min_confidence", format!("must be 0 to 1, got {}", options.min_confidence));
            return Err(self.reject("wrong_confidence", error));
        }
        let entry = self.entry(deployment)?;
        let serving = self.serving(deployment, &entry)?;
        let mode = options.contract_mode.unwrap_or(entry.mode);
        let started = Instant::now();
        let rows: Vec<Result<Row, Error>> = BUFFERS.with_borrow_mut(|buffers| {
            instances.iter().map(|instance| self.row(serving, mode, instance, options, buffers)).collect()
        });
        self.metrics.duration.observe(started.elapsed().as_secs_f64());
        count(serving, &rows);
        Ok(Answer {
            model: Arc::clone(&serving.model_name),
            version: serving.version,
            classes: Arc::clone(&serving.classes),
            rows,
        })
    }

    /// Counts among the rejections and the violations, but not among the answers: nobody acts on this label.
    fn explain(
        &self,
        deployment: &str,
        instance: &Instance<'_>,
        options: &ExplainOptions,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Explained, Error> {
        if options.top_k > MAX_EXPLAIN {
            let error = Error::invalid("top_k", format!("must be 0 to {MAX_EXPLAIN}, got {}", options.top_k));
            return Err(self.reject("explain_too_large", error));
        }
        let entry = self.entry(deployment)?;
        let serving = self.serving(deployment, &entry)?;
        let asked = options.class.as_deref().map(|label| self.class(serving, label)).transpose()?;
        let mode = options.contract_mode.unwrap_or(entry.mode);
        // Its own buffers: these threads come and go.
        let mut buffers = Buffers::default();
        let row = self.row(serving, mode, instance, &PredictOptions::default(), &mut buffers)?;
        let class = asked.unwrap_or(row.label);
        let Buffers { prepared, scratch } = &mut buffers;
        let found = serving.model.explain(prepared, class, options.top_k, scratch);
        let stop = Stop::when(stop);
        let tokens = occlusion(serving.model.as_ref(), instance.text, prepared, class, MAX_TOKENS, stop)?;
        Ok(Explained {
            model: Arc::clone(&serving.model_name),
            version: serving.version,
            classes: Arc::clone(&serving.classes),
            row,
            class,
            attribution: serving.model.attribution(),
            bias: found.bias,
            score: found.logit,
            contributions: found.contributions,
            rest: found.rest,
            tokens,
        })
    }

    fn loaded(&self, deployment: &str) -> Option<Loaded> {
        let entry = self.cache.find(deployment).ok()?;
        Some(Loaded {
            version: entry.serving.as_ref().map(|s| s.version),
            failure: entry.failed.as_ref().map(|failed| failed.failure.clone()),
        })
    }

    fn limits(&self) -> Limits {
        self.limits
    }
}

fn count(serving: &Serving, rows: &[Result<Row, Error>]) {
    let series = &serving.series;
    series.predictions.inc_by(rows.iter().flatten().count() as u64);
    for row in rows.iter().flatten() {
        series.confidence.observe(row.probabilities[row.label]);
        series.labels[row.label].inc();
    }
}

fn unknown(deployment: &str) -> Error {
    let deployment = shown(deployment);
    Error::new(
        ErrorKind::NotFound,
        "DEPLOYMENT_NOT_FOUND",
        format!("no deployment `{deployment}` on this server; list them with `tenor deployment list`"),
    )
}

fn loading(deployment: &str) -> Error {
    let deployment = shown(deployment);
    let mut error = Error::unavailable(format!("deployment `{deployment}` is still loading its model; try again"), 500);
    error.reason = "MODEL_LOADING";
    error
}

/// A name from outside, fit for a message.
fn shown(deployment: &str) -> String {
    deployment.chars().take(63).flat_map(char::escape_debug).collect()
}

fn not_loaded(deployment: &str, entry: &Entry) -> Error {
    if entry.wanted.is_none() {
        let message = format!(
            "deployment `{deployment}` has no version: its alias points nowhere; set it with `tenor alias set`"
        );
        return Error::precondition("DEPLOYMENT_UNRESOLVED", message);
    }
    if let Some(failed) = &entry.failed {
        let LoadFailure { version, why } = &failed.failure;
        let message = format!("deployment `{deployment}` serves nothing: version {version} was not loaded: {why}");
        return Error::precondition("MODEL_LOAD_FAILED", message);
    }
    loading(deployment)
}

//! The stable JSON of every message: snake_case keys, 64-bit integers as numbers, times in RFC 3339, embedded JSON as objects.

mod study;

use serde_json::{Map, Value, json};
use tenor_sdk::types::{self, param_value, stream_predict_response};

/// A message as JSON.
pub trait ToJson {
    fn to_json(&self) -> Value;
}

fn time(time: Option<&types::Timestamp>) -> Value {
    time.map_or(Value::Null, |time| json!(time.to_string()))
}

/// JSON has no NaN and no infinity; they are texts, as in the JSON form of protobuf.
fn number(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

fn numbers<'a>(values: impl IntoIterator<Item = (&'a String, &'a f64)>) -> Value {
    Value::Object(values.into_iter().map(|(key, value)| (key.clone(), number(*value))).collect())
}

/// Embedded JSON; text that is none stays a text.
fn embedded(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap_or_else(|_| json!(text)) }
}

/// `STATE_RUNNING` of enum prefix `STATE_` as `running`.
fn word(name: &str, prefix: &str) -> Value {
    json!(name.strip_prefix(prefix).unwrap_or(name).to_lowercase())
}

fn state(state: types::State) -> Value {
    word(state.as_str_name(), "STATE_")
}

fn all<T: ToJson>(items: &[T]) -> Value {
    Value::Array(items.iter().map(ToJson::to_json).collect())
}

fn some<T: ToJson>(item: Option<&T>) -> Value {
    item.map_or(Value::Null, ToJson::to_json)
}

impl ToJson for types::Dataset {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "id": self.id, "description": self.description, "tags": self.tags,
            "latest_version": self.latest_version, "create_time": time(self.create_time.as_ref()),
            "update_time": time(self.update_time.as_ref()), "etag": self.etag,
        })
    }
}

impl ToJson for types::Upload {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "file_name": self.file_name, "received_bytes": self.received_bytes, "size_bytes": self.size_bytes,
            "digest": self.digest, "create_time": time(self.create_time.as_ref()),
        })
    }
}

impl ToJson for types::DatasetVersion {
    fn to_json(&self) -> Value {
        json!({
            "number": self.number, "id": self.id, "dataset_id": self.dataset_id, "state": state(self.state()),
            "file_name": self.file_name, "source_digest": self.source_digest, "source_bytes": self.source_bytes,
            "options": embedded(&self.options_json), "job_id": self.job_id, "error": self.error,
            "create_time": time(self.create_time.as_ref()), "finish_time": time(self.finish_time.as_ref()),
            "outcome": some(self.outcome.as_ref()),
        })
    }
}

impl ToJson for types::ImportOutcome {
    fn to_json(&self) -> Value {
        json!({
            "rows_read": self.rows_read, "rows_accepted": self.rows_accepted, "rows_repaired": self.rows_repaired,
            "rows_quarantined": self.rows_quarantined, "data_digest": self.data_digest, "data_bytes": self.data_bytes,
            "valid": self.valid, "profile": embedded(&self.profile_json), "validation": embedded(&self.validation_json),
        })
    }
}

impl ToJson for types::Split {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "dataset_version_id": self.dataset_version_id, "state": state(self.state()),
            "options": embedded(&self.options_json), "job_id": self.job_id, "error": self.error,
            "create_time": time(self.create_time.as_ref()), "finish_time": time(self.finish_time.as_ref()),
            "outcome": some(self.outcome.as_ref()),
        })
    }
}

impl ToJson for types::SplitOutcome {
    fn to_json(&self) -> Value {
        json!({
            "train": some(self.train.as_ref()), "validation": some(self.validation.as_ref()), "test": some(self.test.as_ref()),
            "contract": embedded(&self.contract_json), "contract_hash": self.contract_hash, "report": embedded(&self.report_json),
        })
    }
}

impl ToJson for types::SplitPart {
    fn to_json(&self) -> Value {
        json!({ "rows": self.rows, "digest": self.digest, "size_bytes": self.size_bytes })
    }
}

impl ToJson for types::Experiment {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "id": self.id, "description": self.description, "tags": self.tags,
            "create_time": time(self.create_time.as_ref()), "update_time": time(self.update_time.as_ref()), "etag": self.etag,
        })
    }
}

impl ToJson for types::ParamValue {
    fn to_json(&self) -> Value {
        match &self.value {
            Some(param_value::Value::BoolValue(value)) => json!(value),
            Some(param_value::Value::IntValue(value)) => json!(value),
            Some(param_value::Value::FloatValue(value)) => number(*value),
            Some(param_value::Value::TextValue(value)) => json!(value),
            None => Value::Null,
        }
    }
}

impl ToJson for types::Run {
    fn to_json(&self) -> Value {
        let params: Map<_, _> = self.params.iter().map(|(key, value)| (key.clone(), value.to_json())).collect();
        json!({
            "id": self.id, "name": self.name, "experiment_id": self.experiment_id, "parent_run_id": self.parent_run_id,
            "kind": self.kind, "state": state(self.state()), "metrics": numbers(&self.metrics), "params": params,
            "tags": self.tags, "note": self.note, "split_id": self.split_id, "job_id": self.job_id, "error": self.error,
            "create_time": time(self.create_time.as_ref()), "start_time": time(self.start_time.as_ref()),
            "finish_time": time(self.finish_time.as_ref()), "etag": self.etag,
        })
    }
}

/// A number that may be missing.
fn maybe(value: Option<f64>) -> Value {
    value.map_or(Value::Null, number)
}

impl ToJson for types::CompareRunsResponse {
    fn to_json(&self) -> Value {
        json!({
            "run": some(self.run.as_ref()), "other_run": some(self.other_run.as_ref()), "params": all(&self.params),
            "metrics": all(&self.metrics), "answers": some(self.answers.as_ref()), "note": self.note,
        })
    }
}

impl ToJson for types::ParamDifference {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "value": some(self.value.as_ref()), "other_value": some(self.other_value.as_ref()),
        })
    }
}

impl ToJson for types::MetricDifference {
    fn to_json(&self) -> Value {
        json!({
            "key": self.key, "value": maybe(self.value), "other_value": maybe(self.other_value),
            "difference": maybe(self.difference),
        })
    }
}

impl ToJson for types::AnswersComparison {
    fn to_json(&self) -> Value {
        json!({
            "rows": self.rows, "run_rows": self.run_rows, "other_run_rows": self.other_run_rows,
            "relabelled_rows": self.relabelled_rows, "mcnemar": some(self.mcnemar.as_ref()), "scores": all(&self.scores),
            "flipped_rows": self.flipped_rows, "flips": all(&self.flips), "resamples": self.resamples,
        })
    }
}

impl ToJson for types::McNemarTest {
    fn to_json(&self) -> Value {
        json!({
            "only_run_right": self.only_run_right, "only_other_right": self.only_other_right, "p": number(self.p),
            "exact": self.exact,
        })
    }
}

impl ToJson for types::ScoreDifference {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "value": maybe(self.value), "other_value": maybe(self.other_value),
            "difference": maybe(self.difference), "low": maybe(self.low), "high": maybe(self.high), "p": maybe(self.p),
        })
    }
}

impl ToJson for types::FlippedRow {
    fn to_json(&self) -> Value {
        json!({
            "row_id": self.row_id, "change": word(self.change().as_str_name(), "ANSWER_CHANGE_"), "truth": self.truth,
            "answer": self.answer, "other_answer": self.other_answer, "gain": number(self.gain),
        })
    }
}

impl ToJson for types::Metric {
    fn to_json(&self) -> Value {
        json!({ "key": self.key, "value": number(self.value), "step": self.step, "time": time(self.time.as_ref()) })
    }
}

impl ToJson for types::LogMetricsResponse {
    fn to_json(&self) -> Value {
        json!({ "batches": self.batches, "metrics": self.metrics })
    }
}

impl ToJson for types::Artifact {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "run_id": self.run_id, "digest": self.digest, "size_bytes": self.size_bytes,
            "media_type": self.media_type, "create_time": time(self.create_time.as_ref()),
        })
    }
}

impl ToJson for types::RegisteredModel {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "id": self.id, "description": self.description, "tags": self.tags, "aliases": self.aliases,
            "latest_version": self.latest_version, "create_time": time(self.create_time.as_ref()),
            "update_time": time(self.update_time.as_ref()), "etag": self.etag,
        })
    }
}

impl ToJson for types::ModelVersion {
    fn to_json(&self) -> Value {
        json!({
            "model": self.model, "number": self.number, "id": self.id, "model_id": self.model_id, "run_id": self.run_id,
            "kind": self.kind, "classes": self.classes, "metrics": numbers(&self.metrics), "digest": self.digest,
            "size_bytes": self.size_bytes, "contract_hash": self.contract_hash, "description": self.description,
            "create_time": time(self.create_time.as_ref()),
        })
    }
}

impl ToJson for types::AliasEvent {
    fn to_json(&self) -> Value {
        json!({
            "model": self.model, "alias": self.alias, "version": self.version, "previous": self.previous,
            "actor": self.actor, "why": self.why, "time": time(self.time.as_ref()), "etag": self.etag,
        })
    }
}

impl ToJson for types::Deployment {
    fn to_json(&self) -> Value {
        use types::deployment::Target;
        let (alias, version) = match &self.target {
            Some(Target::Alias(alias)) => (json!(alias), Value::Null),
            Some(Target::Version(version)) => (Value::Null, json!(version)),
            None => (Value::Null, Value::Null),
        };
        json!({
            "name": self.name, "id": self.id, "model": self.model, "alias": alias, "version": version,
            "current_version": self.current_version, "loaded_version": self.loaded_version, "load_error": self.load_error,
            "contract_mode": word(self.contract_mode().as_str_name(), "CONTRACT_MODE_"),
            "create_time": time(self.create_time.as_ref()), "update_time": time(self.update_time.as_ref()), "etag": self.etag,
        })
    }
}

impl ToJson for types::Job {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "kind": self.kind, "queue": self.queue, "state": word(self.state().as_str_name(), "JOB_STATE_"),
            "progress": number(self.progress), "priority": self.priority, "attempt": self.attempt,
            "max_attempts": self.max_attempts, "payload": embedded(&self.payload_json), "result": embedded(&self.result_json),
            "error": self.error, "cancel_requested": self.cancel_requested, "worker": self.worker,
            "create_time": time(self.create_time.as_ref()), "run_time": time(self.run_time.as_ref()),
            "start_time": time(self.start_time.as_ref()), "finish_time": time(self.finish_time.as_ref()),
        })
    }
}

impl ToJson for types::JobEvent {
    fn to_json(&self) -> Value {
        json!({
            "job_id": self.job_id, "seq": self.seq, "time": time(self.time.as_ref()),
            "level": word(self.level().as_str_name(), "JOB_EVENT_LEVEL_"), "message": self.message,
            "progress": self.progress.map_or(Value::Null, number), "data": embedded(&self.data_json),
        })
    }
}

/// One prediction with what its response says about all of them.
pub fn prediction(prediction: &types::Prediction, classes: &[String], model: &str, version: i64) -> Value {
    let probabilities: Map<_, _> =
        classes.iter().cloned().zip(prediction.probabilities.iter().map(|value| number(*value))).collect();
    let warnings: Vec<_> = prediction
        .warnings
        .iter()
        .map(|w| json!({ "field": w.field, "rule": w.rule, "description": w.description }))
        .collect();
    let explanation = prediction.explanation.as_ref().map(|e| {
        let shares: Vec<_> =
            e.contributions.iter().map(|c| json!({ "feature": c.feature, "value": number(c.value) })).collect();
        json!({ "label": e.label, "bias": number(e.bias), "logit": number(e.logit), "contributions": shares })
    });
    json!({
        "prediction_id": prediction.prediction_id, "label": prediction.label, "probabilities": probabilities,
        "abstained": prediction.abstained, "warnings": warnings, "explanation": explanation, "model": model, "model_version": version,
    })
}

impl ToJson for types::PredictResponse {
    fn to_json(&self) -> Value {
        let empty = types::Prediction::default();
        prediction(self.prediction.as_ref().unwrap_or(&empty), &self.classes, &self.model, self.model_version)
    }
}

impl ToJson for types::BatchPredictResponse {
    fn to_json(&self) -> Value {
        let each = self.predictions.iter();
        Value::Array(each.map(|p| prediction(p, &self.classes, &self.model, self.model_version)).collect())
    }
}

impl ToJson for types::ExplainResponse {
    fn to_json(&self) -> Value {
        let empty = types::Prediction::default();
        let predicted = self.prediction.as_ref().unwrap_or(&empty);
        let mut value = prediction(predicted, &self.classes, &self.model, self.model_version);
        let contributions: Vec<_> = self
            .contributions
            .iter()
            .map(|c| {
                json!({
                    "feature": c.feature, "kind": word(c.kind().as_str_name(), "FEATURE_KIND_"), "value": number(c.value),
                })
            })
            .collect();
        let tokens: Vec<_> = self
            .tokens
            .iter()
            .map(|t| {
                json!({
                    "start_byte": t.start_byte, "end_byte": t.end_byte, "text": t.text, "value": number(t.value),
                })
            })
            .collect();
        value["explanation"] = json!({
            "class": self.class, "method": word(self.method().as_str_name(), "EXPLANATION_METHOD_"),
            "bias": number(self.bias), "score": number(self.score), "contributions": contributions,
            "rest": number(self.rest), "tokens": tokens,
        });
        value
    }
}

impl ToJson for types::StreamPredictError {
    fn to_json(&self) -> Value {
        json!({ "error": { "code": self.code, "reason": self.reason, "message": self.message } })
    }
}

impl ToJson for types::StreamPredictResponse {
    fn to_json(&self) -> Value {
        match &self.result {
            Some(stream_predict_response::Result::Response(response)) => response.to_json(),
            Some(stream_predict_response::Result::Error(error)) => error.to_json(),
            None => Value::Null,
        }
    }
}

/// A list as one JSON array.
pub fn array<T: ToJson>(items: &[T]) -> Value {
    all(items)
}

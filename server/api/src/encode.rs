//! From domain values to messages.

use std::collections::BTreeSet;

use prost_types::Timestamp as PbTimestamp;
use serde_json::Value;
use tenor_domain::predict::{Attribution, Explained, FeatureKind, Loaded, Row};
use tenor_domain::{
    AliasEvent, Artifact, ContractMode, Dataset, DatasetVersion, Deployment, DeploymentTarget, Experiment,
    ImportOutcome, Job, JobEvent, JobEventLevel, JobState, Metric, ModelVersion, ParamValue, RegisteredModel, Run,
    Split, SplitOutcome, SplitPart, State, Timestamp, Upload,
};
use tenor_learn::compare::{Change, Difference};
use tenor_platform::{AnswersCompared, FlippedRow, ParamDifference, RunsCompared};
use tenor_proto::v1 as pb;

pub(crate) fn time(at: Timestamp) -> Option<PbTimestamp> {
    let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    Some(PbTimestamp { seconds: at.0.div_euclid(1_000), nanos })
}

pub(crate) fn json(value: Option<&Value>) -> String {
    value.filter(|value| !value.is_null()).map(Value::to_string).unwrap_or_default()
}

pub(crate) fn state(state: State) -> i32 {
    let state = match state {
        State::Pending => pb::State::Pending,
        State::Running => pb::State::Running,
        State::Succeeded => pb::State::Succeeded,
        State::Failed => pb::State::Failed,
        State::Cancelled => pb::State::Cancelled,
    };
    state.into()
}

fn contract_mode(mode: ContractMode) -> i32 {
    let mode = match mode {
        ContractMode::Strict => pb::ContractMode::Strict,
        ContractMode::Warn => pb::ContractMode::Warn,
        ContractMode::Impute => pb::ContractMode::Impute,
    };
    mode.into()
}

pub(crate) fn dataset(dataset: Dataset) -> pb::Dataset {
    pb::Dataset {
        id: dataset.id.to_string(),
        name: dataset.name.to_string(),
        description: dataset.description,
        tags: dataset.tags,
        create_time: time(dataset.created_at),
        update_time: time(dataset.updated_at),
        etag: dataset.etag.to_string(),
        latest_version: dataset.latest_version,
    }
}

pub(crate) fn upload(upload: Upload) -> pb::Upload {
    pb::Upload {
        id: upload.id.to_string(),
        file_name: upload.file_name,
        received_bytes: upload.received_bytes,
        size_bytes: upload.size_bytes.unwrap_or_default(),
        digest: upload.digest.map(|digest| digest.to_string()).unwrap_or_default(),
        create_time: time(upload.created_at),
    }
}

pub(crate) fn dataset_version(version: DatasetVersion) -> pb::DatasetVersion {
    pb::DatasetVersion {
        id: version.id.to_string(),
        dataset_id: version.dataset_id.to_string(),
        number: version.number,
        state: state(version.state),
        source_digest: version.source_digest.to_string(),
        source_bytes: version.source_bytes,
        file_name: version.file_name,
        options_json: json(Some(&version.options)),
        job_id: version.job_id.map_or(0, |id| id.0),
        error: version.error.unwrap_or_default(),
        create_time: time(version.created_at),
        finish_time: version.finished_at.and_then(time),
        outcome: version.outcome.map(import_outcome),
    }
}

fn import_outcome(outcome: ImportOutcome) -> pb::ImportOutcome {
    pb::ImportOutcome {
        rows_read: outcome.rows_read,
        rows_accepted: outcome.rows_accepted,
        rows_repaired: outcome.rows_repaired,
        rows_quarantined: outcome.rows_quarantined,
        data_digest: outcome.data_digest.to_string(),
        data_bytes: outcome.data_bytes,
        profile_json: json(Some(&outcome.profile)),
        validation_json: json(Some(&outcome.validation)),
        valid: outcome.valid,
    }
}

pub(crate) fn split(split: Split) -> pb::Split {
    pb::Split {
        id: split.id.to_string(),
        dataset_version_id: split.dataset_version_id.to_string(),
        state: state(split.state),
        options_json: json(Some(&split.options)),
        job_id: split.job_id.map_or(0, |id| id.0),
        error: split.error.unwrap_or_default(),
        create_time: time(split.created_at),
        finish_time: split.finished_at.and_then(time),
        outcome: split.outcome.map(split_outcome),
    }
}

fn split_outcome(outcome: SplitOutcome) -> pb::SplitOutcome {
    let part = |part: SplitPart| {
        Some(pb::SplitPart { digest: part.digest.to_string(), rows: part.rows, size_bytes: part.size_bytes })
    };
    pb::SplitOutcome {
        train: part(outcome.train),
        validation: part(outcome.validation),
        test: part(outcome.test),
        contract_json: json(Some(&outcome.contract)),
        contract_hash: outcome.contract_hash.to_string(),
        report_json: json(Some(&outcome.report)),
    }
}

pub(crate) fn experiment(experiment: Experiment) -> pb::Experiment {
    pb::Experiment {
        id: experiment.id.to_string(),
        name: experiment.name.to_string(),
        description: experiment.description,
        tags: experiment.tags,
        create_time: time(experiment.created_at),
        update_time: time(experiment.updated_at),
        etag: experiment.etag.to_string(),
    }
}

pub(crate) fn run(run: Run) -> pb::Run {
    pb::Run {
        id: run.id.to_string(),
        experiment_id: run.experiment_id.to_string(),
        parent_run_id: run.parent_run_id.map(|id| id.to_string()).unwrap_or_default(),
        name: run.name,
        kind: run.kind,
        state: state(run.state),
        params: run.params.into_iter().map(|(key, value)| (key, param(value))).collect(),
        tags: run.tags,
        note: run.note,
        split_id: run.split_id.map(|id| id.to_string()).unwrap_or_default(),
        job_id: run.job_id.map_or(0, |id| id.0),
        error: run.error.unwrap_or_default(),
        create_time: time(run.created_at),
        start_time: run.started_at.and_then(time),
        finish_time: run.finished_at.and_then(time),
        etag: run.etag.to_string(),
        metrics: run.metrics,
    }
}

pub(crate) fn runs_compared(compared: RunsCompared) -> pb::CompareRunsResponse {
    let (first, second) = (&compared.first.metrics, &compared.second.metrics);
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let metric = |key: &String| {
        let (value, other_value) = (first.get(key).copied(), second.get(key).copied());
        let difference = value.zip(other_value).map(|(value, other)| other - value);
        pb::MetricDifference { key: key.clone(), value, other_value, difference }
    };
    let metrics = keys.into_iter().map(metric).collect();
    let difference = |it: ParamDifference| pb::ParamDifference {
        name: it.name,
        value: it.first.map(param),
        other_value: it.second.map(param),
    };
    pb::CompareRunsResponse {
        metrics,
        params: compared.params.into_iter().map(difference).collect(),
        answers: compared.answers.map(answers_compared),
        note: compared.note,
        run: Some(run(compared.first)),
        other_run: Some(run(compared.second)),
    }
}

fn answers_compared(answers: AnswersCompared) -> pb::AnswersComparison {
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    let AnswersCompared { comparison, .. } = answers;
    let score = |it: Difference| pb::ScoreDifference {
        name: it.name,
        value: it.first,
        other_value: it.second,
        difference: it.difference,
        low: it.low,
        high: it.high,
        p: it.p,
    };
    let flip = |it: FlippedRow| pb::FlippedRow {
        row_id: format!("{:016x}", it.row_id),
        change: match it.change {
            Change::Fixed => pb::AnswerChange::Fixed,
            Change::Broken => pb::AnswerChange::Broken,
            Change::OtherMistake => pb::AnswerChange::OtherMistake,
        }
        .into(),
        truth: it.truth,
        answer: it.first,
        other_answer: it.second,
        gain: it.gain,
    };
    pb::AnswersComparison {
        rows: count(comparison.rows),
        run_rows: count(answers.first_rows),
        other_run_rows: count(answers.second_rows),
        relabelled_rows: count(answers.relabelled),
        mcnemar: Some(pb::McNemarTest {
            only_run_right: count(comparison.mcnemar.first_only),
            only_other_right: count(comparison.mcnemar.second_only),
            p: comparison.mcnemar.p,
            exact: comparison.mcnemar.exact,
        }),
        scores: comparison.differences.into_iter().map(score).collect(),
        flipped_rows: count(answers.flipped),
        flips: answers.flips.into_iter().map(flip).collect(),
        resamples: i32::try_from(comparison.resamples).unwrap_or(i32::MAX),
    }
}

pub(crate) fn param(value: ParamValue) -> pb::ParamValue {
    use pb::param_value::Value as Pb;
    let value = match value {
        ParamValue::Bool(value) => Pb::BoolValue(value),
        ParamValue::Int(value) => Pb::IntValue(value),
        ParamValue::Float(value) => Pb::FloatValue(value),
        ParamValue::Text(value) => Pb::TextValue(value),
    };
    pb::ParamValue { value: Some(value) }
}

pub(crate) fn metric(metric: Metric) -> pb::Metric {
    pb::Metric { key: metric.key, value: metric.value, step: metric.step, time: time(metric.at) }
}

pub(crate) fn artifact(artifact: Artifact) -> pb::Artifact {
    pb::Artifact {
        run_id: artifact.run_id.to_string(),
        name: artifact.name,
        digest: artifact.digest.to_string(),
        size_bytes: artifact.size_bytes,
        media_type: artifact.media_type,
        create_time: time(artifact.created_at),
    }
}

pub(crate) fn model(model: RegisteredModel) -> pb::RegisteredModel {
    pb::RegisteredModel {
        id: model.id.to_string(),
        name: model.name.to_string(),
        description: model.description,
        tags: model.tags,
        create_time: time(model.created_at),
        update_time: time(model.updated_at),
        etag: model.etag.to_string(),
        latest_version: model.latest_version,
        aliases: model.aliases,
    }
}

pub(crate) fn model_version(version: ModelVersion) -> pb::ModelVersion {
    pb::ModelVersion {
        id: version.id.to_string(),
        model_id: version.model_id.to_string(),
        model: version.model_name.to_string(),
        number: version.number,
        run_id: version.run_id.to_string(),
        digest: version.digest.to_string(),
        size_bytes: version.size_bytes,
        kind: version.kind,
        classes: version.classes,
        contract_hash: version.contract_hash.to_string(),
        metrics: version.metrics,
        description: version.description,
        create_time: time(version.created_at),
    }
}

/// `model` is what the client called it: the event itself knows the id only.
pub(crate) fn alias_event(event: AliasEvent, model: &str) -> pb::AliasEvent {
    pb::AliasEvent {
        model: model.to_owned(),
        alias: event.alias.to_string(),
        version: event.version.unwrap_or_default(),
        previous: event.previous.unwrap_or_default(),
        actor: event.actor,
        why: event.why,
        time: time(event.at),
        etag: event.etag.to_string(),
    }
}

pub(crate) fn deployment(deployment: Deployment, loaded: Option<Loaded>) -> pb::Deployment {
    let target = match deployment.target {
        DeploymentTarget::Alias(alias) => pb::deployment::Target::Alias(alias.to_string()),
        DeploymentTarget::Version(version) => pb::deployment::Target::Version(version),
    };
    let (loaded_version, failure) = loaded.map_or((None, None), |loaded| (loaded.version, loaded.failure));
    // A failure to load what the deployment meant before is no news.
    let load_error =
        failure.filter(|failure| Some(failure.version) == deployment.current_version).map(|failure| failure.why);
    pb::Deployment {
        id: deployment.id.to_string(),
        name: deployment.name.to_string(),
        model: deployment.model_name.to_string(),
        target: Some(target),
        contract_mode: contract_mode(deployment.contract_mode),
        create_time: time(deployment.created_at),
        update_time: time(deployment.updated_at),
        etag: deployment.etag.to_string(),
        current_version: deployment.current_version.unwrap_or_default(),
        loaded_version: loaded_version.unwrap_or_default(),
        load_error: load_error.unwrap_or_default(),
    }
}

pub(crate) fn job(job: Job) -> pb::Job {
    pb::Job {
        id: job.id.0,
        kind: job.kind,
        queue: job.queue,
        state: job_state(job.state),
        priority: job.priority,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        payload_json: json(Some(&job.payload)),
        result_json: json(job.result.as_ref()),
        error: job.error.unwrap_or_default(),
        cancel_requested: job.cancel_requested,
        worker: job.worker.unwrap_or_default(),
        progress: job.progress,
        create_time: time(job.created_at),
        run_time: time(job.run_at),
        start_time: job.started_at.and_then(time),
        finish_time: job.finished_at.and_then(time),
    }
}

fn job_state(state: JobState) -> i32 {
    let state = match state {
        JobState::Waiting => pb::JobState::Waiting,
        JobState::Ready => pb::JobState::Ready,
        JobState::Running => pb::JobState::Running,
        JobState::Succeeded => pb::JobState::Succeeded,
        JobState::Failed => pb::JobState::Failed,
        JobState::Cancelled => pb::JobState::Cancelled,
    };
    state.into()
}

pub(crate) fn job_event(event: JobEvent) -> pb::JobEvent {
    let level = match event.level {
        JobEventLevel::State => pb::JobEventLevel::State,
        JobEventLevel::Progress => pb::JobEventLevel::Progress,
        JobEventLevel::Info => pb::JobEventLevel::Info,
        JobEventLevel::Warn => pb::JobEventLevel::Warn,
        JobEventLevel::Error => pb::JobEventLevel::Error,
    };
    pb::JobEvent {
        job_id: event.job_id.0,
        seq: event.seq,
        time: time(event.at),
        level: level.into(),
        message: event.message,
        progress: event.progress,
        data_json: json(event.data.as_ref()),
    }
}

pub(crate) fn prediction(row: Row, classes: &[String]) -> pb::Prediction {
    let class = |index: usize| classes.get(index).cloned().unwrap_or_default();
    pb::Prediction {
        prediction_id: row.prediction_id,
        abstained: row.abstained,
        label: class(row.label),
        probabilities: row.probabilities,
        warnings: row
            .warnings
            .into_iter()
            .map(|w| pb::Warning { field: w.field, rule: w.rule.to_owned(), description: w.description })
            .collect(),
        explanation: row.explanation.map(|e| pb::Explanation {
            label: class(e.label),
            bias: e.bias,
            logit: e.logit,
            contributions: e
                .contributions
                .into_iter()
                .map(|(feature, value)| pb::Contribution { feature, value })
                .collect(),
        }),
    }
}

/// `text` is the raw text, which the ranges of the tokens cut.
pub(crate) fn explained(explained: Explained, text: &str) -> pb::ExplainResponse {
    let Explained { model, version, classes, row, class, attribution, bias, score, contributions, rest, tokens } =
        explained;
    let byte = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
    pb::ExplainResponse {
        prediction: Some(prediction(row, &classes)),
        class: classes.get(class).cloned().unwrap_or_default(),
        classes: classes.to_vec(),
        model: model.as_ref().to_owned(),
        model_version: version,
        method: method(attribution).into(),
        bias,
        score,
        contributions: contributions
            .into_iter()
            .map(|c| pb::FeatureContribution { feature: c.feature, kind: feature_kind(c.kind).into(), value: c.value })
            .collect(),
        rest,
        tokens: tokens
            .into_iter()
            .map(|token| pb::TokenContribution {
                start_byte: byte(token.start),
                end_byte: byte(token.end),
                text: text.get(token.start..token.end).unwrap_or_default().to_owned(),
                value: token.value,
            })
            .collect(),
    }
}

fn method(attribution: Attribution) -> pb::ExplanationMethod {
    match attribution {
        Attribution::Linear => pb::ExplanationMethod::Linear,
        Attribution::TreePaths => pb::ExplanationMethod::TreePaths,
        Attribution::IntegratedGradients => pb::ExplanationMethod::IntegratedGradients,
    }
}

fn feature_kind(kind: FeatureKind) -> pb::FeatureKind {
    match kind {
        FeatureKind::Term => pb::FeatureKind::Term,
        FeatureKind::Characters => pb::FeatureKind::Characters,
        FeatureKind::Hash => pb::FeatureKind::Hash,
        FeatureKind::Component => pb::FeatureKind::Component,
        FeatureKind::Numeric => pb::FeatureKind::Numeric,
    }
}

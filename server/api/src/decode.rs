//! From messages to domain values: shapes and ranges. What passes here is not checked again.

use std::collections::BTreeMap;

use prost_types::Timestamp as PbTimestamp;
use serde_json::Value;
use tenor_domain::predict::{ExplainOptions, Instance, PredictOptions};
use tenor_domain::{
    AliasName, Caller, ContractMode, DeploymentTarget, Error, JobState, Metric, PageRequest, ParamValue, State, Tags,
    Timestamp,
};
use tenor_proto::v1 as pb;
use tonic::metadata::MetadataMap;

/// Who asks. Without authentication that is nobody in particular; the trace is that of the rpc's span.
pub(crate) fn caller(metadata: &MetadataMap) -> Caller {
    let mut caller = Caller::anonymous();
    caller.traceparent = tenor_telemetry::traces::current_traceparent().or_else(|| {
        let text = metadata.get("traceparent")?.to_str().ok()?;
        tenor_telemetry::traces::parse_traceparent(text).map(|_| text.to_owned())
    });
    caller
}

/// The page fields of a list request. The cursor within the token is bound to the list's arguments by `platform`.
pub(crate) fn page(size: i32, token: String) -> Result<PageRequest, Error> {
    let size = u32::try_from(size)
        .map_err(|_| Error::invalid("page_size", format!("must not be negative, got {size}; 0 means the default")))?;
    let mut page = PageRequest::first(size);
    page.cursor = Some(token).filter(|token| !token.is_empty());
    Ok(page)
}

/// The empty text as `None`.
pub(crate) fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// 0 as `None`, which stands for the newest or for all.
pub(crate) fn number(field: &str, number: i64) -> Result<Option<i64>, Error> {
    match number {
        0 => Ok(None),
        1.. => Ok(Some(number)),
        _ => Err(Error::invalid(field, format!("must not be negative, got {number}"))),
    }
}

/// Tags of a patch: the given ones replace all when `replace` is set; without it they must be empty.
pub(crate) fn tags_patch(tags: BTreeMap<String, String>, replace: bool) -> Result<Option<Tags>, Error> {
    match (replace, tags.is_empty()) {
        (true, _) => Ok(Some(tags)),
        (false, true) => Ok(None),
        (false, false) => {
            Err(Error::invalid("tags", "are changed only when `replace_tags` is set; they replace all tags"))
        }
    }
}

/// JSON in a text field; empty is null.
pub(crate) fn json(field: &str, text: &str) -> Result<Value, Error> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map_err(|error| Error::invalid(field, format!("is not JSON: {error}")))
}

pub(crate) fn instance(instance: &pb::Instance) -> Instance<'_> {
    Instance {
        text: &instance.text,
        numeric: instance.numeric.iter().map(|(name, value)| (name.as_str(), *value)).collect(),
    }
}

pub(crate) fn predict_options(options: Option<pb::PredictOptions>) -> Result<PredictOptions, Error> {
    let Some(options) = options else { return Ok(PredictOptions::default()) };
    let explain_top_k = usize::try_from(options.explain_top_k)
        .map_err(|_| Error::invalid("options.explain_top_k", "must be 0 to 100"))?;
    let contract_mode = contract_mode("options.contract_mode", options.contract_mode)?;
    Ok(PredictOptions { explain_top_k, contract_mode, min_confidence: options.min_confidence })
}

/// Contributions of an explanation that does not say how many.
const EXPLAIN_TOP_K: usize = 10;

/// Takes the class out of the request.
pub(crate) fn explain_options(request: &mut pb::ExplainRequest) -> Result<ExplainOptions, Error> {
    let top_k = match usize::try_from(request.top_k) {
        Ok(0) => EXPLAIN_TOP_K,
        Ok(top_k) => top_k,
        Err(_) => return Err(Error::invalid("top_k", format!("must be 0 to 100, got {}", request.top_k))),
    };
    let class = Some(std::mem::take(&mut request.class)).filter(|class| !class.is_empty());
    Ok(ExplainOptions { class, top_k, contract_mode: contract_mode("contract_mode", request.contract_mode)? })
}

/// `None` for UNSPECIFIED.
pub(crate) fn contract_mode(field: &str, number: i32) -> Result<Option<ContractMode>, Error> {
    match pb::ContractMode::try_from(number) {
        Ok(pb::ContractMode::Unspecified) => Ok(None),
        Ok(pb::ContractMode::Strict) => Ok(Some(ContractMode::Strict)),
        Ok(pb::ContractMode::Warn) => Ok(Some(ContractMode::Warn)),
        Ok(pb::ContractMode::Impute) => Ok(Some(ContractMode::Impute)),
        Err(_) => Err(unknown_enum(field, number)),
    }
}

/// `None` for UNSPECIFIED.
pub(crate) fn state(field: &str, number: i32) -> Result<Option<State>, Error> {
    match pb::State::try_from(number) {
        Ok(pb::State::Unspecified) => Ok(None),
        Ok(pb::State::Pending) => Ok(Some(State::Pending)),
        Ok(pb::State::Running) => Ok(Some(State::Running)),
        Ok(pb::State::Succeeded) => Ok(Some(State::Succeeded)),
        Ok(pb::State::Failed) => Ok(Some(State::Failed)),
        Ok(pb::State::Cancelled) => Ok(Some(State::Cancelled)),
        Err(_) => Err(unknown_enum(field, number)),
    }
}

pub(crate) fn job_state(field: &str, number: i32) -> Result<JobState, Error> {
    match pb::JobState::try_from(number) {
        Ok(pb::JobState::Unspecified) => {
            Err(Error::invalid(field, "must be specified; leave the list empty for all states"))
        }
        Ok(pb::JobState::Waiting) => Ok(JobState::Waiting),
        Ok(pb::JobState::Ready) => Ok(JobState::Ready),
        Ok(pb::JobState::Running) => Ok(JobState::Running),
        Ok(pb::JobState::Succeeded) => Ok(JobState::Succeeded),
        Ok(pb::JobState::Failed) => Ok(JobState::Failed),
        Ok(pb::JobState::Cancelled) => Ok(JobState::Cancelled),
        Err(_) => Err(unknown_enum(field, number)),
    }
}

/// What a deployment serves, from the fields of its `oneof`.
pub(crate) fn target(alias: Option<&str>, version: Option<i64>) -> Result<Option<DeploymentTarget>, Error> {
    match (alias, version) {
        (Some(alias), _) => Ok(Some(DeploymentTarget::Alias(AliasName::parse(alias)?))),
        (None, Some(version)) if version > 0 => Ok(Some(DeploymentTarget::Version(version))),
        (None, Some(version)) => Err(Error::invalid("version", format!("must be at least 1, got {version}"))),
        (None, None) => Ok(None),
    }
}

/// Milliseconds; what is finer is cut off. Years 1 to 9999, as the message's definition says.
pub(crate) fn timestamp(field: &str, time: PbTimestamp) -> Result<Timestamp, Error> {
    let years = -62_135_596_800..=253_402_300_799;
    if !years.contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err(Error::invalid(field, "must be a time between the years 1 and 9999"));
    }
    Ok(Timestamp(time.seconds * 1_000 + i64::from(time.nanos / 1_000_000)))
}

pub(crate) fn params(params: BTreeMap<String, pb::ParamValue>) -> Result<BTreeMap<String, ParamValue>, Error> {
    use pb::param_value::Value as Pb;
    let mut decoded = BTreeMap::new();
    for (key, param) in params {
        let value = match param.value {
            Some(Pb::BoolValue(value)) => ParamValue::Bool(value),
            Some(Pb::IntValue(value)) => ParamValue::Int(value),
            Some(Pb::FloatValue(value)) => ParamValue::Float(value),
            Some(Pb::TextValue(value)) => ParamValue::Text(value),
            None => return Err(Error::invalid(format!("params.{}", shown(&key)), "has no value")),
        };
        decoded.insert(key, value);
    }
    Ok(decoded)
}

/// Metrics without a time are of `now`.
pub(crate) fn metrics(metrics: Vec<pb::Metric>, now: Timestamp) -> Result<Vec<Metric>, Error> {
    let metric = |(index, metric): (usize, pb::Metric)| {
        let at = match metric.time {
            Some(time) => timestamp(&format!("metrics[{index}].time"), time)?,
            None => now,
        };
        Ok(Metric { key: metric.key, value: metric.value, step: metric.step, at })
    };
    metrics.into_iter().enumerate().map(metric).collect()
}

pub(crate) fn unknown_enum(field: &str, number: i32) -> Error {
    Error::invalid(field, format!("has no value {number}; the client may be newer than this server"))
}

/// The beginning of what a client wrote, for messages.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_page_size_is_refused_and_a_large_one_lowered() {
        assert_eq!(page(-1, String::new()).unwrap_err().violations[0].field, "page_size");
        assert_eq!(page(i32::MAX, String::new()).unwrap().size, 1_000);
        assert_eq!(page(0, "t".to_owned()).unwrap(), PageRequest { size: 50, cursor: Some("t".to_owned()) });
    }

    #[test]
    fn tags_without_replace_are_refused_rather_than_ignored() {
        let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        assert!(tags_patch(tags.clone(), false).is_err());
        assert_eq!(tags_patch(tags.clone(), true).unwrap(), Some(tags));
        assert_eq!(tags_patch(Tags::new(), false).unwrap(), None);
        assert_eq!(tags_patch(Tags::new(), true).unwrap(), Some(Tags::new()));
    }

    #[test]
    fn a_time_out_of_range_is_refused_and_never_overflows() {
        let of = |seconds, nanos| timestamp("as_of", PbTimestamp { seconds, nanos });
        assert_eq!(of(1, 999_999).unwrap(), Timestamp(1_000));
        assert_eq!(of(-1, 1_000_000).unwrap(), Timestamp(-999));
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, i32::MAX)] {
            assert!(of(seconds, nanos).is_err());
        }
    }

    #[test]
    fn unknown_enum_numbers_are_refused() {
        assert!(contract_mode("f", 77).is_err() && state("f", -1).is_err() && job_state("f", 0).is_err());
        assert_eq!(state("f", 0).unwrap(), None);
    }
}

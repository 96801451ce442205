//! The JSON that programs rely on.

use serde_json::json;
use tenor_cli::ToJson as _;
use tenor_sdk::types;

#[test]
fn numbers_of_64_bits_stay_numbers_and_times_are_rfc_3339() {
    let time = Some(types::Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 });
    let dataset = types::Dataset {
        name: "d".into(),
        latest_version: i64::MAX,
        create_time: time,
        etag: "7".into(),
        ..Default::default()
    };
    let value = dataset.to_json();
    assert_eq!(value["latest_version"], json!(i64::MAX));
    assert_eq!(value["create_time"], json!("2023-11-14T22:13:20.500Z"));
    assert_eq!(value["update_time"], json!(null));
    assert_eq!(value["etag"], json!("7"));
}

#[test]
fn embedded_json_becomes_an_object_and_broken_json_a_text() {
    let mut version = types::DatasetVersion { options_json: r#"{"a": [1, 2]}"#.into(), ..Default::default() };
    assert_eq!(version.to_json()["options"], json!({ "a": [1, 2] }));
    version.options_json = "{".into();
    assert_eq!(version.to_json()["options"], json!("{"));
    version.options_json.clear();
    assert_eq!(version.to_json()["options"], json!(null));
    assert_eq!(version.to_json()["outcome"], json!(null));
}

#[test]
fn enums_are_lower_case_words_and_unknown_ones_do_not_panic() {
    let mut job = types::Job { state: types::JobState::Running.into(), ..Default::default() };
    assert_eq!(job.to_json()["state"], json!("running"));
    job.state = 99;
    assert_eq!(job.to_json()["state"], json!("unspecified"));
    let deployment = types::Deployment { contract_mode: types::ContractMode::Impute.into(), ..Default::default() };
    assert_eq!(deployment.to_json()["contract_mode"], json!("impute"));
}

#[test]
fn numbers_that_json_does_not_have_are_texts() {
    let metric = |value| types::Metric { key: "m".into(), value, step: 1, time: None }.to_json()["value"].clone();
    assert_eq!(metric(f64::NAN), json!("NaN"));
    assert_eq!(metric(f64::NEG_INFINITY), json!("-Infinity"));
    assert_eq!(metric(0.1), json!(0.1));
}

#[test]
fn a_prediction_names_its_classes() {
    let response = types::PredictResponse {
        prediction: Some(types::Prediction {
            label: "positive".into(),
            probabilities: vec![0.25, 0.75],
            ..Default::default()
        }),
        classes: vec!["negative".into(), "positive".into()],
        model: "reviews".into(),
        model_version: 3,
    };
    let value = response.to_json();
    assert_eq!(value["probabilities"], json!({ "negative": 0.25, "positive": 0.75 }));
    assert_eq!((value["model"].as_str(), value["model_version"].as_i64()), (Some("reviews"), Some(3)));
    assert_eq!(value["explanation"], json!(null));
}

#[test]
fn an_explanation_is_a_prediction_with_its_reasons() {
    let response = types::ExplainResponse {
        prediction: Some(types::Prediction {
            label: "negative".into(),
            probabilities: vec![0.75, 0.25],
            ..Default::default()
        }),
        classes: vec!["negative".into(), "positive".into()],
        model: "reviews".into(),
        model_version: 3,
        class: "positive".into(),
        method: types::ExplanationMethod::IntegratedGradients.into(),
        bias: 0.5,
        score: -1.0,
        contributions: vec![types::FeatureContribution {
            feature: "dull".into(),
            kind: types::FeatureKind::Term.into(),
            value: -1.5,
        }],
        rest: 0.0,
        tokens: vec![types::TokenContribution { start_byte: 1, end_byte: 5, text: "Dull".into(), value: f64::NAN }],
    };
    let value = response.to_json();
    assert_eq!((value["label"].as_str(), value["model_version"].as_i64()), (Some("negative"), Some(3)));
    let expected = json!({
        "class": "positive", "method": "integrated_gradients", "bias": 0.5, "score": -1.0, "rest": 0.0,
        "contributions": [{ "feature": "dull", "kind": "term", "value": -1.5 }],
        "tokens": [{ "start_byte": 1, "end_byte": 5, "text": "Dull", "value": "NaN" }],
    });
    assert_eq!(value["explanation"], expected);
}

use super::*;
use crate::calibration::{CalibrationReport, Calibrator};
use crate::metrics::{EvaluateOptions, Evaluation, evaluate};
use crate::testing::{overconfident, toy};
use crate::{Model, abstention, artifacts, report};
use tenor_features::random::Random;

/// An evaluation of `classes` classes that is right more often than not.
fn evaluation(classes: usize, rows: usize, names: impl Fn(usize) -> String) -> Evaluation {
    let mut random = Random::new(1, classes as u64);
    let (mut labels, mut probs) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let label = random.below(classes * (classes + 1) / 2);
        let label = (0..classes).find(|class| label < (class + 1) * (class + 2) / 2).unwrap_or(0);
        let mut row: Vec<f64> = (0..classes).map(|_| random.unit() + 0.05).collect();
        row[label] += 0.7;
        let neighbour = (label + 1).min(classes - 1);
        row[neighbour] += 0.3;
        let sum: f64 = row.iter().map(|value| value.powi(3)).sum();
        labels.push(label as u32);
        probs.extend(row.iter().map(|value| value.powi(3) / sum));
    }
    let names: Vec<String> = (0..classes).map(names).collect();
    let stars: Vec<f64> = (1..=classes).map(|star| star as f64).collect();
    let options = EvaluateOptions { resamples: 200, ..EvaluateOptions::default() };
    evaluate(&labels, &probs, &names, Some(&stars), &options).unwrap()
}

fn calibration_report(classes: usize) -> CalibrationReport {
    let (labels, probabilities) = overconfident(1, 300, classes);
    let calibrator =
        Calibrator::fit(tenor_domain::CalibrationMethod::Isotonic, &labels, &probabilities, classes).unwrap();
    calibrator.report(&labels, &probabilities).unwrap()
}

fn coverage(classes: usize) -> abstention::CoverageRisk {
    let (labels, probabilities) = overconfident(1, 300, classes);
    abstention::coverage_risk(&labels, &probabilities, classes).unwrap()
}

/// Every picture of an evaluation by name.
fn pictures(evaluation: &Evaluation) -> Vec<(&'static str, String)> {
    let features = vec![("good".to_owned(), toy().top_features(1, 9)), ("<&>".to_owned(), Vec::new())];
    vec![
        ("confusion", confusion_matrix(evaluation)),
        ("roc", roc(evaluation)),
        ("pr", precision_recall(evaluation)),
        ("reliability", reliability(evaluation)),
        ("calibration", calibration(&calibration_report(evaluation.classes.len()))),
        ("coverage", coverage_risk(&coverage(evaluation.classes.len()))),
        ("features", top_features("Strongest features", &features)),
    ]
}

/// Checks that tags are closed, attributes quoted, and nothing is left unescaped. Enough for what the writer can write.
fn check_xml(name: &str, svg: &str) {
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    assert!(svg.chars().all(|c| !c.is_control() || c == '\n'), "{name}");
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("{name}: open tag `{part}`"));
        assert!(!text.contains('>') && tag.matches('"').count() % 2 == 0, "{name}: {part}");
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "{name}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default().to_owned());
        }
        for entity in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "{name}: {text}");
        }
    }
    assert!(open.is_empty(), "{name}");
}

#[test]
fn pictures_are_well_formed_for_any_number_of_classes_and_any_names() {
    let names: [fn(usize) -> String; 3] = [
        |class| format!("class {class}"),
        |class| format!("<b>\"&'{class}\u{0}\u{1b}[31m\n"),
        |class| format!("{class} {}", "très long 名前 ".repeat(20)),
    ];
    for classes in [2, 3, 5, 12, 60] {
        for name in names {
            let evaluation = evaluation(classes, 300, name);
            for (name, svg) in pictures(&evaluation) {
                check_xml(name, &svg);
                assert!(svg.len() < 1_000_000, "{name}: {}", svg.len());
            }
            let text = report::classification_report(&evaluation) + &report::confusion_table(&evaluation);
            assert!(text.chars().all(|c| !c.is_control() || c == '\n'));
        }
    }
}

#[test]
fn one_row_is_enough_for_every_picture() {
    let classes = ["a".to_owned(), "b".to_owned()];
    let evaluation = evaluate(&[0], &[0.3, 0.7], &classes, None, &EvaluateOptions::default()).unwrap();
    for (name, svg) in pictures(&evaluation) {
        check_xml(name, &svg);
    }
}

#[test]
fn the_report_shows_each_number_with_its_interval_and_the_baseline() {
    let report = report::classification_report(&evaluation(3, 300, |class| format!("class {class}")));
    let lines: Vec<&str> = report.lines().collect();
    assert!(lines[0].contains("precision") && lines[0].ends_with("support"), "{report}");
    assert!(lines[2].trim_start().starts_with("class 0") && lines[2].contains('['), "{report}");
    assert!(report.contains("macro avg") && report.contains("quadratic_kappa") && report.contains("guessing"));
}

#[test]
fn artifacts_of_a_run_are_complete_and_their_json_can_be_read() {
    let model = toy();
    let contract = model.contract.clone();
    let texts: Vec<String> = (0..30).map(|i| "long ".repeat(i)).collect();
    let labels: Vec<u32> = (0..30).map(|i| u32::from(i % 3 != 0)).collect();
    let numeric: Vec<Option<f64>> = (0..30).map(|i| (i % 4 != 0).then_some(f64::from(i) / 4.0)).collect();
    let test =
        crate::Examples::from_columns(&contract, (0..30).collect(), texts.clone(), texts, &numeric, labels).unwrap();
    let probabilities = crate::predict_all(&model, &test, tenor_features::Stop::never()).unwrap();
    let evaluation =
        evaluate(&test.labels, &probabilities, &contract.classes, None, &EvaluateOptions::default()).unwrap();
    let baseline = crate::baseline::Baseline::of(&contract, &test);
    let data = crate::TrainingData { contract: contract.clone(), train: test.clone(), validation: None };
    let data = crate::TrainingData { validation: Some(test.clone()), ..data };
    let filter = crate::slices::SliceFilter::parse("votes >= 1 and text contains 'long'").unwrap();
    let judgement = crate::judgement::Judgement::of(&crate::judgement::JudgementInputs {
        data: &data,
        test: &test,
        probabilities: &probabilities,
        validation: Some(&probabilities),
        calibrated: None,
        years: &[],
        filters: &[filter],
        seed: 1,
        stop: tenor_features::Stop::never(),
    })
    .unwrap();
    let folds = crate::folds::Folds::stratified(&data.train.labels, 3, 1).unwrap();
    let (trainer, params) = (crate::testing::LengthTrainer, serde_json::json!({}));
    let context = crate::FitContext::quiet(1);
    let validation = crate::cross_validation::cross_validate(&trainer, &data, &params, &folds, &context).unwrap();
    let inputs = artifacts::Inputs {
        judgement: &judgement,
        lineage: &crate::Lineage::default(),
        title: "toys",
        file: (12, tenor_domain::Digest::of(b"model")),
        model: &model,
        evaluation: &evaluation,
        validation: None,
        test: &test,
        probabilities: &probabilities,
        train: &test,
        cross_validation: Some(&validation),
        baseline: &baseline,
        rows: [30, 0, 30],
        seconds: 1.5,
        extra: &serde_json::json!({"why": "test"}),
        stop: tenor_features::Stop::never(),
    };
    let files = artifacts::artifacts(&inputs).unwrap();
    let read = |name: &str| -> serde_json::Value {
        let file = files.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        serde_json::from_slice(&file.bytes).unwrap()
    };
    let wrong = read("misclassified.json");
    let rows = wrong["rows"].as_array().unwrap();
    assert_eq!(wrong["wrong"], rows.len());
    assert!(!rows.is_empty() && rows.is_sorted_by(|a, b| a["confidence"].as_f64() >= b["confidence"].as_f64()));
    assert_eq!(rows[0]["explanation"]["contributions"].as_array().unwrap().len(), 2);
    assert_eq!(read("metadata.json")["test_metrics"]["accuracy"], evaluation.get("accuracy").unwrap());
    assert_eq!(read("model_schema.json")["classes"][1], "good");
    let quantiles = &read("baseline_statistics.json")["features"][0]["quantiles"];
    assert_eq!(quantiles.as_array().unwrap().len(), 101);
    assert_eq!(read("reports/evaluation.json")["rows"], 30);
    let slices = read("reports/slices.json");
    assert!(slices["slices"].as_array().unwrap().iter().any(|slice| slice["by"] == "filter"), "{slices}");
    let thresholds = read("reports/thresholds.json");
    assert_eq!(thresholds.as_array().unwrap().len(), 5);
    // Found and judged on the same rows here.
    assert!(thresholds.as_array().unwrap().iter().all(|it| it["value"] == it["test_value"]), "{thresholds}");
    let crossed = read("reports/cross_validation.json");
    assert_eq!(crossed["folds"].as_array().unwrap().len(), 3);
    assert!(crossed["summary"]["accuracy"]["mean"].is_number(), "{crossed}");
    let noise = read("reports/label_noise.json");
    assert_eq!((&noise["rows"], &noise["folds"], &noise["classes"][1]), (&30.into(), &3.into(), &"good".into()));
    for suspect in noise["suspects"].as_array().unwrap() {
        assert!(
            suspect["label"] != suspect["suggested"] && suspect["row_id"].as_str().unwrap().len() == 16,
            "{suspect}"
        );
    }
    let mistakes = files.iter().find(|file| file.name == "reports/mistakes.html").unwrap();
    let page = std::str::from_utf8(&mistakes.bytes).unwrap();
    crate::html::tests::check_page(page);
    assert_eq!(page.matches("<article").count(), rows.len());
    for file in &files {
        if file.media_type == "image/svg+xml" {
            check_xml(file.name, std::str::from_utf8(&file.bytes).unwrap());
        }
    }
    assert_eq!(files.len(), 25);
}

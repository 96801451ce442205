//! The files that a training leaves behind, ready to be stored.

use serde_json::{Value, json};
use tenor_domain::{Digest, Error};
use tenor_features::Stop;

use crate::baseline::Baseline;
use crate::card::{self, CardInputs};
use crate::cross_validation::CrossValidation;
use crate::explain_html::{ExplainedText, explanations};
use crate::judgement::Judgement;
use crate::metrics::Evaluation;
use crate::model::{Scratch, label_of};
use crate::noise::Suspect;
use crate::occlusion::occlusion;
use crate::{Contribution, Examples, Lineage, Model, onnx, plot, report};

/// Wrong answers that are kept.
pub const MAX_MISCLASSIFIED: usize = 200;
/// Features a class in the importances file, and in the picture.
const LISTED_FEATURES: usize = 100;
const DRAWN_FEATURES: usize = 20;
/// Contributions with each wrong answer.
const EXPLAINED: usize = 10;
/// Wrong answers on the page that shows their words, and pieces of each that are left out in turn.
const SHOWN_MISTAKES: usize = 50;
const TRIED_WORDS: usize = 128;
/// Suspicious labels that are kept.
pub const MAX_SUSPECTS: usize = 1_000;
/// The largest model of which an ONNX file is made with every run: 32 MiB of it, about; a deep forest would be larger.
const MAX_ONNX_PARAMETERS: u64 = 1 << 20;
/// Characters of a wrong answer's text.
const SHOWN_CHARACTERS: usize = 2_000;

/// One file of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Slash-separated relative name.
    pub name: &'static str,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// What the files are made from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub model: &'a dyn Model,
    /// Of the test rows.
    pub evaluation: &'a Evaluation,
    /// Of the validation rows.
    pub validation: Option<&'a Evaluation>,
    pub test: &'a Examples,
    /// Row-major, of the test rows.
    pub probabilities: &'a [f64],
    pub train: &'a Examples,
    /// Of the training rows, when it was asked for.
    pub cross_validation: Option<&'a CrossValidation>,
    pub baseline: &'a Baseline,
    pub judgement: &'a Judgement,
    pub lineage: &'a Lineage,
    /// What the model card is headed: the registered model, or the run.
    pub title: &'a str,
    /// Bytes and digest of the model file.
    pub file: (u64, Digest),
    /// Rows of train, validation and test.
    pub rows: [u64; 3],
    /// Seconds of the training.
    pub seconds: f64,
    /// Whatever the caller wants in `metadata.json` besides: a JSON object.
    pub extra: &'a Value,
    pub stop: Stop<'a>,
}

/// Makes every file that needs no database: plots, reports, importances, schema, baseline, wrong answers, metadata.
/// The wrong answers hold texts of test rows; the others hold terms and numbers only.
pub fn artifacts(inputs: &Inputs<'_>) -> Result<Vec<Artifact>, Error> {
    let Inputs { model, evaluation, .. } = *inputs;
    let classes = model.classes();
    if inputs.probabilities.len() != inputs.test.len() * classes.len() {
        return Err(Error::invalid("probabilities", "must be those of the test rows, one a class"));
    }
    let importances = importances(model, LISTED_FEATURES);
    let drawn: Vec<(String, Vec<Contribution>)> = importances
        .iter()
        .map(|(class, list)| (class.clone(), list.iter().take(DRAWN_FEATURES).cloned().collect()))
        .collect();
    let svg = |name, text: String| Artifact { name, media_type: "image/svg+xml", bytes: text.into_bytes() };
    let text =
        |name, text: String| Artifact { name, media_type: "text/plain; charset=utf-8", bytes: text.into_bytes() };
    let judgement = inputs.judgement;
    let wrong = wrong_answers(inputs);
    let mut artifacts = vec![
        svg("plots/confusion_matrix.svg", plot::confusion_matrix(evaluation)),
        svg("plots/roc_curve.svg", plot::roc(evaluation)),
        svg("plots/pr_curve.svg", plot::precision_recall(evaluation)),
        svg("plots/reliability.svg", plot::reliability(evaluation)),
        svg("plots/feature_importances.svg", plot::top_features("Strongest features", &drawn)),
        text("reports/classification_report.txt", report::classification_report(evaluation)),
        text("reports/confusion_matrix.txt", report::confusion_table(evaluation)),
        json_file("reports/evaluation.json", evaluation)?,
        json_file("feature_importances.json", &importances_json(&importances))?,
        json_file("model_schema.json", &schema(model))?,
        json_file("baseline_statistics.json", inputs.baseline)?,
        json_file("misclassified.json", &misclassified(inputs, &wrong))?,
        mistakes(inputs, &wrong)?,
        json_file("metadata.json", &metadata(inputs))?,
        crate::predictions::artifact(inputs)?,
        svg("plots/coverage_risk.svg", plot::coverage_risk(&judgement.coverage_risk)),
        text("reports/slices.txt", report::slice_table(&judgement.slices)),
        json_file("reports/slices.json", &judgement.slices)?,
        json_file("reports/coverage_risk.json", &judgement.coverage_risk)?,
        json_file("reports/leakage.json", &judgement.leakage)?,
    ];
    if let Some(calibration) = &judgement.calibration {
        artifacts.push(svg("plots/calibration.svg", plot::calibration(calibration)));
        artifacts.push(json_file("reports/calibration.json", calibration)?);
    }
    if !judgement.thresholds.is_empty() {
        artifacts.push(json_file("reports/thresholds.json", &judgement.thresholds)?);
    }
    if let Some(validation) = inputs.cross_validation {
        artifacts.push(json_file("reports/cross_validation.json", validation)?);
        artifacts.push(json_file("reports/label_noise.json", &label_noise(inputs.train, classes, validation))?);
    }
    artifacts.extend(model_cards(inputs, &importances));
    if model.size().parameters <= MAX_ONNX_PARAMETERS
        && let Some(bytes) = model.onnx(None)?
    {
        artifacts.push(Artifact { name: "model.onnx", media_type: onnx::MEDIA_TYPE, bytes });
    }
    Ok(artifacts)
}

/// The model card as Markdown and as HTML.
fn model_cards(inputs: &Inputs<'_>, importances: &[(String, Vec<Contribution>)]) -> [Artifact; 2] {
    let calibration = inputs.judgement.calibration.as_ref().map(|report| match report.temperature {
        Some(temperature) => format!("temperature {temperature:.4}"),
        None => report.method.as_str().to_owned(),
    });
    let contract = inputs.model.contract();
    let card = CardInputs {
        name: inputs.title,
        version: None,
        created: None,
        owner: None,
        licence: None,
        description: None,
        intended_use: None,
        out_of_scope: None,
        ethics: None,
        kind: inputs.model.kind(),
        params: inputs.model.params(),
        size: inputs.model.size(),
        file: Some(inputs.file),
        contract,
        lineage: inputs.lineage,
        calibration: calibration.as_deref(),
        rows: Some(inputs.rows),
        baseline: Some(inputs.baseline),
        languages: None,
        test: Some(inputs.evaluation),
        validation: inputs.validation,
        slices: Some(&inputs.judgement.slices),
        features: Some(importances),
    };
    let card = card::write(&card);
    let file = |name, media_type, text: String| Artifact { name, media_type, bytes: text.into_bytes() };
    [
        file("model_card.md", "text/markdown; charset=utf-8", card.markdown),
        file("model_card.html", "text/html; charset=utf-8", card.html),
    ]
}

/// The strongest features of each class; of the second alone when there are two, the first being its mirror.
pub fn importances(model: &dyn Model, top_k: usize) -> Vec<(String, Vec<Contribution>)> {
    let classes = model.classes();
    let first = usize::from(classes.len() == 2);
    let of_class = |(class, label): (usize, &String)| (label.clone(), model.top_features(class, top_k));
    classes.iter().enumerate().skip(first).map(of_class).collect()
}

fn importances_json(importances: &[(String, Vec<Contribution>)]) -> Value {
    importances.iter().map(|(class, features)| json!({ "class": class, "features": features })).collect()
}

fn schema(model: &dyn Model) -> Value {
    let contract = model.contract();
    json!({
        "kind": model.kind(),
        "text_column": contract.text_column,
        "text_characters": [contract.min_chars, contract.max_chars],
        "cleaning": contract.cleaning,
        "numeric_features": contract.numeric,
        "classes": contract.classes,
        "stars": contract.stars,
        "contract_hash": contract.hash(),
        "size": model.size(),
    })
}

fn metadata(inputs: &Inputs<'_>) -> Value {
    json!({
        "kind": inputs.model.kind(),
        "params": inputs.model.params(),
        "test_metrics": inputs.evaluation.metrics(""),
        "validation_metrics": inputs.validation.map(|evaluation| evaluation.metrics("")),
        "rows": { "train": inputs.rows[0], "validation": inputs.rows[1], "test": inputs.rows[2] },
        "train_class_shares": inputs.baseline.class_shares,
        "seconds": inputs.seconds,
        "size": inputs.model.size(),
        "extra": inputs.extra,
    })
}

/// A test row with its wrong answer.
struct WrongAnswer<'a> {
    index: usize,
    answer: usize,
    probabilities: &'a [f64],
}

/// The wrong answers on the test rows, the most certain first.
fn wrong_answers<'a>(inputs: &Inputs<'a>) -> Vec<WrongAnswer<'a>> {
    let rows = inputs.probabilities.chunks_exact(inputs.model.classes().len()).enumerate();
    let answers = rows.map(|(index, row)| WrongAnswer { index, answer: label_of(row), probabilities: row });
    let mut wrong: Vec<_> = answers.filter(|it| it.answer != inputs.test.labels[it.index] as usize).collect();
    wrong.sort_by(|a, b| b.probabilities[b.answer].total_cmp(&a.probabilities[a.answer]).then(a.index.cmp(&b.index)));
    wrong
}

/// The surest wrong answers with the contributions that led to them.
fn misclassified(inputs: &Inputs<'_>, wrong: &[WrongAnswer<'_>]) -> Value {
    let (model, test) = (inputs.model, inputs.test);
    let classes = model.classes();
    let mut scratch = Scratch::default();
    let rows: Vec<Value> = wrong
        .iter()
        .take(MAX_MISCLASSIFIED)
        .map(|it| {
            json!({
                "row_id": row_id(test, it.index),
                "text": shown_text(test, it.index),
                "truth": classes[test.labels[it.index] as usize],
                "answer": classes[it.answer],
                "confidence": it.probabilities[it.answer],
                "probabilities": it.probabilities,
                "explanation": model.explain(&test.prepared(it.index), it.answer, EXPLAINED, &mut scratch),
            })
        })
        .collect();
    json!({ "wrong": wrong.len(), "shown": rows.len(), "of": test.len(), "rows": rows })
}

/// The surest wrong answers as a page: the words that led to them are coloured.
fn mistakes(inputs: &Inputs<'_>, wrong: &[WrongAnswer<'_>]) -> Result<Artifact, Error> {
    let (model, test) = (inputs.model, inputs.test);
    let explained = |it: &WrongAnswer<'_>| {
        let text = shown_text(test, it.index);
        let prepared = test.prepared(it.index);
        let mut tokens = occlusion(model, &test.texts[it.index], &prepared, it.answer, TRIED_WORDS, inputs.stop)?;
        tokens.retain(|token| token.end <= text.len());
        let truth = Some(test.labels[it.index] as usize);
        Ok(ExplainedText { text, tokens, label: it.answer, truth, probabilities: it.probabilities.to_vec() })
    };
    let texts = wrong.iter().take(SHOWN_MISTAKES).map(explained).collect::<Result<Vec<_>, Error>>()?;
    let title = format!("{}: the {} surest of {} wrong answers", inputs.title, texts.len(), wrong.len());
    let page = explanations(&title, model.classes(), &texts);
    Ok(Artifact { name: "reports/mistakes.html", media_type: "text/html; charset=utf-8", bytes: page.into_bytes() })
}

/// What the answers out of fold say of the training rows' labels, the most suspicious first.
fn label_noise(train: &Examples, classes: &[String], validation: &CrossValidation) -> Value {
    let noise = &validation.noise;
    let suspect = |it: &Suspect| {
        let index = it.row as usize;
        json!({
            "row_id": row_id(train, index),
            "text": shown_text(train, index),
            "label": classes[it.given as usize],
            "suggested": classes[it.suggested as usize],
            "score": it.score,
        })
    };
    let suspects: Vec<Value> = noise.suspects.iter().take(MAX_SUSPECTS).map(suspect).collect();
    json!({
        "rows": noise.rows,
        "folds": validation.folds.len(),
        "noise_rate": noise.noise_rate,
        "classes": classes,
        "thresholds": noise.thresholds,
        "confident_joint": noise.confident_joint,
        "joint": noise.joint,
        "suspected": noise.suspects.len(),
        "shown": suspects.len(),
        "suspects": suspects,
    })
}

fn row_id(rows: &Examples, index: usize) -> String {
    format!("{:016x}", rows.row_ids[index])
}

fn shown_text(rows: &Examples, index: usize) -> String {
    rows.texts[index].chars().take(SHOWN_CHARACTERS).collect()
}

fn json_file(name: &'static str, value: &impl serde::Serialize) -> Result<Artifact, Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(Error::internal)?;
    bytes.push(b'\n');
    Ok(Artifact { name, media_type: "application/json", bytes })
}

//! Trains kinds of models on labelled texts and prints, for each, one line of JSON: seconds, scores, time of a row, size of the file.
//!
//! Reads JSON lines `{"text": .., "cleaned": .., "label": .., "part": "train" | "test"}` and a JSON list of
//! `{"name": .., "kind": .., "params": {..}}`. The first line printed is that of the features alone: TF-IDF and SVD.
//! With `clean` in place of the list it prints the lines with their cleaned texts, without those of which nothing is left.
//!
//! `cargo run --release --workspace --example measure -- rows.jsonl '[{"name": "lr", "kind": "logreg", "params": {"C": 1}}]'`

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tenor_domain::{ContractMode, Digest};
use tenor_features::Stop;
use tenor_features::contract::{FeatureContract, Input, Prepared};
use tenor_features::svd::{SvdParams, TruncatedSvd};
use tenor_features::text::{CleaningProfile, clean, lexicon_digest};
use tenor_features::tfidf::{self, TfidfParams};
use tenor_learn::{
    EvaluateOptions, Examples, FitContext, Lineage, Model, Registry, Scratch, TrainingData, evaluate, predict_all,
};

#[derive(serde::Deserialize, serde::Serialize)]
struct Line {
    text: String,
    #[serde(default)]
    cleaned: String,
    label: String,
    part: String,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    kind: String,
    params: Value,
}

/// Wall and CPU seconds since the last look.
struct Watch(Instant, f64);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), cpu_seconds())
    }
    fn lap(&mut self) -> Value {
        let lap = json!({ "wall": self.0.elapsed().as_secs_f64(), "cpu": cpu_seconds() - self.1 });
        *self = Self::start();
        lap
    }
}

/// User and system time of this process so far; 0 where there is no `/proc`.
fn cpu_seconds() -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_A_SECOND
}

/// A line of this process's status in MiB; 0 where there is no `/proc`.
fn status_mib(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    number.unwrap_or(0.0) / 1024.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(cases)) = (arguments.next(), arguments.next()) else {
        return Err(
            "usage: measure ROWS.jsonl clean|'[{\"name\": .., \"kind\": .., \"params\": {..}}]' [TERMS [COMPONENTS]]"
                .into(),
        );
    };
    let lines = std::fs::read_to_string(path)?.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;
    if cases == "clean" {
        return print_cleaned(lines);
    }
    let terms: u32 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let components: u32 = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let cases: Vec<Case> = serde_json::from_str(&cases)?;
    let mut classes: Vec<String> = lines.iter().map(|line| line.label.clone()).collect();
    classes.sort();
    classes.dedup();
    let contract = contract(classes);
    let train = examples(&contract, lines.iter().filter(|line| line.part == "train"))?;
    let test = examples(&contract, lines.iter().filter(|line| line.part == "test"))?;
    let data = TrainingData { contract, train, validation: None };
    println!("{}", features(&data.train, &test, terms, components)?);
    let registry = Registry::new(tenor_learn_classic::trainers());
    for case in cases {
        println!("{}", measure(&registry, &data, &test, &case)?);
    }
    Ok(())
}

fn print_cleaned(lines: Vec<Line>) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    for mut line in lines {
        line.cleaned = clean(CleaningProfile::Unicode, &line.text);
        if !line.cleaned.is_empty() {
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// TF-IDF of words and pairs, and the truncated SVD of it.
fn features(train: &Examples, test: &Examples, terms: u32, components: u32) -> Result<Value, Box<dyn Error>> {
    let params = TfidfParams { max_features: Some(terms), ..TfidfParams::default() };
    let before = status_mib("VmRSS");
    let mut watch = Watch::start();
    let (tfidf, matrix) = tfidf::fit_transform(&train.cleaned, &params, None, Stop::never())?;
    let fit = watch.lap();
    let memory = json!({ "before_mib": before, "peak_mib": status_mib("VmHWM"), "after_mib": status_mib("VmRSS") });
    let rows = tfidf.transform(&test.cleaned, Stop::never())?;
    let transform = watch.lap();
    let svd_params = SvdParams { components, ..SvdParams::default() };
    let (svd, _) = TruncatedSvd::fit(&matrix, &svd_params, 1, Stop::never())?;
    Ok(json!({
        "train": train.len(), "test": test.len(), "terms": tfidf.width(), "entries": matrix.columns.len(), "test_entries": rows.columns.len(),
        "tfidf_fit_transform": fit, "tfidf_memory": memory, "tfidf_transform": transform, "svd_fit_transform": watch.lap(),
        "explained_variance_ratio": svd.explained_variance_ratio().iter().sum::<f64>(),
    }))
}

fn measure(registry: &Registry, data: &TrainingData, test: &Examples, case: &Case) -> Result<Value, Box<dyn Error>> {
    let trainer = registry.get(&case.kind)?;
    let params = trainer.check_params(&case.params)?;
    // The features are ready when the fit of the model begins.
    let watch = Mutex::new((Watch::start(), Value::Null));
    let on_progress = |_: f64, what: &str| {
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        if what == "fitting the model" && watch.1.is_null() {
            watch.1 = watch.0.lap();
        }
    };
    let logged = Mutex::new(BTreeMap::new());
    let on_metric = |key: &str, value: f64, _: i64| {
        logged.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), value);
    };
    let context = FitContext { on_progress: &on_progress, on_metric: &on_metric, ..FitContext::quiet(1) };
    let model = trainer.fit(data, &params, &context)?;
    let (mut watch, features) = watch.into_inner().unwrap_or_else(PoisonError::into_inner);
    let fit = watch.lap();
    let probabilities = predict_all(model.as_ref(), test, Stop::never())?;
    let predict = watch.lap();
    let options = EvaluateOptions { resamples: 0, ..EvaluateOptions::default() };
    let evaluation = evaluate(&test.labels, &probabilities, model.classes(), None, &options)?;
    let bytes = model.save(Lineage::default())?.to_bytes()?;
    Ok(json!({
        "name": case.name, "features": features, "fit": fit, "predict": predict, "row_us": row_times(model.as_ref(), test),
        "file_bytes": bytes.len(), "digest": Digest::of(&bytes), "size": model.size(), "logged": logged.into_inner().unwrap_or_else(PoisonError::into_inner),
        "accuracy": evaluation.get("accuracy"), "macro_f1": evaluation.get("macro_f1"), "roc_auc": evaluation.get("roc_auc"),
        "log_loss": evaluation.get("log_loss"),
    }))
}

/// From a raw text to its probabilities as serving does it, contract and cleaning included, one row at a time, in microseconds.
fn row_times(model: &dyn Model, test: &Examples) -> Value {
    const CALLS: usize = 5_000;
    let (mut scratch, mut answer) = (Scratch::default(), vec![0.0; model.classes().len()]);
    let mut prepared = Prepared::default();
    let mut took: Vec<f64> = (0..test.len())
        .cycle()
        .take(CALLS)
        .map(|index| {
            let input = Input { text: &test.texts[index], numeric: &[] };
            let started = Instant::now();
            let findings = model.contract().apply(ContractMode::Warn, black_box(&input), &mut prepared);
            model.predict(&prepared, &mut scratch, &mut answer);
            black_box((findings.is_ok(), &answer));
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    took.sort_by(f64::total_cmp);
    json!({ "p50": took.get(CALLS / 2), "p99": took.get(CALLS * 99 / 100) })
}

fn contract(classes: Vec<String>) -> FeatureContract {
    let contract = json!({
        "format": FeatureContract::FORMAT, "text_column": "text", "cleaning": "unicode", "min_chars": 1, "max_chars": 1_000_000,
        "lexicon": lexicon_digest(), "numeric": [], "classes": classes, "stars": null,
    });
    // Written right above.
    serde_json::from_value(contract).unwrap_or_else(|error| unreachable!("{error}"))
}

fn examples<'a>(contract: &FeatureContract, lines: impl Iterator<Item = &'a Line>) -> Result<Examples, Box<dyn Error>> {
    let mut examples = Examples::default();
    for line in lines {
        let label = contract.classes.iter().position(|class| *class == line.label).ok_or("unknown label")?;
        examples.row_ids.push(examples.labels.len() as i64);
        examples.labels.push(label as u32);
        examples.texts.push(line.text.clone());
        examples.cleaned.push(line.cleaned.clone());
    }
    Ok(examples)
}

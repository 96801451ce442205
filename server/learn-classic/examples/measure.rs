//! Trains on labelled texts, evaluates, and prints times and scores as one line of JSON.
//!
//! Reads JSON lines `{"text": .., "label": .., "part": "train" | "test"}`. Texts are cleaned as in the platform; the numeric features are
//! those of the text alone.
//!
//! `cargo run --release -p tenor-learn-classic --example measure -- rows.jsonl '{"use_numeric": false}'`

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use tenor_features::Stop;
use tenor_features::contract::{FeatureContract, FeatureSource, NumericFeature};
use tenor_features::text::{CleaningProfile, TEXT_FEATURES, clean, lexicon_digest, text_features};
use tenor_learn::{
    EvaluateOptions, Examples, FitContext, Lineage, Scratch, Trainer, TrainingData, evaluate, predict_all,
};
use tenor_learn_classic::LogisticRegression;

#[derive(serde::Deserialize)]
struct Line {
    text: String,
    label: String,
    part: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: measure FILE [PARAMS]")?;
    let params: Value = arguments.next().map_or(Ok(Value::Null), |text| serde_json::from_str(&text))?;
    let lines: Vec<Line> =
        std::fs::read_to_string(path)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut classes: Vec<String> = lines.iter().map(|line| line.label.clone()).collect();
    classes.sort();
    classes.dedup();
    let contract = contract(classes);
    let started = Instant::now();
    let train = examples(&contract, lines.iter().filter(|line| line.part == "train"))?;
    let test = examples(&contract, lines.iter().filter(|line| line.part == "test"))?;
    let clean_s = started.elapsed().as_secs_f64();

    let data = TrainingData { contract, train, validation: None };
    let trainer = LogisticRegression;
    let params = trainer.check_params(&params)?;
    let started = Instant::now();
    let vectorized = std::sync::Mutex::new(0.0);
    let iterations = std::sync::Mutex::new(0.0);
    let on_metric = |key: &str, value: f64, _: i64| match key {
        "train/features" => *vectorized.lock().unwrap_or_else(|e| e.into_inner()) = started.elapsed().as_secs_f64(),
        "train/iterations" => *iterations.lock().unwrap_or_else(|e| e.into_inner()) = value,
        _ => (),
    };
    let model = trainer.fit(&data, &params, &FitContext { on_metric: &on_metric, ..FitContext::quiet(1) })?;
    let fit_s = started.elapsed().as_secs_f64();
    let tfidf_s = *vectorized.lock().unwrap_or_else(|e| e.into_inner());

    let started = Instant::now();
    let probabilities = predict_all(model.as_ref(), &test, Stop::never())?;
    let predict_s = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let options = EvaluateOptions { resamples: 200, ..EvaluateOptions::default() };
    let evaluation = evaluate(&test.labels, &probabilities, model.classes(), None, &options)?;
    let evaluate_s = started.elapsed().as_secs_f64();

    let mut took: Vec<f64> = Vec::new();
    let (mut scratch, mut answer) = (Scratch::default(), vec![0.0; model.classes().len()]);
    for index in (0..test.len()).cycle().take(20_000) {
        let prepared = test.prepared(index);
        let started = Instant::now();
        model.predict(black_box(&prepared), &mut scratch, &mut answer);
        took.push(started.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    let bytes = model.save(Lineage::default())?.to_bytes()?;
    println!(
        "{}",
        json!({
            "train": data.train.len(), "test": test.len(), "features": model.size(), "params": params, "clean_s": clean_s,
            "tfidf_fit_transform_s": tfidf_s, "logreg_fit_s": fit_s - tfidf_s, "predict_test_s": predict_s, "evaluate_s": evaluate_s,
            "iterations": *iterations.lock().unwrap_or_else(|e| e.into_inner()),
            "row_us": { "p50": took[took.len() / 2], "p99": took[took.len() * 99 / 100] }, "model_bytes": bytes.len(),
            "accuracy": evaluation.get("accuracy"), "macro_f1": evaluation.get("macro_f1"), "roc_auc": evaluation.get("roc_auc"),
            "log_loss": evaluation.get("log_loss"),
        })
    );
    Ok(())
}

fn contract(classes: Vec<String>) -> FeatureContract {
    let numeric = TEXT_FEATURES.map(|name| NumericFeature {
        name: name.to_owned(),
        source: FeatureSource::Text,
        min: -1.0,
        max: 1e6,
        mean: 0.0,
        std: 0.0,
        default: 0.0,
    });
    FeatureContract {
        format: FeatureContract::FORMAT,
        text_column: "text".to_owned(),
        cleaning: CleaningProfile::Unicode,
        min_chars: 1,
        max_chars: 1_000_000,
        lexicon: lexicon_digest(),
        numeric: numeric.to_vec(),
        classes,
        stars: None,
    }
}

fn examples<'a>(contract: &FeatureContract, lines: impl Iterator<Item = &'a Line>) -> Result<Examples, Box<dyn Error>> {
    let mut examples = Examples { width: contract.numeric.len(), ..Examples::default() };
    for line in lines {
        let cleaned = clean(contract.cleaning, &line.text);
        let label = contract.classes.iter().position(|class| *class == line.label).ok_or("unknown label")?;
        examples.numeric.extend(text_features(&line.text, &cleaned));
        examples.row_ids.push(examples.labels.len() as i64);
        examples.labels.push(label as u32);
        examples.texts.push(line.text.clone());
        examples.cleaned.push(cleaned);
    }
    Ok(examples)
}

//! Writes `tests/golden/model_v<format>.safetensors` and, beside it, what the model answers: `cargo run --example golden_model`.
//!
//! Run it once for a new format of the model file and commit what it writes. Files of older formats are never written again:
//! they are the proof that old models still load.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use serde_json::{Value, json};
use tenor_data::{GenerateOptions, ImportOptions, ProcessOptions, Work};
use tenor_domain::{ContractMode, Digest, Task};
use tenor_features::contract::{FeatureContract, Input, NumericValue, Prepared};
use tenor_learn::{
    EvaluateOptions, Examples, FitContext, Lineage, Model, ModelFile, Scratch, TrainingData, evaluate, predict_all,
};

const TEXTS: [&str; 6] = [
    "I loved this book, an amazing story. Could not put it down!",
    "Boring. Nothing happens, poor grammar and so many errors, I did not finish it.",
    "It was OK &amp; <b>not</b> more",
    "Ein schönes Buch über Bäume! 日本語 🦀",
    "free kindle download, worth every penny????",
    "zzz",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("reviews.csv");
    tenor_data::generate(&GenerateOptions { rows: 1_500, ..GenerateOptions::default() }, &mut File::create(&source)?)?;
    let work = Work { progress: &|_, _| (), cancelled: &|| false, threads: 2, scratch: folder.path() };
    let imported = tenor_data::import(&source, &ImportOptions::default(), &folder.path().join("import"), &work)?;
    let options = ProcessOptions::new(Task::Star);
    let processed = tenor_data::process(&imported.data, &options, &folder.path().join("split"), &work)?;
    let (contract, digest) =
        (processed.contract, |path: &Path| Ok::<_, std::io::Error>(Some(Digest::of(&std::fs::read(path)?))));
    let data = TrainingData {
        train: examples(&processed.train.path, &contract)?,
        validation: None,
        contract: contract.clone(),
    };
    let test = examples(&processed.test.path, &contract)?;

    let registry = tenor_server::registry();
    let trainer = registry.get("logreg")?;
    let context = FitContext::quiet(42);
    let params = trainer.check_params(&json!({ "max_features": 400, "min_df": 5 }))?;
    let model = trainer.fit(&data, &params, &context)?;
    let probabilities = predict_all(model.as_ref(), &test, context.stop)?;
    let options = EvaluateOptions { resamples: 0, ..EvaluateOptions::default() };
    let evaluation = evaluate(&test.labels, &probabilities, model.classes(), contract.stars.as_deref(), &options)?;
    let lineage = Lineage {
        program: concat!("tenor ", env!("CARGO_PKG_VERSION")).to_owned(),
        source_digest: digest(&source)?,
        import_options_digest: Some(Digest::of(b"{}")),
        split_options_digest: Some(Digest::of(b"{\"task\":\"star\"}")),
        train_digest: digest(&processed.train.path)?,
        validation_digest: digest(&processed.validation.path)?,
        test_digest: digest(&processed.test.path)?,
        train_rows: processed.train.rows,
        seed: context.seed,
        ..Lineage::default()
    };
    let bytes = model.save(lineage)?.with_scores(&evaluation).to_bytes()?;

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let name = format!("model_v{}", ModelFile::FORMAT);
    let answers: Vec<Value> =
        TEXTS.iter().enumerate().map(|(at, text)| answer(model.as_ref(), text, at)).collect::<Result<_, _>>()?;
    let report = json!({ "made_by": "examples/golden_model.rs", "digest": Digest::of(&bytes), "answers": answers });
    std::fs::write(golden.join(format!("{name}.safetensors")), bytes)?;
    std::fs::write(golden.join(format!("{name}.json")), serde_json::to_string_pretty(&report)? + "\n")?;
    Ok(())
}

fn examples(path: &Path, contract: &FeatureContract) -> Result<Examples, Box<dyn Error>> {
    let rows = tenor_data::load_examples(path, contract)?;
    Ok(Examples::from_columns(contract, rows.row_ids, rows.texts, rows.cleaned, &rows.numeric, rows.labels)?)
}

/// What the model answers to a raw input; every other one brings the numbers that only a caller has.
fn answer(model: &dyn Model, text: &str, at: usize) -> Result<Value, Box<dyn Error>> {
    let sent =
        [("user_review_count", 3.0), ("user_avg_len", 321.5), ("item_review_count", 12.0), ("item_avg_len", 410.0)];
    let numeric: Vec<(&str, f64)> = if at.is_multiple_of(2) { sent.to_vec() } else { Vec::new() };
    let given: Vec<_> = numeric.iter().map(|(name, value)| (*name, NumericValue::Number(*value))).collect();
    let mut prepared = Prepared::default();
    let applied = model.contract().apply(ContractMode::Warn, &Input { text, numeric: &given }, &mut prepared);
    applied.map_err(|violations| format!("`{text}` is refused: {violations:?}"))?;
    let mut probabilities = vec![0.0; model.classes().len()];
    model.predict(&prepared, &mut Scratch::default(), &mut probabilities);
    Ok(json!({ "text": text, "numeric": numeric, "probabilities": probabilities }))
}

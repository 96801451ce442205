//! Trains a perceptron on matrices in raw files and prints times and scores as one line of JSON.
//!
//! `NAME-train.f32`, `NAME-test.f32`: rows of little-endian f32, `NAME-train.u32`, `NAME-test.u32`: their labels.
//!
//! `cargo run --release -p tenor-learn-classic --example measure_mlp -- NAME WIDTH CLASSES SEED THREADS ['{"dropout": 0.1}']`

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use tenor_features::dense::DenseMatrix;
use tenor_learn::params::Params;
use tenor_learn::{EvaluateOptions, FitContext, evaluate};
use tenor_learn_classic::mlp::{Mlp, MlpParams, defaults};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, width, classes, seed, threads, rest @ ..] = arguments.as_slice() else {
        return Err("usage: measure_mlp NAME WIDTH CLASSES SEED THREADS [PARAMS]".into());
    };
    let (width, classes, threads) = (width.parse()?, classes.parse::<usize>()?, threads.parse()?);
    let given: Value = rest.first().map_or(Ok(Value::Null), |text| serde_json::from_str(text))?;
    let params = MlpParams::read(&mut Params::new(&given, &defaults())?)?;
    let (train, labels) = read(name, "train", width)?;
    let (test, test_labels) = read(name, "test", width)?;

    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    let epochs = std::sync::Mutex::new(0.0);
    let on_metric = |key: &str, value: f64, _: i64| {
        if key == "train/epochs" {
            *epochs.lock().unwrap_or_else(|e| e.into_inner()) = value;
        }
    };
    let context = FitContext { threads, on_metric: &on_metric, ..FitContext::quiet(seed.parse()?) };
    let weights = vec![1.0; labels.len()];
    let mlp = context.in_pool(|| Mlp::fit(&train, &labels, classes, &weights, None, &params, &context))?;
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu);

    let mut probabilities = vec![0.0; test.rows() * classes];
    let mut scratch = Vec::new();
    let mut took = Vec::new();
    for (index, probabilities) in probabilities.chunks_mut(classes).enumerate() {
        let started = Instant::now();
        mlp.predict_into(black_box(test.row(index)), &mut scratch, probabilities);
        took.push(started.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    let options = EvaluateOptions { resamples: 0, ..EvaluateOptions::default() };
    let evaluation = evaluate(&test_labels, &probabilities, &names, None, &options)?;
    println!(
        "{}",
        json!({
            "fit_wall_s": wall, "fit_cpu_s": cpu, "epochs": *epochs.lock().unwrap_or_else(|e| e.into_inner()),
            "row_us": { "p50": took[took.len() / 2], "p99": took[took.len() * 99 / 100] },
            "accuracy": evaluation.get("accuracy"), "roc_auc": evaluation.get("roc_auc"), "log_loss": evaluation.get("log_loss"),
        })
    );
    Ok(())
}

fn read(name: &str, part: &str, width: usize) -> Result<(DenseMatrix, Vec<u32>), Box<dyn Error>> {
    let values = std::fs::read(format!("{name}-{part}.f32"))?;
    let labels = std::fs::read(format!("{name}-{part}.u32"))?;
    let values = values.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let labels = labels.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    Ok((DenseMatrix { width, values }, labels))
}

/// User and system time of this process, from Linux's `/proc/self/stat` (in hundredths).
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(ticks as f64 / 100.0)
}

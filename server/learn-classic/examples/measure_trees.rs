//! Fits a tree learner on raw arrays and prints times and scores, one line of JSON a run.
//!
//! Reads `PREFIX.{train,test}.x.f32` (row-major, little-endian), `PREFIX.{train,test}.TASK.u32` (labels). Arguments: learner (`rf` or `hgb`),
//! prefix, columns, task, seeds, parameters.
//!
//! `cargo run --release -p tenor-learn-classic --example measure_trees -- rf data/gen 110 binary 1,2 '{"max_depth": 16}'`

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use tenor_features::arrays::Arrays;
use tenor_features::dense::DenseMatrix;
use tenor_learn::FitContext;
use tenor_learn::params::Params;
use tenor_learn_classic::boosting::{self, Boosting, BoostingParams};
use tenor_learn_classic::forest::{self, Forest, ForestParams};

enum Fitted {
    Forest(Forest),
    Boosting(Boosting),
}

impl Fitted {
    fn predict(&self, row: &[f32], probabilities: &mut [f64]) {
        match self {
            Self::Forest(model) => model.predict_into(row, probabilities),
            Self::Boosting(model) => model.predict_into(row, probabilities),
        }
    }
    fn bytes(&self) -> usize {
        let mut arrays = Arrays::default();
        match self {
            Self::Forest(model) => model.save(&mut arrays),
            Self::Boosting(model) => model.save(&mut arrays),
        }
        let bytes = |array: &tenor_features::arrays::Array| match array {
            tenor_features::arrays::Array::U8(data) => data.len(),
            tenor_features::arrays::Array::F32(data) => data.len() * 4,
            tenor_features::arrays::Array::U64(data) => data.len() * 8,
            tenor_features::arrays::Array::F64(data) => data.len() * 8,
        };
        arrays.iter().map(|(_, array)| bytes(array)).sum()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [learner, prefix, columns, task, seeds, rest @ ..] = arguments.as_slice() else {
        return Err("usage: measure_trees rf|hgb PREFIX COLUMNS TASK SEEDS [PARAMS]".into());
    };
    let width: usize = columns.parse()?;
    let given: Value = rest.first().map_or(Ok(Value::Null), |text| serde_json::from_str(text))?;
    let (train, labels) = read(prefix, "train", task, width)?;
    let (test, test_labels) = read(prefix, "test", task, width)?;
    let classes = *labels.iter().max().ok_or("no rows")? as usize + 1;
    let weights = vec![1.0; labels.len()];
    for seed in seeds.split(',') {
        let context = FitContext { threads: 2, ..FitContext::quiet(seed.parse()?) };
        let (started, cpu) = (Instant::now(), cpu_seconds()?);
        let fitted = context.in_pool(|| {
            if learner == "rf" {
                let defaults = forest::defaults();
                let params = ForestParams::read(&mut Params::new(&given, &defaults)?)?;
                Forest::fit(&train, &labels, classes, &weights, None, &params, &context).map(Fitted::Forest)
            } else {
                let defaults = boosting::defaults();
                let params = BoostingParams::read(&mut Params::new(&given, &defaults)?)?;
                Boosting::fit(&train, &labels, classes, &weights, None, &params, &context).map(Fitted::Boosting)
            }
        })?;
        let (fit_s, fit_cpu_s) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
        let mut probabilities = vec![0.0; test_labels.len() * classes];
        for (row, probabilities) in probabilities.chunks_mut(classes).enumerate() {
            fitted.predict(test.row(row), probabilities);
        }
        let mut took: Vec<f64> = Vec::new();
        let mut one = vec![0.0; classes];
        for row in 0..test.rows() {
            let started = Instant::now();
            fitted.predict(black_box(test.row(row)), &mut one);
            took.push(started.elapsed().as_secs_f64() * 1e6);
        }
        took.sort_by(f64::total_cmp);
        let (accuracy, loss) = accuracy_and_loss(&probabilities, &test_labels, classes);
        let line = json!({
            "side": "own", "kind": learner, "data": prefix, "task": task, "seed": seed, "fit_wall": fit_s, "fit_cpu": fit_cpu_s,
            "acc": accuracy, "auc": auc(&probabilities, &test_labels, classes), "loss": loss, "size": fitted.bytes(),
            "one_us": took[took.len() / 2], "one_p99_us": took[took.len() * 99 / 100],
        });
        println!("{line}");
    }
    Ok(())
}

fn read(prefix: &str, part: &str, task: &str, width: usize) -> Result<(DenseMatrix, Vec<u32>), Box<dyn Error>> {
    let words =
        |path: String| -> Result<Vec<[u8; 4]>, Box<dyn Error>> { Ok(std::fs::read(path)?.as_chunks::<4>().0.to_vec()) };
    let values = words(format!("{prefix}.{part}.x.f32"))?.into_iter().map(f32::from_le_bytes).collect();
    let labels = words(format!("{prefix}.{part}.{task}.u32"))?.into_iter().map(u32::from_le_bytes).collect();
    Ok((DenseMatrix { width, values }, labels))
}

/// User and system time of this process so far, at Linux's 100 ticks a second.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields.get(11).ok_or("stat")?.parse::<f64>()? + fields.get(12).ok_or("stat")?.parse::<f64>()?;
    Ok(ticks / 100.0)
}

fn accuracy_and_loss(probabilities: &[f64], labels: &[u32], classes: usize) -> (f64, f64) {
    let (mut right, mut loss) = (0.0, 0.0);
    for (row, &label) in probabilities.chunks(classes).zip(labels) {
        right += f64::from(u8::from(tenor_learn::label_of(row) == label as usize));
        loss -= row[label as usize].max(f64::EPSILON).ln();
    }
    (right / labels.len() as f64, loss / labels.len() as f64)
}

/// Area under the ROC curve by ranks, for more classes the mean of each against the rest.
fn auc(probabilities: &[f64], labels: &[u32], classes: usize) -> f64 {
    let of_class = |class: usize| {
        let mut scored: Vec<(f64, bool)> = probabilities
            .chunks(classes)
            .zip(labels)
            .map(|(row, label)| (row[class], *label as usize == class))
            .collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut ranks, mut positives) = (0.0, 0.0);
        let mut start = 0;
        while start < scored.len() {
            let end = start + scored[start..].iter().take_while(|pair| pair.0 == scored[start].0).count();
            let count = scored[start..end].iter().filter(|pair| pair.1).count() as f64;
            ranks += count * (start + 1 + end) as f64 / 2.0;
            positives += count;
            start = end;
        }
        (ranks - positives * (positives + 1.0) / 2.0) / (positives * (scored.len() as f64 - positives))
    };
    if classes == 2 { of_class(1) } else { (0..classes).map(of_class).sum::<f64>() / classes as f64 }
}

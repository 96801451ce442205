//! The way of one text to its probabilities, as serving goes it, and how long that takes.

use std::time::Instant;

use tenor_domain::{ContractMode, Error};
use tenor_features::Stop;
use tenor_features::contract::{Input, Prepared, Violation};

use crate::metrics::quantile;
use crate::{Examples, Model, Scratch};

/// Buffers that are used again and again, so that a steady stream of texts allocates little.
#[derive(Debug, Default)]
pub struct Buffers {
    pub prepared: Prepared,
    pub scratch: Scratch,
}

/// Applies the model's contract and writes the probability of each class; returns what was wrong with the input but let pass.
///
/// # Errors
/// What the contract refuses in this mode.
pub fn answer(
    model: &dyn Model,
    mode: ContractMode,
    input: &Input<'_>,
    buffers: &mut Buffers,
    probabilities: &mut [f64],
) -> Result<Vec<Violation>, Vec<Violation>> {
    let warnings = model.contract().apply(mode, input, &mut buffers.prepared)?;
    model.predict(&buffers.prepared, &mut buffers.scratch, probabilities);
    Ok(warnings)
}

/// How long one answer takes, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Latency {
    pub median: f64,
    /// 95 of 100 answers take no longer.
    pub p95: f64,
    /// Median absolute deviation from the median.
    pub mad: f64,
    /// Answers that were timed.
    pub count: u64,
}

/// Times [`answer`] alone on this thread: the raw texts of up to `rows` examples, spread evenly over all of them, `rounds` times each
/// after a round that does not count.
///
/// # Errors
/// No example; a wish to stop.
pub fn measure_latency(
    model: &dyn Model,
    examples: &Examples,
    rows: usize,
    rounds: usize,
    stop: Stop<'_>,
) -> Result<Latency, Error> {
    if examples.is_empty() || rows == 0 || rounds == 0 {
        return Err(Error::invalid("latency", "needs at least one row and one round"));
    }
    let rows = rows.min(examples.len());
    let texts: Vec<&str> = (0..rows).map(|row| examples.texts[row * examples.len() / rows].as_str()).collect();
    let (mut buffers, mut probabilities) = (Buffers::default(), vec![0.0; model.classes().len()]);
    let mut times = Vec::with_capacity(rows * rounds);
    for round in 0..=rounds {
        stop.check()?;
        for text in &texts {
            let started = Instant::now();
            // Refused or not: that is what a caller waits for.
            let _ =
                answer(model, ContractMode::Impute, &Input { text, numeric: &[] }, &mut buffers, &mut probabilities);
            if round > 0 {
                times.push(started.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let median = quantile(&times, 0.5);
    let mut away: Vec<f64> = times.iter().map(|time| (time - median).abs()).collect();
    away.sort_by(f64::total_cmp);
    Ok(Latency { median, p95: quantile(&times, 0.95), mad: quantile(&away, 0.5), count: times.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ToyTrainer, contract};
    use crate::{FitContext, Trainer, TrainingData};

    #[test]
    fn latency_is_of_as_many_answers_as_were_asked_for() {
        let texts: Vec<String> = (0..40).map(|row| format!("{row} good book")).collect();
        let labels = (0..40).map(|row| row % 2).collect();
        let numeric = vec![Some(0.0); 40];
        let train =
            Examples::from_columns(&contract(), (0..40).collect(), texts.clone(), texts, &numeric, labels).unwrap();
        let data = TrainingData { contract: contract(), train, validation: None };
        let model = ToyTrainer.fit(&data, &serde_json::json!({}), &FitContext::quiet(1)).unwrap();
        let latency = |rows| measure_latency(model.as_ref(), &data.train, rows, 3, Stop::never());
        let found = latency(10).unwrap();
        assert!(found.count == 30 && found.median > 0.0 && found.mad >= 0.0 && found.mad.is_finite());
        assert!(found.p95 >= found.median && found.p95.is_finite());
        assert_eq!(latency(1_000).unwrap().count, 120);
        assert!(latency(0).is_err());
    }
}

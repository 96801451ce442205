//! Labels and probabilities made ready to be scored many times over with different row weights.

use std::sync::OnceLock;

use tenor_domain::Error;

use super::confusion::Confusion;
use super::{BINS, ReliabilityBin, SCORES, STAR_SCORES};
use crate::label_of;

/// Everything that does not depend on the weights is worked out once; [`Frame::scores`] is then linear in the rows.
pub(crate) struct Frame<'a> {
    classes: usize,
    stars: Option<&'a [f64]>,
    labels: &'a [u32],
    answers: Vec<u32>,
    log_loss: Vec<f64>,
    brier: Vec<f64>,
    /// The highest probability and its bin.
    confidence: Vec<f64>,
    bin: Vec<u8>,
    /// For each class the rows, highest probability first; made when they are first asked for, for sorting is most of the work.
    rankings: OnceLock<Vec<Ranking>>,
    probabilities: &'a [f64],
}

/// Rows in falling order of a probability, and whether a row begins a new value.
struct Ranking {
    rows: Vec<u32>,
    new_value: Vec<bool>,
}

/// Rows above a threshold, threshold by threshold from the highest down.
pub(crate) struct Steps {
    /// (true positives, false positives) so far.
    pub counts: Vec<(f64, f64)>,
    pub positives: f64,
    pub negatives: f64,
}

impl<'a> Frame<'a> {
    pub fn new(
        labels: &'a [u32],
        probabilities: &'a [f64],
        classes: usize,
        stars: Option<&'a [f64]>,
    ) -> Result<Self, Error> {
        check_rows(labels, probabilities, classes)?;
        check_stars(stars, classes)?;
        let rows: Vec<&[f64]> = probabilities.chunks_exact(classes).collect();
        let answers: Vec<u32> = rows.iter().map(|row| label_of(row) as u32).collect();
        let confidence: Vec<f64> = rows.iter().zip(&answers).map(|(row, answer)| row[*answer as usize]).collect();
        let loss = |(row, label): (&&[f64], &u32)| -row[*label as usize].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln();
        let squares = |(row, label): (&&[f64], &u32)| {
            let error = |class: usize| (row[class] - f64::from(u8::from(class == *label as usize))).powi(2);
            if classes == 2 { error(1) } else { (0..classes).map(error).sum() }
        };
        Ok(Self {
            classes,
            stars,
            labels,
            log_loss: rows.iter().zip(labels).map(loss).collect(),
            brier: rows.iter().zip(labels).map(squares).collect(),
            bin: confidence.iter().map(|&confidence| bin_of(confidence)).collect(),
            rankings: OnceLock::new(),
            probabilities,
            answers,
            confidence,
        })
    }

    /// Scores before those of the classes.
    pub fn overall(&self) -> usize {
        SCORES.len() + if self.stars.is_some() { STAR_SCORES.len() } else { 0 }
    }

    /// The names of [`scores`](Self::scores).
    pub fn names(&self) -> Vec<String> {
        let stars: &[&str] = if self.stars.is_some() { &STAR_SCORES } else { &[] };
        let of_classes = (0..self.classes).flat_map(|_| ["precision", "recall", "f1"]);
        SCORES.iter().chain(stars).copied().chain(of_classes).map(str::to_owned).collect()
    }

    /// All scores when row `i` counts `weights[i]` times. At least one weight must be above 0.
    pub fn scores(&self, weights: &[u32]) -> Vec<Option<f64>> {
        let confusion = self.confusion(weights);
        let rates = confusion.rates();
        let supports: f64 = rates.iter().map(|class| class.support as f64).sum();
        let mean = |of: fn(&super::confusion::Rates) -> f64| rates.iter().map(of).sum::<f64>() / self.classes as f64;
        let weighted = |of: fn(&super::confusion::Rates) -> f64| {
            rates.iter().map(|class| of(class) * class.support as f64).sum::<f64>() / supports
        };
        let ranked = if self.classes == 2 { 1..2 } else { 0..self.classes };
        let areas: Vec<_> = ranked.map(|class| self.areas(class, weights)).collect();
        let mean_of = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let (log_loss, brier) = self.losses(weights);
        let mut scores = vec![
            Some(confusion.accuracy()),
            Some(mean(|class| class.precision)),
            Some(mean(|class| class.recall)),
            Some(mean(|class| class.f1)),
            Some(weighted(|class| class.precision)),
            Some(weighted(|class| class.recall)),
            Some(weighted(|class| class.f1)),
            Some(confusion.mcc()),
            mean_of(areas.iter().filter_map(|(roc, _)| *roc).collect()),
            mean_of(areas.iter().filter_map(|(_, pr)| *pr).collect()),
            Some(log_loss),
            Some(brier),
            Some(self.calibration_error(weights)),
        ];
        if let Some(stars) = self.stars {
            let (mae, within_one, kappa) = confusion.stars(stars);
            scores.extend([Some(mae), Some(within_one), kappa]);
        }
        scores.extend(rates.iter().flat_map(|class| [Some(class.precision), Some(class.recall), Some(class.f1)]));
        scores
    }

    pub fn confusion(&self, weights: &[u32]) -> Confusion {
        let mut confusion = Confusion::new(self.classes);
        for ((label, answer), weight) in self.labels.iter().zip(&self.answers).zip(weights) {
            confusion.add(*label as usize, *answer as usize, u64::from(*weight));
        }
        confusion
    }

    /// Mean log-loss and Brier score.
    pub fn losses(&self, weights: &[u32]) -> (f64, f64) {
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let average = |values: &[f64]| {
            values.iter().zip(weights).map(|(value, &weight)| value * f64::from(weight)).sum::<f64>() / total
        };
        (average(&self.log_loss), average(&self.brier))
    }

    pub fn class_counts(&self, weights: &[u32]) -> Vec<u64> {
        self.confusion(weights).rates().iter().map(|class| class.support).collect()
    }

    fn ranking(&self, class: usize) -> &Ranking {
        let rankings = self.rankings.get_or_init(|| {
            let rows: Vec<&[f64]> = self.probabilities.chunks_exact(self.classes).collect();
            (0..self.classes).map(|class| Ranking::new(&rows, class)).collect()
        });
        &rankings[class]
    }

    /// ROC-AUC and average precision of `class` against the rest; `None` without rows on both sides.
    pub fn areas(&self, class: usize, weights: &[u32]) -> (Option<f64>, Option<f64>) {
        let ranking = self.ranking(class);
        let (mut hits, mut misses, mut area, mut precision) = (0.0, 0.0, 0.0, 0.0);
        let (mut new_hits, mut new_misses) = (0.0, 0.0);
        let mut close = |new_hits: &mut f64, new_misses: &mut f64| {
            // Ties count half; a threshold cannot fall between them.
            area += *new_misses * (hits + *new_hits / 2.0);
            hits += *new_hits;
            misses += *new_misses;
            if *new_hits > 0.0 {
                precision += *new_hits * (hits / (hits + misses));
            }
            (*new_hits, *new_misses) = (0.0, 0.0);
        };
        for (&row, &new_value) in ranking.rows.iter().zip(&ranking.new_value) {
            if new_value {
                close(&mut new_hits, &mut new_misses);
            }
            let weight = f64::from(weights[row as usize]);
            if self.labels[row as usize] as usize == class { new_hits += weight } else { new_misses += weight }
        }
        close(&mut new_hits, &mut new_misses);
        if hits == 0.0 || misses == 0.0 {
            return (None, None);
        }
        (Some(area / (hits * misses)), Some(precision / hits))
    }

    /// The counts behind the curves of `class`, one step a threshold.
    pub fn steps(&self, class: usize) -> Steps {
        let ranking = self.ranking(class);
        let mut steps = Steps { counts: Vec::new(), positives: 0.0, negatives: 0.0 };
        for (&row, &new_value) in ranking.rows.iter().zip(&ranking.new_value) {
            if new_value && steps.positives + steps.negatives > 0.0 {
                steps.counts.push((steps.positives, steps.negatives));
            }
            if self.labels[row as usize] as usize == class { steps.positives += 1.0 } else { steps.negatives += 1.0 }
        }
        steps.counts.push((steps.positives, steps.negatives));
        steps
    }

    /// Rows, right answers and summed confidence of each bin.
    fn bins(&self, weights: &[u32]) -> [(f64, f64, f64); BINS] {
        let mut bins = [(0.0, 0.0, 0.0); BINS];
        for (row, &weight) in weights.iter().enumerate() {
            let (bin, weight) = (&mut bins[self.bin[row] as usize], f64::from(weight));
            bin.0 += weight;
            bin.1 += if self.labels[row] == self.answers[row] { weight } else { 0.0 };
            bin.2 += weight * self.confidence[row];
        }
        bins
    }

    pub fn calibration_error(&self, weights: &[u32]) -> f64 {
        let bins = self.bins(weights);
        let total: f64 = bins.iter().map(|bin| bin.0).sum();
        bins.iter().map(|(_, right, confidence)| (right - confidence).abs()).sum::<f64>() / total
    }

    pub fn reliability(&self) -> Vec<ReliabilityBin> {
        let edge = |bin: usize| bin as f64 / BINS as f64;
        let bins = self.bins(&vec![1; self.labels.len()]).into_iter().enumerate();
        bins.map(|(index, (rows, right, confidence))| ReliabilityBin {
            low: edge(index),
            high: edge(index + 1),
            rows: rows as u64,
            confidence: if rows > 0.0 { confidence / rows } else { 0.0 },
            accuracy: if rows > 0.0 { right / rows } else { 0.0 },
        })
        .collect()
    }

    pub fn rows(&self) -> usize {
        self.labels.len()
    }
}

impl Ranking {
    fn new(probabilities: &[&[f64]], class: usize) -> Self {
        let value = |row: u32| probabilities[row as usize][class];
        let mut rows: Vec<u32> = (0..probabilities.len() as u32).collect();
        rows.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
        let new_value = (0..rows.len()).map(|at| at == 0 || value(rows[at]) != value(rows[at - 1])).collect();
        Self { rows, new_value }
    }
}

/// The bin whose right edge closes it: (low, high].
fn bin_of(confidence: f64) -> u8 {
    let edge = |bin: usize| bin as f64 / BINS as f64;
    let mut bin = ((confidence * BINS as f64) as usize).min(BINS - 1);
    // Multiplying rounds: the edges decide.
    while bin > 0 && confidence <= edge(bin) {
        bin -= 1;
    }
    while bin < BINS - 1 && confidence > edge(bin + 1) {
        bin += 1;
    }
    bin as u8
}

/// An error unless there are rows, a label below `classes` for each, and `classes` probabilities that add up to 1.
pub(crate) fn check_rows(labels: &[u32], probabilities: &[f64], classes: usize) -> Result<(), Error> {
    if labels.is_empty() {
        return Err(Error::invalid("labels", "must have at least one row to evaluate"));
    }
    if labels.len() >= u32::MAX as usize {
        return Err(Error::invalid("labels", "must be fewer than 2^32 - 1; evaluate a sample"));
    }
    if classes < 2 {
        return Err(Error::invalid("classes", format!("must be at least 2, got {classes}")));
    }
    if probabilities.len() != labels.len() * classes {
        let text = format!("must be {classes} for each of {} labels, got {}", labels.len(), probabilities.len());
        return Err(Error::invalid("probabilities", text));
    }
    if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
        return Err(Error::invalid("labels", format!("must be below {classes}, got {label}")));
    }
    for (index, row) in probabilities.chunks_exact(classes).enumerate() {
        let sum: f64 = row.iter().sum();
        if !row.iter().all(|p| (0.0..=1.0).contains(p)) || (sum - 1.0).abs() > 1e-6 {
            let text = format!("must lie in 0 to 1 and add up to 1, but row {index} is {row:?}");
            return Err(Error::invalid("probabilities", text));
        }
    }
    Ok(())
}

fn check_stars(stars: Option<&[f64]>, classes: usize) -> Result<(), Error> {
    if let Some(stars) = stars
        && (stars.len() != classes || stars.iter().any(|star| !star.is_finite()))
    {
        return Err(Error::invalid("stars", format!("must be {classes} finite numbers, one a class")));
    }
    Ok(())
}

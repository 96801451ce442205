//! Where to cut between two classes. 0.5 is best for accuracy of calibrated answers, and for little else.

use tenor_domain::Error;

/// What the cut should be best at. All count 0 where they are not defined, as [`SCORES`](crate::metrics::SCORES) do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMetric {
    MacroF1,
    Accuracy,
    /// F1 of the second class.
    F1,
    /// Mean recall of the two classes.
    BalancedAccuracy,
    /// Matthews correlation.
    Mcc,
}

impl ThresholdMetric {
    pub const ALL: [Self; 5] = [Self::MacroF1, Self::Accuracy, Self::F1, Self::BalancedAccuracy, Self::Mcc];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::MacroF1 => "macro_f1",
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::Mcc => "mcc",
        }
    }
    /// The metric of that name; the error lists them.
    pub fn parse(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name).ok_or_else(|| {
            let short: String = name.chars().take(80).collect();
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("metric", format!("must be one of {names}, got `{short}`"))
        })
    }
    fn of(self, counts: &Counts) -> f64 {
        let Counts { hits, misses, false_alarms, rests } = *counts;
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let f1 = |right: f64| ratio(2.0 * right, 2.0 * right + misses + false_alarms);
        match self {
            Self::MacroF1 => (f1(hits) + f1(rests)) / 2.0,
            Self::Accuracy => ratio(hits + rests, hits + misses + false_alarms + rests),
            Self::F1 => f1(hits),
            Self::BalancedAccuracy => (ratio(hits, hits + misses) + ratio(rests, rests + false_alarms)) / 2.0,
            Self::Mcc => {
                let spread = (hits + misses) * (rests + false_alarms) * (hits + false_alarms) * (rests + misses);
                ratio(hits * rests - misses * false_alarms, spread.sqrt())
            }
        }
    }
}

/// A confusion matrix of two classes, in rows.
struct Counts {
    /// Second class, answered so.
    hits: f64,
    /// Second class, answered the first.
    misses: f64,
    /// First class, answered the second.
    false_alarms: f64,
    /// First class, answered so.
    rests: f64,
}

/// The cut that was found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Threshold {
    pub metric: ThresholdMetric,
    /// The second class is answered when its probability is this or more; 0 to 1.
    pub threshold: f64,
    /// The metric there, on the rows it was chosen on: an optimistic number.
    pub value: f64,
    /// The metric at 0.5.
    pub value_at_half: f64,
}

/// Finds the cut of `second`, the probability of the second class, that makes `metric` largest on validation rows. Cuts lie
/// half-way between neighbouring probabilities; of equally good ones the nearest to 0.5 is taken. O(n log n).
pub fn best_threshold(labels: &[u32], second: &[f64], metric: ThresholdMetric) -> Result<Threshold, Error> {
    if labels.is_empty() || labels.len() != second.len() {
        let text = format!("must be one for each of {} labels, and at least one, got {}", labels.len(), second.len());
        return Err(Error::invalid("probabilities", text));
    }
    if labels.iter().any(|label| *label > 1) {
        return Err(Error::invalid("labels", "must be 0 or 1: only two classes have one threshold"));
    }
    if !second.iter().all(|p| (0.0..=1.0).contains(p)) {
        return Err(Error::invalid("probabilities", "must lie in 0 to 1"));
    }
    let mut rows: Vec<(f64, u32)> = second.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let positives = labels.iter().filter(|label| **label == 1).count() as f64;

    let mut counts = Counts { hits: 0.0, misses: positives, false_alarms: 0.0, rests: rows.len() as f64 - positives };
    let mut best = Threshold { metric, threshold: 0.5, value: f64::NEG_INFINITY, value_at_half: 0.0 };
    let mut high = 1.0;
    for equals in rows.chunk_by(|a, b| a.0 == b.0) {
        let low = equals[0].0;
        // Nothing lies above a probability of 1.
        if low < high {
            best.consider(low, high, &counts);
        }
        for row in equals {
            counts.answer_second(row.1 == 1);
        }
        high = low;
    }
    best.consider(0.0, high, &counts);
    Ok(best)
}

impl Counts {
    fn answer_second(&mut self, rightly: bool) {
        if rightly {
            self.hits += 1.0;
            self.misses -= 1.0;
        } else {
            self.false_alarms += 1.0;
            self.rests -= 1.0;
        }
    }
}

impl Threshold {
    /// The metric on other rows, at the cut and at 0.5.
    pub fn on(&self, labels: &[u32], second: &[f64]) -> (f64, f64) {
        let at = |threshold: f64| {
            let mut counts = Counts { hits: 0.0, misses: 0.0, false_alarms: 0.0, rests: 0.0 };
            for (label, p) in labels.iter().zip(second) {
                *match (*label == 1, *p >= threshold) {
                    (true, true) => &mut counts.hits,
                    (true, false) => &mut counts.misses,
                    (false, true) => &mut counts.false_alarms,
                    (false, false) => &mut counts.rests,
                } += 1.0;
            }
            self.metric.of(&counts)
        };
        (at(self.threshold), at(0.5))
    }

    /// Takes a cut in (`low`, `high`] if it is better. Every cut there gives the same `counts`.
    fn consider(&mut self, low: f64, high: f64, counts: &Counts) {
        let value = self.metric.of(counts);
        let middle = low + (high - low) / 2.0;
        let mut cut = if middle > low { middle } else { high };
        if low < 0.5 && 0.5 <= high {
            cut = 0.5;
            self.value_at_half = value;
        }
        let nearer = (cut - 0.5).abs() < (self.threshold - 0.5).abs();
        if value > self.value || value == self.value && nearer {
            (self.threshold, self.value) = (cut, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    /// The largest value over all cuts by scikit-learn 1.9.1, within 1e-12.
    #[test]
    fn no_cut_is_better_than_the_one_found() {
        for case in golden()["threshold"].as_array().unwrap() {
            let labels: Vec<u32> = serde_json::from_value(case["labels"].clone()).unwrap();
            let second: Vec<f64> = serde_json::from_value(case["second"].clone()).unwrap();
            for metric in ThresholdMetric::ALL {
                let found = best_threshold(&labels, &second, metric).unwrap();
                let theirs = case["best"][metric.as_str()].as_f64().unwrap();
                assert!((found.value - theirs).abs() < 1e-12, "{} {found:?} {theirs}", case["name"]);
                assert_eq!(found.on(&labels, &second), (found.value, found.value_at_half));
                assert!(found.value >= found.value_at_half);
            }
        }
    }

    #[test]
    fn half_is_kept_where_nothing_is_better() {
        let found = |labels: &[u32], second: &[f64]| best_threshold(labels, second, ThresholdMetric::MacroF1).unwrap();
        assert_eq!(found(&[0, 1], &[0.1, 0.9]).threshold, 0.5);
        assert_eq!(found(&[0, 1], &[0.5, 0.5]).threshold, 0.5);
        assert_eq!(found(&[0, 1], &[0.0, 1.0]).threshold, 0.5);
        assert_eq!(found(&[0, 0], &[1.0, 1.0]).value, 0.0);
        assert_eq!(found(&[1, 1], &[0.0, 0.0]).threshold, 0.0);
        assert_eq!(found(&[0, 1], &[0.1, 0.3]).threshold, 0.2);
    }

    #[test]
    fn what_has_no_threshold_is_refused() {
        let field = |labels: &[u32], second: &[f64]| {
            let error = best_threshold(labels, second, ThresholdMetric::F1).unwrap_err();
            error.violations[0].field.clone()
        };
        assert_eq!(field(&[], &[]), "probabilities");
        assert_eq!(field(&[0], &[f64::NAN]), "probabilities");
        assert_eq!(field(&[2], &[0.5]), "labels");
        assert_eq!(ThresholdMetric::parse("roc").unwrap_err().violations[0].field, "metric");
        assert_eq!(ThresholdMetric::parse("mcc").unwrap(), ThresholdMetric::Mcc);
    }
}

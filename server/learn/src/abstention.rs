//! When not to answer: how often answers are wrong among those that are sure enough (El-Yaniv, Wiener 2010; Geifman, El-Yaniv
//! 2017).

use tenor_domain::Error;

use crate::label_of;
use crate::metrics::{CURVE_POINTS, check_rows};

/// What happens when rows below a confidence are left unanswered.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RiskPoint {
    /// Answers are given when the highest probability is this or more.
    pub confidence: f64,
    /// Rows that are answered.
    pub rows: u64,
    /// Their share of all rows.
    pub coverage: f64,
    /// Share of wrong answers among them.
    pub risk: f64,
}

/// The coverage-risk curve of a set of answers.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CoverageRisk {
    pub rows: u64,
    /// One point a distinct confidence, the highest first: coverage rises strictly, to 1.
    pub points: Vec<RiskPoint>,
    /// Area under the curve: the mean over n of the risk of the n most confident rows; rows of equal confidence share one
    /// risk. Smaller is better; a model whose confidence says nothing has its error rate.
    pub aurc: f64,
    /// What `aurc` would be if every wrong answer were less confident than every right one.
    pub best_aurc: f64,
}

/// Orders the rows by their highest probability and works out the curve. The same errors as [`evaluate`](crate::evaluate).
pub fn coverage_risk(labels: &[u32], probabilities: &[f64], classes: usize) -> Result<CoverageRisk, Error> {
    check_rows(labels, probabilities, classes)?;
    let mut rows: Vec<(f64, bool)> = probabilities
        .chunks_exact(classes)
        .zip(labels)
        .map(|(row, label)| (row[label_of(row)], label_of(row) != *label as usize))
        .collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let all = rows.len() as f64;
    let (mut points, mut answered, mut wrong, mut area) = (Vec::new(), 0u64, 0u64, 0.0);
    for equals in rows.chunk_by(|a, b| a.0 == b.0) {
        answered += equals.len() as u64;
        wrong += equals.iter().filter(|row| row.1).count() as u64;
        let risk = wrong as f64 / answered as f64;
        area += risk * equals.len() as f64;
        points.push(RiskPoint { confidence: equals[0].0, rows: answered, coverage: answered as f64 / all, risk });
    }
    let right = rows.len() as u64 - wrong;
    let best: f64 = (1..=wrong).map(|n| n as f64 / (right + n) as f64).sum();
    Ok(CoverageRisk { rows: rows.len() as u64, points, aurc: area / all, best_aurc: best / all })
}

impl CoverageRisk {
    /// The point of largest coverage whose risk is `risk` or less; `None` when even the surest answers are wrong more often.
    pub fn for_risk(&self, risk: f64) -> Option<RiskPoint> {
        self.points.iter().rev().find(|point| point.risk <= risk).copied()
    }
    /// The point of highest confidence that still answers the share `coverage` of the rows; all rows when nothing else does.
    pub fn for_coverage(&self, coverage: f64) -> Option<RiskPoint> {
        self.points.iter().find(|point| point.coverage >= coverage).or(self.points.last()).copied()
    }
    /// What happens with `confidence` as the limit; `None` when no row is that sure.
    pub fn at_confidence(&self, confidence: f64) -> Option<RiskPoint> {
        self.points.iter().rev().find(|point| point.confidence >= confidence).copied()
    }
    /// The same curve with at most [`CURVE_POINTS`] points, evenly by coverage, the first and the last among them; the areas
    /// stay those of the whole curve.
    #[must_use]
    pub fn thinned(&self) -> Self {
        let limit = CURVE_POINTS - 2;
        let mut points: Vec<RiskPoint> = Vec::new();
        for (index, point) in self.points.iter().enumerate() {
            let last = index + 1 == self.points.len();
            let part = |point: &RiskPoint| (point.coverage * limit as f64) as usize;
            if last || points.last().is_none_or(|kept| part(point) > part(kept)) {
                points.push(*point);
            }
        }
        Self { points, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{flat, golden, overconfident};

    /// numpy 2.4.6, within 1e-12.
    #[test]
    fn the_curve_equals_numpys() {
        let golden = &golden()["abstention"];
        let labels: Vec<u32> = serde_json::from_value(golden["labels"].clone()).unwrap();
        let curve = coverage_risk(&labels, &flat(&golden["probs"]), 3).unwrap();
        assert!((curve.aurc - golden["aurc"].as_f64().unwrap()).abs() < 1e-12);
        for point in &curve.points {
            let theirs = golden["risk"][point.rows as usize - 1].as_f64().unwrap();
            assert!((point.risk - theirs).abs() < 1e-12);
        }
    }

    #[test]
    fn a_wanted_risk_or_coverage_is_kept() {
        let (labels, probabilities) = overconfident(7, 2_000, 3);
        let curve = coverage_risk(&labels, &probabilities, 3).unwrap();
        let all = curve.points.last().unwrap();
        let careful = curve.for_risk(all.risk / 2.0).unwrap();
        assert!(careful.risk <= all.risk / 2.0 && careful.coverage > 0.2, "{careful:?}");
        let half = curve.for_coverage(0.5).unwrap();
        assert!(half.coverage >= 0.5 && half.coverage < 0.51 && half.risk < all.risk);
        assert_eq!(curve.at_confidence(half.confidence), Some(half));
        assert_eq!(curve.for_risk(1.0), Some(*all));
        assert_eq!(curve.for_coverage(2.0), Some(*all));
        assert_eq!(curve.at_confidence(1.1), None);
        assert!(curve.best_aurc < curve.aurc && curve.aurc < all.risk);
        assert_eq!(coverage_risk(&[0, 1], &[0.1, 0.9, 0.9, 0.1], 2).unwrap().for_risk(0.5), None);
    }

    #[test]
    fn confidence_that_says_nothing_has_one_point() {
        let curve = coverage_risk(&[0, 1, 1, 1], &[0.5; 8], 2).unwrap();
        assert_eq!((curve.points.len(), curve.aurc), (1, 0.75));
    }

    proptest! {
        #[test]
        fn coverage_rises_as_confidence_falls(seed in any::<u64>(), rows in 1usize..400) {
            let (labels, probabilities) = overconfident(seed, rows, 3);
            let curve = coverage_risk(&labels, &probabilities, 3).unwrap();
            for points in [&curve.points, &curve.thinned().points] {
                prop_assert!(points.is_sorted_by(|a, b| a.coverage < b.coverage && a.confidence > b.confidence));
                prop_assert_eq!(points.last().unwrap().coverage, 1.0);
                prop_assert!(points.iter().all(|point| (0.0..=1.0).contains(&point.risk)));
            }
            prop_assert!(curve.thinned().points.len() <= CURVE_POINTS);
            prop_assert!(curve.best_aurc <= curve.aurc + 1e-12);
        }
    }
}

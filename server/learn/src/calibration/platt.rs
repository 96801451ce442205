//! Platt scaling: `sigmoid(slope * x + intercept)` (Platt 1999).

use crate::link::sigmoid;

/// A fitted sigmoid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sigmoid {
    pub slope: f64,
    pub intercept: f64,
}

impl Sigmoid {
    /// The sigmoid of least cross-entropy to Platt's targets, `(n+ + 1) / (n+ + 2)` for rows of the class and `1 / (n- + 2)` for
    /// the others, by Newton's method with backtracking (Lin, Lin, Weng 2007, algorithm 1).
    pub fn fit(scores: &[f64], truth: &[bool]) -> Self {
        let positives = truth.iter().filter(|truth| **truth).count() as f64;
        let negatives = truth.len() as f64 - positives;
        let targets = [1.0 / (negatives + 2.0), (positives + 1.0) / (positives + 2.0)];
        let rows = || scores.iter().zip(truth).map(|(score, truth)| (*score, targets[usize::from(*truth)]));
        let loss = |sigmoid: Sigmoid| -> f64 { rows().map(|(score, target)| sigmoid.loss(score, target)).sum() };

        let mut best = Self { slope: 0.0, intercept: ((positives + 1.0) / (negatives + 1.0)).ln() };
        let mut least = loss(best);
        for _ in 0..100 {
            // The ridge keeps the matrix regular when all scores are equal.
            let (mut h11, mut h22, mut h12, mut g1, mut g2) = (1e-12, 1e-12, 0.0, 0.0, 0.0);
            for (score, target) in rows() {
                let p = best.at(score);
                let (weight, error) = (p * (1.0 - p), p - target);
                h11 += score * score * weight;
                h22 += weight;
                h12 += score * weight;
                g1 += score * error;
                g2 += error;
            }
            let determinant = h11 * h22 - h12 * h12;
            let step =
                Self { slope: -(h22 * g1 - h12 * g2) / determinant, intercept: -(h11 * g2 - h12 * g1) / determinant };
            let descent = g1 * step.slope + g2 * step.intercept;
            if descent.is_nan() || descent >= -1e-14 * truth.len() as f64 {
                break;
            }
            let mut length = 1.0;
            loop {
                let next = Self {
                    slope: best.slope + length * step.slope,
                    intercept: best.intercept + length * step.intercept,
                };
                let found = loss(next);
                if found < least + 1e-4 * length * descent {
                    (best, least) = (next, found);
                    break;
                }
                length /= 2.0;
                if length < 1e-10 {
                    return best;
                }
            }
        }
        best
    }

    pub fn at(&self, score: f64) -> f64 {
        sigmoid(self.slope * score + self.intercept)
    }

    /// `-t ln p - (1 - t) ln(1 - p)`.
    fn loss(&self, score: f64, target: f64) -> f64 {
        let z = self.slope * score + self.intercept;
        let softplus = z.max(0.0) + (-z.abs()).exp().ln_1p();
        softplus - target * z
    }
}

//! Temperature scaling: `softmax(ln p / T)`, T by the least log-loss (Guo, Pleiss, Sun, Weinberger 2017).

use super::CLIP;

/// Limits of `1 / T`; rows that are all right, or all wrong, have no best temperature.
pub(super) const RANGE: (f64, f64) = (0.01, 100.0);

/// The best `1 / T`. The log-loss is convex in it, its derivative `mean(E[ln p] - ln p[label])`, E under the scaled
/// probabilities, is rising: Newton's steps, halving the bracket where one would leave it.
pub(super) fn fit(labels: &[u32], probabilities: &[f64], classes: usize) -> f64 {
    let logs: Vec<f64> = probabilities.iter().map(|p| p.clamp(CLIP, 1.0).ln()).collect();
    let (mut low, mut high) = RANGE;
    let mut inverse = 1.0;
    for _ in 0..200 {
        let (slope, curvature) = derivatives(labels, &logs, classes, inverse);
        // Flat, as where all classes are equally likely in every row: no temperature is better than none.
        if slope == 0.0 {
            return inverse;
        }
        if slope > 0.0 {
            high = inverse
        } else {
            low = inverse
        }
        let newton = inverse - slope / curvature;
        let next = if newton > low && newton < high { newton } else { (low * high).sqrt() };
        if (next - inverse).abs() <= 1e-13 * inverse {
            return next;
        }
        inverse = next;
    }
    inverse
}

/// First and second derivative of the mean log-loss.
fn derivatives(labels: &[u32], logs: &[f64], classes: usize, inverse: f64) -> (f64, f64) {
    let (mut slope, mut curvature) = (0.0, 0.0);
    for (row, label) in logs.chunks_exact(classes).zip(labels) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for log in row {
            // Relative to the largest, so that neither exponential nor variance loses its digits.
            let gap = log - largest;
            let odds = (gap * inverse).exp();
            sum += odds;
            first += odds * gap;
            second += odds * gap * gap;
        }
        let mean = first / sum;
        slope += mean - (row[*label as usize] - largest);
        curvature += second / sum - mean * mean;
    }
    let rows = labels.len() as f64;
    (slope / rows, curvature / rows)
}

/// Scales one row.
pub(super) fn apply(inverse: f64, probabilities: &mut [f64]) {
    let mut largest = f64::NEG_INFINITY;
    for p in probabilities.iter_mut() {
        *p = if p.is_nan() { CLIP.ln() } else { p.clamp(CLIP, 1.0).ln() };
        largest = largest.max(*p);
    }
    let mut sum = 0.0;
    for p in probabilities.iter_mut() {
        *p = ((*p - largest) * inverse).exp();
        sum += *p;
    }
    probabilities.iter_mut().for_each(|p| *p /= sum);
}

//! Points of ROC and precision-recall curves.

use super::frame::Steps;

/// (false positive rate, true positive rate) at every threshold, from (0, 0) to (1, 1). Without rows on both sides: none.
pub(super) fn roc(steps: &Steps) -> Vec<(f64, f64)> {
    if steps.positives == 0.0 || steps.negatives == 0.0 {
        return Vec::new();
    }
    let points = steps.counts.iter().map(|(hits, misses)| (misses / steps.negatives, hits / steps.positives));
    std::iter::once((0.0, 0.0)).chain(points).collect()
}

/// (recall, precision) at every threshold, beginning at (0, 1). Without rows of the class: none.
pub(super) fn precision_recall(steps: &Steps) -> Vec<(f64, f64)> {
    if steps.positives == 0.0 {
        return Vec::new();
    }
    let points = steps.counts.iter().map(|(hits, misses)| (hits / steps.positives, hits / (hits + misses)));
    std::iter::once((0.0, 1.0)).chain(points).collect()
}

/// At most `limit` of `points`, first and last among them, evenly by position along the curve.
pub fn thin(points: &[(f64, f64)], limit: usize) -> Vec<(f64, f64)> {
    if points.len() <= limit || limit < 2 {
        return points.to_vec();
    }
    let step = |a: (f64, f64), b: (f64, f64)| (b.0 - a.0).abs() + (b.1 - a.1).abs();
    let length: f64 = points.windows(2).map(|pair| step(pair[0], pair[1])).sum();
    let (mut kept, mut walked) = (vec![points[0]], 0.0);
    for pair in points.windows(2) {
        walked += step(pair[0], pair[1]);
        if walked >= length * kept.len() as f64 / (limit - 1) as f64 && kept.len() < limit - 1 {
            kept.push(pair[1]);
        }
    }
    let last = points[points.len() - 1];
    if kept.last() != Some(&last) {
        kept.push(last);
    }
    kept
}

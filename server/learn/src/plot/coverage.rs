//! The coverage-risk curve.

use super::axes::Axes;
use super::svg::thousands;
use super::{COLOURS, FAINT};
use crate::abstention::CoverageRisk;

/// How often answers are wrong when only the surest share of rows is answered.
pub fn coverage_risk(curve: &CoverageRisk) -> String {
    let subtitle = format!("{} rows, the most confident first", thousands(curve.rows));
    let mut axes = Axes::new("Coverage and risk", &subtitle, "share of rows answered", "share of wrong answers", 2);
    let points: Vec<_> = curve.points.iter().map(|point| (point.coverage, point.risk)).collect();
    let overall = points.last().map_or(0.0, |point| point.1);
    axes.dashed((0.0, overall), (1.0, overall));
    axes.curve(&points, COLOURS[0]);
    let areas = format!("area {:.4}; the best possible {:.4}", curve.aurc, curve.best_aurc);
    axes.legend(COLOURS[0], false, &areas);
    axes.legend(FAINT, true, &format!("everything answered: {overall:.3} wrong"));
    axes.finish()
}

//! Pictures of an evaluation as SVG, made here: no fonts to ship, no browser, no Python.

mod axes;
mod bars;
mod confusion;
mod coverage;
mod curves;
pub(crate) mod svg;
#[cfg(test)]
mod tests;

pub use bars::top_features;
pub use confusion::confusion_matrix;
pub use coverage::coverage_risk;
pub use curves::{calibration, precision_recall, reliability, roc};

/// Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f5539", "#444444"];
/// Curves in one picture; more cannot be told apart.
const MAX_CURVES: usize = 8;
const INK: &str = "#1f2933";
const FAINT: &str = "#6b7785";
const GRID: &str = "#e3e8ee";

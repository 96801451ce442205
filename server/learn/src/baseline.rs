//! What the training rows looked like: the yardstick for drift.

use tenor_features::contract::FeatureContract;

use crate::Examples;
use crate::metrics::quantile;

/// Parts into which the stored quantiles cut each feature.
pub const QUANTILE_PARTS: usize = 100;

/// Statistics of one numeric feature.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FeatureBaseline {
    pub name: String,
    pub mean: f64,
    /// Population standard deviation.
    pub std: f64,
    pub min: f64,
    pub max: f64,
    /// [`QUANTILE_PARTS`] + 1 values: minimum, 1 %, 2 %, .., maximum; linear interpolation. Empty without rows.
    pub quantiles: Vec<f64>,
}

/// Statistics of a set of rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Baseline {
    pub rows: u64,
    pub features: Vec<FeatureBaseline>,
    pub classes: Vec<String>,
    /// Share of each class, in the order of `classes`.
    pub class_shares: Vec<f64>,
}

impl Baseline {
    /// The statistics of `examples`, imputed values included. Without rows all numbers are 0.
    pub fn of(contract: &FeatureContract, examples: &Examples) -> Self {
        let rows = examples.len();
        let features = contract.numeric.iter().enumerate().map(|(index, feature)| {
            let mut values: Vec<f64> = (0..rows).map(|row| examples.numbers(row)[index]).collect();
            values.sort_by(f64::total_cmp);
            let count = rows.max(1) as f64;
            let mean = values.iter().sum::<f64>() / count;
            let quantiles = if rows == 0 {
                Vec::new()
            } else {
                (0..=QUANTILE_PARTS).map(|part| quantile(&values, part as f64 / QUANTILE_PARTS as f64)).collect()
            };
            FeatureBaseline {
                name: feature.name.clone(),
                mean,
                std: (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt(),
                min: values.first().copied().unwrap_or(0.0),
                max: values.last().copied().unwrap_or(0.0),
                quantiles,
            }
        });
        let counts = examples.class_counts(contract.classes.len());
        Self {
            rows: rows as u64,
            features: features.collect(),
            classes: contract.classes.clone(),
            class_shares: counts.iter().map(|count| *count as f64 / rows.max(1) as f64).collect(),
        }
    }
}

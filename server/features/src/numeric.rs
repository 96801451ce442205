//! The numeric block: standard scaling of values that the contract has made complete.

use tenor_domain::Error;

use crate::arrays::{Array, Arrays, broken};

/// Scaled values lie within this many standard deviations, so that one absurd value cannot make a score infinite.
pub const MAX_DEVIATIONS: f64 = 1e6;

/// Mean and population standard deviation of each feature on the training rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumericScaler {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl NumericScaler {
    /// Fits `width` features on row-major `values`. A constant feature gets the scale 1. No rows: mean 0, scale 1.
    pub fn fit(width: usize, values: &[impl Copy + Into<f64>]) -> Self {
        let rows = values.len().checked_div(width).unwrap_or(0).max(1) as f64;
        let mut mean = vec![0.0; width];
        for row in values.chunks_exact(width.max(1)) {
            mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += value.into() / rows);
        }
        let mut scale = vec![0.0; width];
        for row in values.chunks_exact(width.max(1)) {
            for ((scale, mean), &value) in scale.iter_mut().zip(&mean).zip(row) {
                let value: f64 = value.into();
                *scale += (value - mean) * (value - mean) / rows;
            }
        }
        for (scale, mean) in scale.iter_mut().zip(&mean) {
            // What rounding alone can leave in a constant column (Chan, Golub, LeVeque 1983; scikit-learn has the same rule).
            let noise = rows * f64::EPSILON * *scale + (rows * mean * f64::EPSILON).powi(2);
            let varies = *scale > noise && scale.is_finite();
            *scale = if varies { scale.sqrt() } else { 1.0 };
        }
        Self { mean, scale }
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    pub fn mean(&self, feature: usize) -> f64 {
        self.mean[feature]
    }
    pub fn scale(&self, feature: usize) -> f64 {
        self.scale[feature]
    }

    /// `(value - mean) / scale`, limited to [`MAX_DEVIATIONS`].
    pub fn scaled(&self, feature: usize, value: f64) -> f64 {
        ((value - self.mean[feature]) / self.scale[feature]).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)
    }

    /// Stores the fitted state under names that begin with `prefix`.
    pub fn save(&self, prefix: &str, arrays: &mut Arrays) {
        arrays.insert(format!("{prefix}.mean"), Array::F64(self.mean.clone()));
        arrays.insert(format!("{prefix}.scale"), Array::F64(self.scale.clone()));
    }

    /// Reads what [`save`](Self::save) stored.
    pub fn load(prefix: &str, arrays: &Arrays) -> Result<Self, Error> {
        let (mean_name, scale_name) = (format!("{prefix}.mean"), format!("{prefix}.scale"));
        let (mean, scale) = (arrays.f64s(&mean_name)?.to_vec(), arrays.f64s(&scale_name)?.to_vec());
        if mean.len() != scale.len() {
            return Err(broken(&scale_name, "must have one number a feature"));
        }
        if mean.iter().any(|value| !value.is_finite()) {
            return Err(broken(&mean_name, "must hold finite numbers"));
        }
        if scale.iter().any(|value| !(value.is_finite() && *value > 0.0)) {
            return Err(broken(&scale_name, "must hold positive finite numbers"));
        }
        Ok(Self { mean, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_gives_mean_zero_and_deviation_one() {
        let values = [1.0, 5.0, 2.0, 5.0, 3.0, 5.0, 6.0, 5.0];
        let scaler = NumericScaler::fit(2, &values);
        let scaled: Vec<f64> = values.chunks(2).map(|row| scaler.scaled(0, row[0])).collect();
        assert!(scaled.iter().sum::<f64>().abs() < 1e-12);
        assert!((scaled.iter().map(|value| value * value).sum::<f64>() / 4.0 - 1.0).abs() < 1e-12);
        assert_eq!(scaler.scaled(1, 5.0), 0.0);
        assert_eq!(scaler.scaled(1, 7.0), 2.0);
    }

    #[test]
    fn a_constant_feature_of_awkward_value_keeps_the_scale_one() {
        let scaler = NumericScaler::fit(1, &[0.1; 1_000]);
        assert_eq!(scaler.scale, [1.0]);
        assert!(scaler.scaled(0, 0.1).abs() < 1e-12);
    }

    #[test]
    fn an_absurd_value_stays_finite() {
        let scaler = NumericScaler::fit(1, &[1.0, 2.0, 3.0]);
        assert_eq!(scaler.scaled(0, f64::MAX), MAX_DEVIATIONS);
        assert_eq!(scaler.scaled(0, f64::MIN), -MAX_DEVIATIONS);
    }

    #[test]
    fn no_rows_and_no_features_are_fine() {
        assert_eq!(NumericScaler::fit(1, &[0.0f64; 0]).scaled(0, 3.0), 3.0);
        assert_eq!(NumericScaler::fit(0, &[0.0f64; 0]).width(), 0);
    }
}

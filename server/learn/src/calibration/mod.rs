//! Probabilities that mean what they say: a calibrator learned on rows that the model was not fitted on.

mod calibrated;
mod isotonic;
mod platt;
mod report;
mod stored;
mod temperature;
#[cfg(test)]
mod tests;

use tenor_domain::{CalibrationMethod, Error};

pub use calibrated::Calibrated;
use isotonic::Steps;
use platt::Sigmoid;
pub use report::{CalibrationReport, Quality};

use crate::metrics::check_rows;

/// A fitted correction of a row of probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrator {
    classes: usize,
    map: Map,
}

/// Two classes have one curve, of the second; more have one each.
#[derive(Debug, Clone, PartialEq)]
enum Map {
    /// `1 / temperature`.
    Temperature(f64),
    Platt(Vec<Sigmoid>),
    Isotonic(Vec<Steps>),
}

/// Farthest that a probability is followed towards 0 or 1 before its logarithm is taken; as the log-loss does.
const CLIP: f64 = f64::EPSILON;

impl Calibrator {
    /// Learns the correction of `probabilities` (row-major, one a class) by the labels of the same rows, which must not be
    /// rows that the model was fitted on. A class without rows is corrected towards 0. The same errors as
    /// [`evaluate`](crate::evaluate).
    pub fn fit(
        method: CalibrationMethod,
        labels: &[u32],
        probabilities: &[f64],
        classes: usize,
    ) -> Result<Self, Error> {
        check_rows(labels, probabilities, classes)?;
        let curves = curve_classes(classes);
        let of_class = |class: usize| -> (Vec<f64>, Vec<bool>) {
            let column = probabilities.iter().skip(class).step_by(classes).copied().collect();
            (column, labels.iter().map(|label| *label as usize == class).collect())
        };
        let map = match method {
            CalibrationMethod::Temperature => Map::Temperature(temperature::fit(labels, probabilities, classes)),
            CalibrationMethod::Platt => Map::Platt(
                curves
                    .map(|class| {
                        let (mut column, truth) = of_class(class);
                        column.iter_mut().for_each(|value| *value = logit(*value));
                        Sigmoid::fit(&column, &truth)
                    })
                    .collect(),
            ),
            CalibrationMethod::Isotonic => Map::Isotonic(
                curves
                    .map(|class| {
                        let (column, truth) = of_class(class);
                        Steps::fit(&column, &truth).within(1.0 / (labels.len() as f64 + 2.0))
                    })
                    .collect(),
            ),
        };
        Ok(Self { classes, map })
    }

    pub fn method(&self) -> CalibrationMethod {
        match self.map {
            Map::Temperature(_) => CalibrationMethod::Temperature,
            Map::Platt(_) => CalibrationMethod::Platt,
            Map::Isotonic(_) => CalibrationMethod::Isotonic,
        }
    }
    pub fn classes(&self) -> usize {
        self.classes
    }
    /// The temperature, if that is the method: above 1 the model was too sure of itself.
    pub fn temperature(&self) -> Option<f64> {
        match self.map {
            Map::Temperature(inverse) => Some(1.0 / inverse),
            Map::Platt(_) | Map::Isotonic(_) => None,
        }
    }
    /// Learned numbers.
    pub fn parameters(&self) -> u64 {
        match &self.map {
            Map::Temperature(_) => 1,
            Map::Platt(sigmoids) => 2 * sigmoids.len() as u64,
            Map::Isotonic(curves) => curves.iter().map(|steps| 2 * steps.len() as u64).sum(),
        }
    }

    /// Corrects one row in place, without allocating. The row must hold one probability a class; it adds up to 1 afterwards,
    /// and stays finite whatever it held.
    pub fn apply(&self, probabilities: &mut [f64]) {
        match &self.map {
            Map::Temperature(inverse) => temperature::apply(*inverse, probabilities),
            Map::Platt(sigmoids) => against_rest(probabilities, sigmoids, |sigmoid, p| sigmoid.at(logit(p))),
            Map::Isotonic(curves) => against_rest(probabilities, curves, Steps::at),
        }
    }

    /// Corrects all rows of a row-major matrix.
    pub fn apply_all(&self, probabilities: &mut [f64]) {
        probabilities.chunks_exact_mut(self.classes).for_each(|row| self.apply(row));
    }
}

/// The classes that have a curve of their own.
fn curve_classes(classes: usize) -> std::ops::Range<usize> {
    if classes == 2 { 1..2 } else { 0..classes }
}

fn logit(probability: f64) -> f64 {
    let p = if probability.is_nan() { 0.5 } else { probability.clamp(CLIP, 1.0 - CLIP) };
    (p / (1.0 - p)).ln()
}

/// Corrects each class by its own curve, then divides by the sum; all equal when nothing is left.
fn against_rest<C>(probabilities: &mut [f64], curves: &[C], at: impl Fn(&C, f64) -> f64) {
    if let ([first, second], [curve]) = (&mut *probabilities, curves) {
        *second = at(curve, *second);
        *first = 1.0 - *second;
        return;
    }
    let mut sum = 0.0;
    for (probability, curve) in probabilities.iter_mut().zip(curves) {
        *probability = at(curve, *probability);
        sum += *probability;
    }
    let equal = 1.0 / probabilities.len() as f64;
    probabilities.iter_mut().for_each(|p| *p = if sum > 0.0 { *p / sum } else { equal });
}

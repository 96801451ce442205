//! What a calibrator did to rows it was not fitted on.

use tenor_domain::Error;

use super::{CalibrationMethod, Calibrator};
use crate::metrics::{Frame, ReliabilityBin};

/// The same answers before and after.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CalibrationReport {
    pub method: CalibrationMethod,
    /// If that is the method.
    pub temperature: Option<f64>,
    pub rows: u64,
    pub before: Quality,
    pub after: Quality,
}

/// How well probabilities are meant; the scores are those of [`evaluate`](crate::evaluate).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quality {
    pub ece: f64,
    pub log_loss: f64,
    pub brier: f64,
    pub reliability: Vec<ReliabilityBin>,
}

impl Calibrator {
    /// Judges the correction of `probabilities`, uncalibrated ones of test rows. The same errors as [`fit`](Self::fit).
    pub fn report(&self, labels: &[u32], probabilities: &[f64]) -> Result<CalibrationReport, Error> {
        let before = Quality::of(labels, probabilities, self.classes())?;
        let mut corrected = probabilities.to_vec();
        self.apply_all(&mut corrected);
        Ok(CalibrationReport {
            method: self.method(),
            temperature: self.temperature(),
            rows: labels.len() as u64,
            before,
            after: Quality::of(labels, &corrected, self.classes())?,
        })
    }
}

impl Quality {
    fn of(labels: &[u32], probabilities: &[f64], classes: usize) -> Result<Self, Error> {
        let frame = Frame::new(labels, probabilities, classes, None)?;
        let scores = frame.scores(&vec![1; labels.len()]);
        let names = frame.names();
        // These three are defined for any rows.
        let score = |name: &str| names.iter().position(|n| n == name).and_then(|at| scores[at]).unwrap_or(0.0);
        Ok(Self {
            ece: score("ece"),
            log_loss: score("log_loss"),
            brier: score("brier"),
            reliability: frame.reliability(),
        })
    }
}

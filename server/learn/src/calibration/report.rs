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
        let ones = vec![1; labels.len()];
        let (log_loss, brier) = frame.losses(&ones);
        Ok(Self { ece: frame.calibration_error(&ones), log_loss, brier, reliability: frame.reliability() })
    }
}

//! What else there is to say of a model's answers on the test rows, besides its scores.

use std::collections::BTreeMap;

use tenor_domain::Error;
use tenor_features::Stop;

use crate::abstention::{CoverageRisk, coverage_risk};
use crate::calibration::{CalibrationReport, Calibrator};
use crate::leakage::{Leakage, LeakageOptions, find_leakage};
use crate::slices::{Slice, SliceOptions, SliceReport, evaluate_slices};
use crate::{Examples, TrainingData};

/// Slices, abstention, leaks and calibration of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub slices: SliceReport,
    /// With as many points as a picture shows.
    pub coverage_risk: CoverageRisk,
    /// Test rows that are near duplicates of training rows.
    pub leakage: Leakage,
    /// `None`: the model was not calibrated.
    pub calibration: Option<CalibrationReport>,
}

impl Judgement {
    /// Judges `probabilities`, the model's of the `test` rows; `calibrated` is the calibrator with the probabilities before it.
    pub fn of(
        data: &TrainingData,
        test: &Examples,
        probabilities: &[f64],
        calibrated: Option<(&Calibrator, &[f64])>,
        seed: u64,
        stop: Stop<'_>,
    ) -> Result<Self, Error> {
        let classes = data.contract.classes.len();
        let options = SliceOptions { seed, stop, ..SliceOptions::default() };
        let slices = Slice::standard(&data.contract, test);
        Ok(Self {
            slices: evaluate_slices(&test.labels, probabilities, classes, &slices, &options)?,
            coverage_risk: coverage_risk(&test.labels, probabilities, classes)?.thinned(),
            leakage: find_leakage(
                (&data.train).into(),
                test.into(),
                &LeakageOptions { stop, ..LeakageOptions::default() },
            )?,
            calibration: calibrated.map(|(calibrator, before)| calibrator.report(&test.labels, before)).transpose()?,
        })
    }

    /// The numbers of it that are worth searching for, by key.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::from([
            ("test/aurc".to_owned(), self.coverage_risk.aurc),
            ("test/leaking_share".to_owned(), self.leakage.share),
        ]);
        let worst = |at: Option<usize>| at.and_then(|at| self.slices.slices.get(at));
        if let Some(slice) = worst(self.slices.worst_by_accuracy) {
            metrics.insert("test/worst_slice_accuracy".to_owned(), slice.accuracy.value);
        }
        if let Some(slice) = worst(self.slices.worst_by_macro_f1) {
            metrics.insert("test/worst_slice_macro_f1".to_owned(), slice.macro_f1.value);
        }
        if let Some(calibration) = &self.calibration {
            metrics.insert("test/ece_before_calibration".to_owned(), calibration.before.ece);
        }
        metrics.retain(|_, value| value.is_finite());
        metrics
    }
}

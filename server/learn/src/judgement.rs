//! What else there is to say of a model's answers on the test rows, besides its scores.

use std::collections::BTreeMap;

use tenor_domain::Error;
use tenor_features::Stop;

use crate::abstention::{CoverageRisk, coverage_risk};
use crate::calibration::{CalibrationReport, Calibrator};
use crate::leakage::{Leakage, LeakageOptions, find_leakage};
use crate::slices::{RowYears, Slice, SliceFilter, SliceOptions, SliceReport, evaluate_slices};
use crate::threshold::{Threshold, ThresholdMetric, best_threshold};
use crate::{Examples, TrainingData};

/// Slices, abstention, leaks, calibration and thresholds of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub slices: SliceReport,
    /// With as many points as a picture shows.
    pub coverage_risk: CoverageRisk,
    /// Test rows that are near duplicates of training rows.
    pub leakage: Leakage,
    /// `None`: the model was not calibrated.
    pub calibration: Option<CalibrationReport>,
    /// Where to cut between two classes, one a metric; empty for more classes and without validation rows.
    pub thresholds: Vec<ThresholdReport>,
}

/// A cut that was found on the validation rows, and what it is worth on the test rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ThresholdReport {
    #[serde(flatten)]
    pub found: Threshold,
    pub test_value: f64,
    pub test_value_at_half: f64,
}

impl JudgementInputs<'_> {
    fn thresholds(&self) -> Result<Vec<ThresholdReport>, Error> {
        let rows = self.data.validation.as_ref().zip(self.validation);
        let Some((rows, probabilities)) = rows.filter(|_| self.data.contract.classes.len() == 2) else {
            return Ok(Vec::new());
        };
        let second = |probabilities: &[f64]| probabilities.iter().skip(1).step_by(2).copied().collect::<Vec<f64>>();
        let (of_validation, of_test) = (second(probabilities), second(self.probabilities));
        let report = |metric| {
            let found = best_threshold(&rows.labels, &of_validation, metric)?;
            let (test_value, test_value_at_half) = found.on(&self.test.labels, &of_test);
            Ok(ThresholdReport { found, test_value, test_value_at_half })
        };
        ThresholdMetric::ALL.into_iter().map(report).collect()
    }
}

/// What a judgement looks at.
#[derive(Clone, Copy)]
pub struct JudgementInputs<'a> {
    pub data: &'a TrainingData,
    pub test: &'a Examples,
    /// The model's, of the test rows.
    pub probabilities: &'a [f64],
    /// The model's, of the validation rows.
    pub validation: Option<&'a [f64]>,
    /// The calibrator, with the test rows' probabilities before it.
    pub calibrated: Option<(&'a Calibrator, &'a [f64])>,
    /// Of the test rows.
    pub years: RowYears<'a>,
    /// Slices that were asked for.
    pub filters: &'a [SliceFilter],
    pub seed: u64,
    pub stop: Stop<'a>,
}

impl Judgement {
    pub fn of(inputs: &JudgementInputs<'_>) -> Result<Self, Error> {
        let JudgementInputs { data, test, probabilities, years, filters, seed, stop, .. } = *inputs;
        let classes = data.contract.classes.len();
        let options = SliceOptions { seed, stop, ..SliceOptions::default() };
        let mut slices = Slice::standard(&data.contract, test, years);
        slices.extend(Slice::by_filters(filters, &data.contract, test, years)?);
        let of_calibration = |(calibrator, before): (&Calibrator, &[f64])| calibrator.report(&test.labels, before);
        Ok(Self {
            slices: evaluate_slices(&test.labels, probabilities, classes, &slices, &options)?,
            coverage_risk: coverage_risk(&test.labels, probabilities, classes)?.thinned(),
            leakage: find_leakage(
                (&data.train).into(),
                test.into(),
                &LeakageOptions { stop, ..LeakageOptions::default() },
            )?,
            calibration: inputs.calibrated.map(of_calibration).transpose()?,
            thresholds: inputs.thresholds()?,
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
        for report in &self.thresholds {
            if report.found.metric == ThresholdMetric::MacroF1 {
                metrics.insert("test/macro_f1_at_threshold".to_owned(), report.test_value);
            }
        }
        metrics.retain(|_, value| value.is_finite());
        metrics
    }
}

use std::sync::Arc;

use proptest::prelude::*;
use tenor_features::arrays::{Array, Arrays};
use tenor_features::contract::Prepared;

use super::*;
use crate::testing::{ToyTrainer, flat, golden, overconfident, toy};
use crate::{Lineage, Model, Registry, Scratch, Trainer};

fn fitted(method: CalibrationMethod, labels: &[u32], probabilities: &[f64], classes: usize) -> Calibrator {
    Calibrator::fit(method, labels, probabilities, classes).unwrap()
}

fn applied(calibrator: &Calibrator, probabilities: &[f64]) -> Vec<f64> {
    let mut corrected = probabilities.to_vec();
    calibrator.apply_all(&mut corrected);
    corrected
}

/// Temperature by scipy 1.17.1 `minimize_scalar`, Platt and isotonic by scikit-learn 1.9.1. The first within 1e-6 and Platt within
/// 1e-4, which is as far as their own solvers go; isotonic within 1e-9.
#[test]
fn every_method_equals_its_reference() {
    for case in golden()["calibration"].as_array().unwrap() {
        let labels: Vec<u32> = serde_json::from_value(case["labels"].clone()).unwrap();
        let probabilities = flat(&case["probs"]);
        let classes = probabilities.len() / labels.len();
        for (method, tolerance) in CalibrationMethod::ALL.into_iter().zip([1e-6, 1e-4, 1e-9]) {
            let calibrator = fitted(method, &labels, &probabilities, classes);
            let theirs = flat(&case[format!("by_{}", method.as_str())]);
            for (at, (ours, theirs)) in applied(&calibrator, &probabilities).iter().zip(&theirs).enumerate() {
                assert!((ours - theirs).abs() <= tolerance, "{} {method:?} {at}: {ours} {theirs}", case["name"]);
            }
            if let Some(temperature) = calibrator.temperature() {
                assert!((temperature / case["temperature"].as_f64().unwrap() - 1.0).abs() < 1e-6);
            }
        }
        for (class, curve) in case["isotonic"].as_array().unwrap().iter().enumerate() {
            let column: Vec<f64> = probabilities.iter().skip(class).step_by(classes).copied().collect();
            let truth: Vec<bool> = labels.iter().map(|label| *label as usize == class).collect();
            let steps = Steps::fit(&column, &truth);
            for (x, y) in case["isotonic_at"].as_array().unwrap().iter().zip(curve.as_array().unwrap()) {
                assert!((steps.at(x.as_f64().unwrap()) - y.as_f64().unwrap()).abs() < 1e-9, "{class} {x}");
            }
        }
    }
}

#[test]
fn calibration_error_falls_on_rows_that_were_held_out() {
    for classes in [2, 5] {
        let (labels, probabilities) = overconfident(1, 3_000, classes);
        let (test_labels, test) = overconfident(2, 3_000, classes);
        for method in CalibrationMethod::ALL {
            let report = fitted(method, &labels, &probabilities, classes).report(&test_labels, &test).unwrap();
            assert!(report.before.ece > 0.08 && report.after.ece < 0.035, "{classes} {report:?}");
            assert!(report.after.log_loss < report.before.log_loss, "{method:?}");
            assert!(report.after.brier < report.before.brier, "{method:?}");
        }
        let temperature = fitted(CalibrationMethod::Temperature, &labels, &probabilities, classes).temperature();
        assert!((temperature.unwrap() - 2.5).abs() < 0.2, "{temperature:?}");
    }
}

#[test]
fn rows_that_are_all_right_or_of_one_class_fit_something_finite() {
    let perfect = ([0, 1, 0, 1], [1.0, 0.0, 0.0, 1.0, 0.9, 0.1, 0.2, 0.8]);
    let one_class = ([1, 1, 1, 1], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
    let all_wrong = ([0, 1, 0, 1], [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    for (labels, probabilities) in [perfect, one_class, all_wrong] {
        for method in CalibrationMethod::ALL {
            let calibrator = fitted(method, &labels, &probabilities, 2);
            for row in applied(&calibrator, &[1.0, 0.0, 0.0, 1.0, 0.5, 0.5, 1e-300, 1.0]).chunks(2) {
                assert!(row.iter().all(|p| p.is_finite()) && (row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
            }
        }
    }
    // Where every row says the same of both classes, no temperature is better than none.
    assert_eq!(fitted(CalibrationMethod::Temperature, &one_class.0, &one_class.1, 2).temperature(), Some(1.0));
    assert_eq!(Calibrator::fit(CalibrationMethod::Platt, &[], &[], 2).unwrap_err().violations[0].field, "labels");
}

#[test]
fn what_was_saved_is_loaded_and_nothing_is_no_calibration() {
    for classes in [2, 3] {
        let (labels, probabilities) = overconfident(3, 200, classes);
        for method in CalibrationMethod::ALL {
            let calibrator = fitted(method, &labels, &probabilities, classes);
            let mut arrays = Arrays::default();
            calibrator.save(&mut arrays);
            assert_eq!(Calibrator::load(&arrays, classes).unwrap(), Some(calibrator));
        }
    }
    let mut other = Arrays::default();
    other.insert("toy.weight", Array::F64(vec![1.0]));
    assert_eq!(Calibrator::load(&other, 2).unwrap(), None);
}

#[test]
fn damaged_arrays_are_refused() {
    let (labels, probabilities) = overconfident(3, 200, 3);
    let refused = |method, name: &str, array: Array| {
        let mut arrays = Arrays::default();
        fitted(method, &labels, &probabilities, 3).save(&mut arrays);
        arrays.insert(name, array);
        let error = Calibrator::load(&arrays, 3).expect_err(name);
        assert_eq!(error.reason, "BROKEN_MODEL_FILE");
    };
    use CalibrationMethod::{Isotonic, Platt, Temperature};
    refused(Temperature, "calibration.method", Array::U8(vec![9]));
    refused(Temperature, "calibration.method", Array::U8(vec![]));
    refused(Temperature, "calibration.method", Array::F64(vec![1.0]));
    refused(Temperature, "calibration.slopes", Array::F64(vec![1.0; 3]));
    for value in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
        refused(Temperature, "calibration.inverse_temperature", Array::F64(vec![value]));
        refused(Isotonic, "calibration.x", Array::F64(vec![value]));
    }
    refused(Platt, "calibration.slopes", Array::F64(vec![1.0; 2]));
    refused(Platt, "calibration.intercepts", Array::F64(vec![1.0, f64::NAN, 1.0]));
    refused(Isotonic, "calibration.ends", Array::U64(vec![1, 2, u64::MAX]));
    refused(Isotonic, "calibration.ends", Array::U64(vec![]));
    let curve = |ends: Vec<u64>, x: Vec<f64>, y: Vec<f64>| {
        let mut arrays = Arrays::default();
        arrays.insert("calibration.method", Array::U8(vec![2]));
        arrays.insert("calibration.ends", Array::U64(ends));
        arrays.insert("calibration.x", Array::F64(x));
        arrays.insert("calibration.y", Array::F64(y));
        Calibrator::load(&arrays, 3).is_ok()
    };
    assert!(curve(vec![1, 2, 4], vec![0.1, 0.1, 0.1, 0.2], vec![0.5, 0.1, 0.1, 0.1]));
    assert!(!curve(vec![2, 1, 4], vec![0.1, 0.1, 0.1, 0.2], vec![0.5, 0.1, 0.1, 0.1]));
    assert!(!curve(vec![1, 1, 4], vec![0.1, 0.1, 0.2, 0.3], vec![0.5, 0.1, 0.1, 0.1]));
    assert!(!curve(vec![1, 2, 4], vec![0.1, 0.1, 0.1, 0.1], vec![0.5, 0.1, 0.1, 0.1]));
    assert!(!curve(vec![1, 2, 4], vec![0.1, 0.1, 0.1, 0.2], vec![0.5, 0.1, 0.2, 0.1]));
    assert!(!curve(vec![1, 2, 4], vec![0.1, 0.1, 0.1, 0.2], vec![0.5, 0.1, 0.2, 1.1]));
}

#[test]
fn a_calibrated_model_survives_its_file_and_answers_the_same() {
    let registry = Registry::new([Arc::new(ToyTrainer) as Arc<dyn Trainer>]);
    let (labels, probabilities) = overconfident(3, 200, 2);
    let prepared = Prepared { cleaned: "a nice book".into(), numeric: vec![2.0] };
    let answer = |model: &dyn Model| {
        let mut row = [0.0; 2];
        model.predict(&prepared, &mut Scratch::default(), &mut row);
        row
    };
    for method in CalibrationMethod::ALL {
        let calibrator = fitted(method, &labels, &probabilities, 2);
        let model = Calibrated::new(Box::new(toy()), calibrator.clone()).unwrap();
        let mut wanted = answer(&toy());
        calibrator.apply(&mut wanted);
        assert_eq!(answer(&model), wanted);
        assert_ne!(answer(&model), answer(&toy()));
        let bytes = model.save(Lineage::default()).unwrap().to_bytes().unwrap();
        let (loaded, file) = registry.load(&bytes).unwrap();
        assert_eq!((loaded.kind(), answer(loaded.as_ref())), ("toy", wanted));
        assert_eq!(loaded.save(Lineage::default()).unwrap(), file);
        assert!(loaded.size().parameters > toy().size().parameters);
        let explained = loaded.explain(&prepared, 1, 5, &mut Scratch::default());
        assert_eq!(explained, toy().explain(&prepared, 1, 5, &mut Scratch::default()));
    }
    let three = fitted(CalibrationMethod::Temperature, &[0], &[0.2, 0.2, 0.6], 3);
    assert!(Calibrated::new(Box::new(toy()), three).is_err());
}

#[test]
fn a_file_whose_calibration_was_removed_fails_its_self_test() {
    let registry = Registry::new([Arc::new(ToyTrainer) as Arc<dyn Trainer>]);
    let (labels, probabilities) = overconfident(3, 200, 2);
    let calibrator = fitted(CalibrationMethod::Temperature, &labels, &probabilities, 2);
    let mut file = Calibrated::new(Box::new(toy()), calibrator).unwrap().save(Lineage::default()).unwrap();
    file.arrays = toy().save(Lineage::default()).unwrap().arrays;
    let error = registry.load(&file.to_bytes().unwrap()).map(|_| ()).unwrap_err();
    assert!(error.message.contains("self-test"), "{error}");
}

proptest! {
    #[test]
    fn isotonic_curves_rise_and_stay_in_range(
        rows in proptest::collection::vec((0u32..12, any::<bool>()), 1..60),
        at in proptest::collection::vec(-0.5f64..1.5, 2..30),
    ) {
        let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 11.0).collect();
        let truth: Vec<bool> = rows.iter().map(|row| row.1).collect();
        let steps = Steps::fit(&scores, &truth);
        prop_assert!(steps.x.is_sorted_by(|a, b| a < b) && steps.y.is_sorted());
        let mut at = at;
        at.sort_by(f64::total_cmp);
        let values: Vec<f64> = at.iter().map(|x| steps.at(*x)).collect();
        prop_assert!(values.is_sorted() && values.iter().all(|y| (0.0..=1.0).contains(y)), "{values:?}");
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let (fitted, wanted) = (scores.iter().map(|x| steps.at(*x)).collect(), truth.iter().map(|t| f64::from(u8::from(*t))).collect());
        prop_assert!((mean(fitted) - mean(wanted)).abs() < 1e-12);
    }

    #[test]
    fn calibrated_rows_are_finite_and_add_up_to_one(
        seed in any::<u64>(), classes in 2usize..6, rows in 1usize..60,
        row in proptest::collection::vec(prop_oneof![Just(0.0), Just(1.0), Just(f64::MIN_POSITIVE), 0.0f64..1.0], 6),
    ) {
        let (labels, probabilities) = overconfident(seed, rows, classes);
        for method in CalibrationMethod::ALL {
            let calibrator = fitted(method, &labels, &probabilities, classes);
            let mut corrected = row[..classes].to_vec();
            calibrator.apply(&mut corrected);
            prop_assert!((corrected.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{method:?} {corrected:?}");
            prop_assert!(corrected.iter().all(|p| (0.0..=1.0).contains(p)), "{method:?} {corrected:?}");
        }
    }

    #[test]
    fn temperature_keeps_the_order_of_the_classes(seed in any::<u64>(), classes in 2usize..6) {
        let (labels, probabilities) = overconfident(seed, 50, classes);
        let calibrator = fitted(CalibrationMethod::Temperature, &labels, &probabilities, classes);
        for (before, after) in probabilities.chunks(classes).zip(applied(&calibrator, &probabilities).chunks(classes)) {
            for a in 0..classes {
                for b in 0..classes {
                    prop_assert!(before[a] <= before[b] || after[a] >= after[b], "{before:?} {after:?}");
                }
            }
        }
    }
}

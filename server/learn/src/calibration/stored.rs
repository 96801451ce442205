//! A calibrator as arrays of a model file.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};

use super::isotonic::Steps;
use super::platt::Sigmoid;
use super::temperature::RANGE;
use super::{CalibrationMethod, Calibrator, Map, curve_classes};

const PREFIX: &str = "calibration.";
const METHOD: &str = "calibration.method";
const INVERSE: &str = "calibration.inverse_temperature";
const SLOPES: &str = "calibration.slopes";
const INTERCEPTS: &str = "calibration.intercepts";
const X: &str = "calibration.x";
const Y: &str = "calibration.y";
const ENDS: &str = "calibration.ends";
/// Largest slope or intercept that is read.
const MAX_COEFFICIENT: f64 = 1e9;

impl Calibrator {
    /// Stores the calibrator under names that begin with `calibration.`.
    pub fn save(&self, arrays: &mut Arrays) {
        let code = CalibrationMethod::ALL.iter().position(|method| *method == self.method()).unwrap_or(0);
        arrays.insert(METHOD, Array::U8(vec![code as u8]));
        match &self.map {
            Map::Temperature(inverse) => arrays.insert(INVERSE, Array::F64(vec![*inverse])),
            Map::Platt(sigmoids) => {
                arrays.insert(SLOPES, Array::F64(sigmoids.iter().map(|sigmoid| sigmoid.slope).collect()));
                arrays.insert(INTERCEPTS, Array::F64(sigmoids.iter().map(|sigmoid| sigmoid.intercept).collect()));
            }
            Map::Isotonic(curves) => {
                let ends = curves.iter().scan(0, |end, steps| {
                    *end += steps.len() as u64;
                    Some(*end)
                });
                arrays.insert(ENDS, Array::U64(ends.collect()));
                arrays.insert(X, Array::F64(curves.iter().flat_map(|steps| &steps.x).copied().collect()));
                arrays.insert(Y, Array::F64(curves.iter().flat_map(|steps| &steps.y).copied().collect()));
            }
        }
    }

    /// Reads what [`save`](Self::save) stored for a model of `classes` classes; `None` when there is no array of such a name.
    pub fn load(arrays: &Arrays, classes: usize) -> Result<Option<Self>, Error> {
        let names: Vec<&str> = arrays.iter().map(|(name, _)| name).filter(|name| name.starts_with(PREFIX)).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let method = match arrays.u8s(METHOD)? {
            [code] => CalibrationMethod::ALL.get(usize::from(*code)).copied(),
            _ => None,
        };
        let method = method.ok_or_else(|| broken(METHOD, "must hold the number of a method that this build knows"))?;
        let curves = curve_classes(classes).len();
        let (map, known): (Map, &[&str]) = match method {
            CalibrationMethod::Temperature => (Map::Temperature(inverse_temperature(arrays)?), &[INVERSE]),
            CalibrationMethod::Platt => (Map::Platt(sigmoids(arrays, curves)?), &[SLOPES, INTERCEPTS]),
            CalibrationMethod::Isotonic => (Map::Isotonic(steps(arrays, curves)?), &[ENDS, X, Y]),
        };
        match names.into_iter().find(|name| *name != METHOD && !known.contains(name)) {
            Some(name) => Err(broken(name, "does not belong to the method of the calibration")),
            None => Ok(Some(Self { classes, map })),
        }
    }
}

fn inverse_temperature(arrays: &Arrays) -> Result<f64, Error> {
    let inverse = arrays.f64(INVERSE)?;
    if (RANGE.0..=RANGE.1).contains(&inverse) {
        return Ok(inverse);
    }
    Err(broken(INVERSE, "must lie in 0.01 to 100"))
}

fn sigmoids(arrays: &Arrays, curves: usize) -> Result<Vec<Sigmoid>, Error> {
    let coefficients = |name: &str| {
        let values = arrays.f64s(name)?;
        if values.len() != curves || !values.iter().all(|value| value.abs() <= MAX_COEFFICIENT) {
            return Err(broken(name, "must hold one number a class (one for two classes), none beyond 1e9"));
        }
        Ok(values)
    };
    let (slopes, intercepts) = (coefficients(SLOPES)?, coefficients(INTERCEPTS)?);
    Ok(slopes.iter().zip(intercepts).map(|(&slope, &intercept)| Sigmoid { slope, intercept }).collect())
}

fn steps(arrays: &Arrays, curves: usize) -> Result<Vec<Steps>, Error> {
    let (ends, x, y) = (arrays.u64s(ENDS)?, arrays.f64s(X)?, arrays.f64s(Y)?);
    if ends.len() != curves || x.len() != y.len() || ends.last() != Some(&(x.len() as u64)) {
        return Err(broken(ENDS, "must hold the end of each class's points, the last being the number of points"));
    }
    let mut start = 0;
    let mut curves = Vec::with_capacity(ends.len());
    for &end in ends {
        let points = usize::try_from(end).ok().and_then(|end| Some((x.get(start..end)?, y.get(start..end)?)));
        let Some((x, y)) = points.filter(|(x, _)| !x.is_empty()) else {
            return Err(broken(ENDS, "must ascend"));
        };
        let unit = |values: &[f64]| values.iter().all(|value| (0.0..=1.0).contains(value));
        if !unit(x) || !x.is_sorted_by(|a, b| a < b) {
            return Err(broken(X, "must ascend within 0 to 1, no two equal in a class"));
        }
        if !unit(y) || !y.is_sorted() {
            return Err(broken(Y, "must ascend within 0 to 1 in each class"));
        }
        curves.push(Steps { x: x.to_vec(), y: y.to_vec() });
        start += x.len();
    }
    Ok(curves)
}

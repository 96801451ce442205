//! Truncated singular value decomposition of sparse rows: the `k` directions that explain the most, found by randomized
//! subspace iteration (Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1), as scikit-learn's `TruncatedSVD` defines it.
//!
//! A row's projection is `x V`, where the columns of `V` are the leading right singular vectors. The rows are not centred.
//! Products are summed in `f32`, as scikit-learn does on `f32` rows; all inner products and small matrices are `f64`.
//!
//! Four deliberate differences. The basis is made orthonormal once a power iteration (there: a LU after each half of it), so
//! that `A^T A Q` is one walk over the rows. Power iterations are shifted (Feng, Yu, Xie, Tang 2024), so that four are as
//! sharp as five. Components beyond the rank of the matrix or beyond its rows are zero (there: arbitrary directions, or
//! fewer columns), and so are those with a singular value below 1/3000 of the largest: rounding hides them. The oversamples
//! are rounded up to whole cache lines, which costs nothing and can only gain accuracy.

mod dense;
mod eigen;
mod fit;
mod lanes;
mod product;
mod project;
#[cfg(test)]
mod tests;
mod variance;

use tenor_domain::Error;

use crate::arrays::{Array, Arrays, broken};
use lanes::{LANES, Lanes};

/// How many directions to find and how hard to try.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SvdParams {
    /// Numbers a projected row, 1 to [`MAX_COMPONENTS`](Self::MAX_COMPONENTS) and at most the columns of the matrix.
    pub components: u32,
    /// Directions carried along and dropped at the end, at most [`MAX_OVERSAMPLES`](Self::MAX_OVERSAMPLES).
    pub oversamples: u32,
    /// Walks over the rows that sharpen the directions, at most [`MAX_POWER_ITERATIONS`](Self::MAX_POWER_ITERATIONS).
    pub power_iterations: u32,
}

impl Default for SvdParams {
    fn default() -> Self {
        Self { components: 100, oversamples: 10, power_iterations: 5 }
    }
}

impl SvdParams {
    pub const MAX_COMPONENTS: u32 = 512;
    pub const MAX_OVERSAMPLES: u32 = 128;
    pub const MAX_POWER_ITERATIONS: u32 = 100;

    /// Checks the ranges; the error names the field.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=Self::MAX_COMPONENTS).contains(&self.components) {
            let why = format!("must be 1 to {}, got {}", Self::MAX_COMPONENTS, self.components);
            return Err(Error::invalid("components", why));
        }
        for (name, value, most) in [
            ("oversamples", self.oversamples, Self::MAX_OVERSAMPLES),
            ("power_iterations", self.power_iterations, Self::MAX_POWER_ITERATIONS),
        ] {
            if value > most {
                return Err(Error::invalid(name, format!("must be at most {most}, got {value}")));
            }
        }
        Ok(())
    }
}

/// A fitted decomposition. `Send`, `Sync`, cheap to read from many threads.
#[derive(Debug, Clone, PartialEq)]
pub struct TruncatedSvd {
    components: usize,
    /// V, one run of whole cache lines an input column, so that projecting a row reads contiguous memory; padded with zeros.
    weights: Vec<Lanes>,
    singular_values: Vec<f64>,
    explained_variance: Vec<f64>,
    explained_variance_ratio: Vec<f64>,
}

impl TruncatedSvd {
    /// Numbers a projected row.
    pub fn components(&self) -> usize {
        self.components
    }
    /// Number of input columns.
    pub fn width(&self) -> usize {
        self.weights.len() / self.components.div_ceil(LANES)
    }
    /// Singular values, falling; 0 beyond the rank.
    pub fn singular_values(&self) -> &[f64] {
        &self.singular_values
    }
    /// Population variance of each projected column on the training rows.
    pub fn explained_variance(&self) -> &[f64] {
        &self.explained_variance
    }
    /// [`explained_variance`](Self::explained_variance) as a share of the variance of all columns; 0 when there is none.
    pub fn explained_variance_ratio(&self) -> &[f64] {
        &self.explained_variance_ratio
    }
    /// The weights of the input column `column`, which must exist, in each component.
    pub fn weights(&self, column: usize) -> impl Iterator<Item = f32> + '_ {
        let panels = self.components.div_ceil(LANES);
        let lanes = &self.weights[column * panels..(column + 1) * panels];
        lanes.iter().flat_map(|lanes| lanes.0).take(self.components)
    }

    /// Stores the fitted state under names that begin with `svd.`: `svd.weights` is row-major by input column.
    pub fn save(&self, arrays: &mut Arrays) {
        let weights = (0..self.width()).flat_map(|column| self.weights(column)).collect();
        arrays.insert("svd.weights", Array::F32(weights));
        arrays.insert("svd.singular_values", Array::F64(self.singular_values.clone()));
        arrays.insert("svd.explained_variance", Array::F64(self.explained_variance.clone()));
        arrays.insert("svd.explained_variance_ratio", Array::F64(self.explained_variance_ratio.clone()));
    }

    /// Reads what [`save`](Self::save) stored; everything is checked.
    pub fn load(arrays: &Arrays) -> Result<Self, Error> {
        let components = arrays.f64s("svd.singular_values")?.len();
        if !(1..=SvdParams::MAX_COMPONENTS as usize).contains(&components) {
            return Err(broken("svd.singular_values", "must have 1 to 512 numbers"));
        }
        let numbers = |name: &str| {
            let numbers = arrays.f64s(name)?;
            if numbers.len() != components {
                return Err(broken(name, "must have one number a component"));
            }
            if numbers.iter().any(|value| !(value.is_finite() && *value >= 0.0)) {
                return Err(broken(name, "must hold finite numbers, none below 0"));
            }
            Ok(numbers.to_vec())
        };
        let weights = arrays.f32s("svd.weights")?;
        if weights.len() / components < components || weights.len() % components != 0 {
            return Err(broken("svd.weights", "must have one row a column, and no fewer rows than components"));
        }
        // The components have length 1; more could make a row overflow.
        if weights.iter().any(|weight| !(-1.01..=1.01).contains(weight)) {
            return Err(broken("svd.weights", "must hold numbers from -1 to 1"));
        }
        let mut lanes = Vec::with_capacity(weights.len() / components * components.div_ceil(LANES));
        for chunk in weights.chunks_exact(components).flat_map(|row| row.chunks(LANES)) {
            let mut padded = Lanes::ZERO;
            padded.0[..chunk.len()].copy_from_slice(chunk);
            lanes.push(padded);
        }
        Ok(Self {
            components,
            weights: lanes,
            singular_values: numbers("svd.singular_values")?,
            explained_variance: numbers("svd.explained_variance")?,
            explained_variance_ratio: numbers("svd.explained_variance_ratio")?,
        })
    }
}

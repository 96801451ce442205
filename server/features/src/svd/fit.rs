//! The randomized decomposition.

use faer::Mat;
use tenor_domain::Error;

use super::dense::{combine, symmetric_product};
use super::eigen::{Eigen, eigen};
use super::lanes::{LANES, Lanes, Panels};
use super::product::normal_product;
use super::{SvdParams, TruncatedSvd, variance};
use crate::Stop;
use crate::dense::DenseMatrix;
use crate::sparse::CsrMatrix;

/// Squared singular values up to this share of the largest drown in the rounding of `f32` products.
const NOISE: f64 = 1e-7;

impl TruncatedSvd {
    /// Fits on `matrix` and returns its projected rows as well, bit for bit what [`transform`](Self::transform) gives.
    /// The same seed gives the same bits for any number of threads.
    pub fn fit(
        matrix: &CsrMatrix,
        params: &SvdParams,
        seed: u64,
        stop: Stop<'_>,
    ) -> Result<(Self, DenseMatrix), Error> {
        params.check()?;
        let components = params.components as usize;
        if components > matrix.width {
            let why = format!(
                "must be at most the {} columns of the matrix, got {components}; lower it or bring more terms",
                matrix.width
            );
            return Err(Error::invalid("components", why));
        }
        if matrix.rows() == 0 {
            return Err(Error::invalid("matrix", "must have at least one row"));
        }
        let panels = (components + params.oversamples as usize).div_ceil(LANES);
        let (mut q, mut shift) = (Panels::random(matrix.width, panels, seed), 0.0);
        for iteration in 0..params.power_iterations {
            let z = shifted_product(matrix, &q, shift, stop)?;
            let spectrum = eigen(&symmetric_product(&z, &z, stop)?)?;
            // The first Q is not orthonormal, so its product says nothing about singular values.
            if iteration > 0 {
                shift = raised(shift, &spectrum);
            }
            q = z;
            combine(&mut q, &spectrum.whitening(NOISE * NOISE), stop)?;
        }
        let (singular_values, vectors) = right_vectors(matrix, &q, stop)?;
        let weights = by_column(vectors, components);
        let mut svd = Self {
            components,
            weights,
            singular_values: singular_values[..components].to_vec(),
            explained_variance: Vec::new(),
            explained_variance_ratio: Vec::new(),
        };
        let projected = svd.transform(matrix, stop)?;
        let total = variance::of_matrix(matrix);
        svd.explained_variance = variance::of_columns(&projected);
        svd.explained_variance_ratio =
            svd.explained_variance.iter().map(|variance| if total > 0.0 { variance / total } else { 0.0 }).collect();
        Ok((svd, projected))
    }
}

/// Returns `(A^T A - shift) Q`.
fn shifted_product(matrix: &CsrMatrix, q: &Panels, shift: f64, stop: Stop<'_>) -> Result<Panels, Error> {
    let mut z = normal_product(matrix, q, stop)?;
    for (z, q) in z.panels.iter_mut().flatten().zip(q.panels.iter().flatten()) {
        z.add_scaled(-shift as f32, q);
    }
    Ok(z)
}

/// Returns the next shift (Feng, Yu, Xie, Tang 2024, ACM algorithm 1043), given the spectrum of `Z^T Z`. A shift below half of
/// the smallest squared singular value that is followed makes wanted and unwanted directions part faster, at no cost.
fn raised(shift: f64, spectrum: &Eigen) -> f64 {
    let smallest = spectrum.values.last().map_or(0.0, |value| value.max(0.0).sqrt());
    if smallest > shift { (shift + smallest) / 2.0 } else { shift }
}

/// Returns the singular values and right singular vectors of `B = U^T A`, where `U` is an orthonormal basis of the columns
/// of `W = A Q`. With `Z = A^T W`, everything about them lies in two small matrices:
///
/// ```text
/// W^T W = Q^T Z = F D F^T    U = W H with H = F D^(-1/2)    B^T = A^T U = Z H
/// B B^T = H^T (Z^T Z) H = E S^2 E^T                         V = Z H E S^(-1)
/// ```
fn right_vectors(matrix: &CsrMatrix, q: &Panels, stop: Stop<'_>) -> Result<(Vec<f64>, Panels), Error> {
    let mut z = normal_product(matrix, q, stop)?;
    let h = eigen(&symmetric_product(q, &z, stop)?)?.whitening(NOISE);
    let lower = symmetric_product(&z, &z, stop)?;
    let whole = Mat::from_fn(z.width(), z.width(), |row, column| lower[(row.max(column), row.min(column))]);
    let small = eigen(&(h.transpose() * whole * &h))?;
    combine(&mut z, &(h * small.whitening(NOISE)), stop)?;
    let floor = small.values[0] * NOISE;
    let values = small.values.iter().map(|&value| if value > floor { value.sqrt() } else { 0.0 });
    Ok((values.collect(), z))
}

/// Row-major by input column, without the oversamples, and the largest weight of each component positive (of equally large
/// ones the first), as scikit-learn's `svd_flip` has it.
fn by_column(vectors: Panels, components: usize) -> Vec<Lanes> {
    let panels = components.div_ceil(LANES);
    let mut weights = vec![Lanes::ZERO; vectors.rows * panels];
    for (number, panel) in vectors.panels.iter().take(panels).enumerate() {
        let mut largest = Lanes::ZERO;
        for lanes in panel {
            for (largest, value) in largest.0.iter_mut().zip(lanes.0) {
                if value.abs() > largest.abs() {
                    *largest = value;
                }
            }
        }
        let used = LANES.min(components - number * LANES);
        for (column, lanes) in panel.iter().enumerate() {
            let out = &mut weights[column * panels + number];
            for lane in 0..used {
                out.0[lane] = if largest.0[lane] < 0.0 { -lanes.0[lane] } else { lanes.0[lane] };
            }
        }
    }
    weights
}

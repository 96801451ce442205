//! Eigenvectors of the small symmetric matrices.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, Par, Spec};
use tenor_domain::Error;

/// Eigenvectors as columns, by falling eigenvalue.
pub(super) struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Mat<f64>,
}

/// Decomposes the symmetric matrix whose lower triangle is given. On the calling thread, so that the bits do not depend on
/// faer's global setting.
pub(super) fn eigen(lower: &Mat<f64>) -> Result<Eigen, Error> {
    let size = lower.nrows();
    let (mut values, mut vectors) = (Diag::zeros(size), Mat::zeros(size, size));
    let params = Spec::default();
    let scratch = self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, Par::Seq, params);
    let mut memory = MemBuffer::new(scratch);
    let memory = MemStack::new(&mut memory);
    self_adjoint_evd(lower.as_ref(), values.as_mut(), Some(vectors.as_mut()), Par::Seq, memory, params)
        .map_err(|_| Error::internal("the eigenvalues of a product matrix did not converge"))?;
    Ok(Eigen {
        values: values.column_vector().iter().rev().copied().collect(),
        vectors: vectors.as_ref().reverse_cols().to_owned(),
    })
}

impl Eigen {
    /// Returns `E L^(-1/2)`: `Z` times this is orthonormal when the decomposed matrix is `Z^T Z`. Columns are zero where the
    /// eigenvalue is at most `noise` times the largest.
    pub fn whitening(&self, noise: f64) -> Mat<f64> {
        let floor = self.values.first().map_or(0.0, |largest| largest * noise);
        Mat::from_fn(self.vectors.nrows(), self.vectors.ncols(), |row, column| {
            let value = self.values[column];
            if value > floor { self.vectors[(row, column)] / value.sqrt() } else { 0.0 }
        })
    }
}

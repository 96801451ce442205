//! Rows to components.

use rayon::prelude::*;
use tenor_domain::Error;

use super::TruncatedSvd;
use super::lanes::{LANES, Lanes};
use crate::Stop;
use crate::dense::DenseMatrix;
use crate::sparse::{CsrMatrix, RowRef};

/// Rows that one thread takes at a time.
const CHUNK: usize = 512;

impl TruncatedSvd {
    /// Replaces `out`, as many numbers as there are components, by `row * V`. The same bits as in a batch; no allocation.
    ///
    /// # Panics
    /// When the row has a column past [`width`](Self::width).
    pub fn project_into(&self, row: RowRef<'_>, out: &mut [f32]) {
        let panels = self.components.div_ceil(LANES);
        for (panel, out) in out.chunks_mut(LANES).enumerate() {
            let mut sum = Lanes::ZERO;
            for (column, value) in row.iter() {
                sum.add_scaled(value, &self.weights[column * panels + panel]);
            }
            out.copy_from_slice(&sum.0[..out.len()]);
        }
    }

    /// The projected rows of `matrix`, which must be as wide as the one that was fitted on.
    pub fn transform(&self, matrix: &CsrMatrix, stop: Stop<'_>) -> Result<DenseMatrix, Error> {
        if matrix.width != self.width() {
            let why =
                format!("must have the {} columns that the SVD was fitted on, got {}", self.width(), matrix.width);
            return Err(Error::invalid("matrix", why));
        }
        let mut projected = DenseMatrix::zeros(matrix.rows(), self.components);
        let chunks = projected.values.par_chunks_mut(CHUNK * self.components).enumerate();
        chunks.try_for_each(|(chunk, out)| {
            stop.check()?;
            for (index, out) in out.chunks_exact_mut(self.components).enumerate() {
                self.project_into(matrix.row(chunk * CHUNK + index), out);
            }
            Ok(())
        })?;
        Ok(projected)
    }
}

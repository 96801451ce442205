//! Dense matrices as plain vectors.

/// A row-major matrix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DenseMatrix {
    /// Numbers a row.
    pub width: usize,
    /// `rows * width` numbers.
    pub values: Vec<f32>,
}

impl DenseMatrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, width: usize) -> Self {
        Self { width, values: vec![0.0; rows * width] }
    }
    /// Number of rows; 0 for a matrix without columns.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }
    /// Row `index`, which must exist.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }
}

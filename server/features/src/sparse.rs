//! Sparse rows and matrices as plain vectors.

/// One sparse row: ascending columns and their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseRow {
    pub columns: Vec<u32>,
    pub values: Vec<f32>,
}

impl SparseRow {
    pub fn clear(&mut self) {
        self.columns.clear();
        self.values.clear();
    }
    pub fn push(&mut self, column: u32, value: f32) {
        self.columns.push(column);
        self.values.push(value);
    }
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef { columns: &self.columns, values: &self.values }
    }
}

/// A borrowed sparse row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowRef<'a> {
    pub columns: &'a [u32],
    pub values: &'a [f32],
}

impl RowRef<'_> {
    /// Column and value of each entry, ascending by column.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.columns.iter().zip(self.values).map(|(&column, &value)| (column as usize, value))
    }
}

/// Compressed sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub struct CsrMatrix {
    /// Width of the matrix.
    pub width: usize,
    /// Where row `i` starts in `columns` and `values`; one more than there are rows.
    pub offsets: Vec<usize>,
    pub columns: Vec<u32>,
    pub values: Vec<f32>,
}

impl CsrMatrix {
    /// A matrix without rows.
    pub fn empty(width: usize) -> Self {
        Self { width, offsets: vec![0], columns: Vec::new(), values: Vec::new() }
    }
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }
    /// Row `index`, which must exist.
    pub fn row(&self, index: usize) -> RowRef<'_> {
        let range = self.offsets[index]..self.offsets[index + 1];
        RowRef { columns: &self.columns[range.clone()], values: &self.values[range] }
    }
    pub fn push(&mut self, row: RowRef<'_>) {
        self.columns.extend_from_slice(row.columns);
        self.values.extend_from_slice(row.values);
        self.offsets.push(self.columns.len());
    }
    /// Puts the columns of `other`, which must have as many rows, to the right of this matrix's.
    #[must_use]
    pub fn beside(&self, other: &Self) -> Self {
        let mut both = Self::empty(self.width + other.width);
        both.columns.reserve(self.columns.len() + other.columns.len());
        both.values.reserve(self.values.len() + other.values.len());
        for index in 0..self.rows() {
            let (left, right) = (self.row(index), other.row(index));
            both.columns.extend_from_slice(left.columns);
            both.columns.extend(right.columns.iter().map(|&column| column + self.width as u32));
            both.values.extend_from_slice(left.values);
            both.values.extend_from_slice(right.values);
            both.offsets.push(both.columns.len());
        }
        both
    }
    /// Puts blocks of rows below each other, in their order.
    pub fn stack(width: usize, blocks: Vec<CsrMatrix>) -> Self {
        let (rows, entries) = blocks.iter().fold((0, 0), |(r, e), block| (r + block.rows(), e + block.columns.len()));
        let mut whole = Self {
            width,
            offsets: Vec::with_capacity(rows + 1),
            columns: Vec::with_capacity(entries),
            values: Vec::with_capacity(entries),
        };
        whole.offsets.push(0);
        for block in blocks {
            let start = whole.columns.len();
            whole.columns.extend_from_slice(&block.columns);
            whole.values.extend_from_slice(&block.values);
            whole.offsets.extend(block.offsets[1..].iter().map(|offset| start + offset));
        }
        whole
    }
}

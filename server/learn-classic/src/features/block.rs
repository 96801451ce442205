//! Fitted features and what they made of the texts of the training rows, as arrays.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};
use tenor_features::dense::DenseMatrix;
use tenor_features::pipeline::{Matrix, Vectorizer};
use tenor_features::sparse::CsrMatrix;
use tenor_learn::TrainingData;

pub(super) fn write(vectorizer: &Vectorizer, text: &Matrix) -> Arrays {
    let mut block = Arrays::default();
    vectorizer.save(&mut block);
    match text {
        Matrix::Dense(matrix) => block.insert("text.values", Array::F32(matrix.values.clone())),
        Matrix::Sparse(matrix) => {
            let offsets = matrix.offsets.iter().map(|&offset| offset as u64).collect();
            block.insert("text.offsets", Array::U64(offsets));
            // Little-endian numbers of four bytes: eight would double the block.
            block.insert(
                "text.columns",
                Array::U8(matrix.columns.iter().flat_map(|column| column.to_le_bytes()).collect()),
            );
            block.insert("text.values", Array::F32(matrix.values.clone()));
        }
    }
    block
}

/// Reads what [`write`] made of the training rows of `data`; sizes and columns are checked, the rest is under the store's digest.
pub(super) fn read(block: &Arrays, data: &TrainingData) -> Result<(Vectorizer, Matrix), Error> {
    let vectorizer = Vectorizer::load(block, &data.contract)?;
    let width = vectorizer.width() - vectorizer.numbers();
    let (rows, values) = (data.train.len(), block.f32s("text.values")?.to_vec());
    let wrong = || broken("text.values", "does not belong to these rows");
    if vectorizer.is_dense() {
        let matrix = DenseMatrix { width, values };
        return if matrix.values.len() == rows * width {
            Ok((vectorizer, Matrix::Dense(matrix)))
        } else {
            Err(wrong())
        };
    }
    let offsets: Vec<usize> =
        block.u64s("text.offsets")?.iter().map(|&offset| usize::try_from(offset).unwrap_or(usize::MAX)).collect();
    let (columns, rest) = block.u8s("text.columns")?.as_chunks();
    let columns: Vec<u32> = columns.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let fits = rest.is_empty()
        && offsets.len() == rows + 1
        && offsets.first() == Some(&0)
        && offsets.last() == Some(&columns.len())
        && offsets.is_sorted()
        && columns.len() == values.len()
        && columns.iter().all(|&column| (column as usize) < width);
    if !fits {
        return Err(wrong());
    }
    Ok((vectorizer, Matrix::Sparse(CsrMatrix { width, offsets, columns, values })))
}

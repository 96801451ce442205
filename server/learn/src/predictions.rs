//! What a run answered on its test rows, as a file: later questions about the answers need neither the model nor the data.
//!
//! A safetensors file that any reader of the format opens: `row_ids` (I64), `labels` (U32), both one a row; `probabilities`
//! (F64, rows by classes); in the metadata under `tenor` the names of the classes as JSON.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use tenor_domain::{Error, ErrorKind};

use crate::artifacts::{Artifact, Inputs};
use crate::metrics::check_rows;

/// The artifact's name in a run.
pub const NAME: &str = "predictions/test.safetensors";
const ENTRY: &str = "tenor";
const FORMAT: u32 = 1;
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// Answers to rows in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    pub row_ids: Vec<i64>,
    /// Indexes into `classes`.
    pub labels: Vec<u32>,
    pub classes: Vec<String>,
    /// Row-major, one a class.
    pub probabilities: Vec<f64>,
}

/// The rows that two sets of answers share: the same id and the same label.
#[derive(Debug, Clone, PartialEq)]
pub struct CommonRows {
    pub row_ids: Vec<i64>,
    pub labels: Vec<u32>,
    /// Row-major, of the same rows.
    pub first: Vec<f64>,
    pub second: Vec<f64>,
    /// Rows that are in both with different labels.
    pub relabelled: u64,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    format: u32,
    classes: Vec<String>,
}

impl Predictions {
    pub const MEDIA_TYPE: &str = "application/vnd.safetensors";
    /// The largest file that is read.
    pub const MAX_BYTES: u64 = 256 << 20;

    /// The file's bytes; the same answers always give the same. An error when they break a rule of
    /// [`from_bytes`](Self::from_bytes).
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let (rows, classes) = (self.row_ids.len(), self.classes.len());
        let header = Header { format: FORMAT, classes: self.classes.clone() };
        let header = serde_json::to_string(&header).map_err(Error::internal)?;
        let row_ids: Vec<u8> = self.row_ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let labels: Vec<u8> = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        let probabilities: Vec<u8> = self.probabilities.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).map_err(Error::internal);
        let tensors = [
            ("row_ids", view(Dtype::I64, &[rows], &row_ids)?),
            ("labels", view(Dtype::U32, &[rows], &labels)?),
            ("probabilities", view(Dtype::F64, &[rows, classes], &probabilities)?),
        ];
        serialize(tensors, Some(HashMap::from([(ENTRY.to_owned(), header)]))).map_err(Error::internal)
    }

    /// Reads a file that may come from anywhere.
    ///
    /// # Errors
    /// `BROKEN_PREDICTIONS` when anything is missing, of another type or length, out of range, or not finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > Self::MAX_BYTES {
            return Err(broken(format!("have {} bytes, more than {}", bytes.len(), Self::MAX_BYTES)));
        }
        let header_bytes = bytes.first_chunk().map_or(u64::MAX, |length| u64::from_le_bytes(*length));
        if header_bytes > MAX_HEADER_BYTES {
            return Err(broken("are not a safetensors file, or its start is damaged"));
        }
        let unreadable = |error| broken(format!("are cut or damaged ({error})"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let entry = entry.ok_or_else(|| broken(format!("have no metadata entry `{ENTRY}`")))?;
        let header: Header =
            serde_json::from_str(entry).map_err(|error| broken(format!("have a damaged header ({error})")))?;
        if header.format != FORMAT {
            return Err(broken(format!("have format {}, this build reads {FORMAT}", header.format)));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let rows = tensors.tensor("row_ids").map_or(0, |tensor| tensor.shape().first().copied().unwrap_or(0));
        let data = |name: &str, dtype: Dtype, shape: &[usize]| {
            let tensor = tensors.tensor(name).map_err(|_| broken(format!("have no array `{name}`")))?;
            if tensor.dtype() != dtype || tensor.shape() != shape {
                let (found, dims) = (tensor.dtype(), tensor.shape());
                return Err(broken(format!(
                    "have an array `{name}` of {found:?} {dims:?} where {dtype:?} {shape:?} is needed"
                )));
            }
            Ok(tensor.data())
        };
        let row_ids = data("row_ids", Dtype::I64, &[rows])?;
        let labels = data("labels", Dtype::U32, &[rows])?;
        let probabilities = data("probabilities", Dtype::F64, &[rows, header.classes.len()])?;
        let read = Self {
            row_ids: row_ids.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
            labels: labels.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect(),
            probabilities: probabilities.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
            classes: header.classes,
        };
        read.check()?;
        Ok(read)
    }

    /// The rows that are also in `other`, in this order. The classes must be the same. Of a row id that occurs more than once
    /// in either, the first counts.
    pub fn common(&self, other: &Self) -> CommonRows {
        let width = self.classes.len();
        let mut places = HashMap::with_capacity(other.row_ids.len());
        for (place, id) in other.row_ids.iter().enumerate() {
            places.entry(*id).or_insert(place);
        }
        let mut common = CommonRows {
            row_ids: Vec::new(),
            labels: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            relabelled: 0,
        };
        for (here, id) in self.row_ids.iter().enumerate() {
            let Some(there) = places.remove(id) else { continue };
            if self.labels[here] != other.labels[there] {
                common.relabelled += 1;
                continue;
            }
            common.row_ids.push(*id);
            common.labels.push(self.labels[here]);
            common.first.extend_from_slice(&self.probabilities[here * width..(here + 1) * width]);
            common.second.extend_from_slice(&other.probabilities[there * width..(there + 1) * width]);
        }
        common
    }

    fn check(&self) -> Result<(), Error> {
        let (rows, classes) = (self.row_ids.len(), self.classes.len());
        if rows == 0 || classes < 2 {
            return Err(broken(format!("have {rows} rows and {classes} classes; 1 and 2 are the least")));
        }
        if self.labels.len() != rows || Some(self.probabilities.len()) != rows.checked_mul(classes) {
            return Err(broken("have columns of different lengths"));
        }
        if let Some(label) = self.labels.iter().find(|label| **label as usize >= classes) {
            return Err(broken(format!("have the label {label} of {classes} classes")));
        }
        for (row, values) in self.probabilities.chunks_exact(classes).enumerate() {
            let sound = values.iter().all(|value| (0.0..=1.0).contains(value));
            if !sound || (values.iter().sum::<f64>() - 1.0).abs() > 1e-6 {
                return Err(broken(format!("have probabilities in row {row} that are not 0 to 1 with the sum 1")));
            }
        }
        check_rows(&self.labels, &self.probabilities, classes).map_err(|error| broken(format!("are wrong: {error}")))
    }
}

/// The artifact of a training.
pub(crate) fn artifact(inputs: &Inputs<'_>) -> Result<Artifact, Error> {
    let predictions = Predictions {
        row_ids: inputs.test.row_ids.clone(),
        labels: inputs.test.labels.clone(),
        classes: inputs.model.classes().to_vec(),
        probabilities: inputs.probabilities.to_vec(),
    };
    Ok(Artifact { name: NAME, media_type: Predictions::MEDIA_TYPE, bytes: predictions.to_bytes()? })
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::FailedPrecondition,
        "BROKEN_PREDICTIONS",
        format!("the predictions {what}; train the run again, or upload the file again as `{NAME}`"),
    )
}

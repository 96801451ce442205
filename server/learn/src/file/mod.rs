//! Model files: one safetensors file whose metadata hold a JSON header. Data only, never code.
//!
//! The metadata entry `tenor` is `{"digest": .., "header": ..}`; the digest covers the header and every array. Any program that
//! reads safetensors can read the arrays. A file is refused when it is cut, changed in any bit, larger than the limits, of a
//! newer format, or not byte for byte what this writer would have written. So a change to a field of the header is a new
//! format, whose reader keeps the old structs; `tests/golden` holds a file of every format there was.
//!
//! A calibrator stands as arrays beside the model's. A build that does not know them loads the model alone and refuses it, because
//! its answers are not those of the self-test.
//!
//! The same data, parameters and seed give the same bytes: ids, names and times stand in the registry, not here.

pub(crate) mod bytes;
mod self_test;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;
use tenor_domain::{Digest, Error, ErrorKind};
use tenor_features::arrays::Arrays;
use tenor_features::contract::FeatureContract;

pub use self_test::SelfTest;

use crate::{Evaluation, Model};

/// Where a model comes from, by content: two trainings over the same bytes say the same. What only one of them has (run,
/// names, times) stands in the registry. `None`: it was trained on rows that have no such origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lineage {
    /// Program and version that trained it.
    pub program: String,
    /// The file that was uploaded. With the digest of the import options it names the dataset version.
    pub source_digest: Option<Digest>,
    pub import_options_digest: Option<Digest>,
    /// How the version was cleaned, balanced and split.
    pub split_options_digest: Option<Digest>,
    /// The Parquet of the rows of each part.
    pub train_digest: Option<Digest>,
    pub validation_digest: Option<Digest>,
    pub test_digest: Option<Digest>,
    pub train_rows: u64,
    pub seed: u64,
    /// Whatever else is worth knowing.
    pub notes: BTreeMap<String, String>,
}

/// All that a model file says besides the arrays.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// Version of the file's layout; 1 today.
    pub format: u32,
    pub kind: String,
    pub contract: FeatureContract,
    pub contract_hash: Digest,
    /// The complete parameters of the training.
    pub params: Value,
    /// Scores on the test rows by key (`test/macro_f1`); finite numbers only, and nothing that measures time.
    pub metrics: BTreeMap<String, f64>,
    pub lineage: Lineage,
    /// Inputs with the probabilities they must give.
    pub self_test: Vec<SelfTest>,
}

/// A model as a file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    pub header: Header,
    pub arrays: Arrays,
}

impl ModelFile {
    /// The layout version that this build writes and reads.
    pub const FORMAT: u32 = 1;
    /// The largest file that is read.
    pub const MAX_BYTES: usize = 2 << 30;
    /// The largest header that is read.
    pub const MAX_HEADER_BYTES: usize = 16 << 20;
    pub const MEDIA_TYPE: &'static str = "application/vnd.tenor.model+safetensors";

    /// Makes the file of `model` and records what it answers to a few generated inputs, so that whoever loads the file can
    /// tell that it answers the same.
    pub fn new(model: &dyn Model, arrays: Arrays, lineage: Lineage) -> Self {
        let contract = model.contract().clone();
        let header = Header {
            format: Self::FORMAT,
            kind: model.kind().to_owned(),
            contract_hash: contract.hash(),
            params: model.params().clone(),
            metrics: BTreeMap::new(),
            lineage,
            self_test: self_test::generate(model),
            contract,
        };
        Self { header, arrays }
    }

    /// The same file with the scores of `evaluation`, of the test rows, in its header.
    #[must_use]
    pub fn with_scores(mut self, evaluation: &Evaluation) -> Self {
        self.header.metrics = evaluation.metrics("test/");
        self
    }

    /// The same file with the answers of `model`, a wrapper around the one that made the file, as its self-test.
    #[must_use]
    pub fn with_self_test_of(mut self, model: &dyn Model) -> Self {
        self.header.self_test = self_test::generate(model);
        self
    }

    /// Checks that `model` answers the recorded inputs as recorded, within 1e-9.
    pub fn run_self_test(&self, model: &dyn Model) -> Result<(), Error> {
        self_test::run(&self.header.self_test, model)
    }

    /// An error unless the file holds a model of `kind`.
    pub fn expect_kind(&self, kind: &str) -> Result<(), Error> {
        if self.header.kind == kind {
            return Ok(());
        }
        Err(broken(format!("holds a model of kind `{}`, not `{kind}`", self.header.kind)))
    }
}

/// An error about a model file that cannot be used.
pub(crate) fn broken(what: impl std::fmt::Display) -> Error {
    let text = format!("the model file {what}; restore it from where it was made, or train again");
    Error::new(ErrorKind::FailedPrecondition, "BROKEN_MODEL_FILE", text)
}

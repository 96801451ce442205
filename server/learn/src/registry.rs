//! The kinds of models there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenor_domain::{Error, ErrorKind};

use crate::calibration::{Calibrated, Calibrator};
use crate::{Model, ModelFile, Trainer};

/// Trainers by kind; made once where the program is put together, and passed as an argument.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn Trainer>>);

impl Registry {
    /// A registry of `trainers`; of two of the same kind the later one stays.
    pub fn new(trainers: impl IntoIterator<Item = Arc<dyn Trainer>>) -> Self {
        Self(trainers.into_iter().map(|trainer| (trainer.kind(), trainer)).collect())
    }
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
    /// The trainer of `kind`; the error lists the kinds there are.
    pub fn get(&self, kind: &str) -> Result<&dyn Trainer, Error> {
        self.0.get(kind).map(Arc::as_ref).ok_or_else(|| {
            let kinds: Vec<_> = self.kinds().collect();
            Error::invalid("kind", format!("must be one of {}, got `{kind}`", kinds.join(", ")))
        })
    }
    /// Reads a model file, loads the model, puts its calibrator behind it if the file has one, and runs the file's self-test.
    /// Any doubt is an error.
    pub fn load(&self, bytes: &[u8]) -> Result<(Box<dyn Model>, ModelFile), Error> {
        let file = ModelFile::from_bytes(bytes)?;
        let trainer = self.0.get(file.header.kind.as_str()).ok_or_else(|| {
            let text = format!("this server has no models of kind `{}`; use a newer tenor", file.header.kind);
            Error::new(ErrorKind::FailedPrecondition, "UNKNOWN_MODEL_KIND", text)
        })?;
        let mut model = trainer.load(&file)?;
        if let Some(calibrator) = Calibrator::load(&file.arrays, model.classes().len())? {
            model = Box::new(Calibrated::new(model, calibrator)?);
        }
        file.run_self_test(model.as_ref())?;
        Ok((model, file))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

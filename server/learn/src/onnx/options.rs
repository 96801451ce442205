//! What every export is told besides the numbers of its model.

use tenor_domain::{Digest, Error};

use super::graph::Graph;

/// Names, and the step after the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// In the order of the probabilities; at least two.
    pub classes: &'a [String],
    /// One a number of the input vector; empty to leave them out.
    pub features: &'a [String],
    /// Identity of the feature contract of the model.
    pub contract_hash: Option<Digest>,
    /// `softmax(ln p / T)` of the model's probabilities (Guo et al. 2017).
    pub temperature: Option<f64>,
}

impl Options<'_> {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.classes.len() < 2 {
            return Err(Error::invalid("classes", format!("must be at least 2, got {}", self.classes.len())));
        }
        match self.temperature {
            Some(temperature) if !(temperature.is_finite() && temperature > 0.0) => {
                Err(Error::invalid("temperature", format!("must be a finite number above 0, got {temperature}")))
            }
            _ => Ok(()),
        }
    }

    /// The graph of a model of `width` features, with its input.
    pub(super) fn begin(&self, kind: &str, width: usize) -> Result<Graph, Error> {
        if !self.features.is_empty() && self.features.len() != width {
            let text = format!("must be {width} names, one a number of the input, got {}", self.features.len());
            return Err(Error::invalid("features", text));
        }
        Ok(Graph::new(kind, width))
    }
}

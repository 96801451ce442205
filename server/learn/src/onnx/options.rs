//! What every export is told besides the numbers of its model.

use tenor_domain::{Digest, Error};

use super::graph::Graph;

/// Names, and the steps before and after the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// In the order of the probabilities; at least two.
    pub classes: &'a [String],
    /// One a number of the input vector; empty to leave them out.
    pub features: &'a [String],
    /// Identity of the feature contract of the model.
    pub contract_hash: Option<Digest>,
    /// What turns the input vector into the numbers that the model sees.
    pub reduction: Option<Reduction<'a>>,
    /// `softmax(ln p / T)` of the model's probabilities (Guo et al. 2017).
    pub temperature: Option<f64>,
}

/// A first step: `concat(terms * components, rest) * scale + offset`, where `terms` are the leading numbers of the input vector
/// and `rest` are those behind them.
#[derive(Debug, Clone, Copy)]
pub struct Reduction<'a> {
    /// Numbers of the input vector that go through `components`; the rest passes.
    pub terms: usize,
    /// Numbers of the input vector behind the terms.
    pub rest: usize,
    /// terms x components, row-major: V of a truncated SVD.
    pub components: &'a [f32],
    /// Both one a number of the result, components first; both empty for none.
    pub scale: &'a [f32],
    pub offset: &'a [f32],
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

    /// A graph with the steps before a model of `width` features, and the name of their result.
    pub(super) fn begin(&self, kind: &str, width: usize) -> Result<(Graph, String), Error> {
        let input_width = self.reduction.map_or(width, |reduction| reduction.terms + reduction.rest);
        if !self.features.is_empty() && self.features.len() != input_width {
            let text = format!("must be {input_width} names, one a number of the input, got {}", self.features.len());
            return Err(Error::invalid("features", text));
        }
        let mut graph = Graph::new(kind, input_width);
        let value = match &self.reduction {
            Some(reduction) => reduction.add(&mut graph, width)?,
            None => Graph::INPUT.to_owned(),
        };
        Ok((graph, value))
    }
}

impl Reduction<'_> {
    /// Adds the step to `graph`, which begins here, and returns the name of its result. `width` numbers a row must come out.
    pub(super) fn add(&self, graph: &mut Graph, width: usize) -> Result<String, Error> {
        if self.terms == 0 {
            return Err(Error::invalid("reduction.terms", "must be at least 1"));
        }
        let components = width.checked_sub(self.rest).filter(|components| *components > 0).ok_or_else(|| {
            Error::invalid("reduction.rest", format!("must be below the model's {width} columns, got {}", self.rest))
        })?;
        let matrix = graph.constant("components", &[self.terms, components], self.components)?;
        let mut value = Graph::INPUT.to_owned();
        if self.rest > 0 {
            let sizes = graph.indices("part_sizes", &[self.terms, self.rest]);
            graph.split(&value, &sizes, &["terms", "rest"]);
            let reduced = graph.node("MatMul", &["terms", &matrix], "reduced_terms");
            value = graph.concat(&[&reduced, "rest"], "reduced");
        } else {
            value = graph.node("MatMul", &[&value, &matrix], "reduced");
        }
        if !self.scale.is_empty() || !self.offset.is_empty() {
            let scale = graph.constant("scale", &[width], self.scale)?;
            let offset = graph.constant("offset", &[width], self.offset)?;
            let scaled = graph.node("Mul", &[&value, &scale], "scaled");
            value = graph.node("Add", &[&scaled, &offset], "reduced_features");
        }
        Ok(value)
    }
}

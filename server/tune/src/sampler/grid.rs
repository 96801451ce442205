//! Every combination, one after the other.

use tenor_domain::{Error, ErrorKind};

use super::Sampler;
use crate::history::History;
use crate::space::{Axis, AxisKind, Point, Space};

/// All combinations of the values of all parameters, the last parameter changing fastest; parameters with more values than `steps` take so
/// many places at even distances. Combinations that differ in parameters that do not exist are one.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// 1 or more.
    pub steps: usize,
}

impl Default for Grid {
    fn default() -> Self {
        Self { steps: 5 }
    }
}

impl Sampler for Grid {
    fn suggest(&self, space: &Space, _: History<'_>, _: u64, number: u64) -> Result<Point, Error> {
        let mut left = number;
        let mut coordinates = Vec::with_capacity(space.params().len());
        if self.find(space, &mut coordinates, &mut left) {
            return Ok(Point(coordinates));
        }
        let all = number - left;
        Err(Error::new(
            ErrorKind::FailedPrecondition,
            "SPACE_EXHAUSTED",
            format!(
                "the grid has {all} points, and all of them were suggested; finish the study or take another sampler"
            ),
        ))
    }
}

impl Grid {
    /// Goes through the combinations that begin with `coordinates`; true at number `left`, which counts down.
    fn find(&self, space: &Space, coordinates: &mut Vec<Option<f64>>, left: &mut u64) -> bool {
        let at = coordinates.len();
        let Some(axis) = space.axes().get(at) else {
            let found = *left == 0;
            *left = left.saturating_sub(1);
            return found;
        };
        if !space.exists(at, coordinates) {
            coordinates.push(None);
            return self.find(space, coordinates, left) || {
                coordinates.pop();
                false
            };
        }
        // Where nothing further depends on a choice, whole branches are counted and not walked.
        let rest = self.count(space, at + 1);
        for place in self.places(axis) {
            if let Some(rest) = rest.filter(|rest| *rest <= *left) {
                *left -= rest;
                continue;
            }
            coordinates.push(Some(place));
            if self.find(space, coordinates, left) {
                return true;
            }
            coordinates.pop();
        }
        false
    }

    /// Combinations of the parameters from `first` on; `None` when their existence depends on something or there are too many.
    fn count(&self, space: &Space, first: usize) -> Option<u64> {
        let axes = &space.axes()[first..];
        if axes.iter().any(|axis| axis.condition.is_some()) {
            return None;
        }
        axes.iter().try_fold(1u64, |count, axis| count.checked_mul(self.places(axis).len() as u64))
    }

    fn places(&self, axis: &Axis) -> Vec<f64> {
        let steps = self.steps.max(1);
        match &axis.kind {
            AxisKind::Choices { count } => (0..*count).map(|choice| choice as f64).collect(),
            AxisKind::Cells { edges } if edges.len() - 1 <= steps => {
                edges.windows(2).map(|edge| (edge[0] + edge[1]) / 2.0).collect()
            }
            kind => (0..steps).map(|step| kind.snap(step as f64 / (steps - 1).max(1) as f64)).collect(),
        }
    }
}

//! What is searched: parameters with their domains, some of which exist only when another has a certain value.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenor_domain::{Error, ParamValue};
use tenor_features::random::Random;

/// Most parameters of a space.
pub const MAX_PARAMS: usize = 200;
/// Most choices of a parameter.
pub const MAX_CHOICES: usize = 1_000;

/// A parameter as users write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    pub name: String,
    #[serde(flatten)]
    pub domain: Domain,
    /// `None`: it always exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
}

/// A parameter exists when an earlier one has one of these values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// A categorical parameter that stands before this one.
    pub param: String,
    #[serde(rename = "in")]
    pub values: Vec<ParamValue>,
}

/// The values of a parameter, ends included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Domain {
    Float {
        low: f64,
        high: f64,
        /// Equal ratios are equally likely, not equal differences.
        #[serde(default)]
        log: bool,
        /// Only `low`, `low + step` and so on; not together with `log`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<f64>,
    },
    Int {
        low: i64,
        high: i64,
        #[serde(default)]
        log: bool,
        #[serde(default = "one")]
        step: i64,
    },
    Categorical {
        choices: Vec<ParamValue>,
    },
}

fn one() -> i64 {
    1
}

/// A checked space. Parameters stand behind those that their existence depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    params: Vec<Param>,
    axes: Vec<Axis>,
}

/// One coordinate of a point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub kind: AxisKind,
    /// Index of the parameter it depends on, and the choices of that with which it exists.
    pub condition: Option<(usize, Vec<usize>)>,
}

/// Numbers are searched in the unit interval, choices by index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AxisKind {
    /// Any number from 0 to 1.
    Continuous,
    /// The interval is cut into cells, one a value: cell `i` reaches from `edges[i]` to `edges[i + 1]`.
    Cells { edges: Vec<f64> },
    /// Too many values for a list of edges: searched like a continuous one, values are rounded.
    Fine,
    /// Index of a choice, as a number.
    Choices { count: usize },
}

/// A place in a space, one coordinate a parameter: from 0 to 1, or the index of a choice; `None` where the parameter does not exist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point(pub(crate) Vec<Option<f64>>);

/// The values of a point by the names of the parameters that exist in it.
pub type Assignment = BTreeMap<String, ParamValue>;

/// More values than this are not listed one by one.
const MAX_CELLS: u64 = 4_096;
/// Most steps from one end of a domain to the other: whole numbers that a float tells apart.
const MAX_STEPS: i64 = 1 << 53;

impl Space {
    /// Checks the parameters; the error names the first that is wrong.
    pub fn new(params: Vec<Param>) -> Result<Self, Error> {
        if params.is_empty() || params.len() > MAX_PARAMS {
            let count = params.len();
            return Err(Error::invalid("space", format!("must have 1 to {MAX_PARAMS} parameters, got {count}")));
        }
        let mut names = BTreeSet::new();
        let mut axes = Vec::with_capacity(params.len());
        for (at, param) in params.iter().enumerate() {
            let field = format!("space[{at}]");
            if param.name.is_empty() || param.name.len() > 100 || param.name.chars().any(char::is_control) {
                return Err(Error::invalid(field, "must have a name of 1 to 100 bytes without control characters"));
            }
            if !names.insert(param.name.as_str()) {
                return Err(Error::invalid(field, format!("has the name `{}`, which an earlier one has", param.name)));
            }
            let wrong = |why: String| Error::invalid(format!("space.{}", param.name), why);
            let kind = param.domain.axis().map_err(&wrong)?;
            let condition =
                param.when.as_ref().map(|when| condition(when, &params[..at])).transpose().map_err(wrong)?;
            axes.push(Axis { kind, condition });
        }
        Ok(Self { params, axes })
    }

    pub fn params(&self) -> &[Param] {
        &self.params
    }

    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Whether some parameter depends on another.
    pub fn is_conditional(&self) -> bool {
        self.axes.iter().any(|axis| axis.condition.is_some())
    }

    /// Whether parameter `at` exists, given the coordinates of those before it.
    pub(crate) fn exists(&self, at: usize, before: &[Option<f64>]) -> bool {
        self.axes[at]
            .condition
            .as_ref()
            .is_none_or(|(parent, choices)| before[*parent].is_some_and(|choice| choices.contains(&(choice as usize))))
    }

    /// A point in which `choose` gives the coordinate of each parameter that exists.
    pub(crate) fn build(&self, mut choose: impl FnMut(usize, &Axis) -> f64) -> Point {
        let mut coordinates = Vec::with_capacity(self.axes.len());
        for (at, axis) in self.axes.iter().enumerate() {
            let coordinate = self.exists(at, &coordinates).then(|| axis.kind.snap(choose(at, axis)));
            coordinates.push(coordinate);
        }
        Point(coordinates)
    }

    /// Any point with the same chance.
    pub fn random(&self, random: &mut Random) -> Point {
        self.build(|_, axis| axis.kind.random(random))
    }

    /// At most `limit` points in which each parameter has each of its choices, or both ends of its numbers; the others have their first
    /// choice or their low end.
    pub fn corners(&self, limit: usize) -> Vec<Point> {
        let (mut seen, mut corners) = (BTreeSet::new(), Vec::new());
        let mut left = vec![self.build(|_, _| 0.0)];
        while let Some(point) = left.pop().filter(|_| corners.len() < limit) {
            let known = seen.len();
            seen.extend((0..point.0.len()).filter(|at| point.0[*at].is_some()));
            if seen.len() > known {
                left.extend(self.variants(&point));
            }
            corners.push(point);
        }
        corners
    }

    /// The point with one parameter after the other at each of its other choices, or at both ends of its numbers. What comes to exist by that
    /// has its first choice or its low end.
    fn variants(&self, point: &Point) -> Vec<Point> {
        let mut variants = Vec::new();
        for (at, own) in point.0.iter().enumerate().filter_map(|(at, own)| Some((at, (*own)?))) {
            let others: Vec<f64> = match self.axes[at].kind {
                AxisKind::Choices { count } => (0..count).map(|choice| choice as f64).filter(|it| *it != own).collect(),
                _ => vec![0.0, 1.0],
            };
            let variant = |other| self.build(|axis, _| if axis == at { other } else { point.0[axis].unwrap_or(0.0) });
            variants.extend(others.into_iter().map(variant));
        }
        variants
    }

    /// The values of a point.
    pub fn assignment(&self, point: &Point) -> Assignment {
        let named = self.params.iter().zip(&point.0);
        named.filter_map(|(param, it)| it.map(|it| (param.name.clone(), param.domain.value(it)))).collect()
    }

    /// The point of these values; what [`assignment`](Self::assignment) makes of it are they again, floats but for their last bits.
    ///
    /// # Errors
    /// A value that is missing, unknown, or outside of its domain.
    pub fn point(&self, values: &Assignment) -> Result<Point, Error> {
        let mut coordinates = Vec::with_capacity(self.axes.len());
        for (at, param) in self.params.iter().enumerate() {
            let wrong = |why: String| Error::invalid(format!("params.{}", param.name), why);
            let coordinate = match (self.exists(at, &coordinates), values.get(&param.name)) {
                (true, Some(value)) => Some(self.axes[at].kind.snap(param.domain.coordinate(value).map_err(wrong)?)),
                (true, None) => return Err(wrong("is missing".to_owned())),
                (false, Some(_)) => return Err(wrong("does not exist with these values of the others".to_owned())),
                (false, None) => None,
            };
            coordinates.push(coordinate);
        }
        match values.keys().find(|name| !self.params.iter().any(|param| param.name == **name)) {
            Some(name) => Err(Error::invalid(format!("params.{name}"), "is no parameter of the space")),
            None => Ok(Point(coordinates)),
        }
    }
}

/// How many values a domain with a step has; the end counts also where rounding puts it a hair below its step.
fn values_of(low: f64, high: f64, step: f64) -> u64 {
    ((high - low) / step * (1.0 + 1e-12)) as u64 + 1
}

fn condition(when: &When, before: &[Param]) -> Result<(usize, Vec<usize>), String> {
    let Some(parent) = before.iter().position(|param| param.name == when.param) else {
        return Err(format!("depends on `{}`, which does not stand before it", when.param));
    };
    let Domain::Categorical { choices } = &before[parent].domain else {
        return Err(format!("depends on `{}`, which is not categorical", when.param));
    };
    if when.values.is_empty() {
        return Err("depends on no value: it would never exist".to_owned());
    }
    let place = |value: &ParamValue| {
        let place = choices.iter().position(|choice| choice == value);
        place.ok_or_else(|| format!("depends on {value}, which is no choice of `{}`", when.param))
    };
    Ok((parent, when.values.iter().map(place).collect::<Result<_, _>>()?))
}

impl Domain {
    fn axis(&self) -> Result<AxisKind, String> {
        match self {
            Self::Float { low, high, log, step } => {
                if !(low.is_finite() && high.is_finite() && low <= high && (high - low).is_finite()) {
                    return Err(format!("must have finite ends, low <= high, got {low} to {high}"));
                }
                if *log && *low <= 0.0 {
                    return Err(format!("must be above 0 to be searched by its logarithm, got {low}"));
                }
                match step {
                    None if low == high => Ok(cells(1, |_| 0.0)),
                    None => Ok(AxisKind::Continuous),
                    Some(_) if *log => Err("can have a step or a logarithm, not both".to_owned()),
                    Some(step) if step.is_finite() && *step > 0.0 && (high - low) / step <= MAX_STEPS as f64 => {
                        Ok(evenly(values_of(*low, *high, *step)))
                    }
                    Some(step) => Err(format!("must have a step above 0, at most 2^53 of them, got {step}")),
                }
            }
            Self::Int { low, high, log, step } => {
                if low > high || high.checked_sub(*low).is_none_or(|span| span > MAX_STEPS) {
                    return Err(format!("must have ends with low <= high and at most 2^53 apart, got {low} to {high}"));
                }
                if *step < 1 {
                    return Err(format!("must have a step of 1 or more, got {step}"));
                }
                if *log && (*low < 1 || *step != 1) {
                    return Err("must begin at 1 or more and have step 1 to be searched by its logarithm".to_owned());
                }
                let count = ((high - low) / step) as u64 + 1;
                if !*log {
                    return Ok(evenly(count));
                }
                if count > MAX_CELLS {
                    return Ok(AxisKind::Fine);
                }
                let (first, last) = log_ends(*low, *high);
                Ok(cells(count, |cell| ((*low as f64 + cell as f64 - 0.5).ln() - first) / (last - first)))
            }
            Self::Categorical { choices } => {
                if choices.is_empty() || choices.len() > MAX_CHOICES {
                    return Err(format!("must have 1 to {MAX_CHOICES} choices, got {}", choices.len()));
                }
                let twice = (1..choices.len()).find(|at| choices[..*at].contains(&choices[*at]));
                match twice {
                    Some(at) => Err(format!("has the choice {} twice", choices[at])),
                    None => Ok(AxisKind::Choices { count: choices.len() }),
                }
            }
        }
    }

    /// The value at a coordinate of the unit interval, or of the choice with that index.
    fn value(&self, at: f64) -> ParamValue {
        match self {
            Self::Float { low, high, log: true, .. } => {
                ParamValue::Float((low.ln() + at * (high.ln() - low.ln())).exp().clamp(*low, *high))
            }
            Self::Float { low, high, step: None, .. } => {
                ParamValue::Float((low + at * (high - low)).clamp(*low, *high))
            }
            Self::Float { low, high, step: Some(step), .. } => {
                ParamValue::Float((low + cell_of(at, values_of(*low, *high, *step)) as f64 * step).min(*high))
            }
            Self::Int { low, high, log: true, .. } => {
                let (first, last) = log_ends(*low, *high);
                let number = (first + at * (last - first)).exp().round();
                ParamValue::Int((number as i64).clamp(*low, *high))
            }
            Self::Int { low, high, step, .. } => {
                ParamValue::Int(low + cell_of(at, ((high - low) / step) as u64 + 1) as i64 * step)
            }
            Self::Categorical { choices } => choices[(at as usize).min(choices.len() - 1)].clone(),
        }
    }

    /// The coordinate of a value: the middle of its cell where there are cells.
    fn coordinate(&self, value: &ParamValue) -> Result<f64, String> {
        let outside = || format!("is outside of its domain: {value}");
        match self {
            Self::Categorical { choices } => {
                let choice = choices.iter().position(|choice| choice == value);
                choice.map(|choice| choice as f64).ok_or_else(|| format!("has no choice {value}"))
            }
            Self::Float { low, high, log, step } => {
                let number = match value {
                    ParamValue::Float(number) => *number,
                    ParamValue::Int(number) => *number as f64,
                    _ => return Err(format!("must be a number, got {value}")),
                };
                if !(*low..=*high).contains(&number) {
                    return Err(outside());
                }
                Ok(match step {
                    Some(step) => {
                        let (cell, count) = ((number - low) / step, values_of(*low, *high, *step));
                        if (cell - cell.round()).abs() > 1e-6 {
                            return Err(format!("is {number}, which is not a multiple of {step} above {low}"));
                        }
                        (cell.round() + 0.5) / count as f64
                    }
                    None if low == high => 0.5,
                    None if *log => (number.ln() - low.ln()) / (high.ln() - low.ln()),
                    None => (number - low) / (high - low),
                })
            }
            Self::Int { low, high, log, step } => {
                let ParamValue::Int(number) = value else { return Err(format!("must be a whole number, got {value}")) };
                if !(*low..=*high).contains(number) || (number - low) % step != 0 {
                    return Err(outside());
                }
                if *log {
                    let (first, last) = log_ends(*low, *high);
                    return Ok(((*number as f64).ln() - first) / (last - first));
                }
                let count = ((high - low) / step) as u64 + 1;
                Ok((((number - low) / step) as f64 + 0.5) / count as f64)
            }
        }
    }
}

/// Each whole number has the room from half before to half behind it.
fn log_ends(low: i64, high: i64) -> (f64, f64) {
    ((low as f64 - 0.5).ln(), (high as f64 + 0.5).ln())
}

fn cell_of(at: f64, count: u64) -> u64 {
    ((at * count as f64) as u64).min(count - 1)
}

fn evenly(count: u64) -> AxisKind {
    if count > MAX_CELLS { AxisKind::Fine } else { cells(count, |cell| cell as f64 / count as f64) }
}

fn cells(count: u64, edge: impl Fn(u64) -> f64) -> AxisKind {
    let mut edges: Vec<f64> = (0..count).map(edge).collect();
    edges[0] = 0.0;
    edges.push(1.0);
    AxisKind::Cells { edges }
}

impl AxisKind {
    pub fn random(&self, random: &mut Random) -> f64 {
        match self {
            Self::Choices { count } => random.below(*count) as f64,
            _ => random.unit(),
        }
    }

    /// The cell that holds a coordinate.
    pub fn cell(edges: &[f64], at: f64) -> usize {
        edges.partition_point(|edge| *edge <= at).clamp(1, edges.len() - 1) - 1
    }

    /// The middle of the cell that holds a coordinate; where there are no cells the coordinate within 0 to 1.
    pub fn snap(&self, at: f64) -> f64 {
        match self {
            Self::Choices { count } => at.clamp(0.0, (*count - 1) as f64).floor(),
            Self::Continuous | Self::Fine => at.clamp(0.0, 1.0),
            Self::Cells { edges } => {
                let cell = Self::cell(edges, at);
                (edges[cell] + edges[cell + 1]) / 2.0
            }
        }
    }
}

impl Point {
    /// The coordinate of a parameter: from 0 to 1, or the index of a choice.
    pub fn coordinate(&self, param: usize) -> Option<f64> {
        self.0.get(param).copied().flatten()
    }
}

//! Parzen estimators: how dense a set of points is around a place, relative to points spread evenly over the space.

use tenor_features::random::Random;

use crate::normal;
use crate::space::{Axis, AxisKind, Point, Space};

/// How wide kernels are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bandwidth {
    /// The distance to the farther neighbour, at least this or one part in `(n + 1)^2`.
    AtLeast(f64),
    /// The distance to the farther neighbour, at least one part in `min(100, n + 2)`.
    Wide,
}

impl Bandwidth {
    fn least(self, points: usize) -> f64 {
        let n = points as f64;
        match self {
            Self::AtLeast(least) => least.max((n + 1.0).powi(-2)),
            Self::Wide => 1.0 / (n + 2.0).min(100.0),
        }
    }
}

/// One axis of the kernels around some points.
struct Kernels {
    /// Of each point; `None` where the parameter does not exist.
    centers: Vec<Option<f64>>,
    widths: Vec<f64>,
    /// What a kernel has within 0 to 1, by which it is divided.
    masses: Vec<f64>,
    /// The logarithm of width by mass.
    log_scales: Vec<f64>,
}

/// A mixture of one kernel a point and one that is even: its weight is the mean of the others.
pub(super) struct Parzen<'a> {
    axes: &'a [Axis],
    /// By axis; `None` for those that are not looked at.
    kernels: Vec<Option<Kernels>>,
    /// Of the points, then of the even kernel; they add up to 1.
    weights: Vec<f64>,
    /// How much evenness a categorical kernel has, in points.
    categorical_prior: f64,
}

impl<'a> Parzen<'a> {
    /// Of the axes `of_axes` of `points`, each with a weight.
    pub fn new(
        space: &'a Space,
        of_axes: std::ops::Range<usize>,
        points: &[&Point],
        weights: &[f64],
        bandwidth: Bandwidth,
        categorical_prior: f64,
    ) -> Self {
        let of_axis = |(at, axis): (usize, &Axis)| {
            let centers = || points.iter().map(|point| point.coordinate(at)).collect();
            of_axes.contains(&at).then(|| Kernels::new(&axis.kind, centers(), bandwidth))
        };
        let kernels = space.axes().iter().enumerate().map(of_axis).collect();
        let even = if weights.is_empty() { 1.0 } else { weights.iter().sum::<f64>() / weights.len() as f64 };
        let sum = weights.iter().sum::<f64>() + even;
        let weights = weights.iter().chain([&even]).map(|weight| weight / sum).collect();
        Self { axes: space.axes(), kernels, weights, categorical_prior }
    }

    /// One of the kernels, by weight.
    pub fn kernel(&self, random: &mut Random) -> usize {
        choose(&self.weights, random)
    }

    /// A coordinate drawn from a kernel; any, where its point does not have the parameter.
    pub fn draw(&self, kernel: usize, axis: usize, random: &mut Random) -> f64 {
        let kind = &self.axes[axis].kind;
        let kernels = self.kernels[axis].as_ref();
        let center = kernels.and_then(|kernels| kernels.centers.get(kernel).copied().flatten().zip(Some(kernels)));
        match center {
            Some((center, kernels)) => kernels.draw(kind, kernel, center, self.categorical_prior, random),
            None => kind.random(random),
        }
    }

    /// The logarithm of the density at `point`, relative to an even one. An axis that the point or a kernel does not have counts as even.
    pub fn log_density(&self, point: &Point, scratch: &mut Vec<f64>) -> f64 {
        scratch.clear();
        scratch.resize(self.weights.len(), 0.0);
        for (axis, kernels) in self.kernels.iter().enumerate() {
            let (Some(kernels), Some(at)) = (kernels, point.coordinate(axis)) else { continue };
            kernels.add_log_density(&self.axes[axis].kind, at, self.categorical_prior, scratch);
        }
        let largest = scratch.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scratch.iter().zip(&self.weights).map(|(log, weight)| weight * (log - largest).exp()).sum();
        largest + sum.ln()
    }
}

/// An index by its weight; weights add up to 1.
fn choose(weights: &[f64], random: &mut Random) -> usize {
    let mut left = random.unit();
    for (at, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return at;
        }
    }
    weights.len() - 1
}

impl Kernels {
    fn new(kind: &AxisKind, centers: Vec<Option<f64>>, bandwidth: Bandwidth) -> Self {
        let mut widths = vec![1.0; centers.len()];
        let mut masses = vec![1.0; centers.len()];
        if !matches!(kind, AxisKind::Choices { .. }) {
            let mut order: Vec<(f64, usize)> =
                centers.iter().enumerate().filter_map(|(at, center)| center.map(|center| (center, at))).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let least = bandwidth.least(order.len());
            for place in 0..order.len() {
                let (center, at) = order[place];
                let left = place.checked_sub(1).map(|left| center - order[left].0);
                let right = order.get(place + 1).map(|right| right.0 - center);
                let farther = match (left, right) {
                    (Some(left), Some(right)) => left.max(right),
                    (Some(only), None) | (None, Some(only)) => only,
                    (None, None) => 1.0,
                };
                widths[at] = farther.clamp(least, 1.0);
                masses[at] = mass(center, widths[at], 0.0, 1.0);
            }
        }
        let log_scales = widths.iter().zip(&masses).map(|(width, mass)| (width * mass).ln()).collect();
        Self { centers, widths, masses, log_scales }
    }

    fn draw(&self, kind: &AxisKind, kernel: usize, center: f64, prior: f64, random: &mut Random) -> f64 {
        if let AxisKind::Choices { count } = kind {
            let even = prior / (1.0 + prior);
            return if random.unit() < even { random.below(*count) as f64 } else { center };
        }
        // At least a third of a kernel lies inside: its center does, and its width is at most 1.
        loop {
            let at = center + self.widths[kernel] * normal::draw(random);
            if (0.0..=1.0).contains(&at) {
                return at;
            }
        }
    }

    fn add_log_density(&self, kind: &AxisKind, at: f64, prior: f64, sums: &mut [f64]) {
        match kind {
            AxisKind::Choices { count } => {
                // A share `prior / (1 + prior)` is even, the rest lies on the choice of the point.
                let (even, count) = (prior / (1.0 + prior), *count as f64);
                let (here, elsewhere) = ((even + (1.0 - even) * count).ln(), even.ln());
                for (sum, center) in sums.iter_mut().zip(&self.centers) {
                    if let Some(center) = center {
                        *sum += if *center == at { here } else { elsewhere };
                    }
                }
            }
            AxisKind::Cells { edges } => {
                let cell = AxisKind::cell(edges, at);
                let (from, to) = (edges[cell], edges[cell + 1]);
                for (kernel, (sum, center)) in sums.iter_mut().zip(&self.centers).enumerate() {
                    if let Some(center) = center {
                        let share = mass(*center, self.widths[kernel], from, to) / self.masses[kernel];
                        *sum += (share / (to - from)).max(f64::MIN_POSITIVE).ln();
                    }
                }
            }
            AxisKind::Continuous | AxisKind::Fine => {
                for (kernel, (sum, center)) in sums.iter_mut().zip(&self.centers).enumerate() {
                    if let Some(center) = center {
                        let distance = (at - center) / self.widths[kernel];
                        *sum += -0.5 * distance * distance - self.log_scales[kernel] - HALF_LOG_TAU;
                    }
                }
            }
        }
    }
}

/// `ln(2 pi) / 2`.
const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_8;

/// What a normal distribution has between two places.
fn mass(center: f64, width: f64, from: f64, to: f64) -> f64 {
    let below = |at: f64| normal::cumulative((at - center) / width);
    // On the upper side the difference of two tails, where numbers close to 1 would cancel.
    let above = |at: f64| normal::cumulative(-(at - center) / width);
    if from > center { above(from) - above(to) } else { below(to) - below(from) }
}

#[cfg(test)]
mod tests {
    use tenor_domain::ParamValue;

    use super::*;
    use crate::space::{Domain, Param, When};

    fn param(name: &str, domain: Domain) -> Param {
        Param { name: name.to_owned(), domain, when: None }
    }

    /// The mean density over points that are spread evenly is 1, for every kind of domain.
    #[test]
    fn a_density_is_relative_to_an_even_one() {
        let choices = ["a", "b", "c"].map(|it| ParamValue::Text(it.to_owned())).to_vec();
        let domains = [
            Domain::Float { low: 0.0, high: 1.0, log: false, step: None },
            Domain::Float { low: 1e-3, high: 10.0, log: true, step: None },
            Domain::Float { low: 0.0, high: 1.0, log: false, step: Some(0.1) },
            Domain::Int { low: 1, high: 7, log: false, step: 2 },
            Domain::Int { low: 1, high: 100, log: true, step: 1 },
            Domain::Int { low: 1, high: 1_000_000, log: true, step: 1 },
            Domain::Categorical { choices: choices.clone() },
        ];
        for domain in domains {
            let conditional = Param {
                name: "y".to_owned(),
                domain: Domain::Float { low: 0.0, high: 1.0, log: false, step: None },
                when: Some(When { param: "k".to_owned(), values: choices[..1].to_vec() }),
            };
            let switch = param("k", Domain::Categorical { choices: choices.clone() });
            let space = Space::new(vec![param("x", domain.clone()), switch, conditional]).unwrap();
            let mut random = Random::new(3, 4);
            let points: Vec<Point> = (0..7).map(|_| space.random(&mut random)).collect();
            let points: Vec<&Point> = points.iter().collect();
            for bandwidth in [Bandwidth::AtLeast(0.03), Bandwidth::Wide] {
                let parzen = Parzen::new(&space, 0..3, &points, &[1.0; 7], bandwidth, 1.5);
                let mut scratch = Vec::new();
                let count = 200_000;
                let sum: f64 =
                    (0..count).map(|_| parzen.log_density(&space.random(&mut random), &mut scratch).exp()).sum();
                let mean = sum / f64::from(count);
                assert!((mean - 1.0).abs() < 0.05, "{domain:?} {bandwidth:?}: {mean}");
            }
        }
    }

    #[test]
    fn draws_lie_where_the_density_is() {
        let space =
            Space::new(vec![param("x", Domain::Float { low: 0.0, high: 1.0, log: false, step: None })]).unwrap();
        let points = [0.2, 0.21, 0.9].map(|at| Point(vec![Some(at)]));
        let parzen = Parzen::new(&space, 0..1, &points.each_ref(), &[1.0; 3], Bandwidth::AtLeast(0.03), 1.0);
        let mut random = Random::new(1, 1);
        let (mut scratch, mut counts) = (Vec::new(), [0u32; 10]);
        for _ in 0..20_000 {
            let kernel = parzen.kernel(&mut random);
            let drawn = parzen.draw(kernel, 0, &mut random);
            counts[(drawn * 10.0).min(9.0) as usize] += 1;
        }
        for (cell, count) in counts.into_iter().enumerate() {
            let inside = (0..100).map(|part| Point(vec![Some((cell as f64 + (f64::from(part) + 0.5) / 100.0) / 10.0)]));
            let expected: f64 = inside.map(|at| parzen.log_density(&at, &mut scratch).exp() / 1_000.0).sum();
            assert!((f64::from(count) / 20_000.0 - expected).abs() < 0.02, "{cell} {count} {expected}");
        }
    }
}

//! Regression by a Gaussian process (Rasmussen, Williams 2006, "Gaussian processes for machine learning", chapters 2 and 5).
//!
//! The kernel is Matérn's with smoothness 5/2 and a length scale a parameter. Length scales and the share of noise are those of the
//! largest marginal likelihood under weak priors, found by a pattern search (Hooke, Jeeves 1961); the amplitude follows in closed form.

#[cfg(test)]
mod tests;

use std::f64::consts::LN_2;

/// Inputs, one a row: numbers from 0 to 1, the columns of a choice at most one of which is not 0.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    values: Vec<f64>,
    /// The parameter of each column, which share a length scale; they rise from 0 by at most 1.
    param_of: Vec<usize>,
}

impl Inputs {
    pub fn new(param_of: Vec<usize>) -> Self {
        Self { values: Vec::new(), param_of }
    }

    pub fn push(&mut self, row: &[f64]) {
        debug_assert_eq!(row.len(), self.param_of.len());
        self.values.extend_from_slice(row);
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.param_of.len())
    }

    fn params(&self) -> usize {
        self.param_of.last().map_or(0, |last| last + 1)
    }

    /// Squared distances between rows by one parameter, as the rows of a lower triangle.
    fn squared_distances(&self, param: usize) -> Vec<f64> {
        let from = self.param_of.partition_point(|it| *it < param);
        let to = self.param_of.partition_point(|it| *it <= param);
        let squared = |a: &[f64], b: &[f64]| a[from..to].iter().zip(&b[from..to]).map(|(a, b)| (a - b) * (a - b)).sum();
        self.rows()
            .enumerate()
            .flat_map(|(at, row)| self.rows().take(at + 1).map(move |other| squared(row, other)))
            .collect()
    }
}

/// A function as it is likely to be, given its values at some places.
#[derive(Debug, Clone)]
pub(super) struct Regression {
    /// By column; rows are multiplied by them.
    inverse_lengths: Vec<f64>,
    /// Scaled.
    rows: Vec<f64>,
    /// Variance of the noise beside that of the function.
    noise: f64,
    factor: Triangle,
    /// The inverse kernel matrix times the targets; rows that were believed have none.
    weights: Vec<f64>,
    /// Of the function, in units of the targets.
    deviation: f64,
    mean: f64,
}

impl Regression {
    /// At least one row, and a finite target for each.
    pub fn fit(inputs: &Inputs, targets: &[f64]) -> Self {
        let count = targets.len() as f64;
        // In units of the largest, whose square is no longer too large or too small.
        let unit = targets.iter().fold(0.0, |largest, target| f64::max(largest, target.abs())).max(f64::MIN_POSITIVE);
        let mean = targets.iter().map(|target| target / unit).sum::<f64>() / count;
        let deviation = (targets.iter().map(|target| (target / unit - mean).powi(2)).sum::<f64>() / count).sqrt();
        // Targets that are all the same say nothing of length scales, and leave no scale but 1.
        let is_flat = deviation <= 1e-12;
        let deviation = if is_flat { 1.0 } else { deviation };
        let targets: Vec<f64> = targets.iter().map(|target| (target / unit - mean) / deviation).collect();
        let scale = deviation * unit;

        let mut likelihood = Likelihood::new(inputs, &targets);
        if !is_flat {
            likelihood.climb();
        }
        let (factor, weights) = likelihood.solve();
        let fitted = weights.iter().zip(&targets).map(|(weight, target)| weight * target).sum::<f64>() / count;
        let amplitude = if is_flat { 1.0 } else { fitted.max(1e-12) };
        let lengths = &likelihood.place.inverse_lengths;
        let inverse_lengths: Vec<f64> = inputs.param_of.iter().map(|param| lengths[*param]).collect();
        let rows = inputs.rows().flat_map(|row| row.iter().zip(&inverse_lengths).map(|(at, inverse)| at * inverse));
        Self {
            rows: rows.collect(),
            noise: likelihood.place.noise,
            factor,
            weights: weights.into_iter().map(|weight| weight * scale).collect(),
            deviation: amplitude.sqrt() * scale,
            mean: mean * unit,
            inverse_lengths,
        }
    }

    /// Takes the mean at a row for its value ("kriging believer", Ginsbourger et al. 2010): the mean stays as it is everywhere, the
    /// deviation falls around the row.
    pub fn believe(&mut self, row: &[f64]) {
        let scaled = self.scaled(row);
        let mut kernels = self.kernels(&scaled);
        kernels.push(1.0 + self.noise);
        self.factor.push(kernels);
        self.rows.extend(scaled);
        self.weights.push(0.0);
    }

    /// Mean and standard deviation of the function at a row, in units of the targets.
    pub fn predict(&self, row: &[f64]) -> (f64, f64) {
        let mut kernels = self.kernels(&self.scaled(row));
        let mean = self.mean + dot(&kernels, &self.weights);
        self.factor.solve_lower(&mut kernels);
        let left = (1.0 - dot(&kernels, &kernels)).max(1e-12);
        (mean, self.deviation * left.sqrt())
    }

    fn scaled(&self, row: &[f64]) -> Vec<f64> {
        row.iter().zip(&self.inverse_lengths).map(|(at, inverse)| at * inverse).collect()
    }

    fn kernels(&self, scaled: &[f64]) -> Vec<f64> {
        let squared = |row: &[f64]| row.iter().zip(scaled).map(|(a, b)| (a - b) * (a - b)).sum();
        self.rows.chunks_exact(scaled.len()).map(|row| matern(squared(row))).collect()
    }
}

/// Matérn's kernel with smoothness 5/2, of a squared distance.
fn matern(squared: f64) -> f64 {
    let distance = (5.0 * squared).sqrt();
    (1.0 + distance + distance * distance / 3.0) * (-distance).exp()
}

/// What the likelihood depends on.
#[derive(Debug, Clone)]
struct Place {
    /// By parameter.
    inverse_lengths: Vec<f64>,
    noise: f64,
}

/// The logarithm of the marginal likelihood of targets with mean 0 and deviation 1, at a place that moves.
struct Likelihood<'a> {
    targets: &'a [f64],
    /// By parameter, each as the rows of a lower triangle.
    squared: Vec<Vec<f64>>,
    /// The sum over the parameters at the place.
    distances: Vec<f64>,
    place: Place,
}

/// Length scales lie around `exp(-0.5)` of the range where there is one parameter, and are the longer the more there are (Hvarfner et al.
/// 2024): else everything would be far from everything.
const LOG_INVERSE_LENGTH: f64 = 1.0;
const LOG_INVERSE_LENGTH_DEVIATION: f64 = 1.2;
const INVERSE_LENGTHS: [f64; 2] = [0.02, 50.0];
const LOG_NOISE: f64 = -9.0;
const LOG_NOISE_DEVIATION: f64 = 4.0;
const NOISES: [f64; 2] = [1e-8, 1.0];

impl<'a> Likelihood<'a> {
    fn new(inputs: &Inputs, targets: &'a [f64]) -> Self {
        let squared: Vec<Vec<f64>> = (0..inputs.params()).map(|param| inputs.squared_distances(param)).collect();
        let place = Place { inverse_lengths: vec![LOG_INVERSE_LENGTH.exp(); squared.len()], noise: LOG_NOISE.exp() };
        let mut at_place = Self { targets, squared, distances: Vec::new(), place };
        at_place.sum_distances();
        at_place
    }

    fn sum_distances(&mut self) {
        self.distances = vec![0.0; self.targets.len() * (self.targets.len() + 1) / 2];
        for (of_param, inverse) in self.squared.iter().zip(&self.place.inverse_lengths) {
            let weight = inverse * inverse;
            self.distances.iter_mut().zip(of_param).for_each(|(sum, squared)| *sum += weight * squared);
        }
    }

    /// The factor of the kernel matrix, and its inverse times the targets.
    fn solve(&self) -> (Triangle, Vec<f64>) {
        let mut noise = self.place.noise;
        loop {
            if let Some(factor) = Triangle::factor(&self.distances, self.targets.len(), noise) {
                let mut weights = self.targets.to_vec();
                factor.solve_lower(&mut weights);
                factor.solve_upper(&mut weights);
                return (factor, weights);
            }
            // Rows that are all but the same.
            noise = (noise * 10.0).max(1e-8);
        }
    }

    /// With the amplitude at its best, and the priors' part.
    fn log(&self) -> f64 {
        let count = self.targets.len();
        let Some(factor) = Triangle::factor(&self.distances, count, self.place.noise) else { return f64::NEG_INFINITY };
        let mut solved = self.targets.to_vec();
        factor.solve_lower(&mut solved);
        let amplitude = dot(&solved, &solved) / count as f64;
        let normal = |at: f64, mean: f64, deviation: f64| -0.5 * ((at.ln() - mean) / deviation).powi(2);
        let lengths = self.place.inverse_lengths.iter();
        let prior =
            lengths.map(|inverse| normal(*inverse, LOG_INVERSE_LENGTH, LOG_INVERSE_LENGTH_DEVIATION)).sum::<f64>()
                + normal(self.place.noise, LOG_NOISE, LOG_NOISE_DEVIATION);
        -0.5 * count as f64 * amplitude.max(1e-300).ln() - factor.log_diagonal() + prior
    }

    /// Steps along one direction at a time, as long as they help, ever shorter ones. With each length all directions are tried once, then
    /// again those that helped.
    fn climb(&mut self) {
        const ROUNDS: usize = 3;
        let mut best = self.log();
        for length in [2.0, 1.0, 0.5].map(|step| step * LN_2) {
            // Noise first: else ever shorter scales explain it as the function.
            let mut directions: Vec<usize> = (0..=self.squared.len()).rev().collect();
            for _ in 0..ROUNDS {
                directions.retain(|direction| {
                    self.walk(*direction, length, &mut best) || self.walk(*direction, -length, &mut best)
                });
            }
        }
        self.sum_distances();
    }

    /// Whether one step at least was better.
    fn walk(&mut self, direction: usize, by: f64, best: &mut f64) -> bool {
        let mut steps = 0;
        while self.step(direction, by, best) {
            steps += 1;
        }
        steps > 0
    }

    /// Moves when that is better by more than a rounding error.
    fn step(&mut self, direction: usize, by: f64, best: &mut f64) -> bool {
        let factor = by.exp();
        let (old, [low, high]) = match self.place.inverse_lengths.get(direction) {
            Some(inverse) => (*inverse, INVERSE_LENGTHS),
            None => (self.place.noise, NOISES),
        };
        let new = (old * if direction < self.squared.len() { factor } else { factor * factor }).clamp(low, high);
        if new == old {
            return false;
        }
        self.set(direction, new);
        let log = self.log();
        let is_better = log > *best + 1e-6;
        if is_better {
            *best = log;
        } else {
            self.set(direction, old);
        }
        is_better
    }

    fn set(&mut self, direction: usize, value: f64) {
        let Some(inverse) = self.place.inverse_lengths.get_mut(direction) else {
            self.place.noise = value;
            return;
        };
        let weight = value * value - *inverse * *inverse;
        *inverse = value;
        // A difference of two sums may fall below 0 by a rounding error.
        let pairs = self.distances.iter_mut().zip(&self.squared[direction]);
        pairs.for_each(|(sum, squared)| *sum = (*sum + weight * squared).max(0.0));
    }
}

/// A lower triangle, row behind row.
#[derive(Debug, Clone)]
struct Triangle {
    count: usize,
    values: Vec<f64>,
}

/// Where a row begins.
fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

impl Triangle {
    /// Cholesky's factor of the kernel matrix over squared distances; `None` where it is not positive definite in double precision.
    fn factor(squared: &[f64], count: usize, noise: f64) -> Option<Self> {
        let mut factor = Self { count: 0, values: Vec::with_capacity(squared.len()) };
        for row in 0..count {
            let diagonal = start(row) + row;
            let mut kernels: Vec<f64> = squared[start(row)..diagonal].iter().map(|squared| matern(*squared)).collect();
            kernels.push(1.0 + noise);
            if factor.push(kernels) <= 1e-10 {
                return None;
            }
        }
        Some(factor)
    }

    /// Adds a row of the matrix that is factored, the diagonal last; gives what is left of the diagonal.
    fn push(&mut self, mut row: Vec<f64>) -> f64 {
        let diagonal = row.pop().unwrap_or_default();
        self.solve_lower(&mut row);
        let left = diagonal - dot(&row, &row);
        self.values.extend(row);
        self.values.push(left.max(1e-12).sqrt());
        self.count += 1;
        left
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[start(row)..start(row + 1)]
    }

    /// `right` becomes the solution `x` of `L x = right`.
    fn solve_lower(&self, right: &mut [f64]) {
        for at in 0..right.len() {
            let row = self.row(at);
            right[at] = (right[at] - dot(&row[..at], &right[..at])) / row[at];
        }
    }

    /// `right` becomes the solution `x` of `Lᵀ x = right`.
    fn solve_upper(&self, right: &mut [f64]) {
        for at in (0..right.len()).rev() {
            let row = self.row(at);
            right[at] /= row[at];
            let (before, solved) = right.split_at_mut(at);
            before.iter_mut().zip(row).for_each(|(right, value)| *right -= value * solved[0]);
        }
    }

    fn log_diagonal(&self) -> f64 {
        (0..self.count).map(|row| self.row(row)[row].ln()).sum()
    }
}

/// In four sums, so that vectors of the machine can be used.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (of_a, of_b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = of_a.remainder().iter().zip(of_b.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 4];
    for (a, b) in of_a.zip(of_b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f64>() + rest
}

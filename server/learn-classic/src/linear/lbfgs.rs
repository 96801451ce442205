//! L-BFGS (Nocedal and Wright 2006, algorithm 7.5), and OWL-QN where there is an L1 penalty (Andrew and Gao 2007, "Scalable training of
//! L1-regularized log-linear models"): each step stays in one orthant, in which the penalty is linear; a weight that would cross zero
//! becomes zero.
//!
//! Long vectors are worked on by all threads; sums are added up chunk by chunk, in an order that no number of threads can change.

use std::collections::VecDeque;

use rayon::prelude::*;
use tenor_domain::Error;

use super::loss::Problem;
use super::solve::Watch;

/// Pairs of steps that are remembered.
const MEMORY: usize = 10;
/// Of the decrease that the gradient promises, a step must bring this share (Armijo).
const SUFFICIENT: f64 = 1e-4;
/// Shorter and shorter steps before the search gives up.
const MAX_TRIALS: u32 = 50;
/// Numbers that one thread takes at a time.
const CHUNK: usize = 16_384;

/// Two successive differences: of the parameters and of the smooth part's gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// Their product.
    curvature: f64,
}

/// At most `iterations` from `start`: the parameters, the iterations made, and whether it arrived.
pub(super) fn run(
    problem: &Problem<'_>,
    start: Vec<f64>,
    iterations: u64,
    watch: &mut Watch<'_>,
) -> Result<(Vec<f64>, u64, bool), Error> {
    let penalised = problem.penalised();
    let with_penalty =
        |smooth: f64, at: &[f64]| smooth + problem.l1 * at[..penalised].iter().map(|weight| weight.abs()).sum::<f64>();
    let bends = problem.bends();
    let mut at = start;
    let (smooth, mut gradient) = problem.evaluate(&at)?;
    let mut cost = with_penalty(smooth, &at);
    let mut memory: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    for iteration in 0..=iterations {
        let steepest = pseudo_gradient(&at, &gradient, problem.l1, penalised);
        let largest = steepest.iter().fold(0.0f64, |largest, entry| largest.max(entry.abs()));
        if watch.arrived(cost, largest, iteration) {
            return Ok((at, iteration, true));
        }
        if iteration == iterations {
            break;
        }
        let mut direction = two_loop(&memory, &steepest, &bends);
        if problem.l1 > 0.0 {
            // Against the steepest descent a direction may be right for the smooth part alone.
            direction.iter_mut().zip(&steepest).filter(|(d, g)| **d * **g >= 0.0).for_each(|(d, _)| *d = 0.0);
        }
        let mut size = 1.0;
        let mut found = None;
        for _ in 0..MAX_TRIALS {
            let next = step(&at, &direction, &steepest, size, (problem.l1, penalised));
            let promised: f64 = next.iter().zip(&at).zip(&steepest).map(|((next, at), g)| (next - at) * g).sum();
            let (smooth, next_gradient) = problem.evaluate(&next)?;
            let next_cost = with_penalty(smooth, &next);
            if next_cost <= cost + SUFFICIENT * promised && next_cost < cost {
                found = Some((next, next_cost, next_gradient));
                break;
            }
            // The minimum of the parabola through both costs and the slope, not too close to either end.
            let lowest = -promised / (2.0 * (next_cost - cost - promised));
            size *= if lowest.is_finite() { lowest.clamp(0.1, 0.5) } else { 0.1 };
        }
        // A line search that finds nothing better has come as far as these numbers allow.
        let Some((next, next_cost, next_gradient)) = found else { return Ok((at, iteration, true)) };
        remember(&mut memory, (&at, &next), (&gradient, &next_gradient));
        (at, cost, gradient) = (next, next_cost, next_gradient);
    }
    Ok((at, iterations, false))
}

/// The derivative in the direction of steepest ascent; at zero, that of the side on which the objective falls, else 0.
fn pseudo_gradient(at: &[f64], gradient: &[f64], l1: f64, penalised: usize) -> Vec<f64> {
    let mut pseudo = gradient.to_vec();
    if l1 == 0.0 {
        return pseudo;
    }
    for (pseudo, &weight) in pseudo.iter_mut().zip(at).take(penalised) {
        *pseudo = if weight > 0.0 {
            *pseudo + l1
        } else if weight < 0.0 {
            *pseudo - l1
        } else if *pseudo < -l1 {
            *pseudo + l1
        } else if *pseudo > l1 {
            *pseudo - l1
        } else {
            0.0
        };
    }
    pseudo
}

/// The direction of descent by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4). Before anything is remembered the
/// objective is taken to bend by `bends` along each parameter and not across; later by that times a common factor.
fn two_loop(memory: &VecDeque<Pair>, gradient: &[f64], bends: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut factors = Vec::with_capacity(memory.len());
    let mut newest_first = memory.iter().rev().peekable();
    let mut product = newest_first.peek().map_or(0.0, |pair| dot(&pair.step, &direction));
    while let Some(pair) = newest_first.next() {
        let factor = product / pair.curvature;
        factors.push(factor);
        let next = newest_first.peek().map(|pair| pair.step.as_slice());
        product = add(&mut direction, -factor, &pair.change, next);
    }
    let common = memory.back().map_or(1.0, |last| {
        let of_chunk = |(change, bends): (&[f64], &[f64])| {
            change.iter().zip(bends).map(|(change, bend)| change * change / bend).sum::<f64>()
        };
        last.curvature
            / last
                .change
                .par_chunks(CHUNK)
                .zip(bends.par_chunks(CHUNK))
                .map(of_chunk)
                .collect::<Vec<_>>()
                .iter()
                .sum::<f64>()
    });
    direction.par_iter_mut().with_min_len(CHUNK).zip(bends).for_each(|(d, bend)| *d *= common / bend);
    let mut oldest_first = memory.iter().peekable();
    let mut product = oldest_first.peek().map_or(0.0, |pair| dot(&pair.change, &direction));
    for factor in factors.iter().rev() {
        let Some(pair) = oldest_first.next() else { break };
        let back = product / pair.curvature;
        let next = oldest_first.peek().map(|pair| pair.change.as_slice());
        product = add(&mut direction, factor - back, &pair.step, next);
    }
    direction
}

/// `at + size * direction`; with an L1 penalty, penalised weights do not leave their orthant.
fn step(at: &[f64], direction: &[f64], steepest: &[f64], size: f64, (l1, penalised): (f64, usize)) -> Vec<f64> {
    let mut next: Vec<f64> = at.iter().zip(direction).map(|(at, d)| at + size * d).collect();
    if l1 > 0.0 {
        for ((next, &at), &g) in next.iter_mut().zip(at).zip(steepest).take(penalised) {
            let side = if at != 0.0 { at } else { -g };
            if *next * side <= 0.0 {
                *next = 0.0;
            }
        }
    }
    next
}

/// Puts the differences of two places and of their gradients at the end, unless rounding has eaten their product.
fn remember(memory: &mut VecDeque<Pair>, (at, next): (&[f64], &[f64]), (gradient, next_gradient): (&[f64], &[f64])) {
    let difference = |to: &[f64], from: &[f64]| to.iter().zip(from).map(|(to, from)| to - from).collect::<Vec<f64>>();
    let (step, change) = (difference(next, at), difference(next_gradient, gradient));
    let curvature = dot(&step, &change);
    if curvature <= 1e-12 * dot(&change, &change) {
        return;
    }
    if memory.len() == MEMORY {
        memory.pop_front();
    }
    memory.push_back(Pair { step, change, curvature });
}

/// Adds `factor * vector` to `sum`; returns the product of the result with `other`, 0 without.
fn add(sum: &mut [f64], factor: f64, vector: &[f64], other: Option<&[f64]>) -> f64 {
    let of_chunk = |(index, (sum, vector)): (usize, (&mut [f64], &[f64]))| {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += factor * value);
        other.map_or(0.0, |other| chunk_dot(sum, &other[index * CHUNK..index * CHUNK + sum.len()]))
    };
    let products: Vec<f64> =
        sum.par_chunks_mut(CHUNK).zip(vector.par_chunks(CHUNK)).enumerate().map(of_chunk).collect();
    products.iter().sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let products: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(|(a, b)| chunk_dot(a, b)).collect();
    products.iter().sum()
}

/// Eight partial sums, so that they can be made side by side.
fn chunk_dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

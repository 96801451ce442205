//! OWL-QN: L-BFGS for objectives with an L1 penalty (Andrew and Gao 2007, "Scalable training of L1-regularized log-linear models").
//!
//! Each step stays in one orthant, in which the penalty is linear; a weight that would cross zero becomes zero.

use std::collections::VecDeque;

use tenor_domain::Error;

use super::loss::Problem;
use super::solve::Watch;

/// Pairs of steps that are remembered.
const MEMORY: usize = 10;
/// Of the decrease that the gradient promises, a step must bring this share (Armijo).
const SUFFICIENT: f64 = 1e-4;
/// Halvings of a step before the search gives up.
const MAX_HALVINGS: u32 = 50;

/// Two successive differences: of the parameters and of the smooth part's gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
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
        let mut direction = two_loop(&memory, &steepest);
        // Against the steepest descent a direction may be right for the smooth part alone.
        direction.iter_mut().zip(&steepest).for_each(|(d, g)| {
            if *d * *g >= 0.0 {
                *d = 0.0;
            }
        });
        let length = |vector: &[f64]| vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        let mut size = if memory.is_empty() { 1.0 / length(&direction).max(1.0) } else { 1.0 };
        let mut found = None;
        for _ in 0..MAX_HALVINGS {
            let next = step_within_orthant(&at, &direction, &steepest, size, penalised);
            let promised: f64 = next.iter().zip(&at).zip(&steepest).map(|((next, at), g)| (next - at) * g).sum();
            let (smooth, next_gradient) = problem.evaluate(&next)?;
            let next_cost = with_penalty(smooth, &next);
            if next_cost <= cost + SUFFICIENT * promised && next_cost < cost {
                found = Some((next, next_cost, next_gradient));
                break;
            }
            size /= 2.0;
        }
        // A line search that finds nothing better has come as far as these numbers allow.
        let Some((next, next_cost, next_gradient)) = found else { return Ok((at, iteration, true)) };
        remember(&mut memory, &at, &next, &gradient, &next_gradient);
        (at, cost, gradient) = (next, next_cost, next_gradient);
    }
    Ok((at, iterations, false))
}

/// The derivative in the direction of steepest ascent; at zero, that of the side on which the objective falls, else 0.
fn pseudo_gradient(at: &[f64], gradient: &[f64], l1: f64, penalised: usize) -> Vec<f64> {
    let mut pseudo = gradient.to_vec();
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

/// The direction of descent by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4).
fn two_loop(memory: &VecDeque<Pair>, gradient: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut factors = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let factor = dot(&pair.step, &direction) / pair.curvature;
        direction.iter_mut().zip(&pair.change).for_each(|(d, y)| *d -= factor * y);
        factors.push(factor);
    }
    if let Some(last) = memory.back() {
        let scale = last.curvature / dot(&last.change, &last.change);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for (pair, factor) in memory.iter().zip(factors.iter().rev()) {
        let back = dot(&pair.change, &direction) / pair.curvature;
        direction.iter_mut().zip(&pair.step).for_each(|(d, s)| *d += (factor - back) * s);
    }
    direction
}

/// `at + size * direction`, in which penalised weights do not leave their orthant.
fn step_within_orthant(at: &[f64], direction: &[f64], steepest: &[f64], size: f64, penalised: usize) -> Vec<f64> {
    let mut next: Vec<f64> = at.iter().zip(direction).map(|(at, d)| at + size * d).collect();
    for ((next, &at), &g) in next.iter_mut().zip(at).zip(steepest).take(penalised) {
        let side = if at != 0.0 { at } else { -g };
        if *next * side <= 0.0 {
            *next = 0.0;
        }
    }
    next
}

fn remember(memory: &mut VecDeque<Pair>, at: &[f64], next: &[f64], gradient: &[f64], next_gradient: &[f64]) {
    let step: Vec<f64> = next.iter().zip(at).map(|(next, at)| next - at).collect();
    let change: Vec<f64> = next_gradient.iter().zip(gradient).map(|(next, old)| next - old).collect();
    let curvature = dot(&step, &change);
    if curvature <= 1e-12 * dot(&change, &change) {
        return;
    }
    if memory.len() == MEMORY {
        memory.pop_front();
    }
    memory.push_back(Pair { step, change, curvature });
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

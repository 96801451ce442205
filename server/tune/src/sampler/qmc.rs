//! Points that fill a space more evenly than chance does.

use tenor_domain::Error;
use tenor_features::random::Random;

use super::Sampler;
use crate::history::{History, random_of};
use crate::space::{AxisKind, Point, Space};

/// The Halton sequence with digits permuted by the seed (Owen 2017, "A randomized Halton algorithm in R"): each axis has a prime of its own as
/// base. The point of a trial depends on its number and the study's seed alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuasiRandom;

impl Sampler for QuasiRandom {
    fn suggest(&self, space: &Space, _: History<'_>, study_seed: u64, number: u64) -> Result<Point, Error> {
        let primes = primes(space.params().len());
        Ok(space.build(|at, axis| {
            let even = halton(number, primes[at], &mut random_of(study_seed, at as u64));
            match axis.kind {
                AxisKind::Choices { count } => (even * count as f64).floor(),
                _ => even,
            }
        }))
    }
}

/// Number `index` of the sequence of `base`: digits of the index, mirrored at the point, each place with a permutation of its own.
fn halton(index: u64, base: u64, random: &mut Random) -> f64 {
    let (mut left, mut scale, mut sum) = (index, 1.0, 0.0);
    // Beyond these places digits no longer show in a double.
    while scale > f64::EPSILON / 4.0 {
        let mut digits: Vec<u64> = (0..base).collect();
        random.shuffle(&mut digits);
        scale /= base as f64;
        sum += digits[(left % base) as usize] as f64 * scale;
        left /= base;
    }
    sum.min(1.0 - f64::EPSILON)
}

fn primes(count: usize) -> Vec<u64> {
    let mut primes: Vec<u64> = Vec::with_capacity(count);
    let mut candidate = 2;
    while primes.len() < count {
        if primes.iter().all(|prime| candidate % prime != 0) {
            primes.push(candidate);
        }
        candidate += 1;
    }
    primes
}

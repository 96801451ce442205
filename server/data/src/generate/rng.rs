//! A small random stream whose bytes never change with a library.

use crate::split::mix;

/// SplitMix64.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(stream, seed))
    }
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0, 0)
    }
    /// In [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
    }
    pub(super) fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
    /// Index by weights that add up to `total`.
    pub(super) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut at = self.unit() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            at -= weight;
            if at < 0.0 {
                return index;
            }
        }
        weights.len() - 1
    }
    /// Standard normal (sum of 12 uniforms).
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
    /// Value at a random share of `curve`, points (share, value) joined by lines.
    pub(super) fn quantile(&mut self, curve: &[(f64, f64)]) -> f64 {
        let share = self.unit();
        let at = curve.partition_point(|(s, _)| *s <= share).clamp(1, curve.len() - 1);
        let ((s0, v0), (s1, v1)) = (curve[at - 1], curve[at]);
        v0 + (v1 - v0) * ((share - s0) / (s1 - s0)).clamp(0.0, 1.0)
    }
}

/// Draws an index in constant time (Vose 1991).
pub(super) struct Alias {
    share: Vec<f64>,
    other: Vec<u32>,
}

impl Alias {
    pub(super) fn new(weights: &[f64]) -> Self {
        let n = weights.len();
        let sum: f64 = weights.iter().sum();
        let mut share: Vec<f64> = weights.iter().map(|w| w / sum * n as f64).collect();
        let mut other: Vec<u32> = (0..n as u32).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| share[*i] < 1.0);
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            other[less] = more as u32;
            share[more] -= 1.0 - share[less];
            if share[more] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        large.into_iter().chain(small).for_each(|i| share[i] = 1.0);
        Self { share, other }
    }
    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        let at = rng.below(self.share.len());
        if rng.unit() < self.share[at] { at } else { self.other[at] as usize }
    }
}

//! Tall matrices as panels of sixteen columns.
//!
//! A sparse product reads one row of the dense matrix for each entry. With sixteen columns a row is one cache line, and a
//! panel of 20,000 rows stays near the cache, whereas all 110 columns at once would not.

use crate::random::Random;

/// Columns a panel: one cache line of `f32`.
pub(super) const LANES: usize = 16;

/// One row of a panel.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub(super) struct Lanes(pub [f32; LANES]);

impl Lanes {
    pub const ZERO: Self = Self([0.0; LANES]);

    /// Adds `scale * other`: plain multiplications and additions, so that every processor gives the same bits.
    #[inline(always)]
    pub fn add_scaled(&mut self, scale: f32, other: &Self) {
        for (lane, value) in self.0.iter_mut().zip(&other.0) {
            *lane += scale * value;
        }
    }
}

/// A matrix of `rows` times `panels.len() * LANES`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panels {
    pub rows: usize,
    pub panels: Vec<Vec<Lanes>>,
}

impl Panels {
    /// Independent numbers, uniform from -1 to 1. Halko, Martinsson and Tropp take Gaussian ones; here these serve as well
    /// (see the golden test) and need no logarithm, whose last bit differs from platform to platform.
    pub fn random(rows: usize, panels: usize, seed: u64) -> Self {
        let panel = |number: usize| {
            let mut random = Random::new(seed, number as u64);
            let mut lanes = || Lanes(std::array::from_fn(|_| (random.unit() * 2.0 - 1.0) as f32));
            (0..rows).map(|_| lanes()).collect()
        };
        Self { rows, panels: (0..panels).map(panel).collect() }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.panels.len() * LANES
    }
}

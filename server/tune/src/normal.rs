//! The normal distribution.

use tenor_features::random::Random;

/// A normal number (Box and Muller 1958).
pub(crate) fn draw(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

/// What lies below `at`; precise also far below 0, so take that of `-at` for what lies above.
pub(crate) fn cumulative(at: f64) -> f64 {
    0.5 * libm::erfc(-at * std::f64::consts::FRAC_1_SQRT_2)
}

//! Whole sums as floating-point numbers.

/// A whole number of no more bits is exact as `f64` by way of [`exact`].
pub(crate) const EXACT_BITS: u32 = 51;

/// `units` as `f64`, for numbers of up to `EXACT_BITS` bits: they take the place of the lowest bits of 1.5 * 2^52. Unlike a cast this is
/// fast in vectors of every machine.
#[inline(always)]
pub(crate) fn exact(units: i64) -> f64 {
    const SHIFT: f64 = 1.5 * (1u64 << 52) as f64;
    f64::from_bits(units.wrapping_add(SHIFT.to_bits() as i64) as u64) - SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_sums_are_exact_as_numbers() {
        for units in [0, 1, -1, 12_345, -98_765_432_101, (1 << EXACT_BITS) - 1, 1 - (1 << EXACT_BITS)] {
            assert_eq!(exact(units), units as f64);
        }
    }
}

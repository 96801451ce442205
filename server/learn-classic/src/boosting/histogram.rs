//! Sums of derivatives by bin.
//!
//! Derivatives are whole multiples of a power of two, and the count of rows sits in the low bits of the second sum: one addition of two
//! 64-bit numbers updates all three, sums are exact whatever their order, and a sibling's histogram is an exact difference. With 2^b rows a
//! derivative keeps 62 - 2 b bits below the largest one, and never more than 51 - b: 30 for 40,000 rows, where scikit-learn's `f32` has 24.

use super::loss::Derivatives;
use crate::trees::binner::Column;
use crate::trees::exact::EXACT_BITS;

/// Columns that are summed together: a row is read once for all of them.
pub(super) const LANES: usize = 4;

/// The gradient; the hessian above `count_bits` bits that hold the count.
pub(super) type Pair = [i64; 2];
/// One column: 64, 128 or 256 bins, whichever hold those of all columns. No more than needed, since a tree keeps a histogram for every
/// node that may still be split.
pub(super) type Bins<const BINS: usize> = [Pair; BINS];
/// The bins of `LANES` columns, row by row.
pub(super) type Block = Vec<[u8; LANES]>;

/// The columns in blocks; the last one is filled up with zeros.
pub(super) fn blocks(columns: &[Column], rows: usize) -> Vec<Block> {
    let block = |columns: &[Column]| {
        let mut block = vec![[0; LANES]; rows];
        for (lane, column) in columns.iter().enumerate() {
            block.iter_mut().zip(&column.codes).for_each(|(row, code)| row[lane] = *code);
        }
        block
    };
    columns.chunks(LANES).map(block).collect()
}

/// How derivatives become whole numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Units {
    count_bits: u32,
    gradient: f64,
    hessian: f64,
}

impl Units {
    pub fn new(derivatives: &[Derivatives]) -> Self {
        let count_bits = usize::BITS - derivatives.len().leading_zeros();
        let bits = (62 - 2 * count_bits).min(EXACT_BITS - count_bits);
        let largest = |of: fn(&Derivatives) -> f32| derivatives.iter().map(of).fold(f32::MIN_POSITIVE, f32::max);
        let unit = |largest: f32| (f64::from(bits) - f64::from(largest).log2().ceil()).exp2();
        Self { count_bits, gradient: unit(largest(|pair| pair.0.abs())), hessian: unit(largest(|pair| pair.1)) }
    }
    pub fn pack(&self, (gradient, hessian): Derivatives) -> Pair {
        // Rounded to nearest; `round` is a call on plain x86-64, truncation an instruction.
        let gradient = f64::from(gradient) * self.gradient;
        let hessian = (f64::from(hessian) * self.hessian + 0.5) as i64;
        [(gradient + 0.5f64.copysign(gradient)) as i64, hessian << self.count_bits | 1]
    }
    /// A gradient of so many units.
    pub fn gradient(&self, units: i64) -> f64 {
        units as f64 / self.gradient
    }
    pub fn hessian(&self, units: i64) -> f64 {
        units as f64 / self.hessian
    }
    /// The sum of hessians in units.
    #[inline(always)]
    pub fn whole_hessian(&self, sums: Pair) -> i64 {
        // Never negative. Not every machine shifts signs in vectors.
        (sums[1] as u64 >> self.count_bits) as i64
    }
    #[inline(always)]
    pub fn count(&self, sums: Pair) -> u64 {
        (sums[1] & ((1 << self.count_bits) - 1)) as u64
    }
}

/// Sums the pairs of `rows` by the bins of one block's columns.
pub(super) fn add_up<const BINS: usize>(bins: &mut [Bins<BINS>], block: &Block, rows: &[u32], pairs: &[Pair]) {
    if let [first, second, third, fourth] = bins {
        for (&row, pair) in rows.iter().zip(pairs) {
            let codes = block[row as usize];
            add(first, codes[0], pair);
            add(second, codes[1], pair);
            add(third, codes[2], pair);
            add(fourth, codes[3], pair);
        }
        return;
    }
    for (lane, bins) in bins.iter_mut().enumerate() {
        for (&row, pair) in rows.iter().zip(pairs) {
            add(bins, block[row as usize][lane], pair);
        }
    }
}

#[inline(always)]
fn add<const BINS: usize>(bins: &mut Bins<BINS>, code: u8, pair: &Pair) {
    // Codes are below `BINS` in any case; this way the compiler need not check it.
    const { assert!(BINS.is_power_of_two()) };
    let sums = &mut bins[usize::from(code) & (BINS - 1)];
    *sums = [sums[0] + pair[0], sums[1] + pair[1]];
}

/// Takes `other` away, bin by bin.
#[inline(always)]
pub(super) fn subtract(bins: &mut [Pair], other: &[Pair]) {
    for (sums, other) in bins.iter_mut().zip(other) {
        *sums = [sums[0] - other[0], sums[1] - other[1]];
    }
}

//! The few distributions that judging needs.

/// The 97.5 % quantile of the standard normal distribution.
pub const Z95: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share of `hits` among `rows` (Wilson 1927); (0, 1) without rows.
pub fn wilson(hits: u64, rows: u64) -> (f64, f64) {
    if rows == 0 {
        return (0.0, 1.0);
    }
    let (rows, share) = (rows as f64, hits as f64 / rows as f64);
    let square = Z95 * Z95;
    let middle = (share + square / (2.0 * rows)) / (1.0 + square / rows);
    let half = Z95 / (1.0 + square / rows) * (share * (1.0 - share) / rows + square / (4.0 * rows * rows)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The chance that a chi-square variable of one degree of freedom is `value` or more: `erfc(sqrt(value / 2))`.
pub fn chi_square_tail(value: f64) -> f64 {
    erfc((value.max(0.0) / 2.0).sqrt())
}

/// The chance of `hits` or fewer heads in `throws` throws of a fair coin. For small `throws`: exact up to rounding.
pub fn fair_coin_at_most(hits: u64, throws: u64) -> f64 {
    let mut term = 0.5f64.powi(throws.min(1_000) as i32);
    let mut sum = 0.0;
    for heads in 0..=hits.min(throws) {
        sum += term;
        term *= (throws - heads) as f64 / (heads + 1) as f64;
    }
    sum.min(1.0)
}

/// The complementary error function for `x` of 0 or more. Below 2 the series of erf (Abramowitz and Stegun 7.1.6), above the
/// continued fraction 7.1.14 by Lentz's method. Relative error about 1e-14.
fn erfc(x: f64) -> f64 {
    let two_over_sqrt_pi = std::f64::consts::FRAC_2_SQRT_PI;
    if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > sum * 1e-17 && n < 200.0 {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return (1.0 - two_over_sqrt_pi * (-x * x).exp() * sum).clamp(0.0, 1.0);
    }
    let (mut fraction, mut c, mut d) = (x, x, 0.0);
    for n in 1..500 {
        let a = f64::from(n) / 2.0;
        d = 1.0 / (x + a * d);
        c = x + a / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    (-x * x).exp() / fraction * two_over_sqrt_pi / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    /// statsmodels 0.15.0 and scipy 1.17.1, within 1e-12.
    #[test]
    fn intervals_and_tails_equal_statsmodels_and_scipy() {
        let golden = golden();
        for case in golden["compare"]["wilson"].as_array().unwrap() {
            let (low, high) = wilson(case[0].as_u64().unwrap(), case[1].as_u64().unwrap());
            assert!((low - case[2].as_f64().unwrap()).abs() < 1e-12, "{case}");
            assert!((high - case[3].as_f64().unwrap()).abs() < 1e-12, "{case}");
        }
        for case in golden["compare"]["chi_square"].as_array().unwrap() {
            let (ours, theirs) = (chi_square_tail(case[0].as_f64().unwrap()), case[1].as_f64().unwrap());
            assert!((ours - theirs).abs() <= 1e-12 * theirs.max(1e-300), "{case}: {ours}");
        }
    }

    #[test]
    fn no_rows_tell_nothing() {
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert_eq!(fair_coin_at_most(0, 0), 1.0);
        assert_eq!(fair_coin_at_most(3, 3), 1.0);
        assert_eq!(fair_coin_at_most(1, 3), 0.5);
    }
}

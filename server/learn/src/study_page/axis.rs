//! Axes with round ticks, and numbers as text.

use crate::plot::svg::thousands;

/// Numbers beyond this are drawn at the edge: differences of larger ones overflow.
const LARGEST: f64 = 1e300;
/// Fewer values than this are never cut off.
const FEWEST_TO_CUT: usize = 12;

/// A scale from values to shares of a length.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// The ends, as logarithms when `log`.
    low: f64,
    high: f64,
    log: bool,
    /// Where a tick stands as a share of the length, and what it says.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to `high` and a little further, with about `count` ticks.
    pub fn linear((low, high): (f64, f64), count: usize) -> Self {
        let (low, high) = padded(low.max(-LARGEST), high.min(LARGEST));
        let mut axis = Self { low, high, log: false, ticks: Vec::new() };
        axis.round_ticks(step(high - low, count));
        axis
    }

    /// The same for whole numbers: no tick between them.
    pub fn whole((low, high): (i64, i64), count: usize) -> Self {
        let (low, high) = (low as f64, high as f64);
        let pad = ((high - low) * 0.02).max(0.5);
        let mut axis = Self { low: low - pad, high: high + pad, log: false, ticks: Vec::new() };
        axis.round_ticks(step(high - low, count).max(1.0));
        axis
    }

    /// A logarithmic axis; a linear one where a value is not positive.
    pub fn log((low, high): (f64, f64), count: usize) -> Self {
        if low <= 0.0 {
            return Self::linear((low, high), count);
        }
        let high = high.min(LARGEST);
        let (from, to) = padded(low.log10(), high.log10());
        let mut axis = Self { low: from, high: to, log: true, ticks: Vec::new() };
        let decades = to - from;
        let multiples: &[f64] = if decades < 1.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = ((decades / count.max(1) as f64).ceil() as i32).max(1);
        for decade in from.floor() as i32..=to.ceil() as i32 {
            if decade.rem_euclid(every) != 0 {
                continue;
            }
            for multiple in multiples {
                axis.tick(multiple * 10f64.powi(decade), None);
            }
        }
        if axis.ticks.len() < 2 {
            axis.ticks.clear();
            axis.tick(low, None);
            if high > low {
                axis.tick(high, None);
            }
        }
        axis
    }

    /// One place a category, half a place of room at both ends.
    pub fn categories(names: &[String], count: usize) -> Self {
        let places = names.len().max(1);
        let mut axis = Self { low: -0.5, high: places as f64 - 0.5, log: false, ticks: Vec::new() };
        for (at, name) in names.iter().enumerate().step_by(places.div_ceil(count.max(1))) {
            axis.ticks.push((axis.share(at as f64), name.clone()));
        }
        axis
    }

    /// Where `value` stands, from 0 to 1; at the edge when it is outside.
    pub fn share(&self, value: f64) -> f64 {
        let value = if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    pub fn is_outside(&self, value: f64) -> bool {
        let value = if self.log { value.log10() } else { value };
        value < self.low || value > self.high
    }

    fn round_ticks(&mut self, step: f64) {
        let (first, last) = ((self.low / step).ceil(), (self.high / step).floor());
        if last - first > 50.0 || !first.is_finite() {
            return;
        }
        let mut at = first;
        while at <= last {
            self.tick(at * step, Some(step));
            at += 1.0;
        }
    }

    fn tick(&mut self, value: f64, step: Option<f64>) {
        if !self.is_outside(value) {
            let label = match step {
                Some(step) => tick_label(value, step),
                None if value < 1e-3 => trimmed_exponent(&format!("{value:.4e}")),
                None if value.fract() == 0.0 && (1e3..1e6).contains(&value) => thousands(value as u64),
                None => number(value),
            };
            self.ticks.push((self.share(value), label));
        }
    }
}

/// The ends moved apart a little; more when they are equal.
fn padded(low: f64, high: f64) -> (f64, f64) {
    let pad = match high - low {
        0.0 if low == 0.0 => 1.0,
        0.0 => low.abs() * 0.1,
        range => range * 0.04,
    };
    (low - pad, high + pad)
}

/// The round distance (1, 2 or 5 times a power of ten) that gives about `count` ticks over `range`.
fn step(range: f64, count: usize) -> f64 {
    let rough = (range / count.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let multiple = match rough / power {
        part if part < 1.5 => 1.0,
        part if part < 3.5 => 2.0,
        part if part < 7.5 => 5.0,
        _ => 10.0,
    };
    multiple * power
}

/// `value` with as many digits as ticks `step` apart need.
fn tick_label(value: f64, step: f64) -> String {
    if value.abs() < step / 2.0 {
        return "0".to_owned();
    }
    let place = step.log10().floor();
    if value.abs() >= 1e6 || place < -6.0 {
        let digits = (value.abs().log10().floor() - place).clamp(0.0, 12.0) as usize;
        return trimmed_exponent(&format!("{value:.digits$e}"));
    }
    let text = format!("{value:.*}", (-place).max(0.0) as usize);
    match text.parse::<i64>() {
        Ok(whole) if whole >= 1000 => thousands(whole as u64),
        _ => text,
    }
}

/// `value` in at most five significant digits, without zeros at its end.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "-∞" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if size.fract() == 0.0 && size < 1e7 {
        return format!("{value}");
    }
    if !(1e-4..1e6).contains(&size) {
        return trimmed_exponent(&format!("{value:.4e}"));
    }
    let decimals = (4.0 - size.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `1.2000e-5` without the zeros.
fn trimmed_exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else { return text.to_owned() };
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}e{exponent}")
}

/// The range of `values` that is worth drawing. A few far values would press all others flat, so they are cut off: on
/// the worse side only when it is known, on both otherwise. Infinite values do not count.
pub(super) fn range(values: impl Iterator<Item = f64>, maximize: Option<bool>) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let (&low, &high) = (values.first()?, values.last()?);
    if values.len() < FEWEST_TO_CUT {
        return Some((low, high));
    }
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    // How far the worst may be from the rest, counted in the width of the rest.
    let (body_low, body_high) = match maximize {
        Some(true) => (at(0.1), high),
        Some(false) => (low, at(0.9)),
        None => (at(0.05), at(0.95)),
    };
    let body = body_high - body_low;
    let cut_low = if body > 0.0 && body_low - low > 2.0 * body { body_low - 0.5 * body } else { low };
    let cut_high = if body > 0.0 && high - body_high > 2.0 * body { body_high + 0.5 * body } else { high };
    Some((cut_low, cut_high))
}

//! The profile of accepted rows, computed in one pass: counts, distinct values, quantiles.

use std::collections::{BTreeMap, HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use crate::{LabelKind, LanguageProfile};

/// Statistics of a column of whole numbers.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NumberProfile {
    pub min: i64,
    pub max: i64,
    pub mean: f64,
    /// Sample standard deviation (n - 1); 0 for one value.
    pub std: f64,
    /// Value by share (`p01` .. `p99`), linear between neighbours.
    pub quantiles: BTreeMap<String, f64>,
    /// Greatest error of a quantile, in the column's unit; 0 when exact (up to 131,072 distinct values).
    pub quantile_error: i64,
}

/// One column of the accepted rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ColumnProfile {
    pub name: String,
    /// The column of the source that it came from.
    pub source: Option<String>,
    pub rows: u64,
    pub nulls: u64,
    /// Distinct values that are not null.
    pub distinct: u64,
    /// Whether `distinct` is exact (up to 65,536); else its standard error is 0.7 %.
    pub distinct_exact: bool,
    /// Bytes of the values.
    pub size_bytes: u64,
    pub numbers: Option<NumberProfile>,
}

/// Rows of one label.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LabelCount {
    pub label: String,
    pub rows: u64,
    pub share: f64,
}

/// What the accepted rows look like.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Profile {
    pub rows: u64,
    pub label_kind: LabelKind,
    /// Columns of the accepted table, then `text_chars` and `text_words`.
    pub columns: Vec<ColumnProfile>,
    /// By label, in the order of their text.
    pub labels: Vec<LabelCount>,
    /// Of a sample of the texts. Stored profiles of before lack it and read as 0 texts looked at.
    #[serde(default)]
    pub languages: LanguageProfile,
    /// Columns of the source that have no role and were left out.
    pub left_out: Vec<String>,
    /// Bytes of all values.
    pub size_bytes: u64,
}

impl Profile {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Counts distinct hashes: exact up to a limit, then by adaptive sampling (Wegman; Flajolet 1990).
#[derive(Debug, Default)]
pub(crate) struct Distinct {
    seen: HashSet<u64>,
    /// Hashes whose lowest bits are not zero are left out.
    skipped_bits: u32,
}

impl Distinct {
    const LIMIT: usize = 65_536;

    pub(crate) fn add(&mut self, hash: u64) {
        if hash & ((1 << self.skipped_bits) - 1) != 0 {
            return;
        }
        self.seen.insert(hash);
        while self.seen.len() > Self::LIMIT && self.skipped_bits < 63 {
            self.skipped_bits += 1;
            let mask = (1 << self.skipped_bits) - 1;
            self.seen.retain(|hash| hash & mask == 0);
        }
    }
    fn estimate(&self) -> u64 {
        (self.seen.len() as u64) << self.skipped_bits
    }
}

/// Exact sums and a histogram of whole numbers.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    count: u64,
    sum: i128,
    squares: f64,
    /// First value: sums are taken of the distance from it, so that squares keep their digits.
    origin: Option<i64>,
    min: i64,
    max: i64,
    /// Rows by `value >> shift`.
    rows: HashMap<i64, u64>,
    shift: u32,
}

impl Numbers {
    const LIMIT: usize = 131_072;

    pub(crate) fn add(&mut self, value: i64) {
        let origin = *self.origin.get_or_insert(value);
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        }
        self.count += 1;
        let distance = i128::from(value) - i128::from(origin);
        self.sum += distance;
        self.squares += (distance * distance) as f64;
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        *self.rows.entry(value >> self.shift).or_default() += 1;
        while self.rows.len() > Self::LIMIT {
            self.shift += 1;
            let mut coarse = HashMap::new();
            for (key, rows) in self.rows.drain() {
                *coarse.entry(key >> 1).or_default() += rows;
            }
            self.rows = coarse;
        }
    }

    fn profile(&self) -> Option<NumberProfile> {
        let n = self.count as f64;
        let offset = self.sum as f64 / n;
        let mean = self.origin? as f64 + offset;
        let std = if self.count > 1 { ((self.squares - n * offset * offset).max(0.0) / (n - 1.0)).sqrt() } else { 0.0 };
        let mut sorted: Vec<_> = self.rows.iter().map(|(key, rows)| (*key << self.shift, *rows)).collect();
        sorted.sort_unstable();
        let at = |rank: u64| {
            let mut before = 0;
            for (value, rows) in &sorted {
                before += rows;
                if rank < before {
                    return (*value).clamp(self.min, self.max) as f64;
                }
            }
            self.max as f64
        };
        let quantiles = [1, 5, 10, 25, 50, 75, 90, 95, 99].into_iter().map(|percent| {
            let position = (self.count - 1) as f64 * f64::from(percent) / 100.0;
            let (low, high) = (at(position.floor() as u64), at(position.ceil() as u64));
            (format!("p{percent:02}"), low + (high - low) * position.fract())
        });
        Some(NumberProfile {
            min: self.min,
            max: self.max,
            mean,
            std,
            quantiles: quantiles.collect(),
            quantile_error: (1i64 << self.shift) - 1,
        })
    }
}

/// One column while it is read.
#[derive(Debug, Default)]
pub(crate) struct ColumnState {
    rows: u64,
    nulls: u64,
    size_bytes: u64,
    distinct: Distinct,
    numbers: Option<Numbers>,
}

impl ColumnState {
    pub(crate) fn of_numbers() -> Self {
        Self { numbers: Some(Numbers::default()), ..Self::default() }
    }
    pub(crate) fn add_text(&mut self, value: Option<&str>) {
        self.add_hashed(value.map(|v| (xxh3_64(v.as_bytes()), v.len())));
    }
    pub(crate) fn add_hashed(&mut self, value: Option<(u64, usize)>) {
        self.rows += 1;
        match value {
            Some((hash, bytes)) => {
                self.size_bytes += bytes as u64;
                self.distinct.add(hash);
            }
            None => self.nulls += 1,
        }
    }
    pub(crate) fn add_number(&mut self, value: Option<i64>) {
        self.add_hashed(value.map(|v| (xxh3_64(&v.to_le_bytes()), 8)));
        if let (Some(numbers), Some(value)) = (&mut self.numbers, value) {
            numbers.add(value);
        }
    }
    pub(crate) fn finish(&self, name: &str, source: Option<&str>) -> ColumnProfile {
        ColumnProfile {
            name: name.to_owned(),
            source: source.map(str::to_owned),
            rows: self.rows,
            nulls: self.nulls,
            distinct: self.distinct.estimate(),
            distinct_exact: self.distinct.skipped_bits == 0,
            size_bytes: self.size_bytes,
            numbers: self.numbers.as_ref().and_then(Numbers::profile),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_and_quantiles_state_their_error_when_there_are_too_many_values() {
        let (mut distinct, mut numbers) = (Distinct::default(), Numbers::default());
        for value in 0..1_000_000i64 {
            distinct.add(xxh3_64(&value.to_le_bytes()));
            numbers.add(value);
        }
        let share = distinct.estimate() as f64 / 1e6;
        assert!((share - 1.0).abs() < 0.03, "{share}");
        let profile = numbers.profile().unwrap();
        assert!((profile.mean - 499_999.5).abs() < 1e-9 && (profile.std - 288_675.278_93).abs() < 1e-3, "{profile:?}");
        let error = profile.quantile_error as f64;
        assert!(
            error > 0.0 && error < 16.0 && (profile.quantiles["p50"] - 499_999.5).abs() <= error + 1.0,
            "{profile:?}"
        );
    }
}

//! Term frequency times inverse document frequency, as scikit-learn's `TfidfVectorizer` defines it.
//!
//! Terms are word n-grams over tokens of two or more word characters (`\b\w\w+\b`). A value is
//! `tf * idf`, the row scaled to length 1, where tf is the count or, when sublinear, `1 + ln(count)`, and
//! `idf = ln((1 + documents) / (1 + document frequency)) + 1`. Columns ascend by text. Terms may also be n-grams of stems or of
//! characters ([`Analyzer`]), and columns hashes instead of terms ([`TfidfParams::hash_bits`]).
//!
//! Three deliberate differences: at the cut of `max_features` terms with equal counts rank by text (there: as an unstable
//! sort leaves them), combining marks belong to the word (there they split words of Indic scripts), and a word shorter than
//! the shortest n-gram of `char_wb` is left out (there it counts as a whole).

mod analyze;
mod cache;
mod count;
mod fit;
mod hashed;
#[cfg(test)]
mod tests;
mod tokens;
mod transform;
mod vocabulary;

use tenor_domain::Error;

use crate::arrays::{Array, Arrays, broken};

use analyze::Cutter;
pub use analyze::{Analyzer, Unit};
pub use cache::{CountCache, KnownCounts};
pub use fit::{fit, fit_transform};
use hashed::Hashing;
pub use tokens::tokens;
pub use transform::Scratch;
use vocabulary::{NONE, Vocabulary};

/// What becomes a term and how it counts.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TfidfParams {
    #[serde(flatten)]
    pub analyzer: Analyzer,
    /// Units a term: 1 to [`MAX_NGRAM`](Self::MAX_NGRAM) words, or 1 to [`MAX_CHAR_NGRAM`](Self::MAX_CHAR_NGRAM) characters.
    pub ngram_min: u32,
    pub ngram_max: u32,
    /// A term must occur in this many documents, at least 1.
    pub min_df: u32,
    /// A term may occur in this share of the documents, above 0, at most 1.
    pub max_df: f64,
    /// Only the terms with the most occurrences; `None` keeps all.
    pub max_features: Option<u32>,
    /// Whether a count of n counts as `1 + ln(n)`.
    pub sublinear: bool,
    /// With a number b, columns are hashes of terms, `2^b` of them: no vocabulary is kept, names are lost, and `min_df`, `max_df` and
    /// `max_features` play no part. 10 to 22.
    #[serde(default)]
    pub hash_bits: Option<u32>,
}

impl Default for TfidfParams {
    fn default() -> Self {
        Self {
            analyzer: Analyzer::default(),
            ngram_min: 1,
            ngram_max: 2,
            min_df: 2,
            max_df: 1.0,
            max_features: Some(20_000),
            sublinear: true,
            hash_bits: None,
        }
    }
}

impl TfidfParams {
    pub const MAX_NGRAM: u32 = 5;
    pub const MAX_CHAR_NGRAM: u32 = 8;
    pub const HASH_BITS: std::ops::RangeInclusive<u32> = 10..=22;

    /// Checks the ranges; the error names the field.
    pub fn check(&self) -> Result<(), Error> {
        self.analyzer.check()?;
        let longest = if self.analyzer.unit == Unit::Word { Self::MAX_NGRAM } else { Self::MAX_CHAR_NGRAM };
        if !(1..=longest).contains(&self.ngram_max) {
            return Err(Error::invalid("ngram_max", format!("must be 1 to {longest}, got {}", self.ngram_max)));
        }
        if !(1..=self.ngram_max).contains(&self.ngram_min) {
            return Err(Error::invalid("ngram_min", format!("must be 1 to ngram_max, got {}", self.ngram_min)));
        }
        if self.min_df == 0 {
            return Err(Error::invalid("min_df", "must be at least 1"));
        }
        if !(self.max_df > 0.0 && self.max_df <= 1.0) {
            return Err(Error::invalid(
                "max_df",
                format!("must be a share above 0 and at most 1, got {}", self.max_df),
            ));
        }
        if self.max_features == Some(0) {
            return Err(Error::invalid("max_features", "must be at least 1, or null for no limit"));
        }
        if let Some(bits) = self.hash_bits.filter(|bits| !Self::HASH_BITS.contains(bits)) {
            return Err(Error::invalid("hash_bits", format!("must be null or 10 to 22, got {bits}")));
        }
        Ok(())
    }

    fn hashing(&self) -> Option<Hashing> {
        let bits = self.hash_bits?;
        Some(Hashing { bits, ngram_min: self.ngram_min, ngram_max: self.ngram_max })
    }
}

/// What the columns are.
#[derive(Debug, Clone)]
enum Columns {
    Terms(Vocabulary),
    Hashed(Hashing),
}

/// A fitted vectorizer. `Send`, `Sync`, cheap to read from many threads.
#[derive(Debug, Clone)]
pub struct Tfidf {
    cutter: Cutter,
    columns: Columns,
    idf: Vec<f64>,
    sublinear: bool,
}

/// What a file holds besides terms and numbers, when it is not the default.
#[derive(serde::Serialize, serde::Deserialize)]
struct Layout {
    analyzer: Analyzer,
    hashing: Option<Hashing>,
}

impl Tfidf {
    fn new(params: &TfidfParams, columns: Columns, idf: Vec<f64>) -> Self {
        Self { cutter: Cutter::new(params.analyzer.clone()), columns, idf, sublinear: params.sublinear }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.idf.len()
    }
    /// The term of `column`; empty when there is none, as with hashed columns.
    pub fn term(&self, column: usize) -> &str {
        match &self.columns {
            Columns::Terms(vocabulary) => vocabulary.term(column),
            Columns::Hashed(_) => "",
        }
    }
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        (0..self.width()).map(|column| self.term(column))
    }
    pub fn idf(&self) -> &[f64] {
        &self.idf
    }
    /// What the units of the terms are.
    pub fn unit(&self) -> Unit {
        self.cutter.analyzer.unit
    }
    /// Whether columns are hashes and have no names.
    pub fn is_hashed(&self) -> bool {
        matches!(self.columns, Columns::Hashed(_))
    }

    /// Stores the fitted state under names that begin with `prefix`.
    pub fn save(&self, prefix: &str, arrays: &mut Arrays) {
        if let Columns::Terms(_) = self.columns {
            arrays.insert_texts(&format!("{prefix}.terms"), self.terms());
        }
        arrays.insert(format!("{prefix}.idf"), Array::F64(self.idf.clone()));
        arrays.insert(format!("{prefix}.sublinear"), Array::U64(vec![u64::from(self.sublinear)]));
        let hashing = match self.columns {
            Columns::Hashed(hashing) => Some(hashing),
            Columns::Terms(_) => None,
        };
        // Files of plain words are as they were before there was anything else.
        if hashing.is_some() || !self.cutter.analyzer.is_plain() {
            let layout = Layout { analyzer: self.cutter.analyzer.clone(), hashing };
            // Strings and numbers always serialise; an empty array would be refused on reading.
            arrays.insert(format!("{prefix}.layout"), Array::U8(serde_json::to_vec(&layout).unwrap_or_default()));
        }
    }

    /// Reads what [`save`](Self::save) stored; everything is checked.
    pub fn load(prefix: &str, arrays: &Arrays) -> Result<Self, Error> {
        let name = |part: &str| format!("{prefix}.{part}");
        let layout_name = name("layout");
        let wrong_layout = |why: String| broken(&layout_name, &why);
        let layout = match arrays.contains(&layout_name) {
            true => serde_json::from_slice(arrays.u8s(&layout_name)?)
                .map_err(|error| wrong_layout(format!("cannot be read: {error}")))?,
            false => Layout { analyzer: Analyzer::default(), hashing: None },
        };
        layout.analyzer.check().map_err(|error| wrong_layout(format!("is wrong: {error}")))?;
        let idf = arrays.f64s(&name("idf"))?.to_vec();
        let columns = match layout.hashing {
            Some(hashing) => {
                let Hashing { bits, ngram_min, ngram_max } = hashing;
                let analyzer = layout.analyzer.clone();
                let params =
                    TfidfParams { analyzer, ngram_min, ngram_max, hash_bits: Some(bits), ..TfidfParams::default() };
                params.check().map_err(|error| wrong_layout(format!("is wrong: {error}")))?;
                Columns::Hashed(hashing)
            }
            None => {
                let vocabulary = Vocabulary::new(&arrays.texts(&name("terms"))?, layout.analyzer.unit);
                Columns::Terms(vocabulary.map_err(|why| broken(&name("terms"), &why))?)
            }
        };
        let width = match &columns {
            Columns::Terms(vocabulary) => vocabulary.len(),
            Columns::Hashed(hashing) => hashing.width(),
        };
        if idf.len() != width {
            return Err(broken(&name("idf"), "must have one number a column"));
        }
        // A real one is at most ln(2^32) + 1; more could make a row overflow.
        if idf.iter().any(|value| !(*value > 0.0 && *value <= 1e3)) {
            return Err(broken(&name("idf"), "must hold numbers above 0 and at most 1000"));
        }
        let sublinear = match arrays.u64(&name("sublinear"))? {
            0 => false,
            1 => true,
            _ => return Err(broken(&name("sublinear"), "must be 0 or 1")),
        };
        Ok(Self { cutter: Cutter::new(layout.analyzer), columns, idf, sublinear })
    }
}

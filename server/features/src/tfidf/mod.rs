//! Term frequency times inverse document frequency, as scikit-learn's `TfidfVectorizer` defines it.
//!
//! Terms are word n-grams over tokens of two or more word characters (`\b\w\w+\b`). A value is
//! `tf * idf`, the row scaled to length 1, where tf is the count or, when sublinear, `1 + ln(count)`, and
//! `idf = ln((1 + documents) / (1 + document frequency)) + 1`. Columns ascend by text.
//!
//! Two deliberate differences: at the cut of `max_features` terms with equal counts rank by text (there: as an unstable
//! sort leaves them), and combining marks belong to the word (there they split words of Indic scripts).

mod count;
mod fit;
#[cfg(test)]
mod tests;
mod tokens;
mod transform;
mod vocabulary;

use tenor_domain::Error;

use crate::arrays::{Array, Arrays, broken};

pub use fit::{fit, fit_transform};
pub use tokens::tokens;
pub use transform::Scratch;
use vocabulary::Vocabulary;

/// What becomes a term and how it counts.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TfidfParams {
    /// Words a term, 1 to [`MAX_NGRAM`](Self::MAX_NGRAM).
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
}

impl Default for TfidfParams {
    fn default() -> Self {
        Self { ngram_min: 1, ngram_max: 2, min_df: 2, max_df: 1.0, max_features: Some(20_000), sublinear: true }
    }
}

impl TfidfParams {
    pub const MAX_NGRAM: u32 = 5;

    /// Checks the ranges; the error names the field.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=Self::MAX_NGRAM).contains(&self.ngram_max) {
            return Err(Error::invalid(
                "ngram_max",
                format!("must be 1 to {}, got {}", Self::MAX_NGRAM, self.ngram_max),
            ));
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
        Ok(())
    }
}

/// A fitted vectorizer. `Send`, `Sync`, cheap to read from many threads.
#[derive(Debug, Clone)]
pub struct Tfidf {
    vocabulary: Vocabulary,
    idf: Vec<f64>,
    sublinear: bool,
}

impl Tfidf {
    /// Number of columns.
    pub fn width(&self) -> usize {
        self.idf.len()
    }
    /// The term of `column`; empty when there is none.
    pub fn term(&self, column: usize) -> &str {
        self.vocabulary.term(column)
    }
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        (0..self.width()).map(|column| self.term(column))
    }
    pub fn idf(&self) -> &[f64] {
        &self.idf
    }

    /// Stores the fitted state under names that begin with `tfidf.`.
    pub fn save(&self, arrays: &mut Arrays) {
        arrays.insert_texts("tfidf.terms", self.terms());
        arrays.insert("tfidf.idf", Array::F64(self.idf.clone()));
        arrays.insert("tfidf.sublinear", Array::U64(vec![u64::from(self.sublinear)]));
    }

    /// Reads what [`save`](Self::save) stored; everything is checked.
    pub fn load(arrays: &Arrays) -> Result<Self, Error> {
        let terms = arrays.texts("tfidf.terms")?;
        let idf = arrays.f64s("tfidf.idf")?.to_vec();
        if idf.len() != terms.len() {
            return Err(broken("tfidf.idf", "must have one number a term"));
        }
        // A real one is at most ln(2^32) + 1; more could make a row overflow.
        if idf.iter().any(|value| !(*value > 0.0 && *value <= 1e3)) {
            return Err(broken("tfidf.idf", "must hold numbers above 0 and at most 1000"));
        }
        let sublinear = match arrays.u64("tfidf.sublinear")? {
            0 => false,
            1 => true,
            _ => return Err(broken("tfidf.sublinear", "must be 0 or 1")),
        };
        let vocabulary = Vocabulary::new(&terms).map_err(|why| broken("tfidf.terms", &why))?;
        Ok(Self { vocabulary, idf, sublinear })
    }
}

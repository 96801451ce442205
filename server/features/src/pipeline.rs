//! Prepared rows to the one sparse row that models learn from: terms first, then the numeric block.

use rayon::prelude::*;
use tenor_domain::Error;

use crate::Stop;
use crate::arrays::{Array, Arrays, broken};
use crate::contract::{FeatureContract, Prepared};
use crate::numeric::NumericScaler;
use crate::sparse::{CsrMatrix, SparseRow};
use crate::tfidf::{self, Tfidf, TfidfParams};

/// What the vectorizer is made of.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VectorizerParams {
    #[serde(flatten)]
    pub tfidf: TfidfParams,
    /// Weight of the term block, above 0.
    pub text_weight: f64,
    /// Weight of the numeric block, above 0.
    pub numeric_weight: f64,
    /// Whether there is a numeric block at all.
    pub use_numeric: bool,
}

impl Default for VectorizerParams {
    fn default() -> Self {
        Self { tfidf: TfidfParams::default(), text_weight: 1.0, numeric_weight: 1.0, use_numeric: true }
    }
}

impl VectorizerParams {
    /// Checks the ranges; the error names the field.
    pub fn check(&self) -> Result<(), Error> {
        self.tfidf.check()?;
        for (name, weight) in [("text_weight", self.text_weight), ("numeric_weight", self.numeric_weight)] {
            if !(weight > 0.0 && weight <= 1e6) {
                return Err(Error::invalid(name, format!("must be above 0 and at most 1e6, got {weight}")));
            }
        }
        Ok(())
    }
}

/// Rows as the vectorizer takes them: cleaned texts, and `width` numbers a row, complete.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub texts: &'a [String],
    pub numeric: &'a [f64],
    pub width: usize,
}

/// What a column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A word or several in a row.
    Term,
    /// A numeric feature of the contract.
    Numeric,
}

/// A fitted TF-IDF and numeric block with their weights.
#[derive(Debug, Clone)]
pub struct Vectorizer {
    tfidf: Tfidf,
    scaler: NumericScaler,
    text_weight: f64,
    numeric_weight: f64,
}

/// Room for one row at work; keep it to save allocations.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    tfidf: tfidf::Scratch,
    /// The last row that [`Vectorizer::transform_into`] made.
    pub row: SparseRow,
}

impl Vectorizer {
    /// Fits on `rows` and returns their matrix as well. The same for any number of threads.
    pub fn fit(rows: Rows<'_>, params: &VectorizerParams, stop: Stop<'_>) -> Result<(Self, CsrMatrix), Error> {
        params.check()?;
        check_rows(rows)?;
        let (tfidf, terms) = tfidf::fit_transform(rows.texts, &params.tfidf, stop)?;
        let scaler =
            if params.use_numeric { NumericScaler::fit(rows.width, rows.numeric) } else { NumericScaler::default() };
        let vectorizer = Self { tfidf, scaler, text_weight: params.text_weight, numeric_weight: params.numeric_weight };
        let matrix = vectorizer.join(terms, rows, stop)?;
        Ok((vectorizer, matrix))
    }

    /// The matrix of `rows`.
    pub fn transform(&self, rows: Rows<'_>, stop: Stop<'_>) -> Result<CsrMatrix, Error> {
        check_rows(rows)?;
        let terms = self.tfidf.transform(rows.texts, stop)?;
        self.join(terms, rows, stop)
    }

    /// Makes the row of one prepared input in `scratch.row`, without allocating once the scratch has grown.
    pub fn transform_into(&self, prepared: &Prepared, scratch: &mut Scratch) {
        let row = &mut scratch.row;
        self.tfidf.transform_into(&prepared.cleaned, 1.0, &mut scratch.tfidf, row);
        row.values.iter_mut().for_each(|value| *value = self.weighted(*value));
        self.append_numeric(&prepared.numeric, row);
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.tfidf.width() + self.scaler.width()
    }
    /// Number of term columns; the numeric ones follow.
    pub fn terms(&self) -> usize {
        self.tfidf.width()
    }
    pub fn tfidf(&self) -> &Tfidf {
        &self.tfidf
    }
    /// Kind and name of `column`; the names of numeric columns come from `contract`.
    pub fn feature<'a>(&'a self, column: usize, contract: &'a FeatureContract) -> (FeatureKind, &'a str) {
        match column.checked_sub(self.tfidf.width()) {
            None => (FeatureKind::Term, self.tfidf.term(column)),
            Some(at) => (FeatureKind::Numeric, contract.numeric.get(at).map_or("", |feature| feature.name.as_str())),
        }
    }

    /// Stores the fitted state.
    pub fn save(&self, arrays: &mut Arrays) {
        self.tfidf.save(arrays);
        self.scaler.save(arrays);
        arrays.insert("pipeline.weights", Array::F64(vec![self.text_weight, self.numeric_weight]));
    }

    /// Reads what [`save`](Self::save) stored, and checks that it fits `contract`.
    pub fn load(arrays: &Arrays, contract: &FeatureContract) -> Result<Self, Error> {
        let (tfidf, scaler) = (Tfidf::load(arrays)?, NumericScaler::load(arrays)?);
        if scaler.width() != 0 && scaler.width() != contract.numeric.len() {
            return Err(broken("numeric.mean", "must have one number a feature of the contract"));
        }
        match arrays.f64s("pipeline.weights")? {
            &[text_weight, numeric_weight] if [text_weight, numeric_weight].iter().all(|w| *w > 0.0 && *w <= 1e6) => {
                Ok(Self { tfidf, scaler, text_weight, numeric_weight })
            }
            _ => Err(broken("pipeline.weights", "must hold two weights above 0 and at most 1e6")),
        }
    }

    fn weighted(&self, value: f32) -> f32 {
        (f64::from(value) * self.text_weight) as f32
    }

    fn append_numeric(&self, values: &[f64], row: &mut SparseRow) {
        for feature in 0..self.scaler.width() {
            // A caller that skipped the contract may bring too few values: the mean stands in.
            let scaled = values.get(feature).map_or(0.0, |value| self.scaler.scaled(feature, *value));
            row.push((self.tfidf.width() + feature) as u32, (scaled * self.numeric_weight) as f32);
        }
    }

    fn join(&self, terms: CsrMatrix, rows: Rows<'_>, stop: Stop<'_>) -> Result<CsrMatrix, Error> {
        const CHUNK: usize = 4_096;
        let blocks: Result<Vec<CsrMatrix>, Error> = (0..terms.rows().div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                stop.check()?;
                let mut block = CsrMatrix::empty(self.width());
                let mut row = SparseRow::default();
                for index in chunk * CHUNK..terms.rows().min((chunk + 1) * CHUNK) {
                    row.clear();
                    let of_terms = terms.row(index);
                    row.columns.extend_from_slice(of_terms.columns);
                    row.values.extend(of_terms.values.iter().map(|&value| self.weighted(value)));
                    let numeric = rows.numeric.get(index * rows.width..(index + 1) * rows.width).unwrap_or_default();
                    self.append_numeric(numeric, &mut row);
                    block.push(row.as_ref());
                }
                Ok(block)
            })
            .collect();
        Ok(CsrMatrix::stack(self.width(), blocks?))
    }
}

fn check_rows(rows: Rows<'_>) -> Result<(), Error> {
    if rows.numeric.len() != rows.texts.len() * rows.width {
        let why = format!(
            "must be {} numbers for each of {} texts, got {}",
            rows.width,
            rows.texts.len(),
            rows.numeric.len()
        );
        return Err(Error::invalid("numeric", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(params: &VectorizerParams) -> (Vectorizer, CsrMatrix, Vec<Prepared>) {
        let texts: Vec<String> =
            (0..50).map(|i| format!("great book {} of the {}", "slow ".repeat(i % 4), i % 7)).collect();
        let numeric: Vec<f64> = (0..100).map(|i| f64::from(i * i) / 7.0).collect();
        let rows = Rows { texts: &texts, numeric: &numeric, width: 2 };
        let (vectorizer, matrix) = Vectorizer::fit(rows, params, Stop::never()).unwrap();
        assert_eq!(vectorizer.transform(rows, Stop::never()).unwrap(), matrix);
        let prepared =
            texts.into_iter().zip(numeric.chunks(2)).map(|(cleaned, row)| Prepared { cleaned, numeric: row.to_vec() });
        (vectorizer, matrix, prepared.collect())
    }

    #[test]
    fn a_row_is_the_same_alone_and_in_a_batch_before_and_after_saving() {
        let params = VectorizerParams { text_weight: 0.3, numeric_weight: 2.5, ..VectorizerParams::default() };
        let (vectorizer, matrix, prepared) = fit(&params);
        let numeric = ["x", "y"].map(|name| {
            serde_json::json!({ "name": name, "source": "caller", "min": 0.0, "max": 1.0, "mean": 0.0, "std": 1.0, "default": 0.0 })
        });
        let contract: FeatureContract = serde_json::from_value(serde_json::json!({
            "format": 1, "text_column": "t", "cleaning": "unicode", "min_chars": 1, "max_chars": 9,
            "lexicon": crate::text::lexicon_digest(), "classes": ["a", "b"], "stars": null,
            "numeric": numeric,
        }))
        .unwrap();
        let mut arrays = Arrays::default();
        vectorizer.save(&mut arrays);
        let loaded = Vectorizer::load(&arrays, &contract).unwrap();
        let mut scratch = Scratch::default();
        for (index, prepared) in prepared.iter().enumerate() {
            for vectorizer in [&vectorizer, &loaded] {
                vectorizer.transform_into(prepared, &mut scratch);
                assert_eq!(scratch.row.as_ref(), matrix.row(index));
            }
        }
        assert_eq!(vectorizer.feature(0, &contract), (FeatureKind::Term, "book"));
        assert_eq!(vectorizer.feature(vectorizer.width() - 1, &contract), (FeatureKind::Numeric, "y"));
        let mut narrow = contract;
        narrow.numeric.pop();
        assert!(Vectorizer::load(&arrays, &narrow).is_err());
    }

    #[test]
    fn without_the_numeric_block_there_are_only_terms() {
        let (vectorizer, matrix, _) = fit(&VectorizerParams { use_numeric: false, ..VectorizerParams::default() });
        assert_eq!(vectorizer.width(), vectorizer.terms());
        assert_eq!(matrix.width, vectorizer.terms());
    }

    #[test]
    fn rows_of_the_wrong_width_are_refused() {
        let rows = Rows { texts: &["aa bb".to_owned()], numeric: &[1.0], width: 2 };
        assert!(Vectorizer::fit(rows, &VectorizerParams::default(), Stop::never()).is_err());
    }
}

//! Prepared rows to what models learn from: one sparse row (terms, then numbers), or one dense row (components, then numbers).

use std::sync::OnceLock;

use rayon::prelude::*;
use tenor_domain::Error;
pub use tenor_domain::predict::FeatureKind;

use crate::Stop;
use crate::arrays::{Array, Arrays, broken};
use crate::contract::{FeatureContract, Prepared};
use crate::dense::DenseMatrix;
use crate::numeric::NumericScaler;
use crate::sparse::{CsrMatrix, RowRef, SparseRow};
use crate::svd::{SvdParams, TruncatedSvd};
use crate::tfidf::{self, Analyzer, KnownCounts, Tfidf, TfidfParams, Unit};

/// More columns than these make a truncated SVD of gigabytes.
const MAX_HASH_BITS_WITH_SVD: u32 = 18;

/// What the vectorizer is made of.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VectorizerParams {
    #[serde(flatten)]
    pub tfidf: TfidfParams,
    /// Shortest and longest n-gram of characters within words that make a second block of terms; `None` for no such block.
    pub char_ngrams: Option<(u32, u32)>,
    /// Weight of the term block, above 0.
    pub text_weight: f64,
    /// Weight of the numeric block, above 0.
    pub numeric_weight: f64,
    /// Whether there is a numeric block at all.
    pub use_numeric: bool,
    /// Replaces the terms by the components of a truncated SVD, each standardised; rows are dense then.
    pub svd: Option<SvdParams>,
}

impl Default for VectorizerParams {
    fn default() -> Self {
        Self {
            tfidf: TfidfParams::default(),
            char_ngrams: None,
            text_weight: 1.0,
            numeric_weight: 1.0,
            use_numeric: true,
            svd: None,
        }
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
        if let Some(characters) = self.characters() {
            let range = (characters.ngram_min, characters.ngram_max);
            characters.check().map_err(|_| {
                let longest = TfidfParams::MAX_CHAR_NGRAM;
                Error::invalid(
                    "char_ngrams",
                    format!("must be null or two ascending lengths from 1 to {longest}, got {range:?}"),
                )
            })?;
        }
        if self.svd.is_some() && self.tfidf.hash_bits.is_some_and(|bits| bits > MAX_HASH_BITS_WITH_SVD) {
            let why = format!(
                "must be at most {MAX_HASH_BITS_WITH_SVD} together with components: each has a number for every column"
            );
            return Err(Error::invalid("hash_bits", why));
        }
        self.svd.iter().try_for_each(SvdParams::check)
    }

    /// The second block of terms.
    fn characters(&self) -> Option<TfidfParams> {
        let (ngram_min, ngram_max) = self.char_ngrams?;
        let analyzer = Analyzer { unit: Unit::CharWb, ..Analyzer::default() };
        Some(TfidfParams { analyzer, ngram_min, ngram_max, ..self.tfidf.clone() })
    }
}

/// Rows as the vectorizer takes them: cleaned texts, and `width` numbers a row, complete.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub texts: &'a [String],
    pub numeric: &'a [f64],
    pub width: usize,
}

/// The rows of a matrix, as the models of the vectorizer's kind take them.
#[derive(Debug, Clone, PartialEq)]
pub enum Matrix {
    Sparse(CsrMatrix),
    Dense(DenseMatrix),
}

impl Matrix {
    pub fn rows(&self) -> usize {
        match self {
            Self::Sparse(matrix) => matrix.rows(),
            Self::Dense(matrix) => matrix.rows(),
        }
    }
    pub fn width(&self) -> usize {
        match self {
            Self::Sparse(matrix) => matrix.width,
            Self::Dense(matrix) => matrix.width,
        }
    }
}

/// A fitted TF-IDF, perhaps reduced to components, and numeric block with their weights.
#[derive(Debug, Clone)]
pub struct Vectorizer {
    /// Blocks of terms, side by side: one, or one of words and one of characters.
    text: Vec<Tfidf>,
    reduced: Option<Reduced>,
    scaler: NumericScaler,
    text_weight: f64,
    numeric_weight: f64,
}

/// The truncated SVD of the terms and the standard scaling of its components.
#[derive(Debug, Clone)]
struct Reduced {
    svd: TruncatedSvd,
    scaler: NumericScaler,
    /// The terms that weigh most in each component, for people to read; made when somebody does.
    names: OnceLock<Vec<String>>,
}

/// `constant + sum of weight * TF-IDF value over the terms`: what a linear function of the components amounts to.
#[derive(Debug, Clone)]
pub struct Unfolded<'a> {
    svd: &'a TruncatedSvd,
    scale: Vec<f64>,
    pub constant: f64,
}

impl Unfolded<'_> {
    /// The weight of a term's TF-IDF value.
    pub fn weight(&self, term: usize) -> f64 {
        self.svd.weights(term).zip(&self.scale).map(|(weight, scale)| f64::from(weight) * scale).sum()
    }
}

/// Room for one row at work; keep it to save allocations.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    tfidf: tfidf::Scratch,
    /// The last row that [`Vectorizer::transform_into`] made of a sparse vectorizer; the terms of a dense one.
    pub row: SparseRow,
    /// The last row of a dense vectorizer.
    pub dense: Vec<f32>,
}

/// Names of the blocks in a model file.
const BLOCKS: [&str; 2] = ["tfidf", "characters"];

impl Vectorizer {
    /// Fits on `rows` and returns their matrix as well. The same for any number of threads; the seed is that of the SVD.
    pub fn fit(rows: Rows<'_>, params: &VectorizerParams, seed: u64, stop: Stop<'_>) -> Result<(Self, Matrix), Error> {
        let (vectorizer, text) = Self::fit_text(rows, params, seed, None, stop)?;
        let vectorizer = vectorizer.weighted(params);
        let matrix = vectorizer.join(&text, rows, stop)?;
        Ok((vectorizer, matrix))
    }

    /// Fits with both weights 1, whatever they are in `params`, and returns what the texts became before anything is scaled: TF-IDF values, or
    /// components. With [`weighted`](Self::weighted) and [`join`](Self::join) that is [`fit`](Self::fit). Terms may have been counted before.
    pub fn fit_text(
        rows: Rows<'_>,
        params: &VectorizerParams,
        seed: u64,
        known: Option<KnownCounts<'_>>,
        stop: Stop<'_>,
    ) -> Result<(Self, Matrix), Error> {
        params.check()?;
        check_rows(rows)?;
        let (words, mut terms) = tfidf::fit_transform(rows.texts, &params.tfidf, known, stop)?;
        let mut text = vec![words];
        if let Some(characters) = params.characters() {
            let (characters, more) = tfidf::fit_transform(rows.texts, &characters, known, stop)?;
            text.push(characters);
            terms = terms.beside(&more);
        }
        let scaler =
            if params.use_numeric { NumericScaler::fit(rows.width, rows.numeric) } else { NumericScaler::default() };
        let (reduced, components) = match &params.svd {
            None => (None, None),
            Some(svd) => {
                let (svd, components) = TruncatedSvd::fit(&terms, svd, seed, stop)?;
                let scaler = NumericScaler::fit(components.width, &components.values);
                (Some(Reduced { svd, scaler, names: OnceLock::new() }), Some(components))
            }
        };
        let vectorizer = Self { text, reduced, scaler, text_weight: 1.0, numeric_weight: 1.0 };
        Ok((vectorizer, components.map_or(Matrix::Sparse(terms), Matrix::Dense)))
    }

    /// With the weights of `params`.
    pub fn weighted(mut self, params: &VectorizerParams) -> Self {
        (self.text_weight, self.numeric_weight) = (params.text_weight, params.numeric_weight);
        self
    }

    /// The matrix of `rows` from what their texts became: [`fit_text`](Self::fit_text) returns it.
    pub fn join(&self, text: &Matrix, rows: Rows<'_>, stop: Stop<'_>) -> Result<Matrix, Error> {
        match (text, &self.reduced) {
            (Matrix::Sparse(terms), None) => self.join_sparse(terms, rows, stop).map(Matrix::Sparse),
            (Matrix::Dense(components), Some(reduced)) => {
                self.join_dense(components, reduced, rows, stop).map(Matrix::Dense)
            }
            _ => Err(Error::internal("texts became terms where components are wanted, or the other way round")),
        }
    }

    /// The matrix of `rows`.
    pub fn transform(&self, rows: Rows<'_>, stop: Stop<'_>) -> Result<Matrix, Error> {
        check_rows(rows)?;
        let mut terms: Option<CsrMatrix> = None;
        for block in &self.text {
            let more = block.transform(rows.texts, stop)?;
            terms = Some(match terms {
                None => more,
                Some(terms) => terms.beside(&more),
            });
        }
        let terms = terms.unwrap_or_else(|| CsrMatrix::empty(0));
        let text = match &self.reduced {
            None => Matrix::Sparse(terms),
            Some(reduced) => Matrix::Dense(reduced.svd.transform(&terms, stop)?),
        };
        self.join(&text, rows, stop)
    }

    /// Makes the row of one prepared input in `scratch.row`, or `scratch.dense` of a dense vectorizer. Without allocating once
    /// the scratch has grown, unless words are stemmed.
    pub fn transform_into(&self, prepared: &Prepared, scratch: &mut Scratch) {
        let Scratch { tfidf, row, dense } = scratch;
        row.clear();
        let mut first = 0;
        for block in &self.text {
            block.append(&prepared.cleaned, first, tfidf, row);
            first += block.width() as u32;
        }
        match &self.reduced {
            None => {
                row.values.iter_mut().for_each(|value| *value = self.of_term(*value));
                self.append_numeric(&prepared.numeric, row);
            }
            Some(reduced) => {
                dense.clear();
                dense.resize(self.width(), 0.0);
                let (components, numbers) = dense.split_at_mut(reduced.svd.components());
                reduced.svd.project_into(row.as_ref(), components);
                self.scale_components(reduced, components);
                self.scale_numbers(&prepared.numeric, numbers);
            }
        }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.reduced.as_ref().map_or(self.terms(), |reduced| reduced.svd.components()) + self.scaler.width()
    }
    /// Number of terms, whether they are columns or were reduced to components.
    pub fn terms(&self) -> usize {
        self.text.iter().map(Tfidf::width).sum()
    }
    /// Number of numeric columns, which are the last ones.
    pub fn numbers(&self) -> usize {
        self.scaler.width()
    }
    /// Whether rows are dense.
    pub fn is_dense(&self) -> bool {
        self.reduced.is_some()
    }
    /// The share of the terms' variance that the components of a dense vectorizer explain.
    pub fn explained_variance(&self) -> Option<f64> {
        self.reduced.as_ref().map(|reduced| reduced.svd.explained_variance_ratio().iter().sum())
    }
    /// Kind and name of `column`; the names of numeric columns come from `contract`.
    pub fn feature(&self, column: usize, contract: &FeatureContract) -> (FeatureKind, String) {
        let numbers_from = self.width() - self.scaler.width();
        if let Some(at) = column.checked_sub(numbers_from) {
            let name = contract.numeric.get(at).map_or("", |feature| feature.name.as_str());
            return (FeatureKind::Numeric, name.to_owned());
        }
        if let Some(reduced) = &self.reduced {
            let names = reduced.names.get_or_init(|| component_names(&reduced.svd, &self.text));
            return (FeatureKind::Component, names.get(column).cloned().unwrap_or_default());
        }
        self.term(column)
    }
    /// Kind and text of a term, by its place among all terms.
    pub fn term(&self, place: usize) -> (FeatureKind, String) {
        term(&self.text, place)
    }

    /// A linear function of the components, one weight each, as one of the terms; `None` unless the rows are dense.
    pub fn unfold(&self, weights: &[f64]) -> Option<Unfolded<'_>> {
        let reduced = self.reduced.as_ref()?;
        let scale: Vec<f64> = weights
            .iter()
            .enumerate()
            .map(|(at, weight)| weight * self.text_weight / reduced.scaler.scale(at))
            .collect();
        let constant = -scale.iter().enumerate().map(|(at, scale)| scale * reduced.scaler.mean(at)).sum::<f64>();
        Some(Unfolded { svd: &reduced.svd, scale, constant })
    }

    /// Stores the fitted state.
    pub fn save(&self, arrays: &mut Arrays) {
        for (name, block) in BLOCKS.iter().zip(&self.text) {
            block.save(name, arrays);
        }
        if let Some(reduced) = &self.reduced {
            reduced.svd.save(arrays);
            reduced.scaler.save("components", arrays);
        }
        self.scaler.save("numeric", arrays);
        arrays.insert("pipeline.weights", Array::F64(vec![self.text_weight, self.numeric_weight]));
    }

    /// Reads what [`save`](Self::save) stored, and checks that it fits `contract`.
    pub fn load(arrays: &Arrays, contract: &FeatureContract) -> Result<Self, Error> {
        let mut text = vec![Tfidf::load(BLOCKS[0], arrays)?];
        if arrays.contains("characters.idf") {
            text.push(Tfidf::load(BLOCKS[1], arrays)?);
        }
        let terms: usize = text.iter().map(Tfidf::width).sum();
        if u32::try_from(terms).is_err() {
            return Err(broken("tfidf.idf", "has too many terms"));
        }
        let reduced = match arrays.contains("svd.weights") {
            false => None,
            true => {
                let (svd, scaler) = (TruncatedSvd::load(arrays)?, NumericScaler::load("components", arrays)?);
                if svd.width() != terms {
                    return Err(broken("svd.weights", "must have one row a term"));
                }
                if scaler.width() != svd.components() {
                    return Err(broken("components.mean", "must have one number a component"));
                }
                Some(Reduced { svd, scaler, names: OnceLock::new() })
            }
        };
        let scaler = NumericScaler::load("numeric", arrays)?;
        if scaler.width() != 0 && scaler.width() != contract.numeric.len() {
            return Err(broken("numeric.mean", "must have one number a feature of the contract"));
        }
        match arrays.f64s("pipeline.weights")? {
            &[text_weight, numeric_weight] if [text_weight, numeric_weight].iter().all(|w| *w > 0.0 && *w <= 1e6) => {
                Ok(Self { text, reduced, scaler, text_weight, numeric_weight })
            }
            _ => Err(broken("pipeline.weights", "must hold two weights above 0 and at most 1e6")),
        }
    }

    fn of_term(&self, value: f32) -> f32 {
        (f64::from(value) * self.text_weight) as f32
    }

    /// A number of the numeric block. A caller that skipped the contract may bring too few values: the mean stands in.
    fn number(&self, feature: usize, values: &[f64]) -> f32 {
        let scaled = values.get(feature).map_or(0.0, |value| self.scaler.scaled(feature, *value));
        (scaled * self.numeric_weight) as f32
    }

    fn append_numeric(&self, values: &[f64], row: &mut SparseRow) {
        for feature in 0..self.scaler.width() {
            row.push((self.terms() + feature) as u32, self.number(feature, values));
        }
    }

    fn scale_numbers(&self, values: &[f64], out: &mut [f32]) {
        out.iter_mut().enumerate().for_each(|(feature, out)| *out = self.number(feature, values));
    }

    fn scale_components(&self, reduced: &Reduced, components: &mut [f32]) {
        for (at, value) in components.iter_mut().enumerate() {
            *value = (reduced.scaler.scaled(at, f64::from(*value)) * self.text_weight) as f32;
        }
    }

    fn join_sparse(&self, terms: &CsrMatrix, rows: Rows<'_>, stop: Stop<'_>) -> Result<CsrMatrix, Error> {
        const CHUNK: usize = 4_096;
        let blocks: Result<Vec<CsrMatrix>, Error> = (0..terms.rows().div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                stop.check()?;
                let mut block = CsrMatrix::empty(self.width());
                let mut row = SparseRow::default();
                for index in chunk * CHUNK..terms.rows().min((chunk + 1) * CHUNK) {
                    row.clear();
                    let RowRef { columns, values } = terms.row(index);
                    row.columns.extend_from_slice(columns);
                    row.values.extend(values.iter().map(|&value| self.of_term(value)));
                    self.append_numeric(rows.numbers(index), &mut row);
                    block.push(row.as_ref());
                }
                Ok(block)
            })
            .collect();
        Ok(CsrMatrix::stack(self.width(), blocks?))
    }

    fn join_dense(
        &self,
        components: &DenseMatrix,
        reduced: &Reduced,
        rows: Rows<'_>,
        stop: Stop<'_>,
    ) -> Result<DenseMatrix, Error> {
        let mut matrix = DenseMatrix::zeros(rows.texts.len(), self.width());
        matrix.values.par_chunks_mut(self.width().max(1)).enumerate().try_for_each(|(index, row)| {
            if index % 4_096 == 0 {
                stop.check()?;
            }
            let (of_text, numbers) = row.split_at_mut(components.width);
            of_text.copy_from_slice(components.row(index));
            self.scale_components(reduced, of_text);
            self.scale_numbers(rows.numbers(index), numbers);
            Ok::<(), Error>(())
        })?;
        Ok(matrix)
    }
}

/// Kind and text of the term at `place` among those of all blocks.
fn term(blocks: &[Tfidf], mut place: usize) -> (FeatureKind, String) {
    for block in blocks {
        if place >= block.width() {
            place -= block.width();
            continue;
        }
        return match (block.is_hashed(), block.unit()) {
            (true, _) => (FeatureKind::Hash, format!("#{place}")),
            (false, Unit::Word) => (FeatureKind::Term, block.term(place).to_owned()),
            (false, _) => (FeatureKind::Characters, block.term(place).to_owned()),
        };
    }
    (FeatureKind::Term, String::new())
}

/// `component 3: great, love, -boring`: the number of each component and the terms with the largest weights in it.
fn component_names(svd: &TruncatedSvd, blocks: &[Tfidf]) -> Vec<String> {
    const SHOWN: usize = 3;
    // Per component the places and weights that are largest so far, largest first.
    let mut largest = vec![[(0usize, 0.0f32); SHOWN]; svd.components()];
    for place in 0..svd.width() {
        for (largest, weight) in largest.iter_mut().zip(svd.weights(place)) {
            if weight.abs() <= largest[SHOWN - 1].1.abs() {
                continue;
            }
            let at = largest.iter().position(|(_, other)| weight.abs() > other.abs()).unwrap_or(SHOWN - 1);
            largest[at..].rotate_right(1);
            largest[at] = (place, weight);
        }
    }
    let shown = |&(place, weight): &(usize, f32)| {
        (weight != 0.0).then(|| format!("{}{}", if weight < 0.0 { "-" } else { "" }, term(blocks, place).1))
    };
    let name = |(at, largest): (usize, &[(usize, f32); SHOWN])| {
        let terms: Vec<String> = largest.iter().filter_map(shown).collect();
        format!("component {}: {}", at + 1, terms.join(", "))
    };
    largest.iter().enumerate().map(name).collect()
}

impl Rows<'_> {
    /// The numbers of row `index`; empty when there are none.
    fn numbers(&self, index: usize) -> &[f64] {
        self.numeric.get(index * self.width..(index + 1) * self.width).unwrap_or_default()
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
mod tests;

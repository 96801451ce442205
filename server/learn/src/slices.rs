//! Where a model is weak: scores of groups of rows.

mod filter;
#[cfg(test)]
mod tests;

use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::contract::{FeatureContract, FeatureSource};

use crate::Examples;
use crate::metrics::{Bootstrap, Frame, check_rows, defined, interval, quantile};
use crate::report::plain;
use crate::statistics::wilson;

pub use filter::SliceFilter;

/// The year in which each row was written, where that is known; may be shorter than the rows.
pub type RowYears<'a> = &'a [Option<i32>];

/// Some rows with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// What the rows were grouped by, e.g. `length`.
    pub by: String,
    /// Which of the groups, e.g. `up to 120`.
    pub name: String,
    pub rows: Vec<u32>,
}

impl Slice {
    /// The usual slices: by label, by quarters of the text's length, by year, and by quarters of each numeric feature that is not
    /// computed from the text (user activity and the like).
    pub fn standard(contract: &FeatureContract, examples: &Examples, years: RowYears<'_>) -> Vec<Self> {
        const PARTS: usize = 4;
        let mut slices = Self::by_label(&examples.labels, &contract.classes);
        slices.extend(Self::by_length(&examples.texts, PARTS));
        slices.extend(Self::by_year(years));
        for (at, feature) in contract.numeric.iter().enumerate() {
            if feature.source != FeatureSource::Text {
                let values: Vec<f64> = (0..examples.len()).map(|row| examples.numbers(row)[at]).collect();
                slices.extend(Self::by_quantiles(&feature.name, &values, PARTS));
            }
        }
        slices
    }

    /// The rows whose place in `mask` holds `true`.
    pub fn of_mask(by: &str, name: &str, mask: &[bool]) -> Self {
        let rows = (0..mask.len() as u32).filter(|row| mask[*row as usize]).collect();
        Self { by: by.to_owned(), name: name.to_owned(), rows }
    }

    /// One slice a class, by the true label; for star labels, one a star.
    pub fn by_label(labels: &[u32], classes: &[String]) -> Vec<Self> {
        let of_class = |(class, name): (usize, &String)| {
            let mask: Vec<bool> = labels.iter().map(|label| *label as usize == class).collect();
            Self::of_mask("label", name, &mask)
        };
        classes.iter().enumerate().map(of_class).collect()
    }

    /// One slice a year, or one of several years where there are very many; none when all rows are of one year.
    pub fn by_year(years: RowYears<'_>) -> Vec<Self> {
        const MOST: usize = 30;
        let known: std::collections::BTreeSet<i32> = years.iter().flatten().copied().collect();
        if known.len() < 2 {
            return Vec::new();
        }
        if known.len() > MOST {
            let numbers: Vec<f64> = years.iter().map(|year| year.map_or(f64::NAN, f64::from)).collect();
            return Self::by_quantiles("year", &numbers, MOST);
        }
        let of_year = |year: i32| {
            let mask: Vec<bool> = years.iter().map(|it| *it == Some(year)).collect();
            Self::of_mask("year", &year.to_string(), &mask)
        };
        known.into_iter().map(of_year).collect()
    }

    /// Those that were asked for, in their order. An error when one names a field or a label that is not there.
    pub fn by_filters(
        filters: &[SliceFilter],
        contract: &FeatureContract,
        examples: &Examples,
        years: RowYears<'_>,
    ) -> Result<Vec<Self>, Error> {
        filters.iter().map(|filter| filter.slice(contract, examples, years)).collect()
    }

    /// Slices between ascending `edges`: up to the first, above it up to the second, and so on, above the last. Empty ones are
    /// left out, and so are rows whose value is NaN.
    pub fn by_edges(by: &str, values: &[f64], edges: &[f64]) -> Vec<Self> {
        let of_part = |part: usize| {
            let (low, high) = (part.checked_sub(1).map(|at| edges[at]), edges.get(part).copied());
            let name = match (low, high) {
                (None, None) => "all".to_owned(),
                (None, Some(high)) => format!("up to {}", plain(high)),
                (Some(low), None) => format!("above {}", plain(low)),
                (Some(low), Some(high)) => format!("above {} up to {}", plain(low), plain(high)),
            };
            let inside =
                |value: &f64| low.is_none_or(|low| *value > low) && high.map_or(!value.is_nan(), |high| *value <= high);
            Self::of_mask(by, &name, &values.iter().map(inside).collect::<Vec<_>>())
        };
        (0..=edges.len()).map(of_part).filter(|slice| !slice.rows.is_empty()).collect()
    }

    /// `parts` slices of about equally many rows by a number, e.g. a numeric feature; fewer where many rows share a value.
    pub fn by_quantiles(by: &str, values: &[f64], parts: usize) -> Vec<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            return Vec::new();
        }
        let mut edges: Vec<f64> = (1..parts.max(1)).map(|part| quantile(&sorted, part as f64 / parts as f64)).collect();
        edges.dedup();
        edges.retain(|edge| *edge < sorted[sorted.len() - 1]);
        Self::by_edges(by, values, &edges)
    }

    /// `parts` slices by the length of the text in characters.
    pub fn by_length(texts: &[String], parts: usize) -> Vec<Self> {
        let lengths: Vec<f64> = texts.iter().map(|text| text.chars().count() as f64).collect();
        Self::by_quantiles("length", &lengths, parts)
    }
}

/// How to judge slices.
#[derive(Debug, Clone, Copy)]
pub struct SliceOptions<'a> {
    /// Slices with fewer rows are listed but never called the worst.
    pub min_rows: u64,
    /// Bootstrap samples of each slice; 0 leaves the intervals of macro-F1 and calibration error out.
    pub resamples: u32,
    pub seed: u64,
    pub stop: Stop<'a>,
}

impl Default for SliceOptions<'static> {
    fn default() -> Self {
        Self { min_rows: 30, resamples: 500, seed: 42, stop: Stop::never() }
    }
}

/// A number and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    pub value: f64,
    /// `None` without bootstrap samples.
    pub interval: Option<(f64, f64)>,
}

/// The scores of one slice.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SliceScores {
    pub by: String,
    pub name: String,
    pub rows: u64,
    /// With Wilson's interval.
    pub accuracy: Estimate,
    /// Mean F1 over the classes that have rows in the slice, with a percentile bootstrap interval.
    pub macro_f1: Estimate,
    /// Expected calibration error, with a percentile bootstrap interval. Few rows make it large by chance.
    pub ece: Estimate,
}

/// All slices beside the whole.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SliceReport {
    pub overall: SliceScores,
    /// In the order they were given; empty ones are left out.
    pub slices: Vec<SliceScores>,
    pub min_rows: u64,
    /// Place in `slices` of the smallest upper bound of accuracy among those with `min_rows` or more: the one that is surely
    /// not better than this.
    pub worst_by_accuracy: Option<usize>,
    /// Place of the lowest macro-F1 among the same.
    pub worst_by_macro_f1: Option<usize>,
}

impl SliceReport {
    /// The slices with `min_rows` or more: a few rows are good or bad by chance.
    pub fn judged(&self) -> impl Iterator<Item = &SliceScores> {
        self.slices.iter().filter(|slice| slice.rows >= self.min_rows)
    }
}

/// Judges each slice of `probabilities` (row-major, one a class). Deterministic for any number of threads. Rows that do not exist
/// are an error, and so is what is one for [`evaluate`](crate::evaluate).
pub fn evaluate_slices(
    labels: &[u32],
    probabilities: &[f64],
    classes: usize,
    slices: &[Slice],
    options: &SliceOptions<'_>,
) -> Result<SliceReport, Error> {
    check_rows(labels, probabilities, classes)?;
    if let Some(slice) = slices.iter().find(|slice| slice.rows.iter().any(|row| *row as usize >= labels.len())) {
        let text = format!("`{}: {}` holds a row past the {} there are", slice.by, slice.name, labels.len());
        return Err(Error::invalid("slices", text));
    }
    let everything = Slice::of_mask("all", "all rows", &vec![true; labels.len()]);
    let score = |(number, slice): (usize, &Slice)| {
        let labels: Vec<u32> = slice.rows.iter().map(|row| labels[*row as usize]).collect();
        let of_row = |row: &u32| &probabilities[*row as usize * classes..(*row as usize + 1) * classes];
        let probabilities: Vec<f64> = slice.rows.iter().flat_map(of_row).copied().collect();
        let frame = Frame::new(&labels, &probabilities, classes, None)?;
        SliceScores::of(slice, &frame, number as u64, options)
    };
    let overall = score((0, &everything))?;
    let filled = slices.iter().filter(|slice| !slice.rows.is_empty());
    let slices = filled.zip(1..).map(|(slice, number)| score((number, slice))).collect::<Result<Vec<_>, _>>()?;
    let worst = |of: fn(&SliceScores) -> f64| {
        let large = slices.iter().enumerate().filter(|(_, slice)| slice.rows >= options.min_rows);
        large.min_by(|a, b| of(a.1).total_cmp(&of(b.1))).map(|(at, _)| at)
    };
    let upper = |slice: &SliceScores| slice.accuracy.interval.map_or(slice.accuracy.value, |(_, high)| high);
    let (worst_by_accuracy, worst_by_macro_f1) = (worst(upper), worst(|slice| slice.macro_f1.value));
    Ok(SliceReport { overall, slices, min_rows: options.min_rows, worst_by_accuracy, worst_by_macro_f1 })
}

impl SliceScores {
    /// `length: up to 120`.
    pub fn title(&self) -> String {
        format!("{}: {}", self.by, self.name)
    }

    fn of(slice: &Slice, frame: &Frame<'_>, number: u64, options: &SliceOptions<'_>) -> Result<Self, Error> {
        let rows = frame.rows();
        let SliceOptions { resamples, seed, stop, .. } = *options;
        let bootstrap = Bootstrap { resamples, seed, stream: number << 32, stop };
        let samples = bootstrap.draw(rows, |weights| scores(frame, weights))?;
        let ones = vec![1; rows];
        let values = scores(frame, &ones);
        let estimate = |at: usize| {
            let drawn = defined(samples.iter().map(|sample| Some(sample[at])));
            let interval = drawn.map(|drawn| interval(&drawn));
            Estimate { value: values[at], interval }
        };
        let right = frame.confusion(&ones).right();
        Ok(Self {
            by: slice.by.clone(),
            name: slice.name.clone(),
            rows: rows as u64,
            accuracy: Estimate { value: right as f64 / rows as f64, interval: Some(wilson(right, rows as u64)) },
            macro_f1: estimate(0),
            ece: estimate(1),
        })
    }
}

/// Macro-F1 over the classes that have rows, and expected calibration error.
fn scores(frame: &Frame<'_>, weights: &[u32]) -> [f64; 2] {
    let rates = frame.confusion(weights).rates();
    let present: Vec<f64> = rates.iter().filter(|class| class.support > 0).map(|class| class.f1).collect();
    [present.iter().sum::<f64>() / present.len().max(1) as f64, frame.calibration_error(weights)]
}

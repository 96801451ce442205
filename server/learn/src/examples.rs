//! Rows to learn from and to judge by.

use tenor_domain::Error;
use tenor_features::contract::{FeatureContract, Prepared};
use tenor_features::pipeline::Rows;

/// Labelled rows as plain columns of equal length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Examples {
    pub row_ids: Vec<i64>,
    /// Raw texts, for people to read.
    pub texts: Vec<String>,
    /// Cleaned texts, for models to read.
    pub cleaned: Vec<String>,
    /// Row-major and complete: one number a numeric feature of the contract, in its order.
    pub numeric: Vec<f64>,
    /// Numeric features a row.
    pub width: usize,
    /// Index into the classes of the contract.
    pub labels: Vec<u32>,
}

impl Examples {
    /// Takes the columns of a processed split; nulls among the numbers become the contract's defaults, so that a row is
    /// what [`FeatureContract::apply`] makes of it at predict. Columns that do not fit together or to the contract are
    /// an error.
    pub fn from_columns(
        contract: &FeatureContract,
        row_ids: Vec<i64>,
        texts: Vec<String>,
        cleaned: Vec<String>,
        numeric: &[Option<f64>],
        labels: Vec<u32>,
    ) -> Result<Self, Error> {
        let (rows, width) = (cleaned.len(), contract.numeric.len());
        for (name, length, wanted) in [
            ("row_ids", row_ids.len(), rows),
            ("texts", texts.len(), rows),
            ("labels", labels.len(), rows),
            ("numeric", numeric.len(), rows * width),
        ] {
            if length != wanted {
                return Err(Error::invalid(name, format!("has {length} values where {rows} rows need {wanted}")));
            }
        }
        if let Some(label) = labels.iter().find(|label| **label as usize >= contract.classes.len()) {
            let why = format!("holds {label}, but the contract has {} classes", contract.classes.len());
            return Err(Error::invalid("labels", why));
        }
        let numeric = numeric
            .iter()
            .zip(contract.numeric.iter().cycle())
            .map(|(value, feature)| feature.complete(*value))
            .collect::<Result<_, _>>()?;
        Ok(Self { row_ids, texts, cleaned, numeric, width, labels })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
    /// The numbers of row `index`, which must exist.
    pub fn numbers(&self, index: usize) -> &[f64] {
        &self.numeric[index * self.width..(index + 1) * self.width]
    }
    /// Row `index`, which must exist, as [`Model::predict`](crate::Model::predict) takes it.
    pub fn prepared(&self, index: usize) -> Prepared {
        let mut prepared = Prepared::default();
        self.prepare_into(index, &mut prepared);
        prepared
    }
    /// [`prepared`](Self::prepared) into a row that is used again and again.
    pub fn prepare_into(&self, index: usize, prepared: &mut Prepared) {
        prepared.cleaned.clear();
        prepared.cleaned.push_str(&self.cleaned[index]);
        prepared.numeric.clear();
        prepared.numeric.extend_from_slice(self.numbers(index));
    }
    /// The rows as a vectorizer takes them.
    pub fn rows(&self) -> Rows<'_> {
        Rows { texts: &self.cleaned, numeric: &self.numeric, width: self.width }
    }
    /// Adds the rows of `more`, which has the same numeric features.
    pub fn extend(&mut self, more: Self) {
        self.row_ids.extend(more.row_ids);
        self.texts.extend(more.texts);
        self.cleaned.extend(more.cleaned);
        self.numeric.extend(more.numeric);
        self.labels.extend(more.labels);
    }
    /// A copy of the rows `indexes`, which must exist, in that order.
    #[must_use]
    pub fn select(&self, indexes: &[u32]) -> Self {
        let rows = || indexes.iter().map(|index| *index as usize);
        Self {
            row_ids: rows().map(|row| self.row_ids[row]).collect(),
            texts: rows().map(|row| self.texts[row].clone()).collect(),
            cleaned: rows().map(|row| self.cleaned[row].clone()).collect(),
            numeric: rows().flat_map(|row| self.numbers(row)).copied().collect(),
            width: self.width,
            labels: rows().map(|row| self.labels[row]).collect(),
        }
    }
    /// How many rows each class has.
    pub fn class_counts(&self, classes: usize) -> Vec<u64> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts
    }
}

/// What a trainer is given.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingData {
    pub contract: FeatureContract,
    pub train: Examples,
    /// For early stopping and for metrics by step; never fitted on.
    pub validation: Option<Examples>,
}

impl TrainingData {
    /// Checks what every trainer needs: a valid contract, rows, and at least two classes among them.
    pub fn check(&self) -> Result<(), Error> {
        self.contract.validate()?;
        let counts = self.train.class_counts(self.contract.classes.len());
        let present = counts.iter().filter(|count| **count > 0).count();
        if present < 2 {
            let names = self.contract.classes.iter().zip(&counts).map(|(class, count)| format!("{class}: {count}"));
            let counts = names.collect::<Vec<_>>().join(", ");
            return Err(Error::precondition(
                "TOO_FEW_CLASSES",
                format!(
                    "training needs rows of at least two classes, got {counts}; bring more data or change the split"
                ),
            ));
        }
        Ok(())
    }
}

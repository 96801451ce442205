//! Accepted rows become train, validation and test tables: labels mapped, balanced, split, cleaned, with the numeric features.

mod assign;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenor_domain::Task;
use tenor_features::contract::FeatureContract;
use tenor_features::text::CleaningProfile;

use crate::work::Outputs;
use crate::{Error, Work};

/// How rows are shared among train, validation and test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitMethod {
    /// Each class in the ratio of the fractions, within one row.
    #[default]
    Stratified,
    /// All rows of a user in one part.
    GroupedByUser,
    /// All rows of an item in one part.
    GroupedByItem,
    /// The earliest rows train, the latest test. Rows without a time are dropped, and so are later copies across a cut.
    Temporal,
}

fn default_fractions() -> [f64; 3] {
    [0.7, 0.15, 0.15]
}
fn default_seed() -> u64 {
    42
}
fn yes() -> bool {
    true
}

/// What to make of the accepted rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessOptions {
    pub task: Task,
    #[serde(default)]
    pub cleaning: CleaningProfile,
    #[serde(default)]
    pub split: SplitMethod,
    /// Shares of train, validation and test: each above 0, together 1.
    #[serde(default = "default_fractions")]
    pub fractions: [f64; 3],
    /// At most so many rows a class, chosen by row hash; `None`: all.
    #[serde(default)]
    pub balance: Option<u64>,
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Keep near duplicates in one part. (Exact duplicates are kept in one part always.)
    #[serde(default = "yes")]
    pub near_duplicates_together: bool,
    /// Whether the contract asks for the 12 numeric features. (The tables hold them either way.)
    #[serde(default = "yes")]
    pub numeric: bool,
}

impl ProcessOptions {
    /// The defaults for `task`.
    pub fn new(task: Task) -> Self {
        Self {
            task,
            cleaning: CleaningProfile::default(),
            split: SplitMethod::default(),
            fractions: default_fractions(),
            balance: None,
            seed: default_seed(),
            near_duplicates_together: true,
            numeric: true,
        }
    }

    /// Reads options as JSON; null means the defaults of the binary task.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub fn parse(options: &serde_json::Value) -> Result<Self, Error> {
        if options.is_null() {
            return Ok(Self::new(Task::Binary));
        }
        let parsed: Self = serde_json::from_value(options.clone())
            .map_err(|error| Error::option("options", format!("cannot be read: {error}")))?;
        parsed.check()?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), Error> {
        let sum: f64 = self.fractions.iter().sum();
        if self.fractions.iter().any(|f| !(f.is_finite() && *f > 0.0)) || (sum - 1.0).abs() > 1e-9 {
            return Err(Error::option(
                "fractions",
                "must be three shares above 0 that add up to 1, e.g. 0.7 0.15 0.15",
            ));
        }
        if self.balance == Some(0) {
            return Err(Error::option("balance", "must be 1 or more rows a class; leave it out to keep all"));
        }
        Ok(())
    }
}

/// One table that was written.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProcessedPart {
    pub path: PathBuf,
    pub rows: u64,
}

/// What processing made.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Processed {
    pub train: ProcessedPart,
    pub validation: ProcessedPart,
    pub test: ProcessedPart,
    pub contract: FeatureContract,
    pub report: ProcessReport,
}

/// Class counts of one part.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PartReport {
    pub rows: u64,
    pub classes: BTreeMap<String, u64>,
}

/// One numeric feature on the train rows, nulls left out.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FeatureStatistics {
    pub name: String,
    pub count: u64,
    pub nulls: u64,
    pub mean: f64,
    /// Population standard deviation, as scikit-learn's StandardScaler has it.
    pub std: f64,
    pub min: f64,
    pub max: f64,
    /// Value by share, linear between neighbours.
    pub quantiles: BTreeMap<String, f64>,
}

/// What became of the rows. `rows_in == rows_out + sum(dropped)`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProcessReport {
    pub rows_in: u64,
    pub rows_out: u64,
    /// By reason: `neutral_label`, `empty_after_cleaning`, `balance`, `no_time`, `duplicate_across_split`.
    pub dropped: BTreeMap<String, u64>,
    /// Class counts before balancing.
    pub classes_before: BTreeMap<String, u64>,
    pub train: PartReport,
    pub validation: PartReport,
    pub test: PartReport,
    /// Rows that share a group with another: copies, near copies, users or items.
    pub grouped_rows: u64,
    /// Rows of the largest such group.
    pub largest_group: u64,
    /// Greatest difference of a class's share between two parts; more than 0.1 is worth a look.
    pub label_shift: f64,
    pub features: Vec<FeatureStatistics>,
    pub warnings: Vec<String>,
}

/// Reads `accepted.parquet` and writes `train.parquet`, `validation.parquet` and `test.parquet` into the folder `out`.
///
/// # Errors
/// [`Error::InvalidOption`] for options and labels that do not fit the task, [`Error::NoRows`], [`Error::Cancelled`];
/// then nothing is left in `out`.
pub fn process(accepted: &Path, options: &ProcessOptions, out: &Path, work: &Work<'_>) -> Result<Processed, Error> {
    options.check()?;
    work.check()?;
    let plan = assign::plan(accepted, options, work)?;
    let mut outputs = Outputs::in_folder(out)?;
    let paths = ["train", "validation", "test"].map(|name| outputs.file(&format!("{name}.parquet")));
    let processed = write::write(accepted, options, plan, paths, work)?;
    outputs.keep();
    (work.progress)(1.0, "process");
    Ok(processed)
}

#[cfg(test)]
pub(crate) mod tests;

#![doc = include_str!("../README.md")]

mod aggregate;
mod columns;
mod error;
mod format;
mod generate;
mod import;
mod language;
mod load;
mod minhash;
pub mod peer;
mod process;
mod profile;
mod reader;
mod rules;
mod split;
mod table;
mod value;
mod work;

pub use columns::{LabelKind, Role};
pub use error::Error;
pub use format::{Format, sniff};
pub use generate::{GenerateOptions, GeneratedFormat, generate};
pub use import::{Import, ImportOptions, import};
pub use language::{LanguageProfile, LanguageShare};
pub use load::{LoadedRows, load_examples, load_groups, load_times, read_rows};
pub use process::{
    FeatureStatistics, PartReport, ProcessOptions, ProcessReport, Processed, ProcessedPart, SplitMethod, process,
};
pub use profile::{ColumnProfile, LabelCount, Profile};
pub use rules::{
    Evidence, MAX_EVIDENCE, Outcome, Policy, RuleId, RuleResult, RuleSet, RuleSetting, Severity, ValidationReport,
};
pub use work::Work;

/// Longest record that is read, in bytes. A longer one is an error: it is a lost quote or not a table.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// How a row id is shown to people: 16 hex digits.
pub fn row_id_text(row_id: i64) -> String {
    format!("{row_id:016x}")
}

//! A hyper-parameter search as one HTML page: what was tried, what it reached, and what mattered.

mod axis;
mod chart;
mod front;
mod history;
mod importance;
mod page;
mod parallel;
mod reports;
mod slices;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod view;

pub use types::{PageObjective, PageParam, PageTrial, Scale, StudyPage};

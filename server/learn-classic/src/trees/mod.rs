//! What the tree learners share: bins, flat trees, attribution and importances.

pub(crate) mod binner;
pub mod ensemble;
pub(crate) mod file;
pub mod importance;
pub(crate) mod rows;
pub(crate) mod score;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

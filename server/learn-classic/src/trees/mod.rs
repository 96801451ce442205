//! What the tree learners share: bins, flat trees and attribution.

pub(crate) mod binner;
pub(crate) mod ensemble;
pub(crate) mod exact;
pub(crate) mod file;
pub(crate) mod rows;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

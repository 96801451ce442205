#![doc = include_str!("../README.md")]

pub mod arrays;
pub mod contract;
pub mod dense;
mod hash;
pub mod numeric;
pub mod pipeline;
pub mod random;
pub mod sparse;
mod stop;
pub mod svd;
pub mod text;
pub mod tfidf;

pub use stop::Stop;

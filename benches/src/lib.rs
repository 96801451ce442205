#![doc = include_str!("../README.md")]

pub mod hot_path;
pub mod measure;

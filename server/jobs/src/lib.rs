#![doc = include_str!("../README.md")]

mod accept;
mod context;
mod import_dataset;
mod kept;
mod process_dataset;
mod train_run;

pub use accept::JobAcceptance;
pub use context::Jobs;
pub use import_dataset::ImportDataset;
pub use kept::Kept;
pub use process_dataset::ProcessDataset;
pub use train_run::TrainRun;

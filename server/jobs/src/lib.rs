#![doc = include_str!("../README.md")]

mod accept;
mod context;
mod import_dataset;
mod kept;
mod process_dataset;
mod run_trial;
mod spaces;
mod train_run;

pub use accept::JobAcceptance;
pub use context::{Jobs, TrialCount};
pub use import_dataset::ImportDataset;
pub use kept::Kept;
pub use process_dataset::ProcessDataset;
pub use run_trial::{RowsCache, RunTrial};
pub use train_run::TrainRun;

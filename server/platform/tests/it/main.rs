//! The use cases on SQLite and on PostgreSQL.

mod alias;
mod contract;
mod dataset;
mod deployment;
mod errors;
mod hostile;
mod job;
mod limits;
mod metric;
mod model;
mod oracle;
mod race;
mod requeue;
mod run;
mod search;
mod settle;
mod study;
mod study_end;
mod support;
mod training;
mod upload;
mod worker;

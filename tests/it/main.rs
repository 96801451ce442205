//! The whole server, driven as its users drive it: through the SDK, the CLI and plain HTTP.

mod support;

mod cli;
mod compare;
mod contract;
mod explain;
mod graphql;
mod kinds;
mod lifecycle;
mod lint;
mod model_file;
mod prediction;
mod processes;
mod readme;
mod real_reviews;
mod sdk_readme;
mod slices;
mod study;
mod study_cli;
mod study_jobs;
mod telemetry;
mod tracking;

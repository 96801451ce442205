//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Tenor: a self-hosted model platform for text classification.
#[derive(Debug, Parser)]
#[command(
    name = "tenor-server",
    version,
    about,
    after_help = "Settings: file (--config), then TENOR_SECTION__KEY, then flags. See `tenor-server config`."
)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// TOML file with settings; deploy/tenor.default.toml shows them all
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the embedded database and blobs
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port; port 0 picks a free one
    #[arg(long, global = true, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// sqlite:///path/file.db or postgres://user:password@host/database
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,
    /// Listen on a reachable address although there is no authentication
    #[arg(long, global = true)]
    pub insecure: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Runs the server (the default)
    Serve {
        #[arg(long, value_enum, default_value_t = Role::All)]
        role: Role,
        /// Write the address in use to this file once ready
        #[arg(long, value_name = "FILE")]
        address_file: Option<PathBuf>,
    },
    /// Brings the database to this version's schema and exits
    Migrate,
    /// Prints the settings in force, secrets as ***
    Config,
    /// Writes synthetic Kindle reviews
    Generate {
        /// Output file; its name says the format: .csv or .jsonl
        out: PathBuf,
        #[arg(long, default_value_t = 4_000)]
        rows: u64,
        #[arg(long, default_value_t = 42)]
        seed: u64,
        /// Share of rows with a planted defect, 0 to 1
        #[arg(long, default_value_t = 0.01)]
        defects: f64,
    },
}

/// What this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// API and worker
    All,
    /// Answers requests, runs no jobs
    Api,
    /// Runs jobs, answers only health and metrics
    Worker,
}

//! `tenor-bench`: Tenor's side of the bench commands. Each subcommand prints one JSON object; the drivers beside it in
//! Python start servers and peers, alternate them, and make the tables.

mod asking;
mod database;
mod echo;
mod load;
mod predict;
mod queue;
mod recorded;
mod requests;
mod studies;
mod tracking;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "tenor-bench", about = "Tenor's side of the bench commands")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks a server for points of a study that grows
    Asking(asking::Asking),
    /// Makes an empty database on a PostgreSQL server
    Database(database::Database),
    /// Answers predictions without predicting, until it is stopped
    Echo(echo::Echo),
    /// Sends predictions in a closed loop
    Load(load::Load),
    /// Predicts in this process
    Predict(predict::Predict),
    /// Enqueues, works and counts jobs
    #[command(subcommand)]
    Queue(queue::Command),
    /// Searches on problems whose best values are known
    Studies(studies::Studies),
    /// Logs runs and metrics, and searches runs
    Tracking(tracking::Tracking),
}

fn main() -> ExitCode {
    match run(Options::parse().command) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<serde_json::Value> {
    let mut builder = match &command {
        // As the server.
        Command::Echo(_) | Command::Queue(_) => tokio::runtime::Builder::new_multi_thread(),
        // One thread, as the peers' clients.
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()?.block_on(async {
        match command {
            Command::Asking(asking) => asking.run().await,
            Command::Database(database) => database.run().await,
            Command::Echo(echo) => echo.run().await,
            Command::Load(load) => load.run().await,
            Command::Predict(predict) => predict.run(),
            Command::Queue(command) => command.run().await,
            Command::Studies(studies) => studies.run(),
            Command::Tracking(tracking) => tracking.run().await,
        }
    })
}

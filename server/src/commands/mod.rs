//! The subcommands.

mod generate;
mod serve;

use std::time::Duration;

use anyhow::Context as _;

use crate::config::Config;
use crate::options::{Command, Options, Role};

/// How long threads that still compute may take once everything else has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs the subcommand; `serve` returns after the drain.
pub fn run(options: Options, config: Config) -> anyhow::Result<()> {
    match options.command.unwrap_or(Command::Serve { role: Role::All, address_file: None }) {
        Command::Serve { role, address_file } => {
            // Outlives the runtime, so that the last spans are flushed.
            let telemetry = tenor_telemetry::init(&config.telemetry).context("cannot start logs and traces")?;
            let runtime = runtime()?;
            let served = runtime.block_on(serve::run(config, role, address_file));
            // Not a plain drop, which waits for computing threads however long they take: after a second signal they are told
            // to stop and left behind.
            runtime.shutdown_timeout(LAST_WAIT);
            telemetry.flush();
            served
        }
        Command::Migrate => runtime()?.block_on(async {
            crate::connect(&config).await?.migrate().await?;
            println!("the database is at schema {}", tenor_store::known_version());
            Ok(())
        }),
        Command::Config => {
            print!("{}", config.printed()?);
            Ok(())
        }
        Command::Generate { out, rows, seed, defects } => generate::run(&out, rows, seed, defects),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}

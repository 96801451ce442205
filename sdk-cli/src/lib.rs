#![doc = include_str!("../README.md")]

mod args;
mod chart;
mod commands;
mod context;
mod error;
mod json;
mod output;
mod telemetry;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use clap::Parser as _;
use tenor_sdk::ClientBuilder;
use tracing::Instrument as _;

pub use args::{Cli, Command};
pub use commands::RPC_COMMANDS;
pub use error::{Error, exit, kind_code};
pub use json::{ToJson, array, prediction};
pub use output::Format;

use context::Context;

/// Runs one command line, its name included, and returns the exit code. Data goes to `stdout`, everything else to `stderr`.
pub fn run<I, T>(args: I, stdout: &mut dyn Write, stderr: &mut dyn Write) -> u8
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let shown = error.exit_code() == 0; // --help and --version
            let styled = if shown { std::io::stdout().is_terminal() } else { std::io::stderr().is_terminal() };
            let text = error.render();
            let text = if styled && !no_colour() { text.ansi().to_string() } else { text.to_string() };
            let _ = if shown { write!(stdout, "{text}") } else { write!(stderr, "{text}") };
            return if shown { exit::OK } else { exit::USAGE };
        }
    };
    match start(cli, stdout, stderr) {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error, stderr);
            error.code()
        }
    }
}

fn report(error: &Error, stderr: &mut dyn Write) {
    if matches!(error, Error::Closed) {
        return;
    }
    let _ = writeln!(stderr, "error: {}", output::clip(&error.to_string(), 4000));
    if let Error::Server(error) = error {
        for violation in error.violations() {
            let line = format!("{}: {}", violation.field, violation.description);
            if !error.message().contains(&violation.description) {
                let _ = writeln!(stderr, "  {}", output::clip(&line, 1000));
            }
        }
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(stderr, "\nhint: {hint}");
    }
}

fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn start(cli: Cli, stdout: &mut dyn Write, stderr: &mut dyn Write) -> error::Result {
    if let Command::Completions { shell } = cli.command {
        return commands::completions(shell, stdout);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::File(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let telemetry = telemetry::start();
        let mut builder = ClientBuilder::new(cli.server.clone());
        if let Some(seconds) = cli.timeout {
            builder = builder.timeout(Duration::from_secs(seconds));
        }
        let client = builder.build().map_err(|error| Error::usage(error.message()))?;
        let mut context = Context {
            client,
            server: cli.server,
            format: cli.output,
            quiet: cli.quiet,
            yes: cli.yes,
            colour: cli.output == Format::Table && std::io::stdout().is_terminal() && !no_colour(),
            out: stdout,
            err: stderr,
        };
        let span = tracing::info_span!("tenor", command = cli.command.noun());
        let work = commands::dispatch(cli.command, &mut context).instrument(span);
        let ended = tokio::select! {
            ended = work => ended,
            _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
            () = limit(cli.timeout) => Err(Error::Late(cli.timeout.unwrap_or_default())),
        };
        drop(telemetry);
        ended
    });
    // A thread that waits for stdin must not keep the command alive.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

async fn limit(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

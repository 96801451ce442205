//! The `tenor` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Stderr is not locked: progress bars draw on it from a thread of their own.
    let (stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    ExitCode::from(tenor_cli::run(std::env::args_os(), &mut stdout.lock(), &mut stderr))
}

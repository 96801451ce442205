//! `tenor-server serve`: build everything, say where, run until drained.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::options::Role;

pub async fn run(config: Config, role: Role, address_file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let shutdown = CancellationToken::new();
    let running = crate::start(config, role, shutdown.clone()).await?;
    let address = running.address();
    info!(server.address = %address, server.operations = %running.operations_address(), "listening");
    if let Some(path) = address_file {
        write_address(&path, &address.to_string())?;
    }
    let mut finished = std::pin::pin!(running.finished());
    tokio::select! {
        // A part that failed: the others were told to stop, and have.
        result = &mut finished => return result,
        _ = terminate.recv() => info!("SIGTERM: draining"),
        _ = interrupt.recv() => info!("SIGINT: draining"),
    }
    shutdown.cancel();
    tokio::select! {
        result = &mut finished => result?,
        _ = terminate.recv() => warn!("second signal: leaving at once"),
        _ = interrupt.recv() => warn!("second signal: leaving at once"),
    }
    Ok(())
}

/// Under another name first: a reader never sees half an address.
fn write_address(path: &Path, address: &str) -> anyhow::Result<()> {
    let half = path.with_extension("tmp");
    std::fs::write(&half, address)
        .and_then(|()| std::fs::rename(&half, path))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

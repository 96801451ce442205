//! The configuration: file, then environment, then flags; every section with its default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tenor_queue::QueueOptions;

/// Everything that can be set. `deploy/tenor.default.toml` shows each value with a comment; a test keeps it equal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub storage: StorageConfig,
    pub worker: WorkerConfig,
    pub queue: QueueOptions,
    pub serving: ServingConfig,
    pub telemetry: tenor_telemetry::Config,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are: an address of their own, or empty for the same port as the rest.
    pub operations_listen: String,
    /// Allows an address that other machines can reach, although there is no authentication yet.
    pub insecure: bool,
    /// Host names, without port, under which browsers may reach this server, besides local ones.
    pub allowed_hosts: Vec<String>,
    /// How long running requests may take to finish after a signal, in milliseconds.
    pub drain_ms: u64,
    pub max_message_bytes: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8470)),
            operations_listen: String::new(),
            insecure: false,
            allowed_hosts: Vec::new(),
            drain_ms: 10_000,
            max_message_bytes: 4 << 20,
        }
    }
}

impl ServerConfig {
    /// The private address of the operator's pages, if they have one.
    pub fn operations(&self) -> anyhow::Result<Option<SocketAddr>> {
        if self.operations_listen.is_empty() {
            return Ok(None);
        }
        let address = self.operations_listen.parse();
        address
            .map(Some)
            .with_context(|| format!("server.operations_listen must be address:port, got `{}`", self.operations_listen))
    }
}

/// Where state lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    pub data_dir: PathBuf,
    /// `sqlite:///path/file.db` or `postgres://user:password@host/database`; empty means `<data_dir>/tenor.db`.
    pub database: String,
    pub max_connections: u32,
    /// `file:///folder`, `s3://bucket/prefix`, `gs://..` or `az://..`; empty means `<data_dir>/blobs`.
    pub blobs: String,
    /// Larger tables are not fetched for a preview.
    pub max_preview_bytes: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("tenor-data"),
            database: String::new(),
            max_connections: 16,
            blobs: String::new(),
            max_preview_bytes: 4 << 30,
        }
    }
}

impl StorageConfig {
    pub fn database_url(&self) -> anyhow::Result<String> {
        match self.database.as_str() {
            "" => Ok(format!("sqlite://{}", self.in_data_dir("tenor.db")?)),
            url => Ok(url.to_owned()),
        }
    }

    pub fn blobs_url(&self) -> anyhow::Result<String> {
        match self.blobs.as_str() {
            "" => Ok(url::Url::from_file_path(self.in_data_dir("blobs")?)
                .map_err(|()| anyhow::anyhow!("storage.data_dir cannot be written as a file:// address"))?
                .into()),
            url => Ok(url.to_owned()),
        }
    }

    fn in_data_dir(&self, name: &str) -> anyhow::Result<String> {
        let path = std::path::absolute(self.data_dir.join(name)).context("cannot find the current folder")?;
        match path.to_str() {
            Some(path) => Ok(path.to_owned()),
            None => bail!("storage.data_dir must be UTF-8, got `{}`", path.display()),
        }
    }
}

/// How jobs run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Jobs at a time.
    pub slots: usize,
    /// Threads of one job, which trials of studies that run at once share; 0 means all cores. Results do not depend on it.
    pub threads: usize,
    /// How long a running job may go on after a signal before it is put back, in milliseconds.
    pub grace_ms: u64,
    /// How often a long training keeps its state on disk, to go on from after a crash, in milliseconds.
    pub checkpoint_ms: u64,
    /// Disk for features that later trainings over the same rows use again; 0 keeps none.
    pub feature_cache_mib: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { slots: 2, threads: 0, grace_ms: 5_000, checkpoint_ms: 30_000, feature_cache_mib: 2_048 }
    }
}

impl WorkerConfig {
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

/// Limits of prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServingConfig {
    pub max_text_chars: usize,
    pub max_batch: usize,
    /// How often a server looks for changed deployments, in milliseconds.
    pub refresh_ms: u64,
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self { max_text_chars: 100_000, max_batch: 1_000, refresh_ms: 500 }
    }
}

impl Config {
    /// The configuration of a command line: file, environment, flags.
    pub fn of(options: &crate::Options) -> anyhow::Result<Self> {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut config = Self::load(options.config.as_deref(), variables)?;
        if let Some(data_dir) = &options.data_dir {
            config.storage.data_dir.clone_from(data_dir);
        }
        if let Some(listen) = options.listen {
            config.server.listen = listen;
        }
        if let Some(database) = &options.database {
            config.storage.database.clone_from(database);
        }
        config.server.insecure |= options.insecure;
        config.check()?;
        Ok(config)
    }

    /// Reads the file, if any, then the given `TENOR_SECTION__KEY` variables. Unknown keys are errors.
    pub fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let mut table = match file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration file `{}`", path.display()))?
                .parse::<toml::Table>()
                .with_context(|| format!("`{}` is not TOML", path.display()))?,
            None => toml::Table::new(),
        };
        let defaults = toml::Table::try_from(Self::default()).context("the defaults")?;
        for (name, value) in variables {
            let Some(path) = name.strip_prefix("TENOR_").filter(|rest| rest.contains("__")) else { continue };
            let path = path.to_lowercase();
            set(&mut table, &defaults, &path.split("__").collect::<Vec<_>>(), &value)
                .with_context(|| format!("environment variable `{name}`"))?;
        }
        table.try_into().context("configuration")
    }

    /// Refuses what cannot work or is not safe.
    pub fn check(&self) -> anyhow::Result<()> {
        let reachable = [Some(self.server.listen), self.server.operations()?].into_iter().flatten();
        if let Some(address) = reachable.filter(|address| !address.ip().is_loopback()).find(|_| !self.server.insecure) {
            bail!(
                "refusing to listen on {address} without authentication: everyone who reaches it could read and change \
                 everything; listen on 127.0.0.1 behind a proxy that authenticates, or pass --insecure"
            );
        }
        if self.worker.slots == 0 || self.worker.slots > 1_024 {
            bail!("worker.slots must be 1 to 1024, got {}", self.worker.slots);
        }
        if self.worker.threads > 1_024 {
            bail!("worker.threads must be 0 to 1024, got {}", self.worker.threads);
        }
        if self.queue.lease_ms < 300 {
            bail!("queue.lease_ms must be at least 300, got {}", self.queue.lease_ms);
        }
        if self.storage.max_connections < 2 {
            bail!("storage.max_connections must be at least 2, got {}", self.storage.max_connections);
        }
        if self.serving.max_batch == 0 || self.serving.max_text_chars == 0 || self.serving.refresh_ms == 0 {
            bail!("serving.max_batch, serving.max_text_chars and serving.refresh_ms must be at least 1");
        }
        Ok(())
    }

    /// The configuration as TOML with secrets shown as `***`.
    pub fn printed(&self) -> anyhow::Result<String> {
        let mut shown = self.clone();
        shown.storage.database = without_password(&shown.storage.database);
        shown.storage.blobs = without_password(&shown.storage.blobs);
        toml::to_string_pretty(&shown).context("the configuration cannot be shown")
    }
}

/// Sets the value at `path`. The default's type says how to read the text.
fn set(table: &mut toml::Table, defaults: &toml::Table, path: &[&str], text: &str) -> anyhow::Result<()> {
    match path {
        [] => Ok(()),
        [key] => {
            let value = match defaults.get(*key) {
                Some(toml::Value::String(_)) | None => toml::Value::String(text.to_owned()),
                Some(_) => format!("value = {text}")
                    .parse::<toml::Table>()
                    .ok()
                    .and_then(|mut parsed| parsed.remove("value"))
                    .with_context(|| format!("`{text}` is not a TOML value (number, true, false, [\"list\"])"))?,
            };
            table.insert((*key).to_owned(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let empty = toml::Table::new();
            let defaults = defaults.get(*section).and_then(toml::Value::as_table).unwrap_or(&empty);
            let inner = table.entry(*section).or_insert_with(|| toml::Table::new().into());
            let Some(inner) = inner.as_table_mut() else { bail!("`{section}` is not a section") };
            set(inner, defaults, rest, text)
        }
    }
}

/// `url` with its password, before the host or among the options, replaced by `***`.
pub fn without_password(url: &str) -> String {
    let (url, options) = url.split_once('?').map_or((url, None), |(url, options)| (url, Some(options)));
    let masked = without_user_password(url);
    let Some(options) = options else { return masked };
    let option = |option: &str| match option.split_once('=') {
        Some((name, _)) if name.eq_ignore_ascii_case("password") => format!("{name}=***"),
        _ => option.to_owned(),
    };
    format!("{masked}?{}", options.split('&').map(option).collect::<Vec<_>>().join("&"))
}

fn without_user_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:***@{host}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;

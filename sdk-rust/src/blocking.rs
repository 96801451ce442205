//! A client for programs without a runtime.
//!
//! [`Client`] owns a runtime of one thread, which keeps the connection alive between the calls, and a [`crate::Client`], whose
//! every call goes through [`Client::run`]. Threads may share one client and call at the same time.
//!
//! ```no_run
//! use tenor_sdk::{ClientBuilder, RunQuery, blocking};
//!
//! # fn main() -> tenor_sdk::Result<()> {
//! let client = blocking::Client::new(ClientBuilder::new("http://127.0.0.1:8470").attempts(2))?;
//! let run = client.run(async |tenor| {
//!     let version = tenor.models().version("reviews", "champion").await?;
//!     tenor.experiments().run(version.run_id).await
//! })?;
//! for event in client.iter(|tenor| tenor.jobs().watch(run.job_id, 0)) {
//!     println!("{}", event?.message);
//! }
//! let runs = client.list(|tenor| tenor.experiments().runs(RunQuery::new()))?;
//! # Ok(())
//! # }
//! ```

use std::future::Future;

use futures::TryStreamExt as _;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{ClientBuilder, Error, Items, Kind, Result};

/// A client whose calls block the thread. It may be dropped anywhere, within a runtime too.
///
/// # Errors
/// Within a Tokio runtime, `spawn_blocking` included, each method fails with [`Kind::FailedPrecondition`] and the reason
/// `WITHIN_A_RUNTIME`: a blocked thread could be the one that the runtime needs. The async client is for there.
#[derive(Debug)]
pub struct Client {
    tenor: crate::Client,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Client {
    /// A client with the default settings.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn connect(url: impl Into<String>) -> Result<Self> {
        Self::new(ClientBuilder::new(url))
    }
    /// A client with these settings. The connection is made by the first call.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`]; [`Kind::ResourceExhausted`] when the system gives no runtime.
    pub fn new(builder: ClientBuilder) -> Result<Self> {
        outside()?;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("tenor-sdk").enable_all().build();
        let runtime = runtime.map_err(|error| {
            Error::new(Kind::ResourceExhausted, "NO_RUNTIME", format!("cannot start a runtime: {error}"))
        })?;
        let tenor = runtime.block_on(async { builder.build() })?;
        Ok(Self { tenor, runtime: Some(runtime) })
    }
    /// Runs `calls` with the async client to their end. The current `tracing` span goes along.
    pub fn run<T>(&self, calls: impl AsyncFnOnce(&crate::Client) -> Result<T>) -> Result<T> {
        self.wait(calls(&self.tenor))
    }
    /// All items of a list.
    pub fn list<T>(&self, list: impl FnOnce(&crate::Client) -> Items<T>) -> Result<Vec<T>> {
        self.iter(list).collect()
    }
    /// The items of a list or of another stream while they come; an error is the last one.
    pub fn iter<T>(&self, stream: impl FnOnce(&crate::Client) -> Items<T>) -> impl Iterator<Item = Result<T>> {
        let mut stream = Some(stream(&self.tenor));
        std::iter::from_fn(move || {
            let next = self.wait(stream.as_mut()?.try_next()).transpose();
            if !matches!(next, Some(Ok(_))) {
                stream = None;
            }
            next
        })
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        outside()?;
        // Taken by `drop` alone.
        self.runtime.as_ref().expect("a client has its runtime until it is dropped").block_on(future)
    }
}

impl Drop for Client {
    /// Does not wait: within another runtime that would panic.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn outside() -> Result<()> {
    match Handle::try_current() {
        Err(_) => Ok(()),
        Ok(_) => {
            let text = "a blocking client is called within a Tokio runtime; use `tenor_sdk::Client` there";
            Err(Error::new(Kind::FailedPrecondition, "WITHIN_A_RUNTIME", text))
        }
    }
}

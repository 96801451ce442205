//! What a training may use from outside, and whom it tells.

use tenor_domain::{Digest, Error};
use tenor_features::Stop;
use tenor_features::arrays::Arrays;
use tenor_features::tfidf::CountCache;

/// Takes a share of the work done, 0 to 1, and what is being done.
pub type OnProgress<'a> = &'a (dyn Fn(f64, &str) + Sync);
/// Takes a metric's key, its value and its step.
pub type OnMetric<'a> = &'a (dyn Fn(&str, f64, i64) + Sync);

/// What is kept between trainings is of this build. The number after the version grows with each change to what is kept, or to the numbers
/// that fits compute, so that no fit goes on with those of another program.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "-2");

/// Keeps the state of one long fit, so that the next attempt at the very same fit goes on from there.
pub trait Checkpoints: Sync {
    /// The last state that was kept; `None` at the first attempt.
    fn load(&self) -> Result<Option<Arrays>, Error>;
    /// Whether enough time has passed since the start or the last state.
    fn due(&self) -> bool;
    /// Replaces the last state.
    fn save(&self, state: &Arrays) -> Result<(), Error>;
}

/// Fitted features with what they made of the texts, kept from one training to the next.
pub trait FeatureBlocks: Sync {
    fn get(&self, key: &Digest) -> Result<Option<Arrays>, Error>;
    fn put(&self, key: &Digest, block: &Arrays) -> Result<(), Error>;
}

/// Where features are looked for before they are fitted.
#[derive(Clone, Copy)]
pub struct Blocks<'a> {
    pub store: &'a dyn FeatureBlocks,
    /// Identity of the training rows, in their order.
    pub rows: Digest,
    /// Counts of the terms of these rows and others.
    pub counts: Option<&'a CountCache>,
}

/// Seed, threads, cancelling, progress and metrics of one training.
#[derive(Clone, Copy)]
pub struct FitContext<'a> {
    /// Same data, parameters and seed: same model, bit for bit.
    pub seed: u64,
    /// How many threads may work; 0 means one a core. The model does not depend on it.
    pub threads: usize,
    /// Checked many times a second.
    pub stop: Stop<'a>,
    pub on_progress: OnProgress<'a>,
    pub on_metric: OnMetric<'a>,
    /// Where a long fit keeps its state; `None`: it starts anew after a crash.
    pub checkpoints: Option<&'a dyn Checkpoints>,
    /// `None`: features are fitted anew. What is found is what would have been fitted, bit for bit.
    pub blocks: Option<Blocks<'a>>,
}

impl FitContext<'static> {
    /// One thread a core, never stops, tells nobody.
    pub fn quiet(seed: u64) -> Self {
        Self {
            seed,
            threads: 0,
            stop: Stop::never(),
            on_progress: &|_, _| (),
            on_metric: &|_, _, _| (),
            checkpoints: None,
            blocks: None,
        }
    }
}

impl FitContext<'_> {
    pub fn progress(&self, share: f64, what: &str) {
        (self.on_progress)(share, what);
    }
    pub fn metric(&self, key: &str, value: f64, step: i64) {
        (self.on_metric)(key, value, step);
    }
    /// What `read` makes of the state of an earlier attempt. A fit that goes on from it ends in the same model as one that was never
    /// interrupted. A state that cannot be read, as after an upgrade, is none: the fit starts anew.
    pub fn resume<T>(&self, read: impl FnOnce(&Arrays) -> Result<T, Error>) -> Result<Option<T>, Error> {
        let state = self.checkpoints.map_or(Ok(None), Checkpoints::load)?;
        Ok(state.and_then(|state| read(&state).ok()))
    }
    /// Keeps the state that `state` makes, if it is time to. Called between two trees, epochs or iterations.
    pub fn checkpoint(&self, state: impl FnOnce() -> Arrays) -> Result<(), Error> {
        match self.checkpoints {
            Some(checkpoints) if checkpoints.due() => checkpoints.save(&state()),
            _ => Ok(()),
        }
    }
    /// Runs `work` on a thread pool of its own with [`threads`](Self::threads) threads.
    pub fn in_pool<T: Send>(&self, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|index| format!("fit-{index}"))
            .build()
            .map_err(|error| Error::internal(format!("cannot start the training threads: {error}")))?;
        pool.install(work)
    }
}

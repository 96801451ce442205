//! Batches without a clock: what the resolvers of an operation want is read when none of them can go on.
//!
//! A batch that is sent after a delay is cut in two whenever resolving takes longer than the delay, so that the number of
//! statements grows with the rows. Here the future of the operation tells: it is polled until it neither ends nor asks to
//! be polled again; what is wanted then is all that can be wanted.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use futures::task::AtomicWaker;

use crate::error::Result;

/// How often an operation may go on at once before other tasks get their turn.
const ROUNDS: usize = 32;

/// Rows of one type by key, each read once in an operation.
pub(crate) struct Table<K, V>(Mutex<State<K, V>>);

struct State<K, V> {
    /// `None` until it was read.
    rows: HashMap<K, Option<Result<Option<V>>>>,
    /// Keys for the next batch.
    wanted: Vec<K>,
    waiting: Vec<Waker>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Mutex::new(State { rows: HashMap::new(), wanted: Vec::new(), waiting: Vec::new() }))
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Table<K, V> {
    /// Nothing panics while the lock is held.
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row with this key, once a batch has brought it; `None` when it does not exist.
    pub(crate) async fn load(&self, key: K) -> Result<Option<V>> {
        std::future::poll_fn(|context| {
            let mut state = self.lock();
            match state.rows.get(&key) {
                Some(Some(found)) => return Poll::Ready(found.clone()),
                Some(None) => {}
                None => {
                    state.rows.insert(key.clone(), None);
                    state.wanted.push(key.clone());
                }
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The keys of the next batch.
    pub(crate) fn take(&self) -> Vec<K> {
        std::mem::take(&mut self.lock().wanted)
    }

    /// What a batch has brought for `keys`.
    pub(crate) fn put(&self, keys: Vec<K>, found: Result<HashMap<K, V>>) {
        let waiting = {
            let mut state = self.lock();
            match found {
                Ok(mut found) => {
                    for key in keys {
                        let row = found.remove(&key);
                        state.rows.insert(key, Some(Ok(row)));
                    }
                }
                Err(failure) => {
                    for key in keys {
                        state.rows.insert(key, Some(Err(failure.clone())));
                    }
                }
            }
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Runs `operation`, and the batches that `batches` makes of what is wanted whenever it stands still.
pub(crate) async fn drive<T>(
    operation: impl Future<Output = T>,
    batches: impl Fn() -> Vec<BoxFuture<'static, ()>>,
) -> T {
    let mut operation = pin!(operation);
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(Arc::clone(&signal));
    let mut running = FuturesUnordered::new();
    std::future::poll_fn(|context| {
        signal.outer.register(context.waker());
        for _ in 0..ROUNDS {
            // A batch hands out all its rows before the operation sees one.
            while let Poll::Ready(Some(())) = running.poll_next_unpin(context) {}
            signal.woken.store(false, Ordering::Release);
            if let Poll::Ready(answer) = Pin::new(&mut operation).poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(answer);
            }
            if signal.woken.load(Ordering::Acquire) {
                continue;
            }
            let next = batches();
            if next.is_empty() {
                return Poll::Pending;
            }
            running.extend(next);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Wakes the task, and remembers that the operation can go on.
#[derive(Default)]
struct Signal {
    woken: AtomicBool,
    outer: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.outer.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::{FutureExt as _, join_all};
    use tenor_domain::Error;

    use super::*;

    /// Twice the key, of keys below 1,000; every batch is noted.
    #[derive(Default)]
    struct Doubles {
        table: Table<u32, u32>,
        batches: Mutex<Vec<usize>>,
    }

    impl Doubles {
        fn batches(self: &Arc<Self>) -> Vec<BoxFuture<'static, ()>> {
            let keys = self.table.take();
            if keys.is_empty() {
                return Vec::new();
            }
            let this = Arc::clone(self);
            let batch = async move {
                this.batches.lock().unwrap().push(keys.len());
                tokio::time::sleep(Duration::from_millis(1)).await;
                let found = match keys.contains(&666) {
                    true => Err(Error::not_found("no").into()),
                    false => Ok(keys.iter().filter(|key| **key < 1_000).map(|key| (*key, key * 2)).collect()),
                };
                this.table.put(keys, found);
            };
            vec![batch.boxed()]
        }
    }

    async fn run<T>(operation: impl AsyncFnOnce(&Doubles) -> T) -> (T, Vec<usize>) {
        let doubles = Arc::new(Doubles::default());
        let answer = drive(operation(&doubles), || doubles.batches()).await;
        let batches = doubles.batches.lock().unwrap().clone();
        (answer, batches)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_wanted_at_once_is_one_batch_however_long_resolving_takes() {
        let (found, batches) = run(async |doubles| {
            let load = |key: u32| async move {
                // Slow, and in more than one step.
                std::thread::sleep(Duration::from_micros(20));
                tokio::task::yield_now().await;
                let once = doubles.table.load(key % 500).await.unwrap().unwrap();
                doubles.table.load(once + 2_000).await.unwrap()
            };
            join_all((0..2_000).map(load)).await
        })
        .await;
        assert_eq!((found.len(), batches), (2_000, vec![500, 500]));
        assert!(found.iter().all(Option::is_none));
    }

    #[tokio::test]
    async fn a_row_is_read_once_and_a_failure_is_everybodys() {
        let (_, batches) = run(async |doubles| {
            for _ in 0..3 {
                assert_eq!(doubles.table.load(4).await.unwrap(), Some(8));
            }
            for failed in join_all([665, 666, 667].map(|key| doubles.table.load(key))).await {
                assert_eq!(failed.unwrap_err().code(), "NOT_FOUND");
            }
        })
        .await;
        assert_eq!(batches, [1, 3]);
    }

    #[tokio::test]
    async fn an_operation_that_wants_nothing_ends_and_one_that_never_rests_lets_others_run() {
        assert_eq!(run(async |_| 7).await, (7, vec![]));
        let restless = run(async |_| {
            loop {
                tokio::task::yield_now().await;
            }
        });
        let others = tokio::time::timeout(Duration::from_millis(50), restless);
        assert!(others.await.is_err());
    }
}

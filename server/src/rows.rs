//! Rows of tables that are blobs, for previews.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempPath;
use tenor_api::RowReader;
use tenor_domain::{Digest, Error, ErrorKind};
use tenor_store::Blobs;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tables kept on disk: paging through one must not fetch and check it anew for each page.
const KEPT: usize = 4;
/// Tables that are fetched at the same time.
const FETCHES: usize = 2;

/// The tables that were read last. Each is fetched once, whoever asks for it meanwhile. A fetch goes on when its callers have left, until
/// others were asked for since.
pub(crate) struct Tables {
    blobs: Blobs,
    folder: PathBuf,
    limit_bytes: u64,
    shutdown: CancellationToken,
    fetches: TaskTracker,
    places: Semaphore,
    /// The most recent last.
    recent: Mutex<VecDeque<(Digest, Table)>>,
}

/// Empty while the table is being fetched.
type Table = watch::Receiver<Option<Result<Arc<TempPath>, Error>>>;

impl Tables {
    /// Tables of at most `limit_bytes` are kept in `folder`. Fetches end with `shutdown`.
    pub(crate) fn new(blobs: Blobs, folder: PathBuf, limit_bytes: u64, shutdown: CancellationToken) -> Arc<Self> {
        let (fetches, places) = (TaskTracker::new(), Semaphore::new(FETCHES));
        Arc::new(Self { blobs, folder, limit_bytes, shutdown, fetches, places, recent: Mutex::default() })
    }

    pub(crate) fn reader(self: Arc<Self>) -> RowReader {
        Arc::new(move |digest, offset, limit| {
            let tables = Arc::clone(&self);
            Box::pin(async move {
                let table = tables.table(digest).await?;
                let read = move || read(&table, offset, limit);
                tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
            })
        })
    }

    /// Returns when the shutdown has begun and no fetch runs any more.
    pub(crate) async fn finished(&self) {
        self.shutdown.cancelled().await;
        self.fetches.close();
        self.fetches.wait().await;
    }

    async fn table(self: &Arc<Self>, digest: Digest) -> Result<Arc<TempPath>, Error> {
        let mut table = self.find_or_fetch(digest);
        match table.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(fetched)) => fetched.clone(),
            _ if self.shutdown.is_cancelled() => {
                let message = "the rows were not fetched, because the server is shutting down; ask again in a moment";
                Err(Error { reason: "SERVER_DRAINING", ..Error::unavailable(message, 1_000) })
            }
            _ => Err(Error::internal("the fetch of a table panicked")),
        }
    }

    fn find_or_fetch(self: &Arc<Self>, digest: Digest) -> Table {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // What failed is tried again. The sender of one that panicked is gone.
        recent.retain(|(_, table)| match *table.borrow() {
            Some(Ok(_)) => true,
            Some(Err(_)) => false,
            None => table.has_changed().is_ok(),
        });
        let table = match recent.iter().position(|(found, _)| *found == digest).and_then(|at| recent.remove(at)) {
            Some((_, table)) => table,
            None => self.begin(digest),
        };
        recent.push_back((digest, table.clone()));
        if recent.len() > KEPT {
            recent.pop_front();
        }
        table
    }

    fn begin(self: &Arc<Self>, digest: Digest) -> Table {
        let (sender, table) = watch::channel(None);
        let tables = Arc::clone(self);
        self.fetches.spawn(async move {
            tokio::select! {
                fetched = tables.fetch(&digest) => drop(sender.send_replace(Some(fetched))),
                () = tables.shutdown.cancelled() => {}
                // Neither a caller waits for it, nor is it among the recent ones any more.
                () = sender.closed() => {}
            }
        });
        table
    }

    async fn fetch(&self, digest: &Digest) -> Result<Arc<TempPath>, Error> {
        let size_bytes = self.blobs.size(digest).await?.unwrap_or_default();
        if size_bytes > self.limit_bytes {
            let limit_bytes = self.limit_bytes;
            let message = format!(
                "the table has {size_bytes} bytes, previews read tables of at most {limit_bytes}; \
                 raise `storage.max_preview_bytes` of the server"
            );
            return Err(Error::new(ErrorKind::ResourceExhausted, "PREVIEW_TOO_LARGE", message));
        }
        // Never closed.
        let _place = self.places.acquire().await;
        let file = tempfile::Builder::new().prefix("rows-").tempfile_in(&self.folder).map_err(Error::internal)?;
        let table = file.into_temp_path();
        self.blobs.get_to_file(digest, &table).await?;
        Ok(Arc::new(table))
    }
}

fn read(table: &Path, offset: u64, limit: usize) -> Result<Vec<String>, Error> {
    let rows = tenor_data::read_rows(table, usize::try_from(offset).unwrap_or(usize::MAX), limit)?;
    Ok(rows.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    struct Bench {
        tables: Arc<Tables>,
        folder: TempDir,
        store: TempDir,
    }

    impl Bench {
        fn new(limit_bytes: u64) -> Self {
            let (store, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let blobs = Blobs::folder(store.path()).unwrap();
            let tables = Tables::new(blobs, folder.path().to_owned(), limit_bytes, CancellationToken::new());
            Self { tables, folder, store }
        }
        async fn blob(&self, size: usize, byte: u8) -> Digest {
            self.tables.blobs.put_bytes(vec![byte; size].into()).await.unwrap()
        }
        /// The store has nothing any more: what is there has been fetched.
        fn lose(&self) {
            std::fs::remove_dir_all(self.store.path().join("sha256")).unwrap();
        }
        fn files(&self) -> usize {
            std::fs::read_dir(self.folder.path()).unwrap().count()
        }
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_fetch() {
        let bench = Bench::new(1 << 30);
        let digest = bench.blob(8 << 20, 1).await;
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let tables = Arc::clone(&bench.tables);
                tokio::spawn(async move { tables.table(digest).await.unwrap() })
            })
            .collect();
        let mut paths = Vec::new();
        for call in calls {
            paths.push(call.await.unwrap());
        }
        assert!(paths.iter().all(|path| Arc::ptr_eq(path, &paths[0])));
        assert_eq!(bench.files(), 1);
    }

    #[tokio::test]
    async fn a_fetch_outlives_the_call_that_began_it() {
        let bench = Bench::new(1 << 30);
        let digest = bench.blob(8 << 20, 1).await;
        let call = tokio::time::timeout(Duration::ZERO, bench.tables.table(digest)).await;
        assert!(call.is_err(), "the caller's deadline passed");
        bench.tables.fetches.close();
        bench.tables.fetches.wait().await;
        bench.lose();
        let table = bench.tables.table(digest).await.unwrap();
        assert_eq!(std::fs::metadata(&*table).unwrap().len(), 8 << 20);
    }

    #[tokio::test]
    async fn a_table_over_the_limit_is_refused_and_what_failed_is_tried_again() {
        let bench = Bench::new(10);
        let large = bench.blob(11, 1).await;
        let error = bench.tables.table(large).await.unwrap_err();
        assert_eq!((error.kind, error.reason), (ErrorKind::ResourceExhausted, "PREVIEW_TOO_LARGE"));
        assert!(error.message.contains("11 bytes") && error.message.contains("at most 10"), "{error}");
        let missing = Digest::of(&[2; 10]);
        assert_eq!(bench.tables.table(missing).await.unwrap_err().reason, "BLOB_MISSING");
        assert_eq!(bench.files(), 0, "what failed leaves nothing");
        assert_eq!(bench.blob(10, 2).await, missing);
        bench.tables.table(missing).await.unwrap();
    }

    #[tokio::test]
    async fn the_last_tables_are_kept_and_older_ones_go() {
        let bench = Bench::new(10);
        for byte in 0..=KEPT {
            let digest = bench.blob(3, byte as u8).await;
            bench.tables.table(digest).await.unwrap();
            // Read again and again, it stays.
            bench.tables.table(Digest::of(&[0; 3])).await.unwrap();
        }
        assert_eq!(bench.files(), KEPT);
        bench.lose();
        bench.tables.table(Digest::of(&[0; 3])).await.unwrap();
        assert_eq!(bench.tables.table(Digest::of(&[1; 3])).await.unwrap_err().reason, "BLOB_MISSING");
    }

    #[tokio::test]
    async fn the_shutdown_ends_fetches() {
        let bench = Bench::new(1 << 30);
        let digest = bench.blob(8 << 20, 1).await;
        bench.tables.shutdown.cancel();
        assert_eq!(bench.tables.table(digest).await.unwrap_err().kind, ErrorKind::Unavailable);
        tokio::time::timeout(Duration::from_secs(10), bench.tables.finished()).await.unwrap();
    }
}

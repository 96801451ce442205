//! What trainings leave on the worker's disk for later ones: checkpoints by run, feature blocks by content.
//!
//! A cache: whatever is lost, cut or of another build is made anew.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tenor_domain::{Clock as _, Digest, Error, SystemClock};
use tenor_features::arrays::Arrays;
use tenor_learn::{BUILD, Blocks, Checkpoints, FeatureBlocks, state};
use tracing::{info, warn};

/// A checkpoint of a run that nobody goes on with is removed after this long.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// What files end in while they are written, and how long that may take.
const HALF_WRITTEN: &str = "part";
const MAX_WRITING: Duration = Duration::from_secs(24 * 3600);

/// The folder with its limits.
#[derive(Debug, Clone)]
pub struct Kept {
    pub folder: PathBuf,
    /// Time between two checkpoints of a fit.
    pub checkpoint_every: Duration,
    /// Feature blocks together take at most so many bytes; the longest unused go first. 0 keeps none.
    pub max_block_bytes: u64,
}

impl Kept {
    /// The checkpoints of a run or a trial.
    pub(crate) fn checkpoints(&self, of: impl std::fmt::Display) -> RunCheckpoints {
        let name = format!("{of}-{BUILD}.checkpoint");
        RunCheckpoints { path: self.folder.join(name), every: self.checkpoint_every, last: Mutex::new(Instant::now()) }
    }

    /// The feature blocks of the training rows `rows`; `None` if none are kept.
    pub(crate) fn blocks(&self, rows: Digest) -> Option<Blocks<'_>> {
        (self.max_block_bytes > 0).then_some(Blocks { store: self, rows, counts: None })
    }

    fn block(&self, key: &Digest) -> PathBuf {
        self.folder.join(format!("{key}.block"))
    }

    /// Files with `extension`, with size and last use.
    fn files(&self, extension: &str) -> Vec<(PathBuf, u64, SystemTime)> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let of_kind = entries.filter(|entry| entry.path().extension().is_some_and(|found| found == extension));
        of_kind
            .filter_map(|entry| {
                let facts = entry.metadata().ok()?;
                Some((entry.path(), facts.len(), facts.modified().ok()?))
            })
            .collect()
    }

    /// Removes the longest unused blocks until the limit is kept, checkpoints that nobody came back for, and what killed processes
    /// were writing.
    pub fn tidy(&self) {
        let mut blocks = self.files("block");
        blocks.sort_by_key(|(path, _, used)| (std::cmp::Reverse(*used), path.clone()));
        let mut sum = 0u64;
        for (path, bytes, _) in blocks {
            sum = sum.saturating_add(bytes);
            if sum > self.max_block_bytes {
                remove(&path);
            }
        }
        for (extension, limit) in [("checkpoint", MAX_AGE), (HALF_WRITTEN, MAX_WRITING)] {
            for (path, _, written) in self.files(extension) {
                if now().duration_since(written).is_ok_and(|age| age > limit) {
                    remove(&path);
                }
            }
        }
    }
}

impl FeatureBlocks for Kept {
    fn get(&self, key: &Digest) -> Result<Option<Arrays>, Error> {
        let path = self.block(key);
        let Some(block) = read(&path) else { return Ok(None) };
        // The time of the last use is what blocks are removed by.
        if let Ok(file) = std::fs::File::open(&path) {
            let _ = file.set_modified(now());
        }
        Ok(Some(block))
    }

    fn put(&self, key: &Digest, block: &Arrays) -> Result<(), Error> {
        let bytes = state::to_bytes(block)?;
        if bytes.len() as u64 <= self.max_block_bytes {
            write(&self.block(key), &bytes);
            self.tidy();
        }
        Ok(())
    }
}

/// The state of one run's fit.
#[derive(Debug)]
pub(crate) struct RunCheckpoints {
    path: PathBuf,
    every: Duration,
    last: Mutex<Instant>,
}

impl RunCheckpoints {
    /// The run is over: nobody will go on.
    pub fn remove(&self) {
        if self.path.exists() {
            remove(&self.path);
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Checkpoints for RunCheckpoints {
    fn load(&self) -> Result<Option<Arrays>, Error> {
        let state = read(&self.path);
        if state.is_some() {
            info!("training goes on from a checkpoint");
        }
        Ok(state)
    }
    fn due(&self) -> bool {
        self.last().elapsed() >= self.every
    }
    fn save(&self, state: &Arrays) -> Result<(), Error> {
        write(&self.path, &state::to_bytes(state)?);
        *self.last() = Instant::now();
        Ok(())
    }
}

fn read(path: &Path) -> Option<Arrays> {
    state::from_bytes(&std::fs::read(path).ok()?)
}

/// Whole or not at all, also when the process is killed half-way. A full disk costs the cache, not the training.
fn write(path: &Path, bytes: &[u8]) {
    let written = path.parent().map_or(Ok(()), |folder| {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().suffix(&format!(".{HALF_WRITTEN}")).tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok::<(), std::io::Error>(())
    });
    if let Err(error) = written {
        warn!(file = %path.display(), error = %error, "a checkpoint or feature block was not kept");
    }
}

/// As files have it.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(SystemClock.now().0).unwrap_or(0))
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        warn!(file = %path.display(), error = %error, "a kept file was not removed");
    }
}

#[cfg(test)]
mod tests {
    use tenor_domain::RunId;
    use tenor_features::arrays::Array;

    use super::*;

    fn block(bytes: usize) -> Arrays {
        let mut block = Arrays::default();
        block.insert("a", Array::U8(vec![7; bytes]));
        block
    }

    #[test]
    fn the_longest_unused_block_goes_first_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept { folder: folder.path().into(), checkpoint_every: Duration::ZERO, max_block_bytes: 2_600 };
        let keys = [b"a", b"b", b"c"].map(|name| Digest::of(name));
        for (age, key) in [(30, &keys[0]), (20, &keys[1])] {
            kept.put(key, &block(1_000)).unwrap();
            let file = std::fs::File::open(kept.block(key)).unwrap();
            file.set_modified(now() - Duration::from_secs(age)).unwrap();
        }
        // Used again, so that the second is the older one now.
        assert_eq!(kept.get(&keys[0]).unwrap(), Some(block(1_000)));
        kept.put(&keys[2], &block(1_000)).unwrap();
        assert_eq!(kept.get(&keys[1]).unwrap(), None);
        assert!(kept.get(&keys[0]).unwrap().is_some() && kept.get(&keys[2]).unwrap().is_some());
        std::fs::write(kept.block(&keys[0]), b"nonsense").unwrap();
        assert_eq!(kept.get(&keys[0]).unwrap(), None);
        kept.put(&keys[1], &block(5_000)).unwrap();
        assert_eq!(kept.get(&keys[1]).unwrap(), None, "larger than all together may be");
    }

    #[test]
    fn a_checkpoint_is_found_by_the_next_attempt_and_gone_after_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept { folder: folder.path().join("new"), checkpoint_every: Duration::ZERO, max_block_bytes: 0 };
        let run = RunId::new();
        let first = kept.checkpoints(&run);
        assert!(first.due() && first.load().unwrap().is_none());
        first.save(&block(10)).unwrap();
        first.save(&block(20)).unwrap();
        let next = kept.checkpoints(&run);
        assert_eq!(next.load().unwrap(), Some(block(20)));
        assert!(kept.checkpoints(RunId::new()).load().unwrap().is_none());
        next.remove();
        assert!(first.load().unwrap().is_none());
    }

    #[test]
    fn what_a_killed_process_was_writing_is_removed_a_day_later() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept { folder: folder.path().to_owned(), checkpoint_every: Duration::ZERO, max_block_bytes: 1 };
        let (old, new) = (folder.path().join(".a.part"), folder.path().join(".b.part"));
        for (path, age) in [(&old, MAX_WRITING + Duration::from_secs(60)), (&new, Duration::from_secs(60))] {
            std::fs::write(path, b"half").unwrap();
            std::fs::File::options().write(true).open(path).unwrap().set_modified(now() - age).unwrap();
        }
        kept.tidy();
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn without_room_no_block_is_asked_for() {
        let kept =
            |max_block_bytes| Kept { folder: "nowhere".into(), checkpoint_every: Duration::ZERO, max_block_bytes };
        assert!(kept(0).blocks(Digest::of(b"rows")).is_none());
        assert!(kept(1).blocks(Digest::of(b"rows")).is_some());
    }
}

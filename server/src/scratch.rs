//! The folder of temporary files of this process, and the removal of those that killed processes left behind.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::{NamedTempFile, TempDir};
use tracing::{info, warn};

const PREFIX: &str = "process-";
/// Of the file beside a folder that the process which owns the folder holds locked.
const LOCK: &str = ".lock";

/// A folder that goes with the process.
#[derive(Debug)]
pub(crate) struct ScratchDir {
    folder: TempDir,
    /// Locked before the folder is there, and dropped after it is gone: a folder beside a free lock belongs to nobody.
    _lock: NamedTempFile,
}

impl ScratchDir {
    /// Makes a folder under `parent`. Folders there whose owner is gone are removed.
    pub(crate) fn create(parent: &Path) -> anyhow::Result<Self> {
        let make = || -> std::io::Result<Self> {
            std::fs::create_dir_all(parent)?;
            let lock = lock(parent)?;
            let name = lock.path().file_stem().unwrap_or_default();
            let folder = tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir_in(parent)?;
            Ok(Self { folder, _lock: lock })
        };
        let made = make().with_context(|| format!("cannot make a scratch folder in `{}`", parent.display()))?;
        remove_abandoned(parent);
        Ok(made)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

fn lock(parent: &Path) -> std::io::Result<NamedTempFile> {
    loop {
        let lock = tempfile::Builder::new().prefix(PREFIX).suffix(LOCK).tempfile_in(parent)?;
        lock.as_file().lock()?;
        // Another process may have found it free before it was locked, and removed it.
        if lock.path().exists() {
            return Ok(lock);
        }
    }
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let paths = entries.flatten().map(|entry| entry.path());
    for path in paths.filter(|path| path.to_str().is_some_and(|path| path.ends_with(LOCK))) {
        let Ok(lock) = File::open(&path) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        let folder = path.with_extension("");
        let removed = match std::fs::remove_dir_all(&folder) {
            Ok(()) => {
                info!(scratch.folder = %folder.display(), "removed the scratch folder of a process that is gone");
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        // Last: while the folder is there, so is its lock.
        if let Err(error) = removed.and_then(|()| std::fs::remove_file(&path)) {
            warn!(scratch.folder = %folder.display(), error = %error, "scratch folder not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_process_that_is_gone_is_removed_and_a_live_one_stays() {
        let parent = tempfile::tempdir().unwrap();
        let live = ScratchDir::create(parent.path()).unwrap();
        let dead = parent.path().join("process-dead");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join("table"), "rows").unwrap();
        for name in ["process-dead.lock", "process-died-early.lock"] {
            std::fs::write(parent.path().join(name), "").unwrap();
        }
        let other = ScratchDir::create(parent.path()).unwrap();
        assert!(live.path().exists() && other.path().exists());
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 4, "two folders with their locks");
        let path = live.path();
        drop(live);
        assert!(!path.exists());
    }

    #[test]
    fn processes_that_start_at_once_leave_each_other_alone() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let made = ScratchDir::create(parent.path()).unwrap();
                        std::fs::write(made.path().join("table"), "rows").unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "what is gone leaves nothing");
    }
}

//! How work reports and stops, and the ordered pipeline on which everything here runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::Error;

/// What a long call gets from its caller. All calls block; run them on blocking threads.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Told the share done (0 to 1) and the step's name, at most once a block of rows.
    pub progress: &'a (dyn Fn(f64, &str) + Sync),
    /// Asked once a block of rows; `true` ends the call with [`Error::Cancelled`].
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Threads that parse, clean and compute. Results are the same bytes for any number.
    pub threads: usize,
    /// Folder for temporary files. (No step spills to disk today.)
    pub scratch: &'a Path,
}

impl Work<'_> {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if (self.cancelled)() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Removes the files it names unless `keep` was called: nothing half-made stays.
pub(crate) struct Outputs {
    folder: PathBuf,
    created_folder: bool,
    files: Vec<PathBuf>,
    keep: bool,
}

impl Outputs {
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, Error> {
        use crate::error::Attempt as _;
        let created_folder = !folder.exists();
        std::fs::create_dir_all(folder).attempt(|| format!("create the folder `{}`", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), created_folder, files: Vec::new(), keep: false })
    }
    pub(crate) fn file(&mut self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        self.files.push(path.clone());
        path
    }
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Best effort: an error is already on its way to the caller.
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        if self.created_folder {
            let _ = std::fs::remove_dir(&self.folder);
        }
    }
}

/// Runs `produce` on one thread, `map` on `threads` threads and `consume` on this one, blocks in their order.
/// At most `2 * threads + 2` blocks are alive, so memory is bounded whatever is slow.
pub(crate) fn ordered<T: Send, R: Send>(
    work: &Work<'_>,
    mut produce: impl FnMut() -> Result<Option<T>, Error> + Send,
    map: impl Fn(T) -> Result<R, Error> + Sync,
    mut consume: impl FnMut(R) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = work.threads.max(1);
    let alive = 2 * threads + 2;
    let stop = AtomicBool::new(false);
    let (ticket_back, tickets) = sync_channel::<()>(alive);
    for _ in 0..alive {
        // Cannot block or fail: the channel holds `alive` tickets and its receiver lives.
        let _ = ticket_back.try_send(());
    }
    let (block_in, block_out) = sync_channel::<(u64, T)>(alive);
    let block_out = Mutex::new(block_out);
    let (done_in, done_out) = sync_channel::<Step<R>>(alive + threads + 1);
    std::thread::scope(|scope| {
        let reader_done = done_in.clone();
        let (stop, map, block_out) = (&stop, &map, &block_out);
        scope.spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) && tickets.recv().is_ok() {
                match produce() {
                    Ok(Some(block)) => match block_in.send((number, block)) {
                        Ok(()) => number += 1,
                        Err(_) => break,
                    },
                    Ok(None) => break,
                    Err(error) => {
                        // An error of the reader comes after the blocks it has read.
                        let _ = reader_done.send((number, Err(error)));
                        break;
                    }
                }
            }
        });
        for _ in 0..threads {
            let done = done_in.clone();
            scope.spawn(move || map_blocks(block_out, &done, stop, map));
        }
        drop(done_in);
        let result = consume_in_order(&done_out, work, &mut consume, &ticket_back);
        stop.store(true, Ordering::Relaxed);
        drop(ticket_back);
        // Unblocks whoever still sends.
        while done_out.recv().is_ok() {}
        result
    })
}

type Step<R> = (u64, Result<R, Error>);

fn map_blocks<T, R>(
    blocks: &Mutex<Receiver<(u64, T)>>,
    done: &SyncSender<Step<R>>,
    stop: &AtomicBool,
    map: &(impl Fn(T) -> Result<R, Error> + Sync),
) {
    loop {
        let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, block)) = next else { return };
        if stop.load(Ordering::Relaxed) {
            continue;
        }
        if done.send((number, map(block))).is_err() {
            return;
        }
    }
}

fn consume_in_order<R>(
    done: &Receiver<Step<R>>,
    work: &Work<'_>,
    consume: &mut impl FnMut(R) -> Result<(), Error>,
    tickets: &SyncSender<()>,
) -> Result<(), Error> {
    let mut waiting = BTreeMap::new();
    let mut next = 0u64;
    while let Ok((number, result)) = done.recv() {
        waiting.insert(number, result);
        while let Some(result) = waiting.remove(&next) {
            work.check()?;
            consume(result?)?;
            next += 1;
            // The reader may have ended; then nobody needs the ticket.
            let _ = tickets.try_send(());
        }
    }
    work.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_out_in_order_for_any_thread_count_and_the_first_error_wins() {
        for threads in [1, 2, 5] {
            let work = Work { progress: &|_, _| (), cancelled: &|| false, threads, scratch: Path::new(".") };
            let mut made = 0;
            let mut seen = Vec::new();
            let produce = || {
                made += 1;
                Ok((made <= 100).then_some(made))
            };
            ordered(
                &work,
                produce,
                |n| Ok(n * 2),
                |n| {
                    seen.push(n);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(seen, (1..=100).map(|n| n * 2).collect::<Vec<_>>());
            let mut made = 0;
            let failing = ordered(
                &work,
                || {
                    made += 1;
                    Ok(Some(made))
                },
                |n| if n == 7 { Err(Error::NoRows("seven".into())) } else { Ok(n) },
                |_| Ok(()),
            );
            assert_eq!(failing.unwrap_err().to_string(), "seven");
        }
    }
}

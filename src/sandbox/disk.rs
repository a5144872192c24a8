//! What guests may write to the directories they are given: a budget that the containers of one pod share.
//!
//! Everything that can make a directory larger takes its bytes from what is left of the area that it is in. What a
//! guest deletes is not given back at once: when too little is left, the area is measured ([`super::usage`]) and the
//! difference to its limit is what is left from then on. So the cost of writing follows what is written, and the cost
//! of measuring is spread over at least that much.
//!
//! It is exact, because changes take turns: one [`Turn`] at a time per pod, held from the question how much a change
//! adds until it is done, and no change happens while an area is measured. Never: more than one block beyond a limit; a
//! run ended whose change would have fitted.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::usage;

/// Sizes are counted in blocks of this many bytes, as file systems do: at least one for each name.
pub(super) const BLOCK: u64 = 4096;

/// A directory of the host with a limit on what is below it. Areas are not within each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// How the outcome names it.
    pub name: String,
    pub host: PathBuf,
    pub limit_bytes: u64,
}

/// The limits of some directories. Clones share what has been counted so far.
#[derive(Clone, Debug)]
pub struct Disk {
    areas: Arc<[Area]>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Per area: bytes that may be added before it must be measured.
    left: Box<[u64]>,
    /// The files that guests have opened, so that those without a name are counted while somebody holds them.
    open: Vec<(usize, Weak<File>)>,
    /// How long `open` may grow until those that are closed are removed from it.
    open_max: usize,
}

/// The right to change the directories of a pod: nobody else does while it exists.
#[derive(Debug)]
pub(super) struct Turn(OwnedMutexGuard<State>);

/// Why a guest may not go on, as it travels through its frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskError {
    #[error("more than {limit_bytes} bytes in {area}")]
    Full { area: String, limit_bytes: u64 },
    #[error("cannot measure the directory of {area}: {error}")]
    Unmeasured { area: String, error: io::Error },
}

impl Disk {
    pub fn new(areas: Vec<Area>) -> Disk {
        let left = vec![0; areas.len()].into();
        let state = State { left, open: Vec::new(), open_max: 64 };
        Disk { areas: areas.into(), state: Arc::new(Mutex::new(state)) }
    }

    /// No limit, for a guest without directories.
    pub fn unlimited() -> Disk {
        Disk::new(Vec::new())
    }

    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// The area that holds the directory `host`, by its index.
    pub(super) fn area_of(&self, host: &Path) -> Option<usize> {
        self.areas.iter().position(|area| host.starts_with(&area.host))
    }

    /// For a change that adds nothing.
    pub(super) async fn turn(&self) -> Turn {
        Turn(self.state.clone().lock_owned().await)
    }

    /// For a change that adds as many bytes to `area` as `growth` says once it is asked, in a turn of its own.
    pub(super) async fn grow(&self, area: usize, growth: impl FnOnce() -> u64) -> Result<Turn, DiskError> {
        let mut turn = self.turn().await;
        let bytes = growth();
        if bytes > 0 {
            turn.0.take(&self.areas, area, bytes, bytes).await?;
        }
        Ok(turn)
    }

    /// For a change that adds a name to `area`, unless it turns out to be there already. It may go one block beyond the
    /// limit, because whether the name is new is only known afterwards.
    pub(super) async fn name(&self, area: usize) -> Result<Turn, DiskError> {
        let mut turn = self.turn().await;
        turn.0.take(&self.areas, area, BLOCK, 0).await?;
        Ok(turn)
    }
}

impl Turn {
    /// Remembers a file of `area` that was just opened.
    pub(super) fn opened(&mut self, area: usize, file: &Arc<File>) {
        let State { open, open_max, .. } = &mut *self.0;
        if open.len() >= *open_max {
            open.retain(|(_, file)| file.strong_count() > 0);
            *open_max = (open.len() * 2).max(64);
        }
        open.push((area, Arc::downgrade(file)));
    }
}

impl State {
    /// Takes `bytes` from what is left of an area; if that is too little, measures it, and fails if `needed` bytes
    /// more would not fit.
    async fn take(&mut self, areas: &Arc<[Area]>, index: usize, bytes: u64, needed: u64) -> Result<(), DiskError> {
        let (Some(area), Some(left)) = (areas.get(index), self.left.get_mut(index)) else { return Ok(()) };
        if let Some(rest) = left.checked_sub(bytes) {
            *left = rest;
            return Ok(());
        }
        let open = self.open.iter().filter(|(of, _)| *of == index).map(|(_, file)| file.clone()).collect();
        let used = match measure(area.host.clone(), open).await {
            Ok(used) => used,
            Err(error) => return Err(DiskError::Unmeasured { area: area.name.clone(), error }),
        };
        if used.saturating_add(needed) > area.limit_bytes {
            return Err(DiskError::Full { area: area.name.clone(), limit_bytes: area.limit_bytes });
        }
        *left = (area.limit_bytes - used).saturating_sub(bytes);
        Ok(())
    }
}

/// Measures on a thread that may block; when this future is dropped, the thread stops at the next file.
async fn measure(root: PathBuf, open: Vec<Weak<File>>) -> io::Result<u64> {
    struct Stop(Arc<AtomicBool>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Stop(Arc::default());
    let stopped = stop.0.clone();
    let measured = tokio::task::spawn_blocking(move || {
        let named = usage::of_directory(&root, &stopped)?;
        Ok(named.saturating_add(usage::of_nameless(&open)))
    });
    measured.await.map_err(io::Error::other)?
}

/// What a file of `size` bytes takes.
pub(super) fn cost_of_size(size: u64) -> u64 {
    size.max(1).div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// How much `file` grows if it then ends at `end(its size)`, or later.
pub(super) fn growth(file: &File, end: impl FnOnce(u64) -> u64) -> u64 {
    // What cannot be asked cannot be written either.
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    cost_of_size(end(size)).saturating_sub(cost_of_size(size))
}

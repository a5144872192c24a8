//! What guests may write to the directories they are given: a budget that the containers of one pod share.

use std::path::PathBuf;
use std::sync::Arc;

/// A directory of the host with a limit on what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// How the outcome names it.
    pub name: String,
    pub host: PathBuf,
    pub limit_bytes: u64,
}

/// The limits of some directories. Clones share what has been counted so far.
#[derive(Clone, Debug)]
pub struct Disk(Arc<[Area]>);

impl Disk {
    pub fn new(areas: Vec<Area>) -> Disk {
        Disk(areas.into())
    }

    /// No limit, for a guest without directories.
    pub fn unlimited() -> Disk {
        Disk::new(Vec::new())
    }

    pub fn areas(&self) -> &[Area] {
        &self.0
    }
}

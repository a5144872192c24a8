//! Which area each of a guest's descriptors lies in, and how much a change through it adds there.
//!
//! wasmtime-wasi opens, reads and writes; before it changes anything, the functions of [`super::files_core`] and
//! [`super::files_component`] ask here for a turn on the pod's disk. A guest without areas is never asked anything.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use wasmtime_wasi::ResourceTable;
use wasmtime_wasi::filesystem::Descriptor;

use super::devices::Devices;
use super::disk::{Disk, DiskError, Turn, growth};
use super::wasi::Mount;

/// The descriptors of one guest. Their numbers are file descriptors for core modules, and handles for components.
pub(super) struct Files {
    pub(super) disk: Disk,
    /// Per mount, in order: its area.
    areas: Vec<Option<usize>>,
    /// Those that lie in an area. A number that was closed stays here until it is used again.
    open: HashMap<u32, Opened>,
    pub(super) devices: Devices,
}

struct Opened {
    area: usize,
    /// Nothing for a directory.
    file: Weak<File>,
    /// Whether writes go to the end, wherever the descriptor stands.
    appends: bool,
}

/// Where a write begins.
#[derive(Clone, Copy)]
pub(super) enum Start {
    At(u64),
    End,
}

impl Files {
    pub(super) fn new(disk: Disk, mounts: &[Mount]) -> Files {
        let area = |mount: &Mount| disk.area_of(&mount.host).filter(|_| mount.writable);
        let areas = mounts.iter().map(area).collect();
        let root: Option<PathBuf> = mounts.iter().find(|mount| mount.guest == "/").map(|mount| mount.host.clone());
        Files { disk, areas, open: HashMap::new(), devices: Devices::of(root) }
    }

    /// Whether nothing here needs to be asked.
    pub(super) fn are_unlimited(&self) -> bool {
        self.disk.areas().is_empty()
    }

    pub(super) fn mounts(&self) -> usize {
        self.areas.len()
    }

    /// A mount got this number.
    pub(super) fn mounted(&mut self, index: usize, number: u32) {
        if let Some(area) = self.areas.get(index).copied().flatten() {
            self.open.insert(number, Opened { area, file: Weak::new(), appends: false });
        }
    }

    pub(super) fn area(&self, number: u32) -> Option<usize> {
        self.open.get(&number).map(|opened| opened.area)
    }

    pub(super) fn appends(&self, number: u32) -> bool {
        self.open.get(&number).is_some_and(|opened| opened.appends)
    }

    pub(super) fn set_appends(&mut self, number: u32, appends: bool) {
        if let Some(opened) = self.open.get_mut(&number) {
            opened.appends = appends;
        }
    }

    pub(super) fn renumber(&mut self, from: u32, to: u32) {
        match self.open.remove(&from) {
            Some(opened) => self.open.insert(to, opened),
            None => self.open.remove(&to),
        };
    }

    /// Something in the directory `parent` was opened under `number`: `descriptor`.
    pub(super) fn opened(
        &mut self,
        turn: Option<Turn>,
        area: Option<usize>,
        number: u32,
        descriptor: Option<&Descriptor>,
        appends: bool,
    ) {
        let Some(area) = area else {
            self.open.remove(&number);
            return;
        };
        let file = match descriptor {
            Some(Descriptor::File(file)) => {
                if let Some(mut turn) = turn {
                    turn.opened(area, &file.file);
                }
                Arc::downgrade(&file.file)
            }
            _ => Weak::new(),
        };
        self.open.insert(number, Opened { area, file, appends });
    }

    /// A turn to open something in `area`.
    pub(super) async fn turn_to_open(&self, area: Option<usize>, creates: bool) -> Result<Option<Turn>, DiskError> {
        match area {
            Some(area) if creates => self.disk.name(area).await.map(Some),
            // Not only to truncate: who opens a file for whatever must be known before it is measured again.
            Some(_) => Ok(Some(self.disk.turn().await)),
            None => Ok(None),
        }
    }

    /// A turn to add a name to the directory `number`.
    pub(super) async fn turn_to_name(&self, number: u32) -> Result<Option<Turn>, DiskError> {
        match self.area(number) {
            Some(area) => self.disk.name(area).await.map(Some),
            None => Ok(None),
        }
    }

    /// A turn to take or move names.
    pub(super) async fn turn_to_rename(&self) -> Option<Turn> {
        match self.are_unlimited() {
            true => None,
            false => Some(self.disk.turn().await),
        }
    }

    /// A turn to write `bytes` through `number`.
    pub(super) async fn turn_to_write(&self, number: u32, start: Start, bytes: u64) -> Result<Option<Turn>, DiskError> {
        self.turn_to_grow(number, |size| match start {
            Start::At(offset) => size.max(offset.saturating_add(bytes)),
            Start::End => size.saturating_add(bytes),
        })
        .await
    }

    /// A turn to set the size of a file.
    pub(super) async fn turn_to_resize(&self, number: u32, size: u64) -> Result<Option<Turn>, DiskError> {
        self.turn_to_grow(number, |_| size).await
    }

    async fn turn_to_grow(&self, number: u32, end: impl FnOnce(u64) -> u64) -> Result<Option<Turn>, DiskError> {
        let Some(opened) = self.open.get(&number) else { return Ok(None) };
        let Some(file) = opened.file.upgrade() else { return Ok(None) };
        self.disk.grow(opened.area, || growth(&file, end)).await.map(Some)
    }

    /// The file behind `number` and its area, if it lies in one.
    pub(super) fn limited(&self, number: u32) -> Option<(usize, Arc<File>)> {
        let opened = self.open.get(&number)?;
        Some((opened.area, opened.file.upgrade()?))
    }
}

/// The number that the next resource of `table` will get: wasmtime's own tests hold that what was freed last is used
/// first. None if the table is full.
pub(super) fn next_handle(table: &mut ResourceTable) -> Option<u32> {
    let probe = table.push(()).ok()?;
    let handle = probe.rep();
    table.delete(probe).ok()?;
    Some(handle)
}

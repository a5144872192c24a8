//! What tests of modules share.

use std::path::Path;
use std::sync::LazyLock;

use super::{CompileIn, Modules};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::store::Store;

/// `(module (func (export "_start")))`.
pub const PROGRAM: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b";

/// `(module)`: valid, and not a program.
pub const LIBRARY: &[u8] = b"\0asm\x01\0\0\0";

/// [`PROGRAM`] with a section of its own name at the end: other bytes that do the same.
pub fn another_program(n: u8) -> Vec<u8> {
    [PROGRAM, &[0, 3, 1, b'n', n]].concat()
}

pub static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(SandboxConfig::small(), Clock::real()).unwrap());

/// Modules in a directory that goes with them.
pub struct Opened {
    pub directory: tempfile::TempDir,
    pub modules: Modules,
    pub store: Store,
}

impl Opened {
    pub fn new() -> Opened {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), 16).unwrap();
        let modules =
            Modules::open(directory.path(), SANDBOX.clone(), CompileIn::ThisProcess, store.clone(), Ids::seeded(1))
                .unwrap();
        Opened { directory, modules, store }
    }

    /// Blobs that are modules or refused to be, and uploads that are not finished. What clients of registries are shown of a
    /// module is JSON, and not counted.
    pub fn files(&self) -> (usize, usize) {
        let blobs = self.directory.path().join("blobs");
        let is_other = |path: &Path| !std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"{"));
        let files = |path: &str| std::fs::read_dir(blobs.join(path)).unwrap().flatten().map(|entry| entry.path());
        (files("sha256").filter(|path| is_other(path)).count(), files("unfinished").count())
    }

    /// Waits until there are so many blobs and nothing is unfinished; an upload that nobody waits for ends by itself.
    pub async fn settle(&self, blobs: usize) {
        for _ in 0..1_000_000 {
            if self.files() == (blobs, 0) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("blobs and unfinished uploads: {:?}", self.files());
    }
}

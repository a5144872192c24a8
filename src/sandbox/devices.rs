//! `/dev/null` and its like: names in a guest's root behind which the host's own devices are.
//!
//! The root holds an ordinary empty file for each ([`DEVICES`]); when a guest opens it, by whatever path, the open file
//! is exchanged for the device, which all guests share. So reads and writes cost no disk, and nothing lasts. A device
//! that a guest removed is gone; what it puts in its place is the device again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use wasmtime_wasi::filesystem::Descriptor;

/// Who makes a guest's root makes an empty file of each of these names in its directory `dev`. One that is missing is
/// missing.
pub const DEVICES: [&str; 4] = ["null", "zero", "random", "urandom"];

/// The host's devices, opened once. `None` where the host has none, or forbids it: the empty file then stays.
static HOST: LazyLock<[Option<Arc<File>>; 4]> = LazyLock::new(|| {
    DEVICES.map(|name| {
        let mut options = OpenOptions::new();
        options.read(true).write(name == "null");
        options.open(format!("/dev/{name}")).ok().map(Arc::new)
    })
});

/// The devices of one guest.
pub(super) struct Devices {
    /// The directory of the host that the guest sees as `/dev`.
    directory: Option<PathBuf>,
}

impl Devices {
    /// `root` is the directory of the host that the guest sees as `/`.
    pub(super) fn of(root: Option<PathBuf>) -> Devices {
        Devices { directory: root.map(|root| root.join("dev")) }
    }

    /// Which device a path may lead to, by its last part.
    pub(super) fn named(&self, path: &[u8]) -> Option<usize> {
        self.directory.as_ref()?;
        DEVICES.iter().position(|name| {
            let before = path.strip_suffix(name.as_bytes());
            before.is_some_and(|before| before.is_empty() || before.ends_with(b"/"))
        })
    }

    /// Puts the device in the place of its file, if that is what was opened. Blocks no longer than a `stat` does.
    pub(super) fn exchange(&self, device: usize, descriptor: &mut Descriptor) -> bool {
        let Descriptor::File(opened) = descriptor else { return false };
        let (Some(directory), Some(name)) = (&self.directory, DEVICES.get(device)) else { return false };
        let Some(Some(host)) = HOST.get(device) else { return false };
        let same = match (opened.file.metadata(), std::fs::symlink_metadata(directory.join(name))) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
            _ => false,
        };
        if same {
            opened.file = host.clone();
        }
        same
    }
}

//! The termination message: what a container left in the file `terminationMessagePath`, or the end of its log
//! (kubernetes `pkg/kubelet/kuberuntime`, `getTerminationMessage`).
//!
//! Never: a symbolic link is followed. The file lies where the guest writes, and kiln reads it with its own rights.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use k8s_openapi::api::core::v1::Container;
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, openat};

use crate::sandbox::{Mount, open_without_links};

/// Bytes of one message, and of all messages of a pod.
const MOST_BYTES: u64 = 4096;
const MOST_BYTES_OF_POD: u64 = 12 << 10;

/// How much of a log becomes a message.
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 80;

/// How one container tells.
#[derive(Clone, Debug)]
pub struct Teller {
    path: String,
    limit: u64,
    falls_back: bool,
}

impl Teller {
    /// `containers` are as many as share what a pod may say.
    pub fn of(container: &Container, containers: usize) -> Teller {
        Teller {
            path: container.termination_message_path.clone().unwrap_or_default(),
            limit: MOST_BYTES.min(MOST_BYTES_OF_POD / (containers.max(1) as u64)),
            falls_back: container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError"),
        }
    }

    /// Whether the end of the log is needed.
    pub fn falls_back(&self) -> bool {
        self.falls_back
    }

    /// Makes the empty file in a scratch root that no guest has seen yet. Blocks on the disk.
    pub fn make(&self, mounts: &[Mount]) {
        let Some((mount, below)) = self.place(mounts) else { return };
        if mount.guest != "/" || !mount.writable {
            return;
        }
        let file = mount.host.join(below);
        // Without it the guest makes it, or says nothing.
        let _ = file.parent().map(fs::create_dir_all);
        let _ = File::create_new(file);
    }

    /// The message of a container that has ended: the guest's own, before what the node has to say.
    pub fn message(&self, mounts: &[Mount], tail: &Tail, failed: bool, of_node: Option<String>) -> Option<String> {
        let own = self.read(mounts).unwrap_or_default();
        let own = if own.is_empty() && failed && self.falls_back { tail.text() } else { own };
        let parts: Vec<String> = [Some(own), of_node].into_iter().flatten().filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join("\n"))
    }

    /// The end of the file.
    fn read(&self, mounts: &[Mount]) -> Option<String> {
        let (mount, below) = self.place(mounts)?;
        let mut file = open_beneath(&mount.host, below).ok()?;
        let size = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(self.limit))).ok()?;
        let mut bytes = Vec::new();
        file.take(self.limit).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The mount that holds the file, and its path below that.
    fn place<'a>(&'a self, mounts: &'a [Mount]) -> Option<(&'a Mount, &'a Path)> {
        let path = Path::new(&self.path);
        let holding = mounts.iter().filter_map(|mount| Some((mount, path.strip_prefix(&mount.guest).ok()?)));
        holding.max_by_key(|(mount, _)| mount.guest.len()).filter(|(_, below)| below.file_name().is_some())
    }
}

/// Opens `below` for reading, step by step, over directories only.
fn open_beneath(base: &Path, below: &Path) -> std::io::Result<File> {
    let mut dir = File::from(open_without_links(base)?);
    let mut steps = below.components().peekable();
    while let Some(step) = steps.next() {
        let kind = if steps.peek().is_some() { OFlags::DIRECTORY } else { OFlags::NONBLOCK };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
        dir = File::from(openat(&dir, step.as_os_str(), flags, Mode::empty())?);
    }
    Ok(dir)
}

/// The latest bytes of a log, kept only where they may be needed.
#[derive(Debug, Default)]
pub struct Tail(Option<Mutex<Vec<u8>>>);

impl Tail {
    pub fn new(needed: bool) -> Tail {
        Tail(needed.then(Mutex::default))
    }

    pub fn push(&self, bytes: &[u8]) {
        let Some(kept) = &self.0 else { return };
        let mut kept = kept.lock();
        let bytes = &bytes[bytes.len().saturating_sub(LOG_BYTES)..];
        let surplus = (kept.len() + bytes.len()).saturating_sub(LOG_BYTES);
        kept.drain(..surplus);
        kept.extend_from_slice(bytes);
    }

    fn text(&self) -> String {
        let Some(kept) = &self.0 else { return String::new() };
        let text = String::from_utf8_lossy(&kept.lock()).into_owned();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teller(path: &str, policy: &str) -> Teller {
        let container = Container {
            termination_message_path: Some(path.to_owned()),
            termination_message_policy: Some(policy.to_owned()),
            ..Container::default()
        };
        Teller::of(&container, 1)
    }

    fn mount(host: &Path, guest: &str) -> Mount {
        Mount::new(host, guest, true)
    }

    #[test]
    fn the_end_of_the_file_comes_before_what_the_node_says() {
        let (root, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mounts = [mount(root.path(), "/"), mount(volume.path(), "/out")];
        let teller = teller("/dev/termination-log", "File");
        teller.make(&mounts);
        let file = root.path().join("dev/termination-log");
        assert_eq!(fs::read(&file).unwrap(), b"");
        let none = Tail::default();
        assert_eq!(teller.message(&mounts, &none, true, None), None);
        fs::write(&file, "x".repeat(5000) + "end").unwrap();
        let message = teller.message(&mounts, &none, true, Some("trap".to_owned())).unwrap();
        assert!(message.len() == 4096 + 5 && message.ends_with("xend\ntrap"), "{message}");
        fs::write(volume.path().join("m"), "from a volume").unwrap();
        let in_volume = super::tests::teller("/out/m", "File");
        assert_eq!(in_volume.message(&mounts, &none, false, None).as_deref(), Some("from a volume"));
    }

    #[test]
    fn links_that_a_guest_left_are_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let mounts = [mount(root.path(), "/")];
        std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("a")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("d")).unwrap();
        for path in ["/a", "/d/secret", "/", "/d", "/../secret", "relative"] {
            assert_eq!(teller(path, "File").message(&mounts, &Tail::default(), true, None), None, "{path}");
        }
    }

    #[test]
    fn a_failure_without_a_message_falls_back_to_the_log() {
        let teller = teller("/m", "FallbackToLogsOnError");
        let tail = Tail::new(teller.falls_back());
        for n in 0..200 {
            tail.push(format!("line {n}\n").as_bytes());
        }
        assert_eq!(teller.message(&[], &tail, false, None), None, "it has succeeded");
        let message = teller.message(&[], &tail, true, None).unwrap();
        assert!(message.starts_with("line 120\n") && message.ends_with("line 199\n"), "{message}");
        tail.push("y".repeat(10_000).as_bytes());
        assert_eq!(teller.message(&[], &tail, true, None).unwrap().len(), LOG_BYTES);
    }
}

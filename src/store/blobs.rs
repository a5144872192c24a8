//! The files beside sled's log. An item of more than a quarter of a segment (128 KiB: a large ConfigMap, a leaf with
//! pieces of logs) goes to a file of its own in `blobs/`, to which the log only points, and sled 0.34.7 never syncs
//! those files: after a power cut the log would point to nothing. So they are synced here, before the log is.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A directory that changed so lately may have changed again without another time of change.
const TIME_STEP: Duration = Duration::from_millis(100);

pub struct Blobs {
    dir: PathBuf,
    /// Which of them are on disk. A name is never used twice: it is a position in the log.
    synced: HashSet<OsString>,
    /// The directory's time of change when it was listed, unless that was too fresh to tell anything.
    listed: Option<SystemTime>,
}

impl Blobs {
    pub fn new(sled_dir: &Path) -> Blobs {
        Blobs { dir: sled_dir.join("blobs"), synced: HashSet::new(), listed: None }
    }

    /// Syncs those that are new since the last call. Costs one `stat` if none came or went.
    pub fn sync(&mut self) -> io::Result<()> {
        let changed = fs::metadata(&self.dir)?.modified()?;
        if self.listed == Some(changed) {
            return Ok(());
        }
        let mut present = HashSet::new();
        let mut any = false;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if !self.synced.contains(&name) {
                match File::open(entry.path()) {
                    Ok(blob) => blob.sync_all()?,
                    // sled has removed it meanwhile, since nothing points to it any more.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                }
                any = true;
            }
            present.insert(name);
        }
        if any {
            File::open(&self.dir)?.sync_all()?;
        }
        self.synced = present;
        let settled = changed.elapsed().is_ok_and(|age| age > TIME_STEP);
        self.listed = settled.then_some(changed);
        Ok(())
    }
}

#[cfg(test)]
impl Blobs {
    pub fn synced(&self) -> usize {
        self.synced.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_synced_once_and_forgotten_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join("blobs").join(name);
        fs::create_dir(dir.path().join("blobs")).unwrap();
        let mut blobs = Blobs::new(dir.path());
        let synced = |blobs: &Blobs| {
            let mut names: Vec<_> = blobs.synced.iter().map(|n| n.to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        blobs.sync().unwrap();
        assert!(blobs.synced.is_empty());
        fs::write(file("1"), "a").unwrap();
        fs::write(file("2"), "b").unwrap();
        blobs.sync().unwrap();
        assert_eq!(synced(&blobs), ["1", "2"]);
        fs::remove_file(file("1")).unwrap();
        fs::write(file("3"), "c").unwrap();
        blobs.sync().unwrap();
        assert_eq!(synced(&blobs), ["2", "3"]);
    }

    #[test]
    fn a_directory_that_has_not_changed_is_not_listed_and_a_fresh_one_always_is() {
        let dir = tempfile::tempdir().unwrap();
        let blobs_dir = dir.path().join("blobs");
        fs::create_dir(&blobs_dir).unwrap();
        let mut blobs = Blobs::new(dir.path());
        blobs.sync().unwrap();
        assert_eq!(blobs.listed, None, "it was made just now");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::open(&blobs_dir).unwrap().set_modified(long_ago).unwrap();
        blobs.sync().unwrap();
        assert!(blobs.listed.is_some());
        fs::write(blobs_dir.join("1"), "a").unwrap();
        blobs.sync().unwrap();
        assert_eq!(blobs.synced.len(), 1);
    }
}

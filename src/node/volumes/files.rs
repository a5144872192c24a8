//! Files that kiln writes for guests: what ConfigMaps, Secrets and fields of the pod hold.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A file: bytes and permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub bytes: Vec<u8>,
    pub mode: i32,
}

/// Files by their path below the root of a volume. Validation has seen to it that the paths stay there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, File>);

impl Files {
    pub fn bytes(&self) -> usize {
        self.0.values().map(|file| file.bytes.len()).sum()
    }

    /// Writes them below `directory`, which nobody else has seen.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        super::remove_tree(directory)?;
        fs::create_dir_all(directory)?;
        for (path, file) in &self.0 {
            let to = directory.join(path);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&to, &file.bytes)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(file.mode.cast_unsigned() & 0o777))?;
        }
        Ok(())
    }
}

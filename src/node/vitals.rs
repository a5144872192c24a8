//! What this machine is, has, and how it is doing. Reads the system and decides nothing: [`super::describe`] does.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

/// What does not change while kiln runs. What cannot be read is left empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub cpus: usize,
    pub kernel: String,
    pub machine_id: String,
    pub boot_id: String,
    /// Of the firmware, or the machine id where the firmware's may not be read.
    pub system_uuid: String,
    pub os_image: String,
    /// By whose clock schedules run that name no zone: a name of the IANA database. Empty if the machine does not say it.
    pub time_zone: String,
}

/// What is looked at with each heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Bytes of memory: the machine's, or what the control group of this process allows.
    pub memory_total: u64,
    pub memory_available: u64,
    /// Bytes of the filesystem on which pods write, and those that are free for this process. 0 of both: not known.
    pub disk_total: u64,
    pub disk_free: u64,
    /// Why no pod can be given a directory, if none can.
    pub fault: Option<String>,
}

impl Machine {
    pub fn read() -> Machine {
        let machine_id = text("/etc/machine-id");
        let firmware = text("/sys/class/dmi/id/product_uuid");
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: text("/proc/sys/kernel/osrelease"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            system_uuid: if firmware.is_empty() { machine_id.clone() } else { firmware },
            os_image: pretty_name(&text("/etc/os-release")),
            time_zone: TimeZone::try_system().unwrap_or(TimeZone::UTC).iana_name().unwrap_or_default().to_owned(),
            machine_id,
        }
    }
}

impl Vitals {
    /// Reads the system: never call it on a runtime thread. `pods_dir` is where pods' directories are made.
    pub fn read(pods_dir: &Path) -> Vitals {
        let (total, available) = memory();
        let mut vitals = Vitals { memory_total: total, memory_available: available, ..Vitals::default() };
        match rustix::fs::statvfs(pods_dir) {
            Ok(disk) => {
                vitals.disk_total = disk.f_blocks.saturating_mul(disk.f_frsize);
                vitals.disk_free = disk.f_bavail.saturating_mul(disk.f_frsize);
            }
            Err(error) => vitals.fault = Some(unusable(pods_dir, error)),
        }
        if let Err(error) = rustix::fs::access(pods_dir, rustix::fs::Access::WRITE_OK) {
            vitals.fault = Some(unusable(pods_dir, error));
        }
        vitals
    }
}

fn unusable(dir: &Path, error: rustix::io::Errno) -> String {
    format!("the directory for pods, {}, cannot be used: {error}", dir.display())
}

pub(super) fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Bytes of memory that there are, and those of them that are available.
pub(super) fn memory() -> (u64, u64) {
    let meminfo = text("/proc/meminfo");
    let (total, available) = (kib(&meminfo, "MemTotal:"), kib(&meminfo, "MemAvailable:"));
    match control_group() {
        Some((limit, used)) => (total.min(limit), available.min(limit.saturating_sub(used))),
        None => (total, available),
    }
}

/// The bytes of a line such as `MemTotal:  24683616 kB`.
fn kib(meminfo: &str, name: &str) -> u64 {
    let found = meminfo.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
    found.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0).saturating_mul(1024)
}

/// `PRETTY_NAME` of `/etc/os-release`.
fn pretty_name(os_release: &str) -> String {
    let found = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    found.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
}

/// Where the control group of this process is, if it has one (version 2).
pub(super) fn control_group_dir() -> Option<PathBuf> {
    let of_process = text("/proc/self/cgroup");
    let path = of_process.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new("/sys/fs/cgroup").join(path))
}

/// The memory limit of this process's control group and what is used of it, if it has one (version 2). Pages of files
/// that nobody needs now are not counted: the kernel gives them up first.
fn control_group() -> Option<(u64, u64)> {
    let dir = control_group_dir()?;
    let limit: u64 = text(dir.join("memory.max")).parse().ok()?;
    let used: u64 = text(dir.join("memory.current")).parse().ok()?;
    let stat = text(dir.join("memory.stat"));
    let idle = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some((limit, used.saturating_sub(idle.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_read() {
        let machine = Machine::read();
        assert!(machine.cpus > 0 && !machine.kernel.is_empty() && !machine.boot_id.is_empty(), "{machine:?}");
        let dir = tempfile::tempdir().unwrap();
        let vitals = Vitals::read(dir.path());
        assert!(vitals.memory_total > 0 && vitals.memory_available <= vitals.memory_total, "{vitals:?}");
        assert!(vitals.disk_free > 0 && vitals.disk_free <= vitals.disk_total && vitals.fault.is_none(), "{vitals:?}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_a_fault() {
        let fault = Vitals::read(Path::new("/nowhere/at/all")).fault.unwrap();
        assert!(fault.starts_with("the directory for pods, /nowhere/at/all, cannot be used: "), "{fault}");
    }

    #[test]
    fn the_systems_words_are_understood() {
        let meminfo = "MemTotal:       24683616 kB\nMemFree:        1 kB\nMemAvailable:   23181000 kB\n";
        assert_eq!((kib(meminfo, "MemTotal:"), kib(meminfo, "MemNone:")), (24_683_616 * 1024, 0));
        assert_eq!(
            pretty_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
    }
}

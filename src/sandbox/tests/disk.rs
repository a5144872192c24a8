//! Limits of directories, obeyed and broken in each way that a guest has.

use std::path::Path;

use super::*;
use crate::sandbox::usage;

const KIB: u64 = 1 << 10;
/// What the guests write at once.
const BLOCK: u64 = 64 * KIB;

/// Bytes below a directory, as they are counted.
fn used(directory: &Path) -> u64 {
    usage::of_directory(directory, &std::sync::atomic::AtomicBool::new(false)).unwrap()
}

fn area(name: &str, host: &Path, limit_bytes: u64) -> Area {
    Area { name: name.to_owned(), host: host.to_owned(), limit_bytes }
}

fn mount(host: &Path, guest: &str) -> Mount {
    Mount { host: host.to_owned(), guest: guest.to_owned(), writable: true }
}

/// A run of `tests/guests/disk.wat` that does `what` to the extent of `n` in `directory`.
fn disk_run(what: &str, n: u64, directory: &Path, disk: &Disk) -> Run {
    let argv = vec!["disk".to_owned(), what.to_owned(), n.to_string()];
    Run { argv, mounts: vec![mount(directory, "/")], disk: disk.clone(), ..plain_run() }
}

fn limited(limit_bytes: u64) -> (tempfile::TempDir, Disk) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::new(vec![area("data", directory.path(), limit_bytes)]);
    (directory, disk)
}

#[test]
fn a_guest_may_write_up_to_the_limit_and_again_what_it_removed() {
    let program = guest!("disk");
    let fits = [
        // Exactly the limit, from the start and at the end.
        ("write", 16),
        ("append", 16),
        // 100 times half of it.
        ("cycle", 100),
        // The same bytes again and again.
        ("overwrite", 200),
        // Names are counted by the block, and a few blocks are left for the directory itself.
        ("empty", 250),
        ("bytes", 250),
        ("directories", 250),
        ("nest", 250),
        ("links", 250),
        ("ymlinks", 250),
        ("size", 16 * BLOCK),
        ("place", 16 * BLOCK - 1),
        ("kseek", 16 * BLOCK - 1),
        ("unlinked", 16),
    ];
    for (what, n) in fits {
        let (directory, disk) = limited(16 * BLOCK);
        let ending = run(&program, disk_run(what, n, directory.path(), &disk));
        assert_eq!(ending.outcome, Outcome::Exited { code: 0 }, "{what} {n}");
        assert!(used(directory.path()) <= 16 * BLOCK, "{what}: {}", used(directory.path()));
        crate::node::remove::remove_tree(directory.path()).unwrap();
    }
}

#[test]
fn a_guest_that_wants_more_ends_and_the_directory_holds_no_more_than_its_limit() {
    let program = guest!("disk");
    let too_much = [
        ("write", 17),
        ("append", 17),
        ("empty", 100_000),
        ("bytes", 100_000),
        ("directories", 100_000),
        ("nest", 100_000),
        ("links", 100_000),
        ("ymlinks", 100_000),
        ("size", 16 * BLOCK + 1),
        ("size", 1 << 50),
        ("place", 16 * BLOCK),
        ("place", 1 << 40),
        ("kseek", 1 << 40),
        ("unlinked", 17),
    ];
    for (what, n) in too_much {
        let (directory, disk) = limited(16 * BLOCK);
        let ending = run(&program, disk_run(what, n, directory.path(), &disk));
        let expected = Outcome::DiskLimit { area: "data".to_owned(), limit_bytes: 16 * BLOCK };
        assert_eq!(ending.outcome, expected, "{what} {n}");
        let over = used(directory.path()).saturating_sub(16 * BLOCK);
        eprintln!("{what} {n}: {over} bytes over the limit, {:?}", ending.usage.wall);
        assert!(over <= 64 * KIB, "{what} {n}: {over}");
        crate::node::remove::remove_tree(directory.path()).unwrap();
    }
}

#[test]
fn what_lies_there_at_the_start_counts() {
    let (directory, disk) = limited(16 * BLOCK);
    std::fs::write(directory.path().join("there"), vec![0; 10 * BLOCK as usize]).unwrap();
    let program = guest!("disk");
    let ending = run(&program, disk_run("write", 6, directory.path(), &disk));
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
    let ending = run(&program, disk_run("append", 1, directory.path(), &disk));
    assert!(matches!(ending.outcome, Outcome::DiskLimit { .. }), "{ending:?}");
    // What is full may be opened and overwritten.
    let ending = run(&program, disk_run("overwrite", 10, directory.path(), &disk));
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
}

#[test]
fn two_runs_share_one_limit() {
    let program = guest!("disk");
    for (blocks, fits) in [(40, true), (41, false)] {
        let (directory, disk) = limited(80 * BLOCK);
        let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
        for inner in [&a, &b] {
            std::fs::create_dir(inner).unwrap();
        }
        // The two directories and their files: names are counted too.
        let disk = match fits {
            true => Disk::new(vec![area("data", directory.path(), 80 * BLOCK + 8 * KIB)]),
            false => disk,
        };
        let (first, second) = block_on(async {
            tokio::join!(
                SANDBOX.run(&program, disk_run("write", blocks, &a, &disk)),
                SANDBOX.run(&program, disk_run("append", blocks, &b, &disk)),
            )
        });
        let full = |ending: &Ending| matches!(ending.outcome, Outcome::DiskLimit { .. });
        assert_eq!(full(&first) || full(&second), !fits, "{first:?} {second:?}");
        assert!(used(directory.path()) <= 80 * BLOCK + 8 * KIB);
    }
}

#[test]
fn each_area_has_its_own_limit_and_files_do_not_move_between_them() {
    let (small, large) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let areas = vec![area("small", small.path(), BLOCK), area("large", large.path(), 100 * BLOCK)];
    let disk = Disk::new(areas);
    let program = guest!("disk");
    std::fs::write(small.path().join("full"), vec![0; BLOCK as usize]).unwrap();
    let ending = run(&program, disk_run("write", 90, large.path(), &disk));
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
    let mounts = vec![mount(large.path(), "/"), mount(small.path(), "/small")];
    let ending = run(&program, Run { mounts, ..disk_run("rename", 0, large.path(), &disk) });
    // EXDEV, as between volumes of a machine.
    assert_eq!(ending.outcome, Outcome::Exited { code: 75 });
    let mounts = vec![mount(small.path(), "/"), mount(large.path(), "/large")];
    let ending = run(&program, Run { mounts, ..disk_run("append", 1, small.path(), &disk) });
    assert_eq!(ending.outcome, Outcome::DiskLimit { area: "small".to_owned(), limit_bytes: BLOCK });
}

#[test]
fn a_tree_deeper_than_a_path_is_measured_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let disk = Disk::new(vec![area("data", &tree, 100 * MIB)]);
    let ending = run(&guest!("disk"), disk_run("nest", 10_000, &tree, &disk));
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
    let start = now();
    assert_eq!(used(&tree), 10_000 * 4 * KIB);
    let measured = now();
    crate::node::remove::remove_tree(&tree).unwrap();
    eprintln!("10,000 levels: measured in {:?}, removed in {:?}", measured - start, now() - measured);
}

#[test]
fn a_guest_that_is_measured_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    for i in 0..20_000 {
        std::fs::write(directory.path().join(i.to_string()), "").unwrap();
    }
    let disk = Disk::new(vec![area("data", directory.path(), 1 << 40)]);
    let program = guest!("disk");
    let given = Run {
        deadline: Deadline::at(now() + Duration::from_millis(5)),
        ..disk_run("write", 1_000_000, directory.path(), &disk)
    };
    let ending = run(&program, given);
    assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
    eprintln!("stopped after {:?}", ending.usage.wall);
    assert!(ending.usage.wall < PROMPT);
}

#[test]
fn devices_swallow_and_give_without_a_limit() {
    let (directory, disk) = limited(64 * KIB);
    std::fs::create_dir(directory.path().join("dev")).unwrap();
    for device in DEVICES {
        std::fs::write(directory.path().join("dev").join(device), "").unwrap();
    }
    let ending = run(&guest!("disk"), disk_run("void", 100, directory.path(), &disk));
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
    assert_eq!(std::fs::metadata(directory.path().join("dev/null")).unwrap().len(), 0);
    // Also without any limit, and not for a file of that name elsewhere.
    let ending = run(&guest!("disk"), disk_run("void", 100, directory.path(), &Disk::unlimited()));
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
    let mounts = vec![mount(directory.path(), "/elsewhere")];
    let ending = run(&guest!("disk"), Run { mounts, ..disk_run("void", 1, directory.path(), &Disk::unlimited()) });
    assert_eq!(ending.outcome, Outcome::Exited { code: 201 });
}

#[test]
fn writing_under_a_limit_costs_little_more_than_without() {
    let program = guest!("disk");
    let rate = |disk: &dyn Fn(&Path) -> Disk| {
        let directory = tempfile::tempdir().unwrap();
        let disk = disk(directory.path());
        let ending = run(&program, disk_run("bytes", 5_000, directory.path(), &disk));
        assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
        ending.usage.wall / 5_000
    };
    let without = rate(&|_| Disk::unlimited());
    let with = rate(&|directory| Disk::new(vec![area("data", directory, 1 << 30)]));
    eprintln!("a file of one byte: {without:?} without a limit, {with:?} with one");
}

fn component(mode: u32, count: u64) -> Program {
    let text = include_str!("../../../tests/guests/component-files.wat");
    let text = text.replace("const MODE", &format!("const {mode}"));
    load(&text.replace("const COUNT", &format!("const {count}")))
}

#[test]
fn components_obey_and_break_the_same_limits() {
    let full = Outcome::DiskLimit { area: "data".to_owned(), limit_bytes: 16 * BLOCK };
    let done = Outcome::Exited { code: 0 };
    let cases = [(1, 16, &done), (1, 17, &full), (2, 16, &done), (2, 17, &full), (3, 200, &done), (3, 300, &full)];
    for (mode, count, expected) in cases {
        let (directory, disk) = limited(16 * BLOCK);
        let ending = run(&component(mode, count), disk_run("", 0, directory.path(), &disk));
        let over = used(directory.path()).saturating_sub(16 * BLOCK);
        eprintln!("{mode} {count}: {over} bytes over the limit, {:?}", ending.usage.wall);
        assert_eq!(&ending.outcome, expected, "{mode} {count}");
        assert!(over <= 64 * KIB, "{mode} {count}: {over}");
    }
    // And devices.
    let (directory, disk) = limited(BLOCK);
    std::fs::create_dir(directory.path().join("dev")).unwrap();
    std::fs::write(directory.path().join("dev/null"), "").unwrap();
    let ending = run(&component(4, 50), disk_run("", 0, directory.path(), &disk));
    assert_eq!(ending.outcome, done);
    assert_eq!(std::fs::metadata(directory.path().join("dev/null")).unwrap().len(), 0);
}

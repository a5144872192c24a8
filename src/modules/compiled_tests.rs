use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

#[test]
fn what_was_not_used_for_long_goes_and_what_is_beyond_the_limit_oldest_first() {
    let now = at(31 * 24);
    assert_eq!(unused(&[(at(0), 1), (at(24), 1), (at(100), 1)], now), [0]);
    let half = SHARED_BYTES / 2;
    assert_eq!(unused(&[(at(400), half), (at(402), half), (at(401), half)], now), [0]);
    assert_eq!(unused(&[(at(400), u64::MAX), (at(402), u64::MAX)], now), [1, 0]);
    assert_eq!(unused(&[], now), [] as [usize; 0]);
}

#[test]
fn a_shared_root_is_trimmed_and_files_in_use_stay() {
    let root = tempfile::tempdir().unwrap();
    let engine = root.path().join("0123456789abcdef");
    fs::create_dir(&engine).unwrap();
    let now = Timestamp::try_from(fs::metadata(&engine).unwrap().modified().unwrap()).unwrap();
    for name in ["a.cwasm", "a.seal", ".tmpabc"] {
        fs::write(engine.join(name), "x").unwrap();
    }
    trim(root.path(), now);
    assert_eq!(fs::read_dir(&engine).unwrap().count(), 3);
    trim(root.path(), now + SignedDuration::from_hours(31 * 24));
    assert_eq!(fs::read_dir(&engine).unwrap().count(), 0);
}

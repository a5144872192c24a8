use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use proptest::prelude::*;

use super::*;

const RING: usize = 64;

fn config_map(name: &str, value: &str) -> Object {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map.metadata.namespace = Some("default".to_owned());
    map.metadata.uid = Some(format!("uid-{name}"));
    map.data = Some([("k".to_owned(), value.to_owned())].into());
    map.into()
}

fn key(name: &str) -> Key {
    Key::new("default", name)
}

fn value_of(object: &Object) -> &str {
    let Object::ConfigMap(map) = object else { panic!("{object:?}") };
    &map.data.as_ref().unwrap()["k"]
}

struct Fixture {
    store: Store,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        Fixture { store: Store::open(dir.path(), RING).unwrap(), dir }
    }

    fn reopen(self) -> Fixture {
        let Fixture { store, dir } = self;
        store.close();
        drop(store);
        Fixture { store: Store::open(dir.path(), RING).unwrap(), dir }
    }

    fn put(&self, name: &str, value: &str) -> Object {
        let tx = match self.store.get(Kind::ConfigMap, &key(name)) {
            None => Tx::new().create(config_map(name, value)),
            Some(_) => Tx::new().update(config_map(name, value)),
        };
        self.store.commit(tx).unwrap().objects.remove(0)
    }
}

#[tokio::test]
async fn a_temporary_store_is_written_as_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_temporary(dir.path(), RING).unwrap();
    let f = Fixture { store, dir };
    let made = f.put("a", "1");
    let mut tx = Tx::new();
    tx.put_side(b"log".to_vec(), Bytes::from(vec![1; 300 << 10]));
    let revision = f.store.commit(tx).unwrap().revision;
    f.store.durable(revision).await.unwrap();
    assert_eq!(f.store.side_records(b"log", b"log", 9).unwrap()[0].1.len(), 300 << 10);
    assert_eq!(f.reopen().store.get(Kind::ConfigMap, &key("a")), Some(made));
}

#[test]
fn a_commit_is_visible_at_once_and_survives_a_restart() {
    let f = Fixture::new();
    let first = f.put("a", "1");
    let second = f.put("b", "1");
    assert!(second.revision() > first.revision());
    let third = f.put("a", "2");
    f.store.commit(Tx::new().delete(Kind::ConfigMap, key("b"), Precondition::default())).unwrap();
    let revision = f.store.revision();
    let f = f.reopen();
    assert_eq!(f.store.revision(), revision);
    assert_eq!(f.store.get(Kind::ConfigMap, &key("a")), Some(third));
    assert_eq!(f.store.get(Kind::ConfigMap, &key("b")), None);
}

#[test]
fn a_transaction_is_refused_whole() {
    let f = Fixture::new();
    f.put("taken", "1");
    let before = f.store.revision();
    let tx = Tx::new().create(config_map("free", "1")).create(config_map("taken", "2"));
    assert_eq!(f.store.commit(tx).unwrap_err(), CommitError::AlreadyExists(Kind::ConfigMap, key("taken")));
    assert_eq!(f.store.get(Kind::ConfigMap, &key("free")), None);
    assert_eq!(f.store.revision(), before);
}

#[test]
fn a_transaction_writes_an_object_once() {
    let f = Fixture::new();
    let twice = Tx::new().create(config_map("a", "1")).create(config_map("a", "2"));
    assert_eq!(f.store.commit(twice).unwrap_err(), CommitError::AlreadyExists(Kind::ConfigMap, key("a")));
    assert_eq!(f.store.get(Kind::ConfigMap, &key("a")), None);
}

#[test]
fn watches_read_to_one_revision_see_nothing_later() {
    let f = Fixture::new();
    let mut watch = f.store.watch(Kind::ConfigMap, 0, Visibility::Committed);
    let first = f.put("a", "1").revision();
    f.put("b", "1");
    assert_eq!(watch.try_next_until(first).unwrap().len(), 1);
    assert!(watch.try_next_until(first).unwrap().is_empty());
    assert_eq!(watch.try_next().unwrap().len(), 1);
}

#[test]
fn a_stale_version_and_another_uid_are_refused() {
    let f = Fixture::new();
    let old = f.put("a", "1");
    f.put("a", "2");
    let mut stale = old.clone();
    if let Object::ConfigMap(map) = &mut stale {
        Arc::make_mut(map).data = None;
    }
    assert_eq!(f.store.commit(Tx::new().update(stale)).unwrap_err(), CommitError::Stale(Kind::ConfigMap, key("a")));
    let mut other = config_map("a", "3");
    other.meta_mut().uid = Some("another".to_owned());
    assert!(matches!(f.store.commit(Tx::new().update(other)), Err(CommitError::Replaced { .. })));
    let wrong = Precondition { uid: Some("another".to_owned()), revision: None };
    assert!(matches!(
        f.store.commit(Tx::new().delete(Kind::ConfigMap, key("a"), wrong)),
        Err(CommitError::Replaced { .. })
    ));
    assert_eq!(value_of(&f.store.get(Kind::ConfigMap, &key("a")).unwrap()), "2");
}

#[test]
fn a_write_that_changes_nothing_keeps_its_revision_and_makes_no_event() {
    let f = Fixture::new();
    let first = f.put("a", "1");
    let mut watch = f.store.watch(Kind::ConfigMap, first.revision(), Visibility::Committed);
    assert_eq!(f.put("a", "1").revision(), first.revision());
    assert!(watch.try_next().unwrap().is_empty());
}

#[test]
fn an_object_is_gone_once_its_deletion_waits_for_nothing() {
    let f = Fixture::new();
    let mut object = config_map("a", "1");
    object.meta_mut().finalizers = Some(vec!["x/y".to_owned()]);
    object.meta_mut().deletion_timestamp = Some(crate::api::meta::time(jiff::Timestamp::UNIX_EPOCH));
    f.store.commit(Tx::new().create(object.clone())).unwrap();
    object.meta_mut().deletion_grace_period_seconds = Some(30);
    object.meta_mut().finalizers = None;
    f.store.commit(Tx::new().update(object.clone())).unwrap();
    assert!(f.store.get(Kind::ConfigMap, &key("a")).is_some(), "its grace period still runs");
    object.meta_mut().deletion_grace_period_seconds = Some(0);
    let committed = f.store.commit(Tx::new().update(object)).unwrap();
    assert_eq!(f.store.get(Kind::ConfigMap, &key("a")), None);
    assert_eq!(committed.objects[0].revision(), committed.revision);
}

#[tokio::test]
async fn a_watch_sees_each_event_once_and_in_order() {
    let f = Fixture::new();
    let from = f.store.revision();
    let mut watch = f.store.watch(Kind::ConfigMap, from, Visibility::Committed);
    f.put("a", "1");
    f.put("b", "1");
    f.put("a", "2");
    f.store.commit(Tx::new().delete(Kind::ConfigMap, key("b"), Precondition::default())).unwrap();
    let events = watch.next().await.unwrap();
    let seen: Vec<_> = events.iter().map(|e| (e.change, e.object.key().name, e.old.is_some())).collect();
    let name = |n: &str| n.to_owned();
    assert_eq!(
        seen,
        [
            (Change::Added, name("a"), false),
            (Change::Added, name("b"), false),
            (Change::Modified, name("a"), true),
            (Change::Deleted, name("b"), true),
        ]
    );
    assert!(events.windows(2).all(|w| w[0].revision < w[1].revision));
    assert!(events.iter().all(|e| e.object.revision() == e.revision));
    assert!(watch.try_next().unwrap().is_empty());
}

#[tokio::test]
async fn a_durable_watch_waits_for_the_disk_and_a_waiting_one_is_woken() {
    let f = Fixture::new();
    let mut watch = f.store.watch(Kind::ConfigMap, 0, Visibility::Durable);
    let store = f.store.clone();
    let waiting = tokio::spawn(async move {
        let events = watch.next().await.unwrap();
        assert!(store.shared.durable.borrow().revision >= events.last().unwrap().revision);
        events.len()
    });
    tokio::task::yield_now().await;
    let object = f.put("a", "1");
    f.store.durable(object.revision()).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the watch is woken").unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn a_watch_that_falls_behind_the_ring_ends_and_a_list_continues_it() {
    let f = Fixture::new();
    let mut watch = f.store.watch(Kind::ConfigMap, 0, Visibility::Committed);
    for i in 0..RING + 1 {
        f.put("a", &i.to_string());
    }
    let expired = watch.try_next().unwrap_err();
    assert_eq!((expired.asked, expired.oldest), (0, 1));
    let (listing, mut watch) = f.store.list_and_watch(Kind::ConfigMap);
    assert_eq!(listing.objects.len(), 1);
    f.put("b", "1");
    assert_eq!(watch.try_next().unwrap().len(), 1);
}

#[test]
fn after_a_restart_older_revisions_are_expired_and_the_newest_is_not() {
    let f = Fixture::new();
    f.put("a", "1");
    let newest = f.put("a", "2").revision();
    let f = f.reopen();
    assert!(f.store.watch(Kind::ConfigMap, newest - 1, Visibility::Committed).try_next().is_err());
    assert!(f.store.watch(Kind::ConfigMap, newest, Visibility::Committed).try_next().unwrap().is_empty());
}

#[test]
fn pages_follow_each_other_and_keep_to_their_namespace() {
    let f = Fixture::new();
    for name in ["a", "b", "c", "d"] {
        f.put(name, "1");
    }
    let mut elsewhere = config_map("a", "1");
    elsewhere.meta_mut().namespace = Some("default2".to_owned());
    f.store.commit(Tx::new().create(elsewhere)).unwrap();
    let names = |l: &Listing| l.objects.iter().map(|o| o.key().name).collect::<Vec<_>>();
    let first = f.store.list_page(Kind::ConfigMap, Some("default"), Bound::Unbounded, 3);
    assert_eq!(names(&first), ["a", "b", "c"]);
    let last = first.objects[2].key();
    let second = f.store.list_page(Kind::ConfigMap, Some("default"), Bound::Excluded(&last), 3);
    assert_eq!(names(&second), ["d"]);
    assert_eq!(f.store.list(Kind::ConfigMap, None).objects.len(), 5);
}

#[tokio::test]
async fn side_records_share_the_transaction_and_its_durability() {
    let f = Fixture::new();
    let mut tx = Tx::new();
    for n in 0..3u8 {
        tx.put_side(vec![b'l', n], Bytes::from(vec![n; 2]));
    }
    tx.put_side(b"other".to_vec(), Bytes::from_static(b"x"));
    let committed = f.store.commit(tx).unwrap();
    f.store.durable(committed.revision).await.unwrap();
    assert_eq!(f.store.side_records(b"l", &[b'l', 1], 10).unwrap().len(), 2);
    let mut tx = Tx::new();
    tx.put_side(vec![b'l', 9], Bytes::from_static(b"put before the deletion"));
    tx.delete_sides(b"l".to_vec());
    tx.put_side(vec![b'l', 1], Bytes::from_static(b"put after it"));
    let committed = f.store.commit(tx).unwrap();
    f.store.durable(committed.revision).await.unwrap();
    let f = f.reopen();
    let left = f.store.side_records(b"l", b"l", 10).unwrap();
    assert_eq!(left, [(vec![b'l', 1], Bytes::from_static(b"put after it"))]);
    assert_eq!(f.store.side_records(b"other", b"", 10).unwrap().len(), 1);
}

#[test]
fn a_second_store_in_the_same_directory_is_refused_with_the_reason() {
    let f = Fixture::new();
    let error = Store::open(f.dir.path(), RING).err().expect("refused");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
}

#[test]
fn a_half_written_snapshot_does_not_stop_the_start() {
    let f = Fixture::new();
    f.put("a", "1");
    let Fixture { store, dir } = f;
    store.close();
    drop(store);
    std::fs::write(dir.path().join("snap.FFFFFFFFFFFFFFFF.generating"), b"torn").unwrap();
    let store = Store::open(dir.path(), RING).unwrap();
    assert!(store.get(Kind::ConfigMap, &key("a")).is_some());
}

#[test]
fn damage_stops_the_start_with_words_and_without_a_panic() {
    let f = Fixture::new();
    f.put("a", "1");
    f.store.close();
    let stored_under = record::object_key(Kind::ConfigMap, &key("a"));
    f.store.shared.disk.insert_raw(&stored_under, b"not a sealed record");
    let Fixture { store, dir } = f;
    drop(store);
    let error = Store::open(dir.path(), RING).err().expect("refused").to_string();
    assert!(error.contains("damaged") && error.contains("configmaps default a"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any sequence of writes: what is read back after a restart is what a plain map holds, and a watcher that
    /// replays the events arrives at the same.
    #[test]
    fn the_store_is_a_map_and_its_events_are_its_history(ops in proptest::collection::vec((0u8..6, 0u8..4), 1..40)) {
        let f = Fixture::new();
        let mut watch = f.store.watch(Kind::ConfigMap, 0, Visibility::Committed);
        let mut model = std::collections::BTreeMap::new();
        for (name, value) in ops {
            let name = format!("n{name}");
            if value == 3 {
                let deleted = f.store.commit(Tx::new().delete(Kind::ConfigMap, key(&name), Precondition::default()));
                prop_assert_eq!(deleted.is_ok(), model.remove(&name).is_some());
            } else {
                f.put(&name, &value.to_string());
                model.insert(name, value.to_string());
            }
        }
        let mut replayed = std::collections::BTreeMap::new();
        for event in watch.try_next().unwrap() {
            let name = event.object.key().name;
            match event.change {
                Change::Deleted => { replayed.remove(&name); }
                _ => { replayed.insert(name, value_of(&event.object).to_owned()); }
            }
        }
        prop_assert_eq!(&replayed, &model);
        drop(watch);
        let f = f.reopen();
        let stored: std::collections::BTreeMap<_, _> = f.store.list(Kind::ConfigMap, None).objects.iter()
            .map(|o| (o.key().name, value_of(o).to_owned())).collect();
        prop_assert_eq!(stored, model);
    }
}

#[tokio::test]
async fn a_large_item_survives_a_restart_and_its_file_is_synced_before_the_answer() {
    let f = Fixture::new();
    let large = "x".repeat(600 << 10);
    let revision = f.put("large", &large).revision();
    f.store.durable(revision).await.unwrap();
    let names = std::fs::read_dir(f.dir.path().join("blobs")).unwrap().count();
    assert!(names > 0, "sled kept it elsewhere: this test tries nothing any more");
    assert_eq!(f.store.shared.disk.synced_blobs(), names);
    let f = f.reopen();
    assert_eq!(value_of(&f.store.get(Kind::ConfigMap, &key("large")).unwrap()), large);
}

#[tokio::test]
async fn there_is_no_room_while_too_much_waits_for_the_disk() {
    let f = Fixture::new();
    let held = f.store.hold_disk();
    for n in 0..BACKLOG {
        f.store.room().await;
        f.put("a", &n.to_string());
    }
    f.put("a", "one too many");
    let mut room = std::pin::pin!(f.store.room());
    assert!(futures::poll!(&mut room).is_pending());
    drop(held);
    room.await;
    f.store.durable(f.store.revision()).await.unwrap();
}

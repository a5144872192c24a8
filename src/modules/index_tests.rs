use super::*;
use crate::api::module::ARTIFACT;
use crate::store::Precondition;

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Directory {
        Directory(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> (Store, Blobs, Index) {
        let store = Store::open(&self.0.path().join("store"), 16).unwrap();
        let blobs = Blobs::open(self.0.path()).unwrap();
        let index = Index::open(store.clone(), blobs.clone(), Ids::seeded(1)).unwrap();
        (store, blobs, index)
    }
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The meaning that a module of this digest has, with a manifest of which nothing else is known.
fn means(digest: Digest) -> Named {
    let record = Manifest {
        media_type: "a/b".to_owned(),
        size: 1,
        module: Some(digest),
        refers_to: vec![digest],
        subject: None,
        is_kept: false,
        pushed: at(0),
    };
    let manifest = Digest::of(digest.to_string().as_bytes());
    Named { digest: Some(digest), manifest, record, status: ModuleStatus::default() }
}

#[tokio::test]
async fn names_survive_a_restart_and_the_last_to_name_wins() {
    let directory = Directory::new();
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    {
        let (store, _, index) = directory.open();
        index.put(&reference("pi"), &means(one), at(1)).unwrap();
        index.put(&reference("docker.io/library/x:1.29"), &means(one), at(2)).unwrap();
        let revision = index.put(&reference("pi:latest"), &means(two), at(3)).unwrap();
        store.durable(revision).await.unwrap();
        store.close();
    }
    let (_, _, index) = directory.open();
    assert_eq!(index.resolve(&reference("pi")), Some(two));
    assert_eq!(index.resolve(&reference("docker.io/library/x:1.29")), Some(one));
    let all = index.list();
    let names: Vec<_> = all.iter().map(|m| m.metadata.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["docker-io-library-x-1-29-cc67ab33", "pi"]);
    // The object is the same, whatever it means.
    assert_eq!(all[1].metadata.creation_timestamp, Some(meta::time(at(1))));
    assert!(index.manifest("pi", means(one).manifest).is_some() && index.manifest("x", means(one).manifest).is_none());
}

#[test]
fn a_reference_is_resolved_by_tag_or_by_digest_alone() {
    let directory = Directory::new();
    let (_, blobs, index) = directory.open();
    let digest = blobs.put(b"1").unwrap();
    let absent = Digest::of(b"absent");
    let manifest = means(digest).manifest;
    index.put(&reference("pi:a"), &means(digest), at(1)).unwrap();
    let (config, other) = (blobs.put(b"{}").unwrap(), means(Digest::of(b"other")).manifest);
    let artifact = Named {
        digest: None,
        manifest: other,
        record: Manifest { module: None, refers_to: vec![config], ..means(config).record },
        status: ModuleStatus { kind: Some(ARTIFACT.to_owned()), ..ModuleStatus::default() },
    };
    index.put(&reference("chart:1"), &artifact, at(1)).unwrap();
    for (text, expected) in [
        ("pi:a".to_owned(), Some(digest)),
        ("pi".to_owned(), None),
        ("tools/pi:a".to_owned(), None),
        (format!("pi@{digest}"), Some(digest)),
        (format!("other:b@{digest}"), Some(digest)),
        (format!("pi:a@{absent}"), None),
        (format!("pi@{manifest}"), Some(digest)),
        // No module.
        ("chart:1".to_owned(), None),
        (format!("chart@{other}"), None),
    ] {
        assert_eq!(index.resolve(&reference(&text)), expected, "{text}");
    }
}

#[tokio::test]
async fn who_waits_for_a_name_is_woken() {
    let directory = Directory::new();
    let (_, _, index) = directory.open();
    let mut changed = index.changed();
    index.put(&reference("pi"), &means(Digest::of(b"1")), at(1)).unwrap();
    assert!(changed.has_changed().unwrap());
    changed.changed().await.unwrap();
    assert!(!changed.has_changed().unwrap());
}

#[test]
fn whoever_deletes_the_object_takes_the_name_and_labels_stay_when_a_tag_moves() {
    let directory = Directory::new();
    let (store, _, index) = directory.open();
    index.put(&reference("pi"), &means(Digest::of(b"1")), at(1)).unwrap();
    let mut labelled = Module::clone(&index.get(&reference("pi")).unwrap());
    labelled.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    store.commit(Tx::new().update(labelled)).unwrap();
    index.put(&reference("pi"), &means(Digest::of(b"2")), at(2)).unwrap();
    let moved = index.get(&reference("pi")).unwrap();
    assert_eq!(meta::label(&moved.metadata, "a"), Some("b"));
    assert_eq!(digest_of(&moved), Some(Digest::of(b"2")));
    store.commit(Tx::new().delete(Kind::Module, Key::new("", "pi"), Precondition::default())).unwrap();
    assert_eq!((index.resolve(&reference("pi")), index.list().len()), (None, 0));
}

#[test]
fn a_name_whose_object_is_anothers_or_going_is_refused() {
    let directory = Directory::new();
    let (store, _, index) = directory.open();
    let one = means(Digest::of(b"1"));
    index.put(&reference("tools/pi"), &one, at(1)).unwrap();
    let object = object_name("tools/pi", "latest");
    let refused = index.put(&reference(&object), &one, at(1)).unwrap_err();
    let taken = PutError::Taken { object: object.clone(), name: "tools/pi".to_owned(), tag: "latest".to_owned() };
    assert_eq!((refused, index.resolve(&reference(&object))), (taken, None));
    let mut going = Module::clone(&index.get(&reference("tools/pi")).unwrap());
    going.metadata.deletion_timestamp = Some(meta::time(at(2)));
    going.metadata.finalizers = Some(vec!["a/b".to_owned()]);
    store.commit(Tx::new().update(going)).unwrap();
    let refused = index.put(&reference("tools/pi"), &means(Digest::of(b"2")), at(3)).unwrap_err();
    assert_eq!(refused, PutError::Deleting(object));
    assert_eq!(index.resolve(&reference("tools/pi")), Some(Digest::of(b"1")));
}

#[test]
fn without_a_tag_the_manifest_is_kept_also_when_a_tag_comes_to_mean_it() {
    let directory = Directory::new();
    let (_, _, index) = directory.open();
    let one = means(Digest::of(b"1"));
    let untagged = reference(&format!("pi@{}", Digest::of(b"1")));
    index.put(&untagged, &one, at(1)).unwrap();
    assert_eq!(index.list().len(), 0);
    index.put(&reference("pi"), &one, at(1)).unwrap();
    assert!(index.manifest("pi", one.manifest).unwrap().is_kept);
}

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::modules::testing::{Opened, PROGRAM, another_program};
use crate::store::{Precondition, Tx};

const HOUR: Duration = Duration::from_secs(3600);

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn object(kind: Kind, value: Value) -> Object {
    Object::deserialize(kind, value).unwrap()
}

fn manifest(refers_to: &[&str], is_kept: bool, pushed: i64) -> Manifest {
    Manifest {
        media_type: "a/b".to_owned(),
        size: 1,
        module: None,
        refers_to: refers_to.iter().map(|name| digest(name)).collect(),
        subject: None,
        is_kept,
        pushed: at(pushed),
    }
}

fn pod(image: &str, image_id: &str, phase: &str) -> Object {
    let status = json!({"phase": phase, "containerStatuses": [{"name": "c", "image": "", "imageID": image_id,
        "ready": true, "restartCount": 0}]});
    object(
        Kind::Pod,
        json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"},
            "spec": {"containers": [{"name": "c", "image": image}]}, "status": status}),
    )
}

#[test]
fn what_is_named_kept_young_or_reached_stays() {
    let named = object(
        Kind::Module,
        json!({"spec": {"name": "r", "tag": "t", "digest": digest("module").to_string(),
            "manifest": digest("named").to_string()}}),
    );
    let roots = Roots::of([named, pod(&format!("x@{}", digest("by pod")), "", "Running")].iter());
    let all: Manifests = [
        (("named", "r"), manifest(&["config", "module"], false, 0)),
        // Of another repository, where no name means it.
        (("named", "s"), manifest(&["config", "module"], false, 0)),
        (("kept", "s"), manifest(&["inner", "layer"], true, 0)),
        (("inner", "s"), manifest(&["inner config", "kept"], false, 0)),
        (("inner", "r"), manifest(&[], false, 0)),
        (("young", "s"), manifest(&[], false, 101)),
        (("by pod", "s"), manifest(&["of pod"], false, 0)),
        (("old", "s"), manifest(&["old config"], false, 100)),
    ]
    .map(|((name, repository), manifest)| ((digest(name), repository.to_owned()), manifest))
    .into();
    let mut useless = useless_manifests(&all, &roots, at(100));
    useless.sort();
    let mut expected = [("named", "s"), ("inner", "r"), ("old", "s")].map(|(d, r)| (digest(d), r.to_owned()));
    expected.sort();
    assert_eq!(useless, expected);

    let mut stay = all;
    stay.retain(|id, _| !useless.contains(id));
    let blobs = [
        "config",
        "module",
        "named",
        "kept",
        "inner",
        "inner config",
        "layer",
        "young",
        "by pod",
        "of pod",
        "held",
        "old",
        "old config",
    ];
    let blobs: Vec<_> = blobs.iter().map(|name| (digest(name), 2, at(100))).collect();
    let held = HashSet::from([digest("held")]);
    let gone = useless_blobs(&blobs, &roots, &stay, &held, at(100));
    assert_eq!(gone, [(digest("old"), 2), (digest("old config"), 2)]);
    assert_eq!(useless_blobs(&blobs, &roots, &stay, &held, at(99)), []);
}

#[test]
fn what_runs_stays_by_its_image_id_and_what_has_ended_does_not_count() {
    let id = |name: &str| digest(name).to_string();
    let job = |name: &str, type_: &str| {
        let template = json!({"spec": {"containers": [{"name": "c", "image": format!("x@{}", digest(name))}]}});
        object(
            Kind::Job,
            json!({"metadata": {"name": name}, "spec": {"template": template},
            "status": {"conditions": [{"type": type_, "status": "True"}]}}),
        )
    };
    let objects = [
        pod("pi", &id("runs"), "Running"),
        pod("pi", &id("over"), "Failed"),
        job("open", "Suspended"),
        job("complete", "Complete"),
    ];
    let roots = Roots::of(objects.iter());
    assert_eq!(roots.digests, HashSet::from([digest("runs"), digest("open")]));
}

proptest! {
    /// What stays refers to nothing that goes.
    #[test]
    fn nothing_is_removed_that_what_stays_refers_to(
        edges in prop::collection::vec((0_u8..12, prop::collection::vec(0_u8..12, 0..4), any::<bool>(), 0_i64..20), 0..12),
        named in prop::collection::vec(0_u8..12, 0..3),
    ) {
        let name = |n: &u8| Digest::of(&[*n]);
        let all: Manifests = edges.iter().map(|(id, refers_to, is_kept, pushed)| {
            let refers_to = refers_to.iter().map(name).collect();
            ((name(id), "r".to_owned()), Manifest { refers_to, ..manifest(&[], *is_kept, *pushed) })
        }).collect();
        let roots = Roots { named: named.iter().map(|n| ("r".to_owned(), name(n))).collect(), ..Roots::default() };
        let mut stay = all.clone();
        for id in useless_manifests(&all, &roots, at(15)) {
            stay.remove(&id);
        }
        let blobs: Vec<_> = (0..12).map(|n: u8| (name(&n), 1, at(0))).collect();
        let gone: HashSet<Digest> = useless_blobs(&blobs, &roots, &stay, &HashSet::new(), at(15)).into_iter().map(|b| b.0).collect();
        for (id, manifest) in &stay {
            prop_assert!(!gone.contains(&id.0));
            for inner in &manifest.refers_to {
                prop_assert!(!gone.contains(inner));
                let has = |among: &Manifests| among.contains_key(&(*inner, "r".to_owned()));
                prop_assert_eq!(has(&stay), has(&all));
            }
        }
        prop_assert!(named.iter().all(|n| !gone.contains(&name(n))));
        // And what nobody could ask for goes.
        for n in 0..12 {
            let reached = stay.iter().any(|(id, m)| id.0 == name(&n) || m.refers_to.contains(&name(&n)));
            prop_assert!(reached || named.contains(&n) || gone.contains(&name(&n)));
        }
    }
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Of a real run, a day from now.
async fn collect(opened: &Opened) -> usize {
    let tomorrow = Clock::real().now() + SignedDuration::from_hours(24);
    opened.modules.collect(HOUR, tomorrow).await.unwrap().blobs
}

fn all_blobs(opened: &Opened) -> usize {
    opened.modules.blobs().list().unwrap().len()
}

fn code(opened: &Opened) -> usize {
    opened.modules.programs.on_disk().into_iter().collect::<HashSet<_>>().len()
}

#[tokio::test]
async fn bytes_go_with_their_last_name_and_their_code_with_them() {
    let opened = Opened::new();
    let modules = &opened.modules;
    let now = Clock::real().now();
    for name in ["pi", "pi:1"] {
        modules.import(&reference(name), PROGRAM, now).await.unwrap();
    }
    modules.import(&reference("other"), std::io::Cursor::new(another_program(1)), now).await.unwrap();
    assert_eq!((collect(&opened).await, all_blobs(&opened), code(&opened)), (0, 6, 2));
    modules.delete(&reference("pi"), false, now).await.unwrap();
    assert_eq!(collect(&opened).await, 0);
    modules.delete(&reference("pi:1"), false, now).await.unwrap();
    // Not before they are an hour old.
    assert_eq!(modules.collect(HOUR, Clock::real().now()).await.unwrap(), Collected::default());
    assert_eq!((collect(&opened).await, all_blobs(&opened), code(&opened)), (3, 3, 1));
    assert!(modules.index().manifest("pi", modules.blobs().list().unwrap()[0].0).is_none());
    // A tag that moves leaves what it meant behind.
    modules.import(&reference("other"), PROGRAM, now).await.unwrap();
    assert_eq!((collect(&opened).await, all_blobs(&opened), code(&opened)), (3, 3, 1));
    assert_eq!(modules.index().resolve(&reference("other")), Some(Digest::of(PROGRAM)));
}

#[tokio::test]
async fn what_a_pod_runs_stays_until_it_has_ended() {
    let opened = Opened::new();
    let modules = &opened.modules;
    let now = Clock::real().now();
    modules.import(&reference("pi"), PROGRAM, now).await.unwrap();
    let store = modules.index().store();
    let running = pod("pi", &Digest::of(PROGRAM).to_string(), "Running");
    store.commit(Tx::new().create(running)).unwrap();
    modules.delete(&reference("pi"), true, now).await.unwrap();
    // Its manifest and config are nobody's; the module is the pod's.
    assert_eq!((collect(&opened).await, all_blobs(&opened)), (2, 1));
    store.commit(Tx::new().delete(Kind::Pod, crate::api::Key::new("ns", "p"), Precondition::default())).unwrap();
    // Nor is taken away what somebody is about to run.
    let held = modules.program(Digest::of(PROGRAM)).await.unwrap();
    assert_eq!(collect(&opened).await, 0);
    drop(held);
    assert_eq!((collect(&opened).await, all_blobs(&opened), code(&opened)), (1, 0, 0));
}

#[tokio::test]
async fn what_was_pushed_by_its_digest_stays_until_that_is_deleted() {
    let opened = Opened::new();
    let modules = &opened.modules;
    let now = Clock::real().now();
    let by_digest = reference(&format!("pi@{}", Digest::of(PROGRAM)));
    modules.import(&by_digest, PROGRAM, now).await.unwrap();
    assert_eq!((collect(&opened).await, all_blobs(&opened)), (0, 3));
    modules.delete(&by_digest, false, now).await.unwrap();
    assert_eq!((collect(&opened).await, all_blobs(&opened)), (3, 0));
}

#[tokio::test]
async fn nothing_of_an_import_under_way_is_taken() {
    let opened = Opened::new();
    let modules = opened.modules.clone();
    let importing = modules.importing.clone().lock_owned().await;
    // As an import leaves it between its bytes and its name.
    modules.blobs().put(PROGRAM).unwrap();
    let tomorrow = Clock::real().now() + SignedDuration::from_hours(24);
    let collecting = tokio::spawn(async move { modules.collect(HOUR, tomorrow).await.unwrap().blobs });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!collecting.is_finished());
    assert_eq!(all_blobs(&opened), 1);
    drop(importing);
    assert_eq!(collecting.await.unwrap(), 1);
}

#[tokio::test]
async fn the_loop_collects_when_a_name_is_deleted() {
    let opened = Opened::new();
    let modules = opened.modules.clone();
    let clock = Clock::manual(Clock::real().now() + SignedDuration::from_hours(24));
    modules.import(&reference("pi"), PROGRAM, Clock::real().now()).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(modules.clone().collect_loop(HOUR, clock.clone(), stop.clone()));
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(all_blobs(&opened), 3);
    modules.delete(&reference("pi"), false, clock.now()).await.unwrap();
    while all_blobs(&opened) > 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap();
}

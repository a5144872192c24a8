use k8s_openapi::api::core::v1::NodeSpec;
use serde_json::json;

use super::*;
use crate::api::{Key, Kind};
use crate::control::Recorder;
use crate::ids::Ids;
use crate::node::describe::test::healthy;
use crate::node::local::Local;
use crate::store::{Change, Precondition, Store, Tx, Visibility};

struct Fixture {
    store: Store,
    clock: Clock,
    heartbeat: Heartbeat<Local>,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 64).unwrap();
        let clock = Clock::manual("2026-01-01T00:00:00.5Z".parse().unwrap());
        Fixture { heartbeat: Fixture::heartbeat(&store, &clock), store, clock, _dir: dir }
    }

    fn heartbeat(store: &Store, clock: &Clock) -> Heartbeat<Local> {
        let cluster = Local::new(store.clone(), Recorder::new().0, clock.clone(), Ids::seeded(1));
        let machine = Machine { cpus: 2, ..Machine::default() };
        Heartbeat {
            cluster,
            clock: clock.clone(),
            machine,
            node: "n".to_owned(),
            max_pods: 5,
            pods_dir: PathBuf::new(),
            load: Arc::default(),
        }
    }

    async fn beat(&self, vitals: &Vitals) {
        self.heartbeat.beat_with(vitals).await.unwrap();
    }

    fn node(&self) -> Arc<Node> {
        self.store.get(Kind::Node, &Key::new("", "n")).unwrap().as_node().unwrap().clone()
    }

    fn lease(&self) -> Arc<Lease> {
        match self.store.get(Kind::Lease, &Key::new(NODE_LEASES, "n")).unwrap() {
            Object::Lease(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Node)) {
        let mut node = Node::clone(&self.node());
        change(&mut node);
        self.store.commit(Tx::new().update(node)).unwrap();
    }
}

fn taints(node: &Node) -> Vec<&str> {
    node.spec.iter().flat_map(|s| s.taints.iter().flatten()).map(|t| t.key.as_str()).collect()
}

#[tokio::test]
async fn a_beat_renews_the_lease_by_one_write_and_the_node_only_now_and_then() {
    let f = Fixture::new();
    f.beat(&healthy()).await;
    let (node, lease) = (f.node(), f.lease());
    let owner = &lease.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), Some(&owner.uid)), ("Node", node.metadata.uid.as_ref()));
    let json = serde_json::to_value(&lease.spec).unwrap();
    let expected =
        json!({"holderIdentity": "n", "leaseDurationSeconds": 40, "renewTime": "2026-01-01T00:00:00.500000Z"});
    assert_eq!(json, expected);
    for beats in 1..=30 {
        f.clock.advance(EVERY);
        let before = f.store.revision();
        f.beat(&healthy()).await;
        let writes = if beats == 30 { 2 } else { 1 };
        assert_eq!(f.store.revision(), before + writes, "beat {beats}");
    }
    let ready = condition(&f.node(), "Ready").cloned().unwrap();
    assert_eq!(ready.last_heartbeat_time.unwrap().0.to_string(), "2026-01-01T00:05:00Z");
    assert_eq!(ready.last_transition_time.unwrap().0.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(f.node().metadata.uid, node.metadata.uid);
}

#[tokio::test]
async fn after_a_restart_it_is_the_same_node() {
    let f = Fixture::new();
    f.beat(&healthy()).await;
    let uids = (f.node().metadata.uid.clone(), f.lease().metadata.uid.clone());
    f.change(|node| node.spec.get_or_insert_default().unschedulable = Some(true));
    Fixture::heartbeat(&f.store, &f.clock).beat_with(&healthy()).await.unwrap();
    assert_eq!((f.node().metadata.uid.clone(), f.lease().metadata.uid.clone()), uids);
    assert_eq!(f.node().spec.as_ref().unwrap().unschedulable, Some(true), "a node stays cordoned");
    f.change(|node| node.spec = None);
    Fixture::heartbeat(&f.store, &f.clock).beat_with(&healthy()).await.unwrap();
    assert_eq!(f.node().spec, Some(NodeSpec::default()), "one that an earlier version wrote gets it");
}

#[tokio::test]
async fn a_node_that_somebody_deletes_is_registered_again() {
    let f = Fixture::new();
    f.beat(&healthy()).await;
    let first = f.node();
    f.store.commit(Tx::new().delete(Kind::Node, Key::new("", "n"), Precondition::default())).unwrap();
    f.beat(&healthy()).await;
    assert_ne!(f.node().metadata.uid, first.metadata.uid);
    let owners = f.lease().metadata.owner_references.clone().unwrap();
    assert_eq!(Some(&owners[0].uid), f.node().metadata.uid.as_ref(), "the lease belongs to the new one");
    f.store.commit(Tx::new().delete(Kind::Lease, Key::new(NODE_LEASES, "n"), Precondition::default())).unwrap();
    f.beat(&healthy()).await;
    assert!(f.lease().spec.is_some());
}

#[tokio::test]
async fn pressure_taints_the_node_until_it_is_over_and_leaves_other_taints_alone() {
    let f = Fixture::new();
    f.beat(&healthy()).await;
    assert_eq!(taints(&f.node()), [] as [&str; 0]);
    let mine = Taint { key: "mine".to_owned(), effect: node::NO_SCHEDULE.to_owned(), ..Taint::default() };
    f.change(|node| node.spec.get_or_insert_default().taints = Some(vec![mine]));
    f.clock.advance(EVERY);
    let full = Vitals { disk_free: 5, fault: Some("f".to_owned()), ..healthy() };
    f.beat(&full).await;
    let expected = ["mine", "node.kubernetes.io/not-ready", "node.kubernetes.io/disk-pressure"];
    assert_eq!(taints(&f.node()), expected);
    let pressure = condition(&f.node(), "DiskPressure").cloned().unwrap();
    assert_eq!((pressure.status.as_str(), pressure.reason.as_deref()), ("True", Some("KubeletHasDiskPressure")));
    assert_eq!(pressure.last_transition_time.unwrap().0.to_string(), "2026-01-01T00:00:10Z");
    let ready = condition(&f.node(), "Ready").cloned().unwrap();
    assert_eq!((ready.status.as_str(), ready.message.as_deref()), ("False", Some("f")));
    // Who takes a taint off whose cause is still there gets it back.
    f.change(|node| node.spec = None);
    f.beat(&full).await;
    assert_eq!(taints(&f.node()), expected[1..]);
    f.beat(&healthy()).await;
    assert_eq!(taints(&f.node()), [] as [&str; 0]);
}

#[tokio::test]
async fn what_others_say_of_the_node_stays() {
    let f = Fixture::new();
    f.beat(&healthy()).await;
    f.change(|node| {
        node.metadata.labels.get_or_insert_default().insert("zone".to_owned(), "a".to_owned());
        let theirs = NodeCondition { type_: "Theirs".to_owned(), status: "True".to_owned(), ..Default::default() };
        node.status.get_or_insert_default().conditions.get_or_insert_default().insert(0, theirs);
    });
    f.beat(&Vitals { disk_free: 5, ..healthy() }).await;
    assert_eq!(meta::label(&f.node().metadata, "zone"), Some("a"));
    assert!(condition(&f.node(), "Theirs").is_some_and(|c| c.last_heartbeat_time.is_none()));
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_no_heartbeat() {
    let f = Fixture::new();
    f.beat(&healthy()).await;
    let clock = Clock::manual("2025-01-01T00:00:00Z".parse().unwrap());
    Fixture::heartbeat(&f.store, &clock).beat_with(&healthy()).await.unwrap();
    let beaten = condition(&f.node(), "Ready").unwrap().last_heartbeat_time.clone().unwrap();
    assert_eq!(beaten.0.to_string(), "2025-01-01T00:00:00Z");
}

#[tokio::test]
async fn each_change_of_a_condition_is_written_once() {
    let f = Fixture::new();
    f.beat(&healthy()).await;
    let mut watch = f.store.watch(Kind::Node, f.store.revision(), Visibility::Committed);
    f.beat(&Vitals { memory_available: 5, ..healthy() }).await;
    f.beat(&Vitals { memory_available: 5, ..healthy() }).await;
    f.beat(&healthy()).await;
    let seen = watch.next().await.unwrap();
    assert_eq!(seen.iter().map(|e| e.change).collect::<Vec<_>>(), [Change::Modified, Change::Modified]);
}

#[tokio::test]
async fn the_node_says_by_whose_clock_schedules_run() {
    let mut fixture = Fixture::new();
    fixture.beat(&healthy()).await;
    fixture.change(|node| {
        node.metadata.annotations.get_or_insert_default().insert("example.com/mine".to_owned(), "kept".to_owned());
    });
    let zone =
        |fixture: &Fixture| fixture.node().metadata.annotations.as_ref().and_then(|all| all.get(TIME_ZONE).cloned());
    assert_eq!(zone(&fixture), None);
    fixture.heartbeat.machine.time_zone = "Asia/Kolkata".to_owned();
    fixture.beat(&healthy()).await;
    assert_eq!(zone(&fixture).as_deref(), Some("Asia/Kolkata"));
    assert_eq!(fixture.node().metadata.annotations.as_ref().unwrap()["example.com/mine"], "kept");
    fixture.heartbeat.machine.time_zone.clear();
    fixture.beat(&healthy()).await;
    assert_eq!(zone(&fixture), None);
    assert_eq!(fixture.node().metadata.annotations.as_ref().unwrap()["example.com/mine"], "kept");
}

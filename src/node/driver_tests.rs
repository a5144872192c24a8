//! The driver with real guests against a cluster that only listens: whatever happens to a pod, in whichever order, its
//! end is told once, and last.

use std::sync::LazyLock;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Secret};
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::super::NodeConfig;
use super::super::cluster::{ConfigFeed, News, PodFeed};
use super::*;
use crate::api::Kind;
use crate::api::pod::facts;
use crate::clock::Clock;
use crate::logs::Logs;
use crate::modules::{CompileIn, Modules, Patience, Registries};
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::store::Store;

/// Nobody waits longer for a pod that should have ended.
const LATEST: Duration = Duration::from_secs(60);

/// Takes every report, also one that a real cluster would refuse.
#[derive(Clone, Default)]
struct Listener {
    /// The pod after each report.
    reports: Arc<Mutex<Vec<Pod>>>,
    /// What is reported does not outlive a crash.
    loses: bool,
}

struct Nothing;

impl PodFeed for Nothing {
    async fn next(&mut self) -> Vec<News> {
        std::future::pending().await
    }
}

impl ConfigFeed for Nothing {
    async fn changed(&mut self) {
        std::future::pending().await
    }
}

impl Cluster for Listener {
    type Pods = Nothing;
    type Configs = Nothing;

    fn pods(&self, _: &str) -> Nothing {
        Nothing
    }

    fn configs(&self) -> Nothing {
        Nothing
    }

    async fn config_map(&self, _: &str, _: &str) -> Option<Arc<ConfigMap>> {
        None
    }

    async fn secret(&self, _: &str, _: &str) -> Option<Arc<Secret>> {
        None
    }

    async fn report(&self, pod: &Pod, change: &(dyn Fn(&mut Pod) + Sync), _: Tx) -> Result<u64, ReportError> {
        let mut reports = self.reports.lock();
        let mut next = reports.last().unwrap_or(pod).clone();
        change(&mut next);
        reports.push(next);
        Ok(0)
    }

    async fn keep(&self, _: u64) -> bool {
        !self.loses
    }

    async fn node(&self, _: &str) -> Option<Arc<Node>> {
        None
    }

    async fn write_node(&self, node: Node) -> Result<Arc<Node>, ReportError> {
        Ok(Arc::new(node))
    }

    async fn lease(&self, _: &str) -> Option<Arc<Lease>> {
        None
    }

    async fn write_lease(&self, _: Lease) -> Result<(), ReportError> {
        Ok(())
    }

    fn note(&self, _: Note) {}
}

/// What all tests share: the compiled guests.
struct World {
    runtime: Runtime,
    modules: Modules,
    sandbox: Sandbox,
    logs: Logs,
    dir: tempfile::TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::real();
    let sandbox = Sandbox::new(SandboxConfig { max_instances: 32, ..SandboxConfig::default() }, clock.clone()).unwrap();
    let store = Store::open(&dir.path().join("store"), 16).unwrap();
    let modules = Modules::open(
        &dir.path().join("modules"),
        sandbox.clone(),
        CompileIn::ThisProcess,
        store.clone(),
        crate::ids::Ids::seeded(1),
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, text) in [
            ("exit", include_str!("../../tests/guests/exit-code.wat")),
            ("loop", include_str!("../../tests/guests/loop.wat")),
            ("sleep", include_str!("../../tests/guests/sleep.wat")),
        ] {
            let wasm = wat::parse_str(text).unwrap();
            modules
                .import(&name.parse::<crate::modules::Reference>().unwrap(), std::io::Cursor::new(wasm), clock.now())
                .await
                .unwrap();
        }
    });
    World { runtime, modules, sandbox, logs: Logs::new(store, clock), dir }
});

fn node(cluster: Listener, slots: usize) -> Arc<Shared<Listener>> {
    let world = &*WORLD;
    let config = NodeConfig {
        name: "n".to_owned(),
        max_pods: 32,
        default_memory_bytes: 64 << 20,
        default_scratch_bytes: 64 << 20,
        host_paths: Vec::new(),
        network: Vec::new(),
        pods_dir: world.dir.path().join("pods"),
    };
    Arc::new(Shared {
        cluster,
        modules: world.modules.clone(),
        registries: Registries::new(world.modules.clone(), Clock::real(), Default::default(), Patience::default()),
        sandbox: world.sandbox.clone(),
        logs: world.logs.clone(),
        clock: Clock::real(),
        config,
        slots: Arc::new(Semaphore::new(slots)),
        metrics: crate::node::metrics::NodeMetrics::default(),
    })
}

fn container(n: usize, command: &[&str]) -> serde_json::Value {
    json!({"name": format!("c{n}"), "image": command[0], "command": command})
}

fn pod(inits: &[&[&str]], main: &[&[&str]], policy: &str) -> Pod {
    let list = |from: usize, commands: &[&[&str]]| -> Vec<_> {
        commands.iter().enumerate().map(|(n, command)| container(from + n, command)).collect()
    };
    let uid = format!("u-{}", crate::ids::Ids::random().uid());
    let object = json!({"metadata": {"name": "p", "namespace": "default", "uid": uid}, "spec": {
        "restartPolicy": policy, "initContainers": list(0, inits), "containers": list(inits.len(), main)}});
    let object = Object::deserialize(Kind::Pod, object).unwrap();
    Pod::clone(object.as_pod().unwrap())
}

/// What somebody does to a pod while it runs.
#[derive(Clone, Debug)]
enum Deed {
    Delete,
    /// As `Delete`, with guests that may run on to the end of a grace that is over.
    DeleteWithGrace,
    Stop,
    /// The Job's deadline, in milliseconds from now.
    Deadline(i64),
    /// The object is removed by force.
    Remove,
    Wait(u64),
}

/// Drives the pod to its end; answers the pod after each report.
fn drive_to_end(pod: &Pod, deeds: &[Deed], slots: usize) -> Vec<Pod> {
    drive_in(Listener::default(), pod, deeds, slots)
}

fn drive_in(cluster: Listener, pod: &Pod, deeds: &[Deed], slots: usize) -> Vec<Pod> {
    let reports = cluster.reports.clone();
    let (inbox, news) = watch::channel(Arc::new(pod.clone()));
    let driven = drive(node(cluster, slots), Arc::new(pod.clone()), news, Meters::default());
    let others = async {
        let clock = Clock::real();
        let mut inbox = Some(inbox);
        for deed in deeds {
            let set = |inbox: &Option<watch::Sender<Arc<Pod>>>, change: &dyn Fn(&mut Pod)| {
                if let Some(inbox) = inbox {
                    inbox.send_modify(|pod| change(Arc::make_mut(pod)));
                }
            };
            let annotate = |name: &'static str, value: String| {
                move |pod: &mut Pod| meta::set_annotation(&mut pod.metadata, name, value.clone())
            };
            match deed {
                Deed::Wait(millis) => clock.sleep(Duration::from_millis(*millis)).await,
                Deed::Remove => drop(inbox.take()),
                Deed::Stop => set(&inbox, &annotate(well_known::ANNOTATION_STOP, "Why".to_owned())),
                Deed::Deadline(millis) => {
                    let at = clock.now() + jiff::SignedDuration::from_millis(*millis);
                    set(&inbox, &annotate(well_known::ANNOTATION_DEADLINE, meta::format_micros(at)));
                }
                Deed::Delete | Deed::DeleteWithGrace => {
                    // Times of objects have whole seconds.
                    let waits = matches!(deed, Deed::DeleteWithGrace);
                    let at = clock.now() + jiff::SignedDuration::from_millis(if waits { 0 } else { 1_300 });
                    set(&inbox, &|pod| {
                        pod.metadata.deletion_timestamp.get_or_insert(meta::time(at));
                        if waits {
                            meta::set_annotation(
                                &mut pod.metadata,
                                well_known::ANNOTATION_ON_DELETE,
                                well_known::ON_DELETE_WAIT,
                            );
                        }
                    });
                }
            }
        }
        // Then it is removed, so that every pod ends.
        clock.sleep(Duration::from_millis(20)).await;
        drop(inbox);
    };
    WORLD.runtime.block_on(async {
        let both = async {
            let driven = tokio::spawn(driven);
            others.await;
            driven.await.unwrap();
        };
        tokio::time::timeout(LATEST, both)
            .await
            .unwrap_or_else(|_| panic!("{:?} has not ended", reports.lock().last()));
    });
    Arc::into_inner(reports).map_or_else(|| panic!("the driver is still there"), Mutex::into_inner)
}

fn guest() -> impl Strategy<Value = &'static [&'static str]> {
    prop_oneof![
        Just(["exit", "0"].as_slice()),
        Just(["exit", "3"].as_slice()),
        Just(["loop"].as_slice()),
        Just(["sleep"].as_slice()),
        Just(["missing"].as_slice()),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..15_u64).prop_map(Deed::Wait),
        1 => Just(Deed::Delete),
        1 => Just(Deed::DeleteWithGrace),
        1 => Just(Deed::Stop),
        1 => (-5..20_i64).prop_map(Deed::Deadline),
        1 => Just(Deed::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn the_end_of_a_pod_is_told_once_and_last_whatever_happens_to_it(
        inits in proptest::collection::vec(guest(), 0..2),
        main in proptest::collection::vec(guest(), 1..4),
        on_failure in any::<bool>(),
        deeds in proptest::collection::vec(deed(), 0..5),
        slots in 1..5_usize,
    ) {
        let pod = pod(&inits, &main, if on_failure { "OnFailure" } else { "Never" });
        let reports = drive_to_end(&pod, &deeds, slots);
        let terminal = reports.iter().filter(|pod| facts::is_finished(pod)).count();
        prop_assert_eq!(terminal, 1, "{:#?}", reports);
        let last = reports.last().unwrap();
        prop_assert!(facts::is_finished(last));
        let runs = |pod: &Pod| facts::container_statuses(pod).any(|c| c.state.as_ref().is_some_and(|s| s.running.is_some()));
        prop_assert!(!runs(last));
        prop_assert!(meta::annotation(&last.metadata, well_known::ANNOTATION_USAGE).is_some());
    }
}

#[test]
fn init_containers_run_in_order_and_the_others_together() {
    let pod = pod(&[&["exit", "0"], &["exit", "0"]], &[&["exit", "0"], &["exit", "0"]], "Never");
    let reports = drive_to_end(&pod, &[Deed::Wait(200)], 4);
    assert_eq!(facts::phase(reports.last().unwrap()), "Succeeded");
    let started =
        |pod: &Pod, name: &str| facts::container_statuses(pod).any(|c| c.name == name && c.container_id.is_some());
    for report in &reports {
        for (later, earlier) in [("c1", "c0"), ("c2", "c1"), ("c3", "c1")] {
            assert!(!started(report, later) || started(report, earlier), "{report:#?}");
        }
    }
}

#[test]
fn a_guest_may_run_on_to_the_end_of_its_grace_if_it_asks_to() {
    let mut waits = pod(&[], &[&["loop"]], "Never");
    meta::set_annotation(&mut waits.metadata, well_known::ANNOTATION_ON_DELETE, well_known::ON_DELETE_WAIT);
    let lives = |pod: &Pod| {
        let reports = drive_to_end(pod, &[Deed::Wait(20), Deed::Delete, Deed::Wait(200)], 1);
        let usage = meta::annotation(&reports.last().unwrap().metadata, well_known::ANNOTATION_USAGE).unwrap();
        let usage: serde_json::Value = serde_json::from_str(usage).unwrap();
        usage["wallMicros"].as_u64().unwrap()
    };
    let (waited, stopped) = (lives(&waits), lives(&pod(&[], &[&["loop"]], "Never")));
    eprintln!("lived {waited} us with its grace, {stopped} us without");
    assert!(waited > 200_000 && waited > stopped);
}

#[test]
fn a_guest_that_may_run_only_once_does_not_start_before_a_crash_would_show_it() {
    let mut once = pod(&[], &[&["exit", "0"]], "Never");
    meta::set_annotation(&mut once.metadata, well_known::ANNOTATION_AT_MOST_ONCE, "true");
    for loses in [false, true] {
        let reports = drive_in(Listener { loses, ..Listener::default() }, &once, &[Deed::Wait(200)], 1);
        let last = reports.last().unwrap();
        let usage = meta::annotation(&last.metadata, well_known::ANNOTATION_USAGE).unwrap();
        let usage: serde_json::Value = serde_json::from_str(usage).unwrap();
        let (phase, ran) = (facts::phase(last), usage["fuel"].as_u64().unwrap() > 0);
        assert_eq!((phase, ran), if loses { ("Failed", false) } else { ("Succeeded", true) });
    }
}

//! A pod that is gone leaves no log, whoever removed it, also while no node looked.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::api::{Key, Kind, Object};
use crate::control::Recorder;
use crate::ids::Ids;
use crate::logs::LogId;
use crate::modules::{CompileIn, Patience};
use crate::node::local::Local;
use crate::sandbox::SandboxConfig;
use crate::store::{Precondition, Store, Tx};

fn ended(name: &str) -> Object {
    let value = json!({"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": {"nodeName": "n"},
        "status": {"phase": "Succeeded"}});
    Object::deserialize(Kind::Pod, value).unwrap()
}

fn remove(store: &Store, name: &str) {
    store.commit(Tx::new().delete(Kind::Pod, Key::new("default", name), Precondition::default())).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_gone_leaves_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, stop) = (Clock::real(), CancellationToken::new());
    let store = Store::open(&dir.path().join("store"), 64).unwrap();
    let logs = Logs::new(store.clone(), clock.clone());
    for name in ["before", "kept", "removed"] {
        store.commit(Tx::new().create(ended(name))).unwrap();
        let writer = logs.open(LogId { pod_uid: name.to_owned(), container: "c".to_owned(), restart: 0 });
        writer.write(crate::logs::Stream::Stdout, b"a line\n");
        let revision = store.commit(writer.finish()).unwrap().revision;
        writer.committed(revision);
        store.durable(revision).await.unwrap();
    }
    remove(&store, "before");
    assert_eq!(logs.pods().unwrap(), ["before", "kept", "removed"]);

    let sandbox = Sandbox::new(SandboxConfig { max_instances: 1, ..SandboxConfig::default() }, clock.clone()).unwrap();
    let modules = dir.path().join("modules");
    let modules =
        Modules::open(&modules, sandbox.clone(), CompileIn::ThisProcess, store.clone(), crate::ids::Ids::seeded(1))
            .unwrap();
    let (recorder, _writer) = Recorder::new();
    let cluster = Local::new(store.clone(), recorder, clock.clone(), Ids::random());
    let config = NodeConfig {
        name: "n".to_owned(),
        max_pods: 1,
        default_memory_bytes: 1 << 20,
        default_scratch_bytes: 1 << 20,
        host_paths: Vec::new(),
        network: Vec::new(),
        pods_dir: dir.path().join("pods"),
    };
    let registries = Registries::new(modules, clock.clone(), Default::default(), Patience::default());
    let node = Node::new(cluster, registries, sandbox, logs.clone(), clock.clone(), config, Handle::current());
    let running = tokio::spawn(node.run(stop.clone()));
    for left in [&["kept", "removed"][..], &["kept"]] {
        let gone = async {
            while logs.pods().unwrap() != left {
                clock.sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the log goes with its pod");
        if left.len() == 2 {
            remove(&store, "removed");
        }
    }
    stop.cancel();
    running.await.unwrap();
    store.close();
}

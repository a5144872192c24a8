//! kube-rs, unmodified: informers by list and watch and by streaming lists, a controller that owns pods, and an informer
//! that is cut off by a crash and by a restart and must end in the true state.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as informer};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::harness::{Server, guest, job};
use super::kube_rs::{client, job_of, soon};
use super::relay::Relay;

fn config_map(name: &str, value: u64) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"value": value.to_string()}})).unwrap()
}

/// What an informer knows, and a check of all that it is told: a version is told once by a watch, in order; a list
/// replaces everything and may only go forward.
#[derive(Default)]
struct Cache {
    objects: BTreeMap<String, u64>,
    listed: Option<BTreeMap<String, u64>>,
    /// The newest version of which a watch has told.
    last: u64,
    applied: Vec<u64>,
    lists: usize,
}

fn version(map: &ConfigMap) -> u64 {
    map.resource_version().unwrap().parse().unwrap()
}

impl Cache {
    fn take(&mut self, event: Event<ConfigMap>) {
        match event {
            Event::Init => self.listed = Some(BTreeMap::new()),
            Event::InitApply(map) => {
                let old = self.objects.get(&map.name_any()).copied().unwrap_or(0);
                assert!(version(&map) >= old, "{} went back from {old} to {}", map.name_any(), version(&map));
                self.listed.as_mut().unwrap().insert(map.name_any(), version(&map));
            }
            Event::InitDone => {
                self.objects = self.listed.take().unwrap();
                self.lists += 1;
            }
            Event::Apply(map) => {
                let version = version(&map);
                assert!(version > self.last, "version {version} is told after {}", self.last);
                self.last = version;
                self.applied.push(version);
                self.objects.insert(map.name_any(), version);
            }
            Event::Delete(map) => {
                let version = version(&map);
                assert!(version > self.last, "the deletion {version} is told after {}", self.last);
                self.last = version;
                assert!(self.objects.remove(&map.name_any()).is_some(), "{} was not known", map.name_any());
            }
        }
    }
}

/// Reads from an informer until its cache is right. Errors are those of a server that is away.
async fn until(
    what: &str,
    stream: &mut (impl Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin),
    cache: &mut Cache,
    right: impl Fn(&Cache) -> bool,
) {
    soon(what, async {
        while !right(cache) {
            if let Ok(event) = stream.next().await.unwrap() {
                cache.take(event);
            }
        }
    })
    .await;
}

async fn an_informer_follows(config: watcher::Config) {
    let server = Server::start();
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server.url));
    for number in 0..7 {
        maps.create(&PostParams::default(), &config_map(&format!("m{number}"), number)).await.unwrap();
    }
    let mut stream = pin!(informer(maps.clone(), config));
    let mut cache = Cache::default();
    until("the list", &mut stream, &mut cache, |cache| cache.lists == 1).await;
    assert_eq!(cache.objects.len(), 7);
    let patch = |value: u64| json!({"data": {"value": value.to_string()}});
    let changed = maps.patch("m3", &PatchParams::default(), &Patch::Merge(patch(30))).await.unwrap();
    maps.delete("m4", &DeleteParams::default()).await.unwrap();
    let made = maps.create(&PostParams::default(), &config_map("new", 1)).await.unwrap();
    until("the new object", &mut stream, &mut cache, |cache| cache.objects.contains_key("new")).await;
    assert_eq!(cache.applied, [version(&changed), version(&made)]);
    assert!(!cache.objects.contains_key("m4"));
    assert_eq!(cache.lists, 1, "a quiet server gives no cause to list again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_informer_lists_in_pages_and_watches() {
    an_informer_follows(watcher::Config::default().page_size(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_informer_streams_its_list() {
    an_informer_follows(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_ends_at_its_timeout_goes_on_where_it_was() {
    let server = Server::start();
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server.url));
    let mut stream = pin!(informer(maps.clone(), watcher::Config::default().timeout(1)));
    let mut cache = Cache::default();
    until("the list", &mut stream, &mut cache, |cache| cache.lists == 1).await;
    // From watch to watch, until the third of them tells of a change.
    let mut ended = 0;
    for value in 0.. {
        let map = config_map("m", value);
        if value == 0 {
            maps.create(&PostParams::default(), &map).await.unwrap();
        } else {
            maps.replace("m", &PostParams::default(), &map).await.unwrap();
        }
        until("each change", &mut stream, &mut cache, |cache| cache.applied.len() as u64 == value + 1).await;
        if ended >= 2 {
            break;
        }
        ended = ended_watches(&server, "configmaps");
    }
    assert_eq!(cache.lists, 1);
}

/// How many watches of a resource the server has seen end.
fn ended_watches(server: &Server, resource: &str) -> u64 {
    let (_, metrics) = server.send("GET", "/metrics", "", b"");
    let resource = format!("resource=\"{resource}\"");
    let is_one = |line: &&str| {
        line.starts_with("apiserver_request_total{") && line.contains(&resource) && line.contains("verb=\"WATCH\"")
    };
    let lines = metrics.as_str().unwrap().lines().filter(is_one);
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Somebody changes ConfigMaps all the time; answers what the server has acknowledged, by name: the newest version, or
/// none for what is deleted.
async fn write_for_a_while(client: Client, round: u64, count: u64, known: Arc<Mutex<BTreeMap<String, Option<u64>>>>) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    for number in 0..count {
        let name = format!("m{}", number % 10);
        let value = round * 1000 + number;
        let there = known.lock().unwrap().get(&name).copied().flatten();
        let written = match there {
            None => maps.create(&PostParams::default(), &config_map(&name, value)).await,
            Some(_) if number % 7 == 6 => {
                maps.delete(&name, &DeleteParams::default()).await.unwrap();
                known.lock().unwrap().insert(name, None);
                continue;
            }
            Some(_) => maps.replace(&name, &PostParams::default(), &config_map(&name, value)).await,
        };
        known.lock().unwrap().insert(name, Some(version(&written.unwrap())));
    }
}

async fn an_informer_survives(config: watcher::Config, restart: impl Fn(Server) -> Server) {
    let mut server = Server::start();
    let relay = Relay::to(&server.url);
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&relay.url));
    let mut stream = pin!(informer(maps.clone(), config).default_backoff());
    let mut cache = Cache::default();
    until("the list", &mut stream, &mut cache, |cache| cache.lists == 1).await;
    let known = Arc::new(Mutex::new(BTreeMap::new()));
    for round in 0..2 {
        let before = cache.applied.len();
        write_for_a_while(client(&server.url), round, 60, known.clone()).await;
        let told = |cache: &Cache| cache.applied.len() > before + 20;
        until("a part of what was written", &mut stream, &mut cache, told).await;
        // Cut off in the middle, and with more that it misses.
        relay.cut();
        server = restart(server);
        write_for_a_while(client(&server.url), round, 35, known.clone()).await;
        relay.turn_to(&server.url);
        let marker = maps_marker(&server, round).await;
        until("what was written last", &mut stream, &mut cache, |cache| cache.objects.contains_key(&marker)).await;
        let acknowledged: BTreeMap<String, u64> =
            known.lock().unwrap().iter().filter_map(|(name, version)| Some((name.clone(), (*version)?))).collect();
        let seen: BTreeMap<String, u64> =
            cache.objects.iter().filter(|(name, _)| name.starts_with('m')).map(|(n, v)| (n.clone(), *v)).collect();
        assert_eq!(seen, acknowledged, "round {round}: what every client was told is what is there");
    }
    let twice: BTreeSet<u64> = cache.applied.iter().copied().collect();
    assert_eq!(twice.len(), cache.applied.len(), "each change is told once");
    let there = maps.list(&ListParams::default()).await.unwrap();
    let there: BTreeMap<String, u64> = there.iter().map(|map| (map.name_any(), version(map))).collect();
    assert_eq!(cache.objects, there);
}

/// An object that is written after all others, so that who knows of it has seen them.
async fn maps_marker(server: &Server, round: u64) -> String {
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server.url));
    let name = format!("last-{round}");
    maps.create(&PostParams::default(), &config_map(&name, round)).await.unwrap();
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn an_informer_survives_a_crash_of_the_server() {
    an_informer_survives(watcher::Config::default(), |server| Server::start_in(server.kill())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_informer_survives_a_restart_of_the_server() {
    an_informer_survives(watcher::Config::default().streaming_lists(), |server| Server::start_in(server.stop())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_owns_the_pods_of_its_jobs() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    let client = client(&server.url);
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    for name in ["a", "b", "c"] {
        jobs.create(&PostParams::default(), &job_of(&job(name, "ok", &["ok"], "  completions: 3"))).await.unwrap();
    }
    let reconciled = Arc::new(AtomicUsize::new(0));
    let context = (jobs.clone(), reconciled.clone());
    // Marks each Job that it has seen complete, once.
    let reconcile = |job: Arc<Job>, context: Arc<(Api<Job>, Arc<AtomicUsize>)>| async move {
        context.1.fetch_add(1, Ordering::Relaxed);
        let done = job.status.as_ref().is_some_and(|status| status.completion_time.is_some());
        if done && !job.annotations().contains_key("test/seen") {
            let mark = json!({"metadata": {"annotations": {"test/seen": "yes"}}});
            context.0.patch(&job.name_any(), &PatchParams::default(), &Patch::Merge(mark)).await?;
        }
        Ok::<Action, kube::Error>(Action::await_change())
    };
    let on_error = |_: Arc<Job>, error: &kube::Error, _: Arc<_>| panic!("{error}");
    let controller = Controller::new(jobs.clone(), watcher::Config::default())
        .owns(pods.clone(), watcher::Config::default())
        .run(reconcile, on_error, Arc::new(context));
    let running = tokio::spawn(controller.for_each(|result| async move {
        result.unwrap();
    }));
    soon("all Jobs to be marked", async {
        loop {
            let all = jobs.list(&ListParams::default()).await.unwrap();
            if all.iter().all(|job| job.annotations().contains_key("test/seen")) {
                break;
            }
        }
    })
    .await;
    // What happens to a pod is a reason to look at its Job again. The marks are, too; so until all is quiet, again and again.
    let looked = reconciled.load(Ordering::Relaxed);
    let pod = pods.list(&ListParams::default()).await.unwrap().items.remove(0).name_any();
    soon("a change of a pod to be seen", async {
        for n in 0.. {
            let label = json!({"metadata": {"labels": {"n": n.to_string()}}});
            pods.patch(&pod, &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
            if reconciled.load(Ordering::Relaxed) > looked + 6 {
                break;
            }
        }
    })
    .await;
    assert!(!running.is_finished(), "it goes on");
    running.abort();
}

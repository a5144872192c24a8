//! `kiln run`: the Jobs of a manifest, run to their end in this process.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use tokio::sync::mpsc;

use super::allow::AllowArgs;
use super::compile_module::CompileArgs;
use super::manifest::{self, Item};
use super::progress::{End, Progress, end};
use super::{Failure, exit, output};
use crate::api::pod::facts;
use crate::api::{ApiError, Key, Kind, Object, admission, meta};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::logs::LogId;
use crate::modules::Reference;
use crate::store::{Change, Visibility};

/// Exit codes: 0 all Jobs completed, 1 a Job failed, 2 the manifest or the command is wrong, 130 stopped by Ctrl-C.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// YAML files with Jobs, and the ConfigMaps and Secrets that they use; - is standard input
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Keep state here, and find pushed modules here [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Pods at once
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=i64::from(config::MOST_PODS)))]
    max_pods: u32,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    compile: CompileArgs,
}

pub fn run(args: RunArgs) -> Result<u8, Failure> {
    super::start_logging("warn", false);
    let items = manifest::read(&args.manifests, Clock::real().now())?;
    let temporary = match args.data_dir {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(|e| Failure::failed(format!("no temporary directory: {e}")))?),
    };
    // What is compiled for one run is there for the next, although nothing else of it is.
    let shared_code = temporary.is_some().then(cache_dir).flatten();
    let data_dir = args.data_dir.or_else(|| temporary.as_ref().map(|t| t.path().to_owned())).unwrap_or_default();
    // Nothing that has ended is deleted while its output may still be on its way to the terminal.
    let kept = Config { expire_jobs: false, terminated_pods: None, shared_code, ..Config::new(data_dir) };
    let mut config = Config { max_pods: args.max_pods, is_temporary: temporary.is_some(), ..kept };
    args.allow.apply(&mut config)?;
    args.compile.apply(&mut config);
    let runtime = super::runtime()?;
    let done = runtime.block_on(async {
        let mut app = App::start(&config).await.map_err(Failure::failed)?;
        let done = tokio::select! {
            done = drive(&app, items) => done,
            _ = tokio::signal::ctrl_c() => {
                eprintln!("kiln: interrupted; stopping the pods");
                Ok(exit::INTERRUPTED)
            }
        };
        // A part of kiln that ended by itself is a defect; it must not look like success.
        let done = match futures::FutureExt::now_or_never(app.failed()) {
            Some(()) if done.is_ok() => Err(Failure::failed("a part of kiln has failed; see the messages above")),
            _ => done,
        };
        app.stop().await;
        done
    });
    runtime.shutdown_background();
    done
}

/// Where programs of this user keep what they can make again (XDG Base Directory Specification); relative paths are to be
/// ignored.
fn cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("kiln").join("compiled"))
}

async fn drive(app: &App, items: Vec<Item>) -> Result<u8, Failure> {
    for item in items.iter().filter(|item| item.object.kind() == Kind::Job) {
        provide_module(app, item).await?;
    }
    let revision = app.store.revision();
    let mut jobs = HashMap::new();
    let mut pods = 0_i32;
    for item in &items {
        let (kind, key) = (item.object.kind(), item.object.key());
        if kind != Kind::Namespace && app.store.get(kind, &key).is_some() {
            // Before anything is created, so that nothing runs that nobody waits for.
            return Err(item.refuse(&ApiError::AlreadyExists(kind, key)));
        }
    }
    for item in &items {
        provide_namespace(app, item)?;
        let created = app.create(item.object.clone()).map_err(|e| item.refuse(&e))?;
        // What a server would send along with its answer.
        admission::warnings(&created).iter().for_each(|warning| eprintln!("Warning: {warning}"));
        if let Object::Job(job) = &created {
            jobs.insert(created.key(), created.uid().to_owned());
            let spec = job.spec.as_ref();
            let of_job = spec.and_then(|s| s.completions.or(s.parallelism)).unwrap_or(1);
            pods = pods.saturating_add(of_job);
        }
    }
    follow(app, revision, jobs, pods > 1).await
}

/// Follows the Jobs until all have ended and all that their pods wrote is printed.
async fn follow(app: &App, revision: u64, mut open: HashMap<Key, String>, with_names: bool) -> Result<u8, Failure> {
    let mut progress = Progress::new();
    let bars = progress.bars();
    let (lines, printed) = mpsc::channel::<Bytes>(1024);
    let printer = tokio::spawn(output::print(printed, move |write| match &bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }));
    let ours: HashSet<String> = open.values().cloned().collect();
    let mut pods_seen = Followed { ours, runs: HashSet::new(), complaints: HashSet::new() };
    let mut all_complete = true;
    let mut jobs = app.store.watch(Kind::Job, revision, Visibility::Committed);
    let mut pods = app.store.watch(Kind::Pod, revision, Visibility::Committed);
    let lost = |_| Failure::failed("fell behind the events of this run; this is a defect of kiln");
    while !open.is_empty() {
        tokio::select! {
            // Pods first: a Job's last pods are seen before its end is.
            biased;
            events = pods.next() => for event in events.map_err(lost)? {
                if event.change != Change::Deleted && let Some(pod) = event.object.as_pod() {
                    follow_pod(app, pod, with_names, &mut pods_seen, &lines);
                }
            },
            events = jobs.next() => for event in events.map_err(lost)? {
                let (Some(job), key) = (event.object.as_job(), event.object.key()) else { continue };
                progress.show(&key, job);
                if let Some(end) = end(job) && open.remove(&key).is_some() {
                    all_complete &= end == End::Complete;
                }
            },
        }
    }
    loop {
        let events = pods.try_next().map_err(lost)?;
        if events.is_empty() {
            break;
        }
        for pod in events.iter().filter_map(|event| event.object.as_pod()) {
            follow_pod(app, pod, with_names, &mut pods_seen, &lines);
        }
    }
    drop(lines);
    printer.await.map_err(|e| Failure::failed(format!("the output was lost: {e}")))?;
    Ok(if all_complete { exit::OK } else { exit::FAILED })
}

/// What is known of the pods of this run.
struct Followed {
    /// The uids of the Jobs of this run; pods of others may be there, with --data-dir.
    ours: HashSet<String>,
    /// Each log that is printed.
    runs: HashSet<LogId>,
    /// Pod and reason of each complaint that was shown.
    complaints: HashSet<(String, String)>,
}

/// Says on stderr, once, why a pod waits.
fn complain(pod: &Pod, seen: &mut Followed) {
    let waiting = facts::container_statuses(pod)
        .filter_map(|c| c.state.as_ref()?.waiting.as_ref())
        .find_map(|w| w.message.clone());
    let unplaced = || facts::condition(pod, "PodScheduled").filter(|c| c.status == "False")?.message.clone();
    let Some(why) = waiting.or_else(unplaced) else { return };
    let name = pod.metadata.name.clone().unwrap_or_default();
    if seen.complaints.insert((name.clone(), why.clone())) && seen.complaints.len() <= MOST_COMPLAINTS {
        eprintln!("pod {name} waits: {why}");
    }
}

/// More pods that wait say nothing new.
const MOST_COMPLAINTS: usize = 20;

/// Begins to print each run of the pod's containers as it is seen for the first time.
fn follow_pod(app: &App, pod: &Arc<Pod>, with_names: bool, seen: &mut Followed, lines: &mpsc::Sender<Bytes>) {
    if !meta::controller_of(&pod.metadata).is_some_and(|owner| seen.ours.contains(&owner.uid)) {
        return;
    }
    complain(pod, seen);
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let several = facts::container_statuses(pod).count() > 1;
    for container in facts::container_statuses(pod) {
        let state = container.state.as_ref();
        let has_run = state.is_some_and(|s| s.running.is_some() || s.terminated.is_some())
            || container.last_state.as_ref().is_some_and(|s| s.terminated.is_some());
        let restart = u32::try_from(container.restart_count).unwrap_or(0);
        let id = LogId { pod_uid: uid.clone(), container: container.name.clone(), restart };
        if has_run && seen.runs.insert(id.clone()) {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let prefix = match (with_names, several) {
                (_, true) => Some(format!("{name}/{}", container.name)),
                (true, false) => Some(name),
                (false, false) => None,
            };
            tokio::spawn(output::follow(app.logs.clone(), id, prefix, lines.clone()));
        }
    }
}

/// A namespace that the manifest uses is made if it is not there, unless the manifest makes it itself.
fn provide_namespace(app: &App, item: &Item) -> Result<(), Failure> {
    let Some(name) = item.object.meta().namespace.clone().filter(|ns| !ns.is_empty()) else { return Ok(()) };
    if app.store.get(Kind::Namespace, &Key::new("", &name)).is_none() {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name);
        app.create(namespace.into()).map_err(|e| item.refuse(&e))?;
    }
    Ok(())
}

/// Sees to it that each image of the Job is a module that is here: pushed earlier, or a file beside the manifest. One of a
/// registry that is allowed is pulled by the node.
async fn provide_module(app: &App, item: &Item) -> Result<(), Failure> {
    let Object::Job(job) = &item.object else { return Ok(()) };
    let spec = job.spec.as_ref().and_then(|s| s.template.spec.as_ref());
    for container in spec.iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers)) {
        let image = container.image.as_deref().unwrap_or_default();
        let reference: Reference =
            image.parse().map_err(|e| Failure::usage(format!("{}: image \"{image}\": {e}", item.file.display())))?;
        let file = item.directory().join(format!("{}.wasm", reference.name));
        let plain = !reference.name.contains('/') && reference.digest.is_none();
        if !plain || !file.is_file() {
            if app.modules.index().resolve(&reference).is_some() || app.registries.allows(&reference) {
                continue;
            }
            return Err(Failure::usage(missing(item, image, plain.then_some(file.as_path()))));
        }
        let opened = std::fs::File::open(&file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
        app.modules
            .import(&reference, opened, app.clock.now())
            .await
            .map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    }
    Ok(())
}

fn missing(item: &Item, image: &str, file: Option<&Path>) -> String {
    let name = item.object.meta().name.as_deref().unwrap_or_default();
    let looked = match file {
        Some(file) => format!("looked among the pushed modules and for {}", file.display()),
        None => "looked among the pushed modules (only a bare name is also looked for beside the manifest)".to_owned(),
    };
    format!(
        "{}: job {name}: there is no module for image \"{image}\": {looked}. Put the module there, or give it with \
         `kiln push {image} FILE.wasm` to a server",
        item.file.display()
    )
}

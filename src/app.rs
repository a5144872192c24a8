//! The composition root: builds the parts, starts them, stops them in order. The only module that knows them all.
//!
//! ```text
//! runtimes    the caller's: HTTP, controllers, scheduler, the node's loop          guests: drivers and guests
//! threads     kiln-committer (store), the sandbox's ticker, one that waits for the compiler, a blocking pool for disk reads
//! processes   the compiler: this program again, once per module
//! ```

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Namespace;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{ApiError, Key, Kind, Object, admission};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::control::recorder::Writer;
use crate::control::runner::Runner;
use crate::control::{Controller, LoopMetrics, Recorder, Vitals};
use crate::controllers::cronjob::CronJobController;
use crate::controllers::event_ttl::EventTtl;
use crate::controllers::gc::GarbageCollector;
use crate::controllers::job::JobController;
use crate::controllers::namespace::NamespaceController;
use crate::controllers::pod_gc::PodGc;
use crate::controllers::service_account::ServiceAccounts;
use crate::controllers::ttl::TtlAfterFinished;
pub use crate::http::Access;
use crate::http::top::{Measures, NoMeasures, PodUse};
use crate::http::{self, Api, Check, MetricRegistries, ObjectMetrics, Server};
use crate::ids::Ids;
use crate::logs::Logs;
use crate::modules::{CompileIn, CompileLimits, Modules, NotAHost, Patience, Registries};
use crate::node::local::Local;
use crate::node::{Node, NodeConfig, describe, meters};
use crate::sandbox::{Reading, Sandbox, SandboxConfig, SandboxError};
use crate::scheduler::Scheduler;
use crate::store::{self, Store, Tx};

/// Namespaces that are there from the start, as in a cluster.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// How many tasks the guests' runtime takes up between two looks at its timers. A task that computes takes a millisecond
/// (and two more looks to wait for its turn); with tokio's 61, guests in line would be stopped that much after their deadline.
const POLLS_BETWEEN_TIMERS: u32 = 3;

/// A loop that has not gone round for so long does not any more: without work it goes round every ten seconds, and a
/// machine that is so busy has no use for a restart before.
const LOOP_PATIENCE: Duration = Duration::from_secs(60);

/// How long the parts get to stop by themselves.
const STOP_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] store::OpenError),
    #[error(transparent)]
    Modules(#[from] crate::modules::OpenError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("the name of the node cannot be kept in the data directory: {0}")]
    NodeName(std::io::Error),
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    #[error(transparent)]
    Registry(#[from] NotAHost),
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// A running kiln, without its HTTP server.
pub struct App {
    pub store: Store,
    pub logs: Logs,
    pub modules: Modules,
    pub registries: Registries,
    pub clock: Clock,
    pub ids: Ids,
    /// Who says what pods and the machine use.
    measures: Arc<dyn Measures>,
    /// What all requests share; made last, of what the other parts tell.
    server: Arc<Server>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// `None` once stopped: a runtime cannot be dropped where one is running.
    guests: Option<Runtime>,
}

impl App {
    /// Opens the state and starts everything.
    pub async fn start(config: &Config) -> Result<App, StartError> {
        let (clock, ids) = (Clock::real(), Ids::random());
        let open = if config.is_temporary { Store::open_temporary } else { Store::open };
        let store = open(&config.data_dir.join("store"), config.event_ring)?;
        let sandbox_config = SandboxConfig { max_instances: config.max_pods, ..SandboxConfig::default() };
        let sandbox = Sandbox::new(sandbox_config, clock.clone())?;
        let compile = CompileIn::child(CompileLimits {
            memory_bytes: config.compile_memory_bytes,
            cpu_seconds: config.compile_cpu_seconds,
            wall_seconds: config.compile_cpu_seconds.saturating_mul(config::COMPILE_PATIENCE),
        });
        let directory = config.data_dir.join("modules");
        let (shared, of) = (config.shared_code.as_deref(), sandbox.clone());
        let modules = Modules::open_with_code(&directory, shared, of, compile, store.clone(), ids.clone())?;
        let allowed = config.registries.iter().map(|host| host.parse()).collect::<Result<_, _>>()?;
        let registries = Registries::new(modules.clone(), clock.clone(), allowed, Patience::default());
        let logs = Logs::new(store.clone(), clock.clone());
        create_namespaces(&store, &clock, &ids)?;
        let guests = tokio::runtime::Builder::new_multi_thread()
            .thread_name("kiln-guest")
            .event_interval(POLLS_BETWEEN_TIMERS)
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let (recorder, writer) = Recorder::new();
        let stop = CancellationToken::new();
        let node_name = keep_node_name(config).map_err(StartError::NodeName)?;
        let mut app = App {
            server: Server::new(config.server.clone(), clock.clone(), Registry::default(), Vec::new()),
            measures: Arc::new(NoMeasures),
            store,
            logs,
            modules,
            registries,
            clock,
            ids,
            stop,
            tasks: JoinSet::new(),
            guests: Some(guests),
        };
        let (metrics, loops) = app.spawn_all(config, node_name, sandbox, &recorder, writer);
        let checks = vec![controllers(loops, app.clock.clone())];
        app.server = Server::new(config.server.clone(), app.clock.clone(), metrics, checks);
        Ok(app)
    }

    /// Starts all parts; answers what they count, and how the loops are doing.
    fn spawn_all(
        &mut self,
        config: &Config,
        node_name: String,
        sandbox: Sandbox,
        recorder: &Recorder,
        writer: Writer,
    ) -> (MetricRegistries, Vec<Arc<Vitals>>) {
        let mut metrics = MetricRegistries::default();
        self.store.register_metrics(&mut metrics.parts);
        self.modules.register_metrics(&mut metrics.parts);
        recorder.register_metrics(&mut metrics.parts);
        // The machine's zone, for schedules that name none; UTC where the machine does not say.
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        ObjectMetrics::register(self.store.clone(), zone.clone(), &mut metrics);
        let mut loops = Vec::new();
        self.tasks.spawn(writer.run(self.store.clone(), self.clock.clone(), self.ids.clone(), self.stop.clone()));
        self.tasks.spawn(self.logs.clone().flush_loop(self.stop.clone()));
        let collect = self.modules.clone().collect_loop(config.collect_after, self.clock.clone(), self.stop.clone());
        self.tasks.spawn(collect);
        loops.push(self.spawn_loop(JobController::new(self.ids.clone()), recorder));
        loops.push(self.spawn_loop(CronJobController::new(self.ids.clone(), zone), recorder));
        loops.push(self.spawn_loop(GarbageCollector::default(), recorder));
        loops.push(self.spawn_loop(ServiceAccounts::new(self.ids.clone()), recorder));
        loops.push(self.spawn_loop(NamespaceController::default(), recorder));
        loops.push(self.spawn_loop(EventTtl::default(), recorder));
        if config.expire_jobs {
            loops.push(self.spawn_loop(TtlAfterFinished::default(), recorder));
        }
        if let Some(threshold) = config.terminated_pods {
            loops.push(self.spawn_loop(PodGc::new(threshold), recorder));
        }
        loops.push(self.spawn_loop(Scheduler::default(), recorder));
        metrics.parts.register_collector(Box::new(LoopMetrics(loops.clone())));
        let (store, clock, ids) = (&self.store, &self.clock, &self.ids);
        let cluster = Local::new(store.clone(), recorder.clone(), clock.clone(), ids.clone());
        let node_config = NodeConfig {
            name: node_name,
            max_pods: config.max_pods,
            default_memory_bytes: config.default_memory_bytes,
            default_scratch_bytes: config.default_scratch_bytes,
            host_paths: config.host_paths.clone(),
            network: config.network.clone(),
            pods_dir: config.data_dir.join("pods"),
        };
        if let Some(guests) = &self.guests {
            let (registries, logs) = (self.registries.clone(), self.logs.clone());
            let (clock, guests) = (clock.clone(), guests.handle().clone());
            let node = Node::new(cluster, registries, sandbox, logs, clock, node_config, guests);
            node.register_metrics(&mut metrics.parts);
            self.measures = Arc::new(OfNode(node.measures()));
            self.tasks.spawn(node.run(self.stop.clone()));
        }
        (metrics, loops)
    }

    fn spawn_loop<C: Controller>(&mut self, controller: C, recorder: &Recorder) -> Arc<Vitals> {
        let runner = Runner::new(controller, self.store.clone(), recorder.clone(), self.clock.now());
        let vitals = runner.vitals();
        self.tasks.spawn(runner.run(self.clock.clone(), self.stop.clone()));
        vitals
    }

    /// Serves the Kubernetes API and the uploading of modules until `stop` is cancelled.
    pub fn serve(
        &self,
        listener: TcpListener,
        access: Access,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let server = self.server.clone();
        let api = Api::new(self.store.clone(), self.logs.clone(), self.ids.clone(), server.clone());
        let api = api.measured_by(self.measures.clone());
        let registry = http::registry::routes(self.modules.clone(), self.ids.clone(), server.clone());
        let routes =
            http::router(api).merge(http::modules::routes(self.modules.clone(), server.clone())).merge(registry);
        let routes = http::observed(http::guarded(http::compressed(routes), access), server.clone());
        http::serve(listener, routes, server, stop)
    }

    /// Ends when any part has ended by itself, which is a defect.
    pub async fn failed(&mut self) {
        let _ = self.tasks.join_next().await;
    }

    /// Stops guests and controllers, then writes what is still on its way to disk. Pods that were running are found
    /// interrupted at the next start, as after a crash.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(guests) = self.guests.take() {
            guests.shutdown_background();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let waited = tokio::select! {
            () = all => true,
            () = self.clock.sleep(STOP_WITHIN) => false,
        };
        if !waited {
            tracing::warn!("some parts did not stop in time");
        }
        let store = self.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close());
        if let Err(error) = closed.await {
            tracing::error!(%error, "the store could not be closed");
        }
        // Everything is on disk. sled flushes once more when its last handle is dropped, and was seen to wait there for
        // ever; this process ends now, so the handle is left to it.
        std::mem::forget(self.store.clone());
    }

    /// Creates an object as the API would: named, completed, validated, committed.
    pub fn create(&self, object: Object) -> Result<Object, ApiError> {
        create(&self.store, object, self.clock.now(), &self.ids)
    }
}

/// The node's answers, in the words of `http`.
struct OfNode(meters::Measures);

impl Measures for OfNode {
    fn pods(&self) -> Vec<PodUse> {
        self.0.pods().into_iter().map(OfNode::told).collect()
    }

    fn pod(&self, uid: &str) -> Option<PodUse> {
        self.0.pod(uid).map(OfNode::told)
    }

    fn node(&self, name: &str) -> Option<Reading> {
        self.0.node(name)
    }
}

impl OfNode {
    fn told(used: meters::PodUse) -> PodUse {
        PodUse { key: Key::new(used.namespace, used.name), uid: used.uid, containers: used.containers }
    }
}

/// Whether every loop still goes round. One that does not is lost, and with it what it is for, until a restart.
fn controllers(loops: Vec<Arc<Vitals>>, clock: Clock) -> Check {
    let ask = move || loops.iter().try_for_each(|vitals| vitals.check(clock.instant(), LOOP_PATIENCE));
    Check { name: "controllers", of_life: true, ask: Box::new(ask) }
}

/// The name of the node is that of the first start on this state: pods that are bound to it, and their logs, would be
/// nobody's under another.
fn keep_node_name(config: &Config) -> std::io::Result<String> {
    let file = config.data_dir.join("node-name");
    match std::fs::read_to_string(&file) {
        Ok(kept) if !kept.trim().is_empty() => {
            let kept = kept.trim().to_owned();
            if kept != config.node_name {
                tracing::warn!(%kept, given = config.node_name, "the node keeps the name that this state began with");
            }
            Ok(kept)
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::write(&file, &config.node_name).map(|()| config.node_name.clone()),
    }
}

/// The name of the node if none is given: the machine's.
pub fn default_node_name() -> String {
    describe::host_name().unwrap_or_else(|| "kiln".to_owned())
}

fn create(store: &Store, object: Object, now: Timestamp, ids: &Ids) -> Result<Object, ApiError> {
    let object = admission::create(object, &admission::Stamp { now, uid: ids.uid(), suffix: &ids.suffix() })?;
    let mut committed = store.commit(Tx::new().create(object))?;
    committed.objects.pop().ok_or_else(|| ApiError::Internal("nothing was committed".to_owned()))
}

fn create_namespaces(store: &Store, clock: &Clock, ids: &Ids) -> Result<(), ApiError> {
    for name in NAMESPACES {
        if store.get(Kind::Namespace, &Key::new("", name)).is_none() {
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(name.to_owned());
            create(store, Object::Namespace(Arc::new(namespace)), clock.now(), ids)?;
        }
    }
    Ok(())
}

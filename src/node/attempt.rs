//! One attempt to run a container: from looking for what it needs to the end of its run. Each step is a future that
//! tells the pod's driver what came of it; the driver decides whether there is a next one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::Shared;
use super::cluster::{Cluster, ConfigFeed};
use super::image::Wanted;
use super::meters::Meters;
use super::prepare::{Awaits, Missing, Prepared, try_prepare};
use super::pull::BackOffs;
use super::termination::{Tail, Teller};
use super::volumes::PodDir;
use crate::clock::Clock;
use crate::logs::{LogWriter, Stream};
use crate::modules::Digest;
use crate::sandbox::{self, Ending, Meter, Program, Run, Sink};

/// Between tries to prepare a container that could not be, as the kubelet waits between its own.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// What came of a step of the container with this index.
pub enum Event {
    /// Something is missing; `again` resolves when it is worth another look.
    Missing {
        index: usize,
        missing: Missing,
        again: BoxFuture<'static, ()>,
    },
    Prepared {
        index: usize,
        prepared: Prepared,
    },
    /// There is a slot to run in.
    Slot {
        index: usize,
        prepared: Prepared,
        permit: OwnedSemaphorePermit,
    },
    Ended {
        index: usize,
        ran: Ran,
    },
}

/// How a run went. Nothing of it is left but its files.
pub struct Ran {
    pub ending: Ending,
    pub since: Timestamp,
    pub log: Arc<LogWriter>,
    /// What the guest, and otherwise what the sandbox says of the end.
    pub message: Option<String>,
}

/// The container with this index: init containers first, in their order.
pub fn spec(pod: &Pod, index: usize) -> Option<&Spec> {
    let spec = pod.spec.as_ref()?;
    spec.init_containers.iter().flatten().chain(&spec.containers).nth(index)
}

/// Which container events mean by an index: `spec.containers{NAME}`.
pub fn place(pod: &Pod, index: usize) -> String {
    let inits = pod.spec.as_ref().and_then(|s| s.init_containers.as_ref()).map_or(0, Vec::len);
    let list = if index < inits { "initContainers" } else { "containers" };
    format!("spec.{list}{{{}}}", spec(pod, index).map(|spec| spec.name.as_str()).unwrap_or_default())
}

/// Looks for image, configuration and volumes, not before `at`. A container that has run keeps the module it ran.
pub async fn prepare<C: Cluster>(
    node: Arc<Shared<C>>,
    pod: Arc<Pod>,
    dir: Arc<PodDir>,
    back_offs: Arc<Mutex<BackOffs>>,
    index: usize,
    ran: Option<Digest>,
    at: Option<Timestamp>,
) -> Event {
    if let Some(at) = at {
        let left = node.clock.instant_of(at).saturating_duration_since(node.clock.instant());
        node.clock.sleep(left).await;
    }
    // Listen first, then look.
    let mut modules = node.modules.index().changed();
    let mut configs = node.cluster.configs();
    let nothing = Spec::default();
    let spec = spec(&pod, index).unwrap_or(&nothing);
    let wanted = Wanted { pod: &pod, spec, place: &place(&pod, index), ran, back_offs: &back_offs };
    let missing = match try_prepare(&node, &wanted, &dir).await {
        Ok(prepared) => return Event::Prepared { index, prepared },
        Err(missing) => missing,
    };
    let (for_module, for_config, left) = match missing.awaits {
        Awaits::Module => (true, false, TRY_AGAIN),
        Awaits::Pull(at) => (true, false, at.saturating_duration_since(node.clock.instant())),
        Awaits::Config => (false, true, TRY_AGAIN),
        // What failed for want of a resource of the machine may work later.
        Awaits::Nothing => (false, false, TRY_AGAIN),
    };
    let again = async move {
        tokio::select! {
            _ = modules.changed(), if for_module => {}
            () = configs.changed(), if for_config => {}
            () = node.clock.sleep(left), if !for_config => {}
        }
    };
    Event::Missing { index, missing, again: again.boxed() }
}

/// Waits for a slot.
pub async fn slot<C: Cluster>(node: Arc<Shared<C>>, index: usize, prepared: Prepared) -> Event {
    match node.slots.clone().acquire_owned().await {
        Ok(permit) => Event::Slot { index, prepared, permit },
        // The semaphore is never closed.
        Err(_) => std::future::pending().await,
    }
}

/// What a run is made of, beside what the sandbox is given.
pub struct Start<C> {
    pub node: Arc<Shared<C>>,
    pub index: usize,
    pub since: Timestamp,
    /// When the node saw the pod, if this is the pod's first run.
    pub arrived: Option<Instant>,
    pub program: Arc<Program>,
    pub teller: Teller,
    pub permit: OwnedSemaphorePermit,
    pub meters: Meters,
}

/// Runs the container; the slot is free before the end is told. `run` makes the run from where its output goes and
/// what tells what it uses.
pub async fn run<C: Cluster>(
    start: Start<C>,
    log: Arc<LogWriter>,
    run: impl FnOnce(Arc<dyn Sink>, Meter) -> Run + Send,
) -> Event {
    let Start { node, index, since, arrived, program, teller, permit, meters } = start;
    let (meter, measured) = meters.begins(index);
    let tail = Arc::new(Tail::new(teller.falls_back()));
    let (clock, seconds) = (node.clock.clone(), node.metrics.start_seconds.clone());
    let begins = arrived.map(|arrived| Begins { arrived, clock, seconds });
    let run = run(Arc::new(ToLog { log: log.clone(), tail: tail.clone(), begins }), meter);
    let mounts = run.mounts.clone();
    if !mounts.is_empty() {
        tokio::task::block_in_place(|| teller.make(&mounts));
    }
    let ending = node.sandbox.run(&program, run).await;
    drop(permit);
    drop(measured);
    let (failed, of_node) = super::status::tells(&ending.outcome);
    let message = match mounts.is_empty() {
        true => teller.message(&mounts, &tail, failed, of_node),
        false => tokio::task::block_in_place(|| teller.message(&mounts, &tail, failed, of_node)),
    };
    Event::Ended { index, ran: Ran { ending, since, log, message } }
}

/// A guest's output, on its way into its log.
struct ToLog {
    log: Arc<LogWriter>,
    tail: Arc<Tail>,
    begins: Option<Begins>,
}

/// How long the first run of a pod was awaited.
struct Begins {
    arrived: Instant,
    clock: Clock,
    seconds: Histogram,
}

impl Sink for ToLog {
    fn write(&self, stream: sandbox::Stream, bytes: &[u8]) {
        let stream = match stream {
            sandbox::Stream::Stdout => Stream::Stdout,
            sandbox::Stream::Stderr => Stream::Stderr,
        };
        self.tail.push(bytes);
        self.log.write(stream, bytes);
    }

    fn begins(&self) {
        if let Some(Begins { arrived, clock, seconds }) = &self.begins {
            seconds.observe(clock.instant().saturating_duration_since(*arrived).as_secs_f64());
        }
    }
}

/// A task that ends with its owner, and whose panic is its owner's.
pub struct Owned<T>(JoinHandle<T>);

impl<T: Send + 'static> Owned<T> {
    pub fn spawn(future: impl Future<Output = T> + Send + 'static) -> Owned<T> {
        Owned(tokio::spawn(future))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for Owned<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match self.0.poll_unpin(context) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            Poll::Ready(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Cancelled: its runtime ends, and with it whoever asks.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

//! Each limit of the sandbox, obeyed and violated, with guests from `tests/guests`.

mod deadlines;
mod disk;
mod limits;
mod network;
mod proposals;
mod refusals;
mod rewriting;
mod world;

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;
use crate::clock::Clock;

/// Compiles and loads one of `tests/guests`.
macro_rules! guest {
    ($name:literal) => {
        crate::sandbox::tests::load(include_str!(concat!("../../../tests/guests/", $name, ".wat")))
    };
}
use guest;

pub(super) const MIB: u64 = 1 << 20;

/// How late a guest may be stopped in a test. The promise is 10 ms, and the tests print what it was; a machine that
/// compiles something else at the same time is sometimes slower, and a guest that escapes runs for ever.
const PROMPT: Duration = Duration::from_millis(250);

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let config = SandboxConfig { max_instances: 64, ..SandboxConfig::default() };
    Sandbox::new(config, Clock::real()).unwrap()
});

fn now() -> Instant {
    Clock::real().instant()
}

pub(super) fn load(wat: &str) -> Program {
    load_into(&SANDBOX, wat)
}

fn load_into(sandbox: &Sandbox, wat: &str) -> Program {
    let compiled = sandbox.compile(&wat::parse_str(wat).unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), compiled.unwrap()).unwrap();
    sandbox.load_file(file.path()).unwrap()
}

/// A run with room for anything ordinary, without arguments, into nowhere.
fn plain_run() -> Run {
    Run {
        argv: vec!["guest".to_owned()],
        env: Vec::new(),
        mounts: Vec::new(),
        disk: Disk::unlimited(),
        network: Network::none(),
        sink: Arc::new(Counted::default()),
        limits: Limits { memory_bytes: 64 * MIB, table_elements: 10_000, fuel: None },
        deadline: Deadline::at(now() + Duration::from_secs(20)),
        cancel: Cancel::new(),
        meter: Meter::default(),
    }
}

/// Runs on a runtime as a server has it, so that timers do not wait for guests.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

fn run(program: &Program, run: Run) -> Ending {
    block_on(SANDBOX.run(program, run))
}

fn trap_of(ending: &Ending) -> (TrapKind, &str) {
    match &ending.outcome {
        Outcome::Trap { kind, message } => (*kind, message),
        other => panic!("not a trap: {other:?}"),
    }
}

/// Counts bytes.
#[derive(Default)]
struct Counted(AtomicU64);

impl Sink for Counted {
    fn write(&self, _: Stream, bytes: &[u8]) {
        self.0.fetch_add(bytes.len() as u64, Relaxed);
    }
}

/// Keeps what is written.
#[derive(Default)]
struct Kept(Mutex<Vec<(Stream, Vec<u8>)>>);

impl Kept {
    fn text(&self, wanted: Stream) -> String {
        let writes = self.0.lock();
        let bytes = writes.iter().filter(|(stream, _)| *stream == wanted).flat_map(|(_, bytes)| bytes.clone());
        String::from_utf8(bytes.collect()).unwrap()
    }
}

impl Sink for Kept {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.0.lock().push((stream, bytes.to_vec()));
    }
}

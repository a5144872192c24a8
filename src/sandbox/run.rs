//! One run of one program: from what it is given to how it ended and what it used.
//!
//! ```text
//!   refused ── cancelled or past its deadline before the start: nothing is made
//!   made ───── directories opened, store and instance taken from the pool; a start function runs already here
//!   running ── polled until it ends, or until the first of: deadline, cancel, fuel, a limit, a trap
//!   ended ──── instance, stack, memory and handles given back; only then the ending is told
//! ```
//!
//! A guest is stopped in two ways, because each reaches what the other cannot. A guest that waits (sleeps, reads a
//! file) is a pending future: a timer or the cancel token wakes this task, which drops the future. A guest that
//! computes is inside a poll: at each tick the epoch interrupts it, the callback compares the deadline with the clock,
//! and the guest gives way to other tasks. Long calls of the host give way by themselves. A guest that has computed for
//! long stands in line for its next slice ([`super::turns`]).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use super::disk::Disk;
use super::engine::{Inner, Sandbox};
use super::limits::GuestLimits;
use super::meter::{Meter, STEP};
use super::network::Network;
use super::outcome::{Facts, Outcome, Stop, outcome};
use super::program::{Code, Program};
use super::stdio::Sink;
use super::stop::{Cancel, Deadline};
use super::turns::{Credit, Wakes};
use super::wasi::{Guest, Mount, World};
use crate::clock::Clock;

/// A guest also gives way after this much fuel, a fraction of a millisecond: this bounds how much of what it burned is
/// still unaccounted for when it is stopped, and lets timers in even if the ticker stalls. Smaller costs more than 1 %.
const FUEL_PER_TURN: u64 = 1_000_000;

/// Fuel that a guest under a deadline has in any case, in seconds of work: rounding must not end it early.
const SPARE_SECONDS: f64 = 0.01;

/// A guest that held more bytes of memory than this is taken apart on a thread where it may take its time.
const PROMPTLY_FREED: u64 = 32 << 20;

/// What a run is given. Nothing that is not named here reaches the guest.
#[derive(Clone)]
pub struct Run {
    /// The arguments, the program's own name first.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
    /// How much it may write to them.
    pub disk: Disk,
    /// Which addresses it may reach.
    pub network: Network,
    /// Takes stdout and stderr. Input is empty.
    pub sink: Arc<dyn Sink>,
    pub limits: Limits,
    pub deadline: Deadline,
    pub cancel: Cancel,
    /// Tells what this run uses while it runs. Of one run only.
    pub meter: Meter,
}

/// What a guest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory: all linear memories, and the heap of garbage-collected objects, together; each at most what a slot
    /// of the pool holds.
    pub memory_bytes: u64,
    /// Entries of any one table; at most what a slot of the pool holds.
    pub table_elements: usize,
    /// Fuel, if limited: roughly the number of wasm instructions. Two runs of the same work burn the same.
    pub fuel: Option<u64>,
}

/// What a guest used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Fuel burned: exact if the guest ended by itself, by a trap or by its fuel limit; up to a million short if it was
    /// stopped from outside while it computed.
    pub fuel: u64,
    /// The most bytes of memory that it held, its heap of garbage-collected objects included.
    pub peak_memory_bytes: u64,
    /// Time spent on executing it.
    pub cpu: Duration,
    /// Time from the call of `run` to the end.
    pub wall: Duration,
}

/// How a run ended and what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub outcome: Outcome,
    pub usage: Usage,
    /// When it was over and all its resources free, by the sandbox's clock.
    pub finished: Instant,
}

impl Sandbox {
    /// Runs `program` once in an instance of its own, to its end. All failures are outcomes.
    ///
    /// Instance, stack, memory and handles are free when this returns, and as soon as the future is dropped. It needs
    /// a tokio runtime with timers. A panic of the [`Sink`] unwinds through here, and leaves the sandbox and all other
    /// runs as they are: who spawns this future sees it as a panicked task.
    pub async fn run(&self, program: &Program, run: Run) -> Ending {
        let inner = &*self.0;
        let start = inner.clock.instant();
        let mut usage = Usage { fuel: 0, peak_memory_bytes: 0, cpu: Duration::ZERO, wall: Duration::ZERO };
        let outcome = inner.run(program, run, start, &mut usage).await;
        let finished = inner.clock.instant();
        usage.wall = finished - start;
        Ending { outcome, usage, finished }
    }
}

impl Inner {
    async fn run(&self, program: &Program, run: Run, start: Instant, usage: &mut Usage) -> Outcome {
        let Run { argv, env, mounts, disk, network, sink, limits, deadline, cancel, meter } = run;
        if cancel.is_cancelled() {
            return Outcome::Cancelled;
        }
        if deadline.has_passed(start) {
            return Outcome::DeadlineExceeded;
        }
        meter.mark(start, Duration::ZERO);
        let memory_limit = limits.memory_bytes.min(self.config.max_memory_bytes);
        let needed = program.facts().initial_memory_bytes;
        if needed > memory_limit {
            let reason = format!("the module needs {needed} bytes of memory at start, and its limit is {memory_limit}");
            return Outcome::StartFailed { reason };
        }
        let budget = Budget {
            clock: self.clock.clone(),
            deadline: deadline.clone(),
            cancel: cancel.clone(),
            rate: self.config.fuel_rate,
            limit: limits.fuel,
            granted: 0,
            seen: None,
        };
        let table_limit = limits.table_elements.min(self.config.max_table_elements);
        let told = sink.clone();
        let max_handles = self.config.max_handles;
        let world = World { argv: &argv, env: &env, mounts: &mounts, disk, network, sink, max_handles };
        let own = GuestLimits::new(memory_limit, self.config.max_heap_bytes, table_limit, meter.clone());
        let guest = match Guest::new(world, own, budget) {
            Ok(guest) => guest,
            Err(reason) => return Outcome::StartFailed { reason },
        };

        let mut store = match self.store(guest, start, memory_limit) {
            Ok(store) => store,
            Err(error) => return Outcome::HostError { message: format!("{error:#}") },
        };
        let mut started = false;
        let result = {
            let mut guest = pin!(execute(&mut store, program, &mut started, &*told));
            let computing = async {
                let (mut credit, wakes) = (Credit::new(), Wakes::new());
                let mut marked = start;
                loop {
                    let mut turn = self.turns.take(credit).await;
                    let mut waits_since = None;
                    let mut polled = false;
                    // One slice; then, woken again, the next.
                    let slice = poll_fn(|context| {
                        if std::mem::replace(&mut polled, true) {
                            return Poll::Ready(None);
                        }
                        let _awake = self.ticker.awake();
                        let before = self.clock.instant();
                        let (poll, woken) = wakes.poll(context, |context| guest.as_mut().poll(context));
                        let now = self.clock.instant();
                        let computed = now.saturating_duration_since(before);
                        if now.saturating_duration_since(marked) >= STEP {
                            meter.mark(before, usage.cpu);
                            marked = before;
                        }
                        usage.cpu += computed;
                        meter.set_cpu(usage.cpu);
                        credit.spend(computed);
                        waits_since = (!woken).then_some(now);
                        turn = None;
                        poll.map(Some)
                    });
                    if let Some(result) = slice.await {
                        return result;
                    }
                    if let Some(since) = waits_since {
                        credit.earn(self.clock.instant().saturating_duration_since(since));
                    }
                }
            };
            // The guest comes first: one that has ended has ended, and a short one never touches a timer.
            tokio::select! {
                biased;
                result = computing => result,
                () = cancel.cancelled() => Err(Stop::Cancelled.into()),
                () = deadline.passed(&self.clock) => Err(Stop::Deadline.into()),
            }
        };
        let fuel_left = store.get_fuel().unwrap_or(0);
        let guest = store.data();
        usage.fuel = guest.budget.granted.saturating_sub(fuel_left);
        usage.peak_memory_bytes = guest.limits.peak_memory();
        let facts = Facts {
            started,
            memory_denied: guest.limits.memory_denied(),
            memory_limit,
            heap_limit: guest.limits.of_heap(),
            fuel_limit: guest.budget.limit.filter(|limit| usage.fuel >= *limit),
        };
        if usage.peak_memory_bytes > PROMPTLY_FREED {
            // Giving back a gibibyte takes the kernel tens of milliseconds: not on a thread that others wait for.
            let _ = tokio::task::spawn_blocking(move || drop(store)).await;
        } else {
            drop(store);
        }
        outcome(result, facts)
    }

    fn store(&self, guest: Guest, now: Instant, memory_limit: u64) -> wasmtime::Result<Store<Guest>> {
        let mut store = Store::new(&self.runner.engine, guest);
        store.limiter(|guest| &mut guest.limits);
        let hostcall = usize::try_from(memory_limit).unwrap_or(usize::MAX).min(self.config.max_hostcall_bytes);
        store.set_hostcall_fuel(hostcall);
        let fuel = store.data_mut().budget.grant(0, now);
        store.set_fuel(fuel)?;
        store.fuel_async_yield_interval(Some(FUEL_PER_TURN))?;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(at_tick);
        Ok(store)
    }
}

/// Instantiates and runs; `started` is set, and the sink told, between the two.
async fn execute(
    store: &mut Store<Guest>,
    program: &Program,
    started: &mut bool,
    told: &dyn Sink,
) -> wasmtime::Result<()> {
    match &program.code {
        Code::Core(pre) => {
            store.data_mut().number_mounts();
            let instance = pre.instantiate_async(&mut *store).await?;
            *started = true;
            told.begins();
            let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
            start.call_async(store, ()).await
        }
        Code::Component(pre) => {
            let command = pre.instantiate_async(&mut *store).await?;
            *started = true;
            told.begins();
            match command.wasi_cli_run().call_run(store).await? {
                Ok(()) => Ok(()),
                Err(()) => Err(wasmtime_wasi::I32Exit(1).into()),
            }
        }
    }
}

/// Called once per tick while the guest computes.
fn at_tick(mut store: StoreContextMut<'_, Guest>) -> wasmtime::Result<UpdateDeadline> {
    let budget = &store.data().budget;
    let now = budget.clock.instant();
    if budget.cancel.is_cancelled() {
        return Err(Stop::Cancelled.into());
    }
    if budget.deadline.has_passed(now) {
        return Err(Stop::Deadline.into());
    }
    if budget.deadline.get() != budget.seen {
        let left = store.get_fuel()?;
        let budget = &mut store.data_mut().budget;
        let used = budget.granted.saturating_sub(left);
        let fuel = budget.grant(used, now);
        store.set_fuel(fuel)?;
    }
    Ok(UpdateDeadline::Yield(1))
}

/// What the guest may still burn, and what decides it.
pub(super) struct Budget {
    clock: Clock,
    deadline: Deadline,
    cancel: Cancel,
    /// Fuel per second that no core can burn.
    rate: u64,
    /// The guest's own limit.
    limit: Option<u64>,
    /// Fuel given so far, used or not.
    granted: u64,
    /// The deadline for which it was given.
    seen: Option<Instant>,
}

impl Budget {
    /// For a store in which nothing runs.
    pub(super) fn none() -> Budget {
        let (deadline, cancel) = (Deadline::none(), Cancel::new());
        Budget { clock: Clock::real(), deadline, cancel, rate: 0, limit: Some(0), granted: 0, seen: None }
    }

    /// The fuel to go on with after `used`: the lesser of what is left of the own limit and what could be burned until
    /// the deadline.
    fn grant(&mut self, used: u64, now: Instant) -> u64 {
        self.seen = self.deadline.get();
        let until_deadline = self.seen.map_or(u64::MAX, |deadline| {
            let seconds = deadline.saturating_duration_since(now).as_secs_f64() + SPARE_SECONDS;
            // Saturates: a deadline in a century is no limit.
            (seconds * self.rate as f64) as u64
        });
        let own = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(used));
        // wasmtime counts below i64::MAX; beyond lies no limit either.
        let fuel = until_deadline.min(own).min(i64::MAX.cast_unsigned() - used.min(1 << 62));
        self.granted = used.saturating_add(fuel);
        fuel
    }
}

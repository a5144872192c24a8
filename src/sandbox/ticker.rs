//! The thread behind preemption: it raises the engine's epoch once per tick, and guests that compute notice at their
//! next loop or call.
//!
//! It ticks only while a guest is being polled, or was within the last [`IDLE_TICKS`]; otherwise it is parked, so that
//! an idle server, or ten thousand sleeping guests, cost nothing. It ends with the [`Ticker`], before the engine.
//!
//! No wake is missed: a guest raises `active` and then looks at `parked`; the thread raises `parked` and then looks at
//! `active`. Both are sequentially consistent, so at least one of them sees the other. An `unpark` that comes before
//! the `park` is remembered by the thread, so the order of those two does not matter.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How many ticks without a guest until the thread parks: a few pods per second must not pay a wake-up each.
const IDLE_TICKS: u32 = 50;

pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Guests inside a poll.
    active: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
    /// Ticks since the start, for tests.
    ticks: AtomicU64,
}

/// Keeps the ticker awake while a guest is polled.
pub(super) struct Awake<'a>(&'a Shared);

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, SeqCst);
    }
}

impl Ticker {
    pub(super) fn start(engine: EngineWeak, tick: Duration) -> io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("kiln-epoch".to_owned()).spawn({
            let shared = shared.clone();
            move || tick_until_stopped(&shared, &engine, tick)
        })?;
        Ok(Ticker { shared, thread: Some(thread) })
    }

    /// Ticks come from now on until the guard is dropped.
    pub(super) fn awake(&self) -> Awake<'_> {
        self.shared.active.fetch_add(1, SeqCst);
        if self.shared.parked.load(SeqCst) {
            self.unpark();
        }
        Awake(&self.shared)
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            // The thread cannot have panicked, and if it had, there would be nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn tick_until_stopped(shared: &Shared, engine: &EngineWeak, tick: Duration) {
    let mut idle = 0;
    while !shared.stop.load(SeqCst) {
        if shared.active.load(SeqCst) > 0 {
            idle = 0;
        } else if idle < IDLE_TICKS {
            idle += 1;
        } else {
            shared.parked.store(true, SeqCst);
            if shared.active.load(SeqCst) == 0 && !shared.stop.load(SeqCst) {
                thread::park();
            }
            shared.parked.store(false, SeqCst);
            idle = 0;
            continue;
        }
        thread::sleep(tick);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        shared.ticks.fetch_add(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticker() -> (wasmtime::Engine, Ticker) {
        let engine = wasmtime::Engine::default();
        let ticker = Ticker::start(engine.weak(), Duration::from_millis(1)).unwrap();
        (engine, ticker)
    }

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if condition() {
                return;
            }
            thread::yield_now();
            thread::sleep(Duration::from_millis(1));
        }
        panic!("not reached within 10 s: {what}");
    }

    #[test]
    fn it_ticks_while_awake_parks_when_idle_and_wakes_again() {
        let (_engine, ticker) = ticker();
        for _ in 0..3 {
            let before = ticker.shared.ticks.load(SeqCst);
            let awake = ticker.awake();
            wait_until("ten ticks", || ticker.shared.ticks.load(SeqCst) > before + 10);
            drop(awake);
            wait_until("parked", || ticker.shared.parked.load(SeqCst));
        }
    }

    #[test]
    fn no_wake_is_missed_when_it_races_with_the_park() {
        let (_engine, ticker) = ticker();
        for round in 0..200 {
            // The guard comes back at moments spread around the instant of parking.
            thread::sleep(Duration::from_micros(round * 7 % 900));
            let before = ticker.shared.ticks.load(SeqCst);
            let awake = ticker.awake();
            wait_until("a tick", || ticker.shared.ticks.load(SeqCst) > before);
            drop(awake);
            if round % 4 == 0 {
                wait_until("parked", || ticker.shared.parked.load(SeqCst));
            }
        }
    }

    #[test]
    fn it_ends_with_its_owner_and_keeps_no_engine_alive() {
        let (engine, ticker) = ticker();
        let weak = engine.weak();
        drop(ticker);
        drop(engine);
        assert!(weak.upgrade().is_none());
    }
}

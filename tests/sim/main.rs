//! The seeded simulation: the real store, controllers and scheduler on one thread, with a node whose guests are dice and a
//! clock that is moved by hand. A seed decides which part takes the next step, what users do, how guests end, when the
//! process crashes and what the crash loses. After each step an auditor that keeps books of its own compares them with
//! what the program wrote.
//!
//! ```text
//! KILN_SIM_SEED=123    only this seed, told step by step
//! KILN_SIM_SEEDS=500   that many seeds, from KILN_SIM_FROM (1 if it is not set)
//! ```
//!
//! [`world`] chooses the steps, [`actions`], [`cron_actions`] and [`namespaces`] are the users', [`shapes`] the Jobs they make, [`node`] the
//! node, [`checked`] watches the controllers, [`follow`] are slow watchers, [`books`], [`rules`], [`cron`] and [`calendar`]
//! are the auditor's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a simulation that unwraps says by its seed and its line what failed"
)]

mod actions;
mod books;
mod calendar;
mod checked;
mod cron;
mod cron_actions;
mod follow;
mod indexed;
mod namespaces;
mod node;
mod process;
mod rng;
mod rules;
mod shapes;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use checked::Sabotage;
use world::World;

/// As many as take a few seconds without optimisation.
const SEEDS: u64 = 60;

/// Seeds that fail before no more are tried.
const ENOUGH: usize = 5;

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// The outcome of a future that has nothing to wait for.
fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

#[test]
fn whatever_happens_the_books_are_right() {
    if let Some(seed) = setting("KILN_SIM_SEED") {
        let history = World::new(seed).telling().run();
        return eprintln!("seed {seed}: history {history:016x}");
    }
    let from: u64 = setting("KILN_SIM_FROM").unwrap_or(1);
    let seeds = setting("KILN_SIM_SEEDS").unwrap_or(SEEDS);
    let (next, done) = (AtomicU64::new(from), AtomicUsize::new(0));
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failed.lock().unwrap().len() < ENOUGH {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| World::new(seed).run())).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done % 500 == 0 {
                        eprintln!("{done} of {seeds} seeds");
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    assert!(failed.is_empty(), "seeds that fail: {failed:?}; replay one with KILN_SIM_SEED=N cargo test --test sim");
}

#[test]
fn a_controller_that_makes_mistakes_is_found_out() {
    for sabotage in [Sabotage::CountsTwice, Sabotage::ForgetsToCount, Sabotage::MakesOneMore, Sabotage::ChangesItsMind]
    {
        let ends_well = |seed| catch_unwind(|| World::new(seed).sabotaged(sabotage).run()).is_ok();
        assert!(!(1..=5).all(ends_well), "nobody noticed that the Job controller {sabotage:?}");
    }
    for sabotage in Sabotage::OF_CRON_JOBS {
        let ends_well = |seed| catch_unwind(|| World::new(seed).with_cron_jobs().sabotaged(*sabotage).run()).is_ok();
        assert!(!(1..=8).all(ends_well), "nobody noticed that the CronJob controller {sabotage:?}");
    }
    for sabotage in Sabotage::OF_NAMESPACES {
        let ends_well = |seed| catch_unwind(|| World::new(seed).sabotaged(*sabotage).run()).is_ok();
        assert!(!(1..=8).all(ends_well), "nobody noticed that the controllers of namespaces {sabotage:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| World::new(seed).in_full().run();
    let (first, again) = (history(7), history(7));
    assert_eq!(first, again);
    assert_ne!(first, history(8));
}

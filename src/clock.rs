//! The one source of time. Everything else takes the time as an argument or asks a [`Clock`], so that a test can
//! drive it; `clippy.toml` bans the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    start: (Timestamp, Instant),
    passed: Mutex<Duration>,
    advanced: Notify,
}

impl Clock {
    pub fn real() -> Clock {
        Clock(Source::Real)
    }

    /// A clock that moves only by [`Clock::advance`].
    pub fn manual(start: Timestamp) -> Clock {
        let manual = Manual { start: (start, real_instant()), passed: Mutex::default(), advanced: Notify::new() };
        Clock(Source::Manual(Arc::new(manual)))
    }

    /// Wall time: may jump when somebody sets it.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Real => real_now(),
            Source::Manual(m) => {
                let passed = SignedDuration::try_from(*m.passed.lock()).unwrap_or(SignedDuration::MAX);
                m.start.0.saturating_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Monotonic time: what limits are measured in.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::Real => real_instant(),
            Source::Manual(m) => m.start.1 + *m.passed.lock(),
        }
    }

    /// The instant at which the wall clock will show `at` if nobody sets it; now if that has passed.
    pub fn instant_of(&self, at: Timestamp) -> Instant {
        let left = Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO);
        let now = self.instant();
        // Beyond a century nothing is distinguishable from never.
        now + left.min(Duration::from_secs(100 * 365 * 86_400))
    }

    /// Waits for `duration` of this clock's time.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            #[allow(clippy::disallowed_methods, reason = "this is the one place that waits for time to pass")]
            Source::Real => tokio::time::sleep(duration).await,
            Source::Manual(m) => {
                let until = *m.passed.lock() + duration;
                loop {
                    let advanced = m.advanced.notified();
                    if *m.passed.lock() >= until {
                        return;
                    }
                    advanced.await;
                }
            }
        }
    }

    /// Moves a manual clock; a real one does not listen.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(m) = &self.0 {
            *m.passed.lock() += by;
            m.advanced.notify_waiters();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that asks the system for the time")]
fn real_now() -> Timestamp {
    Timestamp::now()
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that asks the system for the time")]
fn real_instant() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let (wall, monotonic) = (clock.now(), clock.instant());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(5)).await }
        });
        clock.advance(Duration::from_secs(7));
        assert_eq!(clock.now().duration_since(wall), SignedDuration::from_secs(7));
        assert_eq!(clock.instant() - monotonic, Duration::from_secs(7));
        // The sleeper may have begun before or after: another advance ends it either way.
        while !sleeper.is_finished() {
            clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    }
}

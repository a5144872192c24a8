//! The delays between restarts of a container: none before the first, then 10 s doubling to 300 s, from the end of the
//! last run (kubernetes `pkg/kubelet/kuberuntime`, `doBackOff`).

use jiff::Timestamp;

use crate::api::meta;

const FIRST_BACKOFF_SECONDS: i64 = 10;
const MOST_BACKOFF_SECONDS: i64 = 300;
/// A run this long ends the series of back-offs.
const LONG_RUN_SECONDS: i64 = 600;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashLoop {
    next_seconds: i64,
}

impl CrashLoop {
    /// When to start again after a run from `started` to `finished` that has failed.
    pub fn after(&mut self, started: Timestamp, finished: Timestamp) -> Timestamp {
        if finished.duration_since(started).as_secs() > LONG_RUN_SECONDS {
            self.next_seconds = 0;
        }
        let at = meta::add_seconds(finished, self.next_seconds);
        self.next_seconds = (self.next_seconds * 2).clamp(FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_back_off() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut crash_loop = CrashLoop::default();
        let delays: Vec<i64> = (0..8).map(|_| crash_loop.after(at(0), at(100)).as_second() - 100).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(crash_loop.after(at(0), at(601)), at(601), "a long run ends the series");
        assert_eq!(crash_loop.after(at(0), at(1)), at(11));
    }
}

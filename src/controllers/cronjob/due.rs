//! What a schedule says at one moment: whether a time is due, how late that is, and when to look again (`nextScheduleTime`
//! in kubernetes `pkg/controller/cronjob/utils.go`). Of several times that were missed only the last is due.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::cronjob::schedule::Schedule;
use crate::api::meta;

/// With more missed times than that something is wrong, and somebody should hear of it.
const MANY: i64 = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// The last time that has come.
    pub due: Option<Timestamp>,
    /// The time after that, or the first one.
    pub next: Option<Timestamp>,
    /// Whether it came longer ago than a Job may be late.
    pub too_late: bool,
    pub many_missed: bool,
}

/// What came after `base`, until `now`; `None` if the schedule has no time at all. `deadline` is in seconds.
pub fn times(
    schedule: &Schedule,
    zone: &TimeZone,
    base: Timestamp,
    deadline: Option<i64>,
    now: Timestamp,
) -> Option<Times> {
    let first = schedule.next(base, zone)?;
    let Some(due) = schedule.latest(base, now, zone) else {
        return Some(Times { due: None, next: Some(first), too_late: false, many_missed: false });
    };
    Some(Times {
        due: Some(due),
        next: schedule.next(due, zone),
        too_late: deadline.is_some_and(|seconds| meta::add_seconds(due, seconds) < now),
        many_missed: missed(schedule, zone, earliest(base, deadline, now), now) > MANY,
    })
}

/// Before that nothing would be started any more.
fn earliest(base: Timestamp, deadline: Option<i64>, now: Timestamp) -> Timestamp {
    let raised = |seconds: i64| Timestamp::from_second(now.as_second().saturating_sub(seconds)).unwrap_or(base);
    deadline.map_or(base, |seconds| base.max(raised(seconds)))
}

/// How many times came, as estimated from the distance of the first two.
fn missed(schedule: &Schedule, zone: &TimeZone, base: Timestamp, now: Timestamp) -> i64 {
    let Some(first) = schedule.next(base, zone).filter(|first| *first <= now) else { return 0 };
    let distance = schedule.next(first, zone).map_or(i64::MAX, |second| second.as_second() - first.as_second());
    (now.as_second() - first.as_second()) / distance.max(1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cronjob::grammar;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-01T{text}Z").parse().unwrap()
    }

    fn look(schedule: &str, base: &str, deadline: Option<i64>, now: &str) -> Option<Times> {
        times(&grammar::parse(schedule).unwrap(), &TimeZone::UTC, at(base), deadline, at(now))
    }

    #[test]
    fn only_the_last_of_the_missed_times_is_due() {
        let table = [
            ("12:00:30", "12:00:59.9", None, "12:01:00"),
            ("12:00:30", "12:01:00", Some("12:01:00"), "12:02:00"),
            ("12:00:30", "12:05:10", Some("12:05:00"), "12:06:00"),
            ("12:05:00", "12:05:10", None, "12:06:00"),
            // The clock was set back: nothing until it has caught up.
            ("12:05:00", "11:00:00", None, "12:06:00"),
        ];
        for (base, now, due, next) in table {
            let times = look("* * * * *", base, None, now).unwrap();
            assert_eq!((times.due, times.next), (due.map(at), Some(at(next))), "{base} {now}");
        }
    }

    #[test]
    fn a_time_may_be_as_late_as_the_deadline_says() {
        let late = |now, deadline| look("0 * * * *", "11:30:00", deadline, now).unwrap().too_late;
        assert!(!late("12:00:10", Some(10)) && late("12:00:10.1", Some(10)) && late("12:00:11", Some(10)));
        assert!(!late("12:59:59", None) && !late("12:59:59", Some(i64::MAX)));
        assert!(!late("12:00:00", Some(0)) && late("12:00:01", Some(0)));
        assert!(!late("11:59:59", Some(0)), "nothing is due");
    }

    #[test]
    fn more_than_a_hundred_missed_times_are_many_unless_the_deadline_forgets_them() {
        let many = |base, deadline, now| look("* * * * *", base, deadline, now).unwrap().many_missed;
        assert!(!many("12:00:00", None, "13:40:59"), "a hundred");
        assert!(many("12:00:00", None, "13:41:00"), "a hundred and one");
        assert!(!many("12:00:00", Some(60), "13:41:00"));
        assert!(many("12:00:00", Some(20_000), "13:41:00"));
    }

    #[test]
    fn a_delay_counts_from_the_last_time_with_a_deadline_or_without() {
        for deadline in [None, Some(5)] {
            let times = look("@every 10m", "12:00:07", deadline, "12:10:08").unwrap();
            let want =
                Times { due: Some(at("12:10:07")), next: Some(at("12:20:07")), too_late: false, many_missed: false };
            assert_eq!(times, want);
        }
    }

    #[test]
    fn a_schedule_without_times_is_told_apart() {
        assert_eq!(look("0 0 31 2 *", "12:00:00", None, "13:00:00"), None);
    }
}

//! How long something has lasted, as `kubectl get` prints it (apimachinery `util/duration.HumanDuration`): `5s`,
//! `2m30s`, `3h`, `2d3h`. At most two units, the smaller one left out when it is zero.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// What is printed for a time that was never set.
pub const UNKNOWN: &str = "<unknown>";

/// The time from `since` to `now`; [`UNKNOWN`] if there is no `since`.
pub fn since(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or_else(|| UNKNOWN.to_owned(), |since| human(now.duration_since(since)))
}

/// A duration in the fewest words that still tell it from its neighbours. Up to two seconds below zero is zero,
/// because clocks differ; more is `<invalid>`.
pub fn human(duration: SignedDuration) -> String {
    let s = duration.as_secs();
    let one = |unit: i64, name: char| format!("{}{name}", s / unit);
    let two = |unit: i64, name: char, below: i64, below_name: char| match s % unit / below {
        0 => one(unit, name),
        rest => format!("{}{name}{rest}{below_name}", s / unit),
    };
    match s {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        _ if s < 2 * MINUTE => one(1, 's'),
        _ if s < 10 * MINUTE => two(MINUTE, 'm', 1, 's'),
        _ if s < 3 * HOUR => one(MINUTE, 'm'),
        _ if s < 8 * HOUR => two(HOUR, 'h', MINUTE, 'm'),
        _ if s < 2 * DAY => one(HOUR, 'h'),
        _ if s < 8 * DAY => two(DAY, 'd', HOUR, 'h'),
        _ if s < 2 * YEAR => one(DAY, 'd'),
        _ if s < 8 * YEAR => two(YEAR, 'y', DAY, 'd'),
        _ => one(YEAR, 'y'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_kubectl_prints_them() {
        let cases = [
            (-3, "<invalid>"),
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (1, "1s"),
            (70, "70s"),
            (119, "119s"),
            (120, "2m"),
            (190, "3m10s"),
            (599, "9m59s"),
            (600, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 59, "3h"),
            (3 * HOUR + 60, "3h1m"),
            (8 * HOUR - 1, "7h59m"),
            (8 * HOUR, "8h"),
            (2 * DAY - 1, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3 * HOUR, "2d3h"),
            (8 * DAY - 1, "7d23h"),
            (8 * DAY, "8d"),
            (2 * YEAR - 1, "729d"),
            (2 * YEAR, "2y"),
            (3 * YEAR + 2 * DAY, "3y2d"),
            (8 * YEAR - 1, "7y364d"),
            (8 * YEAR, "8y"),
            (i64::MAX, "292471208677y"),
            (i64::MIN, "<invalid>"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human(SignedDuration::from_secs(seconds)), text, "{seconds}");
        }
        assert_eq!(human(SignedDuration::from_millis(-1900)), "0s");
    }

    #[test]
    fn an_unset_time_is_unknown() {
        assert_eq!(since(None, Timestamp::UNIX_EPOCH), "<unknown>");
        assert_eq!(since(Some(Timestamp::MIN), Timestamp::MAX), "20012y");
    }
}

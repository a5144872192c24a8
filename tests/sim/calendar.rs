//! What a schedule means, worked out minute by minute: slow, and with nothing in common with the controller's search.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60;

/// Where schedules are read that name no zone: its clocks change by half an hour.
pub const LOCAL: &str = "Australia/Lord_Howe";

pub fn zone(name: Option<&str>) -> TimeZone {
    TimeZone::get(name.unwrap_or(LOCAL)).expect("it is a zone")
}

pub enum Schedule {
    Every(i64),
    /// Minute, hour, day, month, weekday.
    Fields(Vec<String>),
}

pub fn read(text: &str) -> Schedule {
    if let Some(delay) = text.strip_prefix("@every ") {
        let number = |unit: char| delay.strip_suffix(unit).map(|n| n.parse::<i64>().expect("it is a number"));
        let seconds = number('s').or(number('m').map(|n| n * MINUTE)).expect("it is a delay");
        return Schedule::Every(seconds);
    }
    let text = if text == "@hourly" { "0 * * * *" } else { text };
    Schedule::Fields(text.split(' ').map(str::to_owned).collect())
}

/// `least` is the first value of the field: a step counts from there.
fn has(field: &str, value: i64, least: i64) -> bool {
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let number = |text: &str| text.parse::<i64>().expect("it is a number");
        let (first, last) = match range {
            "*" | "?" => (least, i64::MAX),
            _ => match range.split_once('-') {
                Some((first, last)) => (number(first), number(last)),
                None if part.contains('/') => (number(range), i64::MAX),
                None => (number(range), number(range)),
            },
        };
        (first..=last).contains(&value) && (value - first) % number(step) == 0
    })
}

impl Schedule {
    /// Whether it can have two times within a minute.
    pub fn is_dense(&self) -> bool {
        matches!(self, Schedule::Every(seconds) if *seconds < MINUTE)
    }

    /// Whether `at` is a time of it. A delay may end anywhere.
    pub fn has(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let Schedule::Fields(fields) = self else { return at.subsec_nanosecond() == 0 };
        let local = at.to_zoned(zone.clone());
        let [minute, hour, day, month, weekday] = &fields[..] else { panic!("it has five fields") };
        let by_day = has(day, local.day().into(), 1);
        let by_weekday = has(weekday, local.weekday().to_sunday_zero_offset().into(), 0);
        let is_open = |field: &str| field == "*" || field == "?";
        let is_day = if is_open(day) || is_open(weekday) { by_day && by_weekday } else { by_day || by_weekday };
        at.as_second() % MINUTE == 0
            && at.subsec_nanosecond() == 0
            && has(minute, local.minute().into(), 0)
            && has(hour, local.hour().into(), 0)
            && has(month, local.month().into(), 1)
            && is_day
    }

    /// The last time after `base` that is not after `now`.
    pub fn latest(&self, base: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let (base, now) = (base.as_second(), now.as_second());
        let found = match self {
            Schedule::Every(seconds) => Some(now - (now - base) % seconds).filter(|at| *at > base),
            Schedule::Fields(_) => {
                let mut minutes = (base.div_euclid(MINUTE) + 1..=now.div_euclid(MINUTE)).rev().map(|m| m * MINUTE);
                minutes.find(|second| self.has(at(*second), zone))
            }
        };
        found.map(at)
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is a time")
}

#[test]
fn the_calendar_knows_what_is_written() {
    let table = [
        ("*/15 * * * *", "UTC", "2026-01-05T10:30:00Z", true),
        ("*/15 * * * *", "UTC", "2026-01-05T10:31:00Z", false),
        ("5-20/5,40 * * * *", "UTC", "2026-01-05T10:40:00Z", true),
        ("50/5 * * * *", "UTC", "2026-01-05T10:55:00Z", true),
        ("50/5 * * * *", "UTC", "2026-01-05T10:45:00Z", false),
        ("0 9 * * *", "Asia/Kathmandu", "2026-01-05T03:15:00Z", true),
        // A Monday, not the 13th; of two fields that restrict one suffices.
        ("0 0 13 * 1", "UTC", "2026-01-05T00:00:00Z", true),
        ("0 0 ? * 1", "UTC", "2026-01-13T00:00:00Z", false),
        ("@hourly", "Asia/Kathmandu", "2026-01-05T10:15:00Z", true),
        ("@every 90s", "UTC", "2026-01-05T10:15:07Z", true),
    ];
    for (text, name, time, is_one) in table {
        assert_eq!(read(text).has(time.parse().unwrap(), &zone(Some(name))), is_one, "{text} {time}");
    }
    let latest = |text: &str, base: &str, now: &str| {
        read(text).latest(base.parse().unwrap(), now.parse().unwrap(), &TimeZone::UTC).map(|at| at.to_string())
    };
    let (base, now) = ("2026-01-05T10:00:00Z", "2026-01-05T10:04:59.9Z");
    assert_eq!(latest("* * * * *", base, now).as_deref(), Some("2026-01-05T10:04:00Z"));
    assert_eq!(latest("@every 7s", base, now).as_deref(), Some("2026-01-05T10:04:54Z"));
    assert_eq!(latest("0 * * * *", base, now), None);
    assert_eq!(latest("@every 5m", base, now), None);
}

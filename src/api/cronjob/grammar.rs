//! How a schedule is written: five fields (minute, hour, day of month, month, day of week) or a descriptor, as
//! `ParseStandard` of robfig/cron 3 reads them, with its complaints. Zones in a schedule (`TZ=`) are left out: Kubernetes
//! refuses them on creation.

use super::duration::{self, DurationError};
use super::schedule::{Calendar, Days, Schedule};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("empty spec string")]
    Empty,
    #[error("expected exactly 5 fields, found {0}: [{1}]")]
    Fields(usize, String),
    #[error("failed to parse int from {0}: strconv.Atoi: parsing {0:?}: {1}")]
    Number(String, &'static str),
    #[error("negative number ({0}) not allowed: {1}")]
    Negative(i64, String),
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    #[error("too many slashes: {0}")]
    Slashes(String),
    #[error("beginning of range ({0}) below minimum ({1}): {2}")]
    BelowMinimum(u64, u64, String),
    #[error("end of range ({0}) above maximum ({1}): {2}")]
    AboveMaximum(u64, u64, String),
    #[error("beginning of range ({0}) beyond end of range ({1}): {2}")]
    Backwards(u64, u64, String),
    #[error("step of range should be a positive number: {0}")]
    Step(String),
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
    #[error("failed to parse duration {0}: {1}")]
    Duration(String, DurationError),
}

/// The values that a field may have, and their names.
struct Bounds {
    least: u64,
    most: u64,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { least: 0, most: 23, names: &[] };
const DAYS: Bounds = Bounds { least: 1, most: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Sunday is 0, and 7 is no day.
const WEEKDAYS: Bounds = Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// A constant delay has at least a second, and whole ones.
const LEAST_DELAY: i64 = 1;

pub fn parse(text: &str) -> Result<Schedule, ScheduleError> {
    if text.is_empty() {
        return Err(ScheduleError::Empty);
    }
    if text.starts_with('@') {
        return descriptor(text);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(ScheduleError::Fields(fields.len(), fields.join(" ")));
    };
    Ok(Schedule::Calendar(Calendar {
        minutes: field(minute, &MINUTES)?.values,
        hours: field(hour, &HOURS)?.values,
        days: field(day, &DAYS)?,
        months: field(month, &MONTHS)?.values,
        weekdays: field(weekday, &WEEKDAYS)?,
    }))
}

fn descriptor(text: &str) -> Result<Schedule, ScheduleError> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(delay) = text.strip_prefix("@every ") else {
                return Err(ScheduleError::Descriptor(text.to_owned()));
            };
            let seconds =
                duration::parse_seconds(delay).map_err(|error| ScheduleError::Duration(text.to_owned(), error))?;
            return Ok(Schedule::Every(seconds.max(LEAST_DELAY)));
        }
    };
    parse(fields)
}

/// A list of ranges. Empty ones are skipped, so that a field may also name nothing.
fn field(text: &str, bounds: &Bounds) -> Result<Days, ScheduleError> {
    let mut all = Days { values: 0, any: false };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let part = range(part, bounds)?;
        all.values |= part.values;
        all.any |= part.any;
    }
    Ok(all)
}

/// `*`, `?`, `a` or `a-b`, each with `/step` or without. `a/step` goes on to the greatest value.
fn range(text: &str, bounds: &Bounds) -> Result<Days, ScheduleError> {
    let mut slashes = text.split('/');
    let values: Vec<&str> = slashes.next().unwrap_or_default().split('-').collect();
    let (mut any, start, mut end);
    match values[..] {
        // What follows a star is not looked at.
        ["*" | "?", ..] => (any, start, end) = (true, bounds.least, bounds.most),
        [only] => {
            start = value(only, bounds)?;
            (any, end) = (false, start);
        }
        [first, last] => (any, start, end) = (false, value(first, bounds)?, value(last, bounds)?),
        _ => return Err(ScheduleError::Hyphens(text.to_owned())),
    }
    let mut step = 1;
    if let Some(written) = slashes.next() {
        if slashes.next().is_some() {
            return Err(ScheduleError::Slashes(text.to_owned()));
        }
        step = number(written)?;
        if values.len() == 1 {
            end = bounds.most;
        }
        // A star with a step is a restriction.
        any &= step <= 1;
    }
    if start < bounds.least {
        return Err(ScheduleError::BelowMinimum(start, bounds.least, text.to_owned()));
    }
    if end > bounds.most {
        return Err(ScheduleError::AboveMaximum(end, bounds.most, text.to_owned()));
    }
    if start > end {
        return Err(ScheduleError::Backwards(start, end, text.to_owned()));
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    if step == 0 {
        return Err(ScheduleError::Step(text.to_owned()));
    }
    let values = (start..=end).step_by(step).fold(0, |bits, value| bits | 1 << value);
    Ok(Days { values, any })
}

/// A number, or a name in any case.
fn value(text: &str, bounds: &Bounds) -> Result<u64, ScheduleError> {
    match (bounds.least..).zip(bounds.names).find(|(_, name)| text.eq_ignore_ascii_case(name)) {
        Some((value, _)) => Ok(value),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u64, ScheduleError> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let number: i64 = text.parse().map_err(|error: std::num::ParseIntError| {
        let why =
            if matches!(error.kind(), PosOverflow | NegOverflow) { "value out of range" } else { "invalid syntax" };
        ScheduleError::Number(text.to_owned(), why)
    })?;
    u64::try_from(number).map_err(|_| ScheduleError::Negative(number, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(values: impl IntoIterator<Item = u64>) -> u64 {
        values.into_iter().fold(0, |bits, value| bits | 1 << value)
    }

    fn calendar(text: &str) -> Calendar {
        match parse(text) {
            Ok(Schedule::Calendar(calendar)) => calendar,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn each_form_of_a_range_names_its_values() {
        let table = [
            ("5", vec![5]),
            ("5,6", vec![5, 6]),
            ("5,,6,", vec![5, 6]),
            (",", vec![]),
            ("5-8", vec![5, 6, 7, 8]),
            ("5-8/2", vec![5, 7]),
            ("50/3", vec![50, 53, 56, 59]),
            ("*/20", vec![0, 20, 40]),
            ("?/30", vec![0, 30]),
            ("+7", vec![7]),
            ("5-5", vec![5]),
            ("3/100", vec![3]),
        ];
        for (minute, want) in table {
            assert_eq!(calendar(&format!("{minute} * * * *")).minutes, bits(want), "{minute}");
        }
        assert_eq!(calendar("* * * * *").minutes, bits(0..=59));
        assert_eq!(calendar("*-7 * * * *").minutes, bits(0..=59), "what follows a star is not looked at");
    }

    #[test]
    fn months_and_weekdays_have_names_in_any_case() {
        let named = calendar("* * * jAn-MAR,dec SUN,wed-Fri");
        assert_eq!((named.months, named.weekdays.values), (bits([1, 2, 3, 12]), bits([0, 3, 4, 5])));
    }

    #[test]
    fn a_star_is_told_from_a_restriction_that_names_the_same_days() {
        let any = |day: &str| calendar(&format!("* * {day} * *")).days.any;
        assert!(any("*") && any("?") && any("*/1") && any("5,*"));
        assert!(!any("1-31") && !any("*/2") && !any("5"));
    }

    #[test]
    fn descriptors_stand_for_fields() {
        let table = [
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 ?"),
            ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * sun"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            ("@hourly", "0 * * * *"),
        ];
        for (descriptor, fields) in table {
            assert_eq!(parse(descriptor), parse(fields), "{descriptor}");
        }
        for (text, seconds) in [("@every 90s", 90), ("@every 1h30m", 5400), ("@every 1.9s", 1), ("@every -5m", 1)] {
            assert_eq!(parse(text), Ok(Schedule::Every(seconds)), "{text}");
        }
    }

    #[test]
    fn faults_are_told_as_the_original_tells_them() {
        let table = [
            ("", "empty spec string"),
            (" ", "expected exactly 5 fields, found 0: []"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("0 *  * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
            (" @daily", "expected exactly 5 fields, found 1: [@daily]"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* 1-24 * * *", "end of range (24) above maximum (23): 1-24"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* * * 13 *", "end of range (13) above maximum (12): 13"),
            ("9-5 * * * *", "beginning of range (9) beyond end of range (5): 9-5"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("-5 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
            ("*/-5 * * * *", "negative number (-5) not allowed: -5"),
            ("* * L * *", "failed to parse int from L: strconv.Atoi: parsing \"L\": invalid syntax"),
            ("* * * * 5#3", "failed to parse int from 5#3: strconv.Atoi: parsing \"5#3\": invalid syntax"),
            ("* * * monday *", "failed to parse int from monday: strconv.Atoi: parsing \"monday\": invalid syntax"),
            (
                "99999999999999999999 * * * *",
                "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out \
                 of range",
            ),
            ("TZ=UTC * * * * *", "expected exactly 5 fields, found 6: [TZ=UTC * * * * *]"),
            ("@reboot", "unrecognized descriptor: @reboot"),
            ("@Daily", "unrecognized descriptor: @Daily"),
            ("@every", "unrecognized descriptor: @every"),
            ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
            ("@every 5d", "failed to parse duration @every 5d: time: unknown unit \"d\" in duration \"5d\""),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
        ];
        for (text, message) in table {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_within_its_bounds(text in "[-0-9a-zA-Z*?/,@ .]{0,40}") {
            if let Ok(Schedule::Calendar(read)) = parse(&text) {
                assert!(read.minutes < 1 << 60 && read.hours < 1 << 24 && read.months < 1 << 13);
                assert!(read.days.values < 1 << 32 && read.days.values & 1 == 0 && read.weekdays.values < 1 << 7);
            }
        }
    }
}

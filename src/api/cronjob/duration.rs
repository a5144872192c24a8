//! Durations as `@every` takes them: Go's `time.ParseDuration`, such as `1h30m` or `1.5h`, with its complaints.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit { unit: String, text: String },
}

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Nanoseconds of each unit.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3600 * NANOS_PER_SECOND),
];

/// Digits after the point that are read; a nanosecond is the fifteenth of the hours.
const DIGITS: usize = 18;

/// The whole seconds of a duration, rounded towards zero.
pub fn parse_seconds(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let whole = digits(&mut rest);
        let point = rest.strip_prefix('.');
        rest = point.unwrap_or(rest);
        let fraction = if point.is_some() { digits(&mut rest) } else { "" };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let found = UNITS.iter().find(|(name, _)| *name == unit);
        let Some((_, size)) = found else {
            return Err(DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
        };
        rest = after;
        let whole: i128 = if whole.is_empty() { 0 } else { i128::from(whole.parse::<i64>().map_err(|_| invalid())?) };
        nanos += whole * size + part(fraction, *size);
        if nanos > i128::from(i64::MAX) {
            return Err(invalid());
        }
    }
    let seconds = i64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| invalid())?;
    Ok(if negative { -seconds } else { seconds })
}

/// Takes the digits at the beginning.
fn digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits
}

/// A decimal fraction of `size`.
fn part(fraction: &str, size: i128) -> i128 {
    let (mut value, mut scale) = (0, 1);
    for digit in fraction.bytes().take(DIGITS) {
        value = value * 10 + i128::from(digit - b'0');
        scale *= 10;
    }
    value * size / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let table = [
            ("90s", 90),
            ("1h30m", 5400),
            ("1.5h", 5400),
            ("1m0.5s", 60),
            ("999ms", 0),
            (".5m", 30),
            ("5.s", 5),
            ("0", 0),
            ("+3m", 180),
            ("-90s", -90),
            ("1000000us", 1),
            ("2000000µs", 2),
            ("2562047h", 9_223_369_200),
        ];
        for (text, seconds) in table {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn faults_are_told_as_go_tells_them() {
        let table = [
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("abc", "time: invalid duration \"abc\""),
            (" 5m", "time: invalid duration \" 5m\""),
            ("5", "time: missing unit in duration \"5\""),
            ("1h5", "time: missing unit in duration \"1h5\""),
            ("5d", "time: unknown unit \"d\" in duration \"5d\""),
            ("5m m", "time: unknown unit \"m m\" in duration \"5m m\""),
            (".s", "time: invalid duration \".s\""),
            ("2562048h", "time: invalid duration \"2562048h\""),
            ("99999999999999999999s", "time: invalid duration \"99999999999999999999s\""),
        ];
        for (text, message) in table {
            assert_eq!(parse_seconds(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}

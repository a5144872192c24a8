//! The times of a schedule. A calendar fires at each minute whose local time has the right fields, as robfig/cron 3 does:
//! a local time that a zone skips never comes, one that a zone repeats comes twice.
//!
//! Between two changes of its offset a zone is plain arithmetic, so a search goes from change to change, and within by
//! month, day and hour. It ends after five years, so that a date that does not exist costs no more than one that is rare.

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::{Date, DateTime, Time};
use k8s_openapi::jiff::tz::TimeZone;

use crate::api::meta;

/// A date that does not come within so many years does not come.
const YEARS: i16 = 5;
const MINUTE: i64 = 60;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Calendar(Calendar),
    /// So many seconds after the last time.
    Every(i64),
}

/// The values of each field as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub minutes: u64,
    pub hours: u64,
    pub days: Days,
    pub months: u64,
    pub weekdays: Days,
}

/// A field of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Days {
    pub values: u64,
    /// Written as a star: it restricts nothing, so that the other field of days decides alone.
    pub any: bool,
}

impl Schedule {
    /// The first time after `after`; `None` if there is none.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Schedule::Calendar(calendar) => calendar.next(after, zone),
            Schedule::Every(seconds) => whole(after.as_second().checked_add(*seconds)?),
        }
    }

    /// The last time after `base` that is not after `now`. Looks at few of the times between, however many there are.
    pub fn latest(&self, base: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let first = self.next(base, zone).filter(|first| *first <= now)?;
        let (mut found, mut until) = (first.as_second(), now.as_second());
        if let Schedule::Every(seconds) = self {
            return whole(until - (until - found) % seconds);
        }
        // `found` is one of the times, and after `until` there is none.
        while found < until {
            let middle = found + (until - found) / 2;
            match self.next(whole(middle)?, zone) {
                Some(time) if time <= now => found = time.as_second(),
                _ => until = middle,
            }
        }
        whole(found)
    }
}

fn whole(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

/// The bits of `from` and above.
fn at_least(bits: u64, from: i8) -> u64 {
    bits & (u64::MAX << from)
}

fn lowest(bits: u64) -> Option<i8> {
    if bits == 0 { None } else { i8::try_from(bits.trailing_zeros()).ok() }
}

fn has(bits: u64, value: i8) -> bool {
    bits >> value & 1 == 1
}

impl Calendar {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = meta::time(after).0;
        let minute = from.as_second().div_euclid(MINUTE) + 1;
        from = from.max(whole(minute.checked_mul(MINUTE)?)?);
        let last_year = zone.to_datetime(from).year().saturating_add(YEARS);
        loop {
            let offset = zone.to_offset(from);
            let change = zone.following(from).next().map(|change| change.timestamp());
            let local = self.next_local(offset.to_datetime(from), last_year);
            let found = local.and_then(|local| offset.to_timestamp(local).ok());
            match (found, change) {
                (Some(found), None) => return Some(found),
                (Some(found), Some(change)) if found < change => return Some(found),
                (_, Some(change)) if zone.to_datetime(change).year() <= last_year => from = change,
                _ => return None,
            }
        }
    }

    /// The first local time that is not before `from`.
    fn next_local(&self, from: DateTime, last_year: i16) -> Option<DateTime> {
        if let Some(time) = self.next_time(from.time()).filter(|_| self.is_day(from.date())) {
            return Some(from.date().to_datetime(time));
        }
        let first = self.next_time(Time::midnight())?;
        let mut date = from.date().tomorrow().ok()?;
        while date.year() <= last_year {
            if !has(self.months, date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else if !self.is_day(date) {
                date = date.tomorrow().ok()?;
            } else {
                return Some(date.to_datetime(first));
            }
        }
        None
    }

    /// The first time of a day that is not before `from`.
    fn next_time(&self, from: Time) -> Option<Time> {
        // Some zones were off by seconds once: what has begun is over.
        let past = i8::from(from.second() > 0);
        let this_hour = lowest(at_least(self.minutes, from.minute() + past)).filter(|_| has(self.hours, from.hour()));
        let (hour, minute) = match this_hour {
            Some(minute) => (from.hour(), minute),
            None => (lowest(at_least(self.hours, from.hour() + 1))?, lowest(self.minutes)?),
        };
        Time::new(hour, minute, 0, 0).ok()
    }

    /// Where both fields of days restrict, one of them suffices.
    fn is_day(&self, date: Date) -> bool {
        let day = has(self.days.values, date.day());
        let weekday = has(self.weekdays.values, date.weekday().to_sunday_zero_offset());
        let days = if self.days.any || self.weekdays.any { day && weekday } else { day || weekday };
        days && has(self.months, date.month())
    }
}

#[cfg(test)]
mod tests;

use k8s_openapi::jiff::tz::Offset;
use proptest::prelude::*;

use super::*;
use crate::api::cronjob::{grammar, zone};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zoned(name: &str) -> TimeZone {
    zone::named(name).unwrap()
}

/// The time after `after`, shown in UTC.
fn next(schedule: &str, after: &str, zone: &TimeZone) -> Option<String> {
    grammar::parse(schedule).unwrap().next(at(after), zone).map(|time| time.to_string())
}

#[test]
fn the_next_time_is_the_first_with_the_right_fields() {
    let table = [
        ("* * * * *", "2026-01-01T12:00:30Z", "2026-01-01T12:01:00Z"),
        ("* * * * *", "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"),
        ("* * * * *", "2026-01-01T12:00:59.999Z", "2026-01-01T12:01:00Z"),
        ("*/15 * * * *", "2026-01-01T12:45:00Z", "2026-01-01T13:00:00Z"),
        ("5/20 9-17 * * *", "2026-01-01T17:45:00Z", "2026-01-02T09:05:00Z"),
        ("0 0 1 * *", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
        ("0 12 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T12:00:00Z"),
        ("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("*/1 * * * ?", "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"),
        ("* */1 * * ?", "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"),
        ("@hourly", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"),
        ("@yearly", "2026-01-01T12:00:00Z", "2027-01-01T00:00:00Z"),
        ("@every 90s", "2026-01-01T12:00:00.7Z", "2026-01-01T12:01:30Z"),
    ];
    for (schedule, after, want) in table {
        assert_eq!(next(schedule, after, &TimeZone::UTC).as_deref(), Some(want), "{schedule} after {after}");
    }
}

#[test]
fn of_two_restrictions_of_days_one_suffices_and_a_star_leaves_it_to_the_other() {
    // 2026-06-01 is a Monday.
    let table = [
        ("0 0 15 * mon", "2026-06-08T00:00:00Z", "2026-06-15T00:00:00Z"),
        ("0 0 10 * mon", "2026-06-08T00:00:00Z", "2026-06-10T00:00:00Z"),
        ("0 0 10 * *", "2026-06-08T00:00:00Z", "2026-06-10T00:00:00Z"),
        ("0 0 * * fri", "2026-06-08T00:00:00Z", "2026-06-12T00:00:00Z"),
        ("0 0 */2 * sun", "2026-06-08T00:00:00Z", "2026-06-09T00:00:00Z"),
        ("0 0 ? * */3", "2026-06-08T00:00:00Z", "2026-06-10T00:00:00Z"),
    ];
    for (schedule, after, want) in table {
        assert_eq!(next(schedule, after, &TimeZone::UTC).as_deref(), Some(want), "{schedule} after {after}");
    }
}

#[test]
fn a_date_that_does_not_exist_never_comes() {
    for schedule in ["0 0 31 2 *", "59 23 31 4,6,9,11 *", "0 0 30 feb ?", ", * * * *", "* * * , *"] {
        assert_eq!(next(schedule, "2026-01-01T00:00:00Z", &TimeZone::UTC), None, "{schedule}");
        assert_eq!(next(schedule, "2026-01-01T00:00:00Z", &zoned("America/New_York")), None, "{schedule}");
    }
    // Between 2096 and 2104 there is no leap year, and the search ends after five years.
    assert_eq!(next("0 0 29 2 *", "2096-02-29T00:00:00Z", &TimeZone::UTC), None);
    assert_eq!(next("0 0 29 2 *", "2099-02-28T00:00:00Z", &TimeZone::UTC).as_deref(), Some("2104-02-29T00:00:00Z"));
}

#[test]
fn the_end_of_time_is_no_time() {
    let end = Timestamp::MAX.to_string();
    for schedule in ["* * * * *", "0 0 29 2 *", "@every 2562047h"] {
        assert_eq!(next(schedule, &end, &TimeZone::UTC), None, "{schedule}");
        assert_eq!(next(schedule, &end, &zoned("Europe/Berlin")), None, "{schedule}");
    }
}

#[test]
fn a_zone_sets_the_clock_by_which_fields_are_read() {
    let table = [
        ("0 9 * * *", "Europe/Berlin", "2026-01-15T00:00:00Z", "2026-01-15T08:00:00Z"),
        ("0 9 * * *", "Europe/Berlin", "2026-07-15T00:00:00Z", "2026-07-15T07:00:00Z"),
        ("0 0 1 * *", "Pacific/Kiritimati", "2026-01-15T00:00:00Z", "2026-01-31T10:00:00Z"),
        ("30 5 * * *", "Asia/Kolkata", "2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z"),
    ];
    for (schedule, zone, after, want) in table {
        assert_eq!(next(schedule, after, &zoned(zone)).as_deref(), Some(want), "{schedule} in {zone} after {after}");
    }
}

#[test]
fn a_local_time_that_is_skipped_does_not_come_and_one_that_is_repeated_comes_twice() {
    // New York: on 2012-03-11 02:00 becomes 03:00, on 2012-11-04 02:00 becomes 01:00.
    let table = [
        ("0 0 * * *", "2012-03-11T04:00:00Z", "2012-03-11T05:00:00Z"),
        ("0 2 * * *", "2012-03-11T05:00:00Z", "2012-03-12T06:00:00Z"),
        ("30 2 11 3 ?", "2012-03-11T05:00:00Z", "2013-03-11T06:30:00Z"),
        ("0 * * * *", "2012-03-11T06:00:00Z", "2012-03-11T07:00:00Z"),
        ("30 2 4 11 ?", "2012-11-04T04:00:00Z", "2012-11-04T07:30:00Z"),
        ("30 1 4 11 ?", "2012-11-04T05:45:00Z", "2012-11-04T06:30:00Z"),
        ("0 * * * *", "2012-11-04T05:00:00Z", "2012-11-04T06:00:00Z"),
        ("0 1 * * *", "2012-11-04T04:00:00Z", "2012-11-04T05:00:00Z"),
        ("0 1 * * *", "2012-11-04T05:00:00Z", "2012-11-04T06:00:00Z"),
        ("0 1 * * *", "2012-11-04T06:00:00Z", "2012-11-05T06:00:00Z"),
    ];
    for (schedule, after, want) in table {
        let next = next(schedule, after, &zoned("America/New_York"));
        assert_eq!(next.as_deref(), Some(want), "{schedule} after {after}");
    }
    // A midnight that does not exist.
    let sao_paulo = zoned("America/Sao_Paulo");
    assert_eq!(next("0 0 * * *", "2018-11-04T01:00:00Z", &sao_paulo).as_deref(), Some("2018-11-05T02:00:00Z"));
    assert_eq!(next("0 9 10 11 ?", "2018-10-17T05:00:00Z", &sao_paulo).as_deref(), Some("2018-11-10T11:00:00Z"));
}

#[test]
fn the_latest_time_is_found_however_many_were_missed() {
    let latest = |schedule: &str, base: &str, now: &str| {
        let schedule = grammar::parse(schedule).unwrap();
        schedule.latest(at(base), at(now), &TimeZone::UTC).map(|time| time.to_string())
    };
    let table = [
        ("* * * * *", "2026-01-01T12:00:00Z", "2026-01-01T12:00:59Z", None),
        ("* * * * *", "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z", Some("2026-01-01T12:01:00Z")),
        ("* * * * *", "1976-01-01T00:00:00Z", "2026-01-01T12:01:59Z", Some("2026-01-01T12:01:00Z")),
        ("0,1 0 * * *", "2026-01-01T00:00:00Z", "2026-01-09T12:00:00Z", Some("2026-01-09T00:01:00Z")),
        ("30 6-16/4 * * 1-5", "2026-01-02T15:00:00Z", "2026-01-05T05:00:00Z", None),
        ("30 6-16/4 * * 1-5", "2026-01-02T13:00:00Z", "2026-01-05T05:00:00Z", Some("2026-01-02T14:30:00Z")),
        ("* * 1 1 *", "2025-12-31T00:00:00Z", "2026-12-31T00:00:00Z", Some("2026-01-01T23:59:00Z")),
        ("@every 7s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z", Some("2026-01-01T00:00:14Z")),
        ("@every 7s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:21.5Z", Some("2026-01-01T00:00:21Z")),
        ("@every 7s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:06.9Z", None),
        ("* * * * *", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", None),
        ("0 0 31 2 *", "2026-01-02T00:00:00Z", "2036-01-01T00:00:00Z", None),
    ];
    for (schedule, base, now, want) in table {
        assert_eq!(latest(schedule, base, now).as_deref(), want, "{schedule} from {base} to {now}");
    }
}

/// Zones with changes of every sort: by an hour, by half of one, at midnight, during Ramadan, none.
const ZONES: [&str; 7] = [
    "UTC",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "America/St_Johns",
    "Asia/Kathmandu",
];

fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    let one = move || (least..=most).prop_map(|value| value.to_string());
    let span = (least..=most, least..=most).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    prop_oneof![
        4 => Just("*".to_owned()),
        2 => one(),
        1 => span,
        1 => (1u32..30).prop_map(|step| format!("*/{step}")),
        1 => (one(), one()).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

fn schedules() -> impl Strategy<Value = String> {
    let fields = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6));
    fields.prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

/// Whether a schedule of plain fields names this local time: written apart from what is tested.
fn names(schedule: &str, local: DateTime) -> bool {
    let fields: Vec<&str> = schedule.split(' ').collect();
    let among = |field: &str, value: i8, least: i8| {
        field.split(',').any(|part| match (part.strip_prefix("*/"), part.split_once('-')) {
            (Some(step), _) => i32::from(value - least) % step.parse::<i32>().unwrap() == 0,
            (None, Some((a, b))) => (a.parse::<i8>().unwrap()..=b.parse::<i8>().unwrap()).contains(&value),
            (None, None) => part == "*" || part.parse::<i8>() == Ok(value),
        })
    };
    let day = among(fields[2], local.day(), 1);
    let weekday = among(fields[4], local.weekday().to_sunday_zero_offset(), 0);
    let star = |field: &str| field == "*" || field == "*/1";
    let days = if star(fields[2]) || star(fields[4]) { day && weekday } else { day || weekday };
    days && among(fields[0], local.minute(), 0)
        && among(fields[1], local.hour(), 0)
        && among(fields[3], local.month(), 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_next_time_is_the_one_that_a_scan_of_all_minutes_finds(
        schedule in schedules(),
        zone in proptest::sample::select(&ZONES[..]),
        // 2006 to 2030.
        start in 1_136_073_600i64..1_893_456_000,
    ) {
        let zone = zoned(zone);
        let (after, read) = (Timestamp::from_second(start).unwrap(), grammar::parse(&schedule).unwrap());
        let next = read.next(after, &zone);
        if let Some(next) = next {
            prop_assert!(next > after);
            prop_assert!(names(&schedule, zone.to_datetime(next)), "{next}");
        }
        // A month of minutes, or as many as there are before the answer.
        let minutes = (1..=45_000).map(|minute| Timestamp::from_second((start / 60 + minute) * 60).unwrap());
        let scanned = minutes.take_while(|t| next.is_none_or(|n| *t <= n)).find(|t| names(&schedule, zone.to_datetime(*t)));
        match scanned {
            Some(scanned) => prop_assert_eq!(Some(scanned), next),
            None => prop_assert!(next.is_none_or(|n| n.as_second() > start + 44_000 * 60), "{:?}", next),
        }
    }

    #[test]
    fn the_latest_time_is_the_one_that_stepping_through_all_finds(
        schedule in schedules(),
        zone in proptest::sample::select(&ZONES[..]),
        start in 1_136_073_600i64..1_893_456_000,
        length in 0i64..3_000_000,
    ) {
        let zone = zoned(zone);
        let read = grammar::parse(&schedule).unwrap();
        let (base, now) = (Timestamp::from_second(start).unwrap(), Timestamp::from_second(start + length).unwrap());
        let mut last = None;
        while let Some(next) = read.next(last.unwrap_or(base), &zone).filter(|next| *next <= now) {
            last = Some(next);
        }
        prop_assert_eq!(read.latest(base, now, &zone), last);
    }

    #[test]
    fn a_zone_of_one_offset_shifts_every_time_by_it(schedule in schedules(), hours in -12i8..=14, start in 0i64..4_000_000_000) {
        let read = grammar::parse(&schedule).unwrap();
        let shift = i64::from(hours) * 3600;
        let at = |second| Timestamp::from_second(second).unwrap();
        let there = read.next(at(start), &TimeZone::fixed(Offset::constant(hours)));
        let here = read.next(at(start + shift), &TimeZone::UTC);
        // At the turn of a year the five years of the search end differently.
        if let (Some(there), Some(here)) = (there, here) {
            prop_assert_eq!(there.as_second() + shift, here.as_second());
        }
    }
}

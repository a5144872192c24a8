//! How long to wait before a failed pod is replaced, as a Job may set it in an annotation: `base=1s,factor=2,cap=1m`.
//! Kubernetes has this series too, 10 s that double up to 10 minutes, but no way to change it.
//!
//! All is counted in whole numbers, step by step, so that the series never falls and is the same on every machine.

use k8s_openapi::jiff::SignedDuration;

const MILLISECOND: u64 = 1;
const SECOND: u64 = 1000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

const LONGEST: u64 = 24 * HOUR;
/// What a factor of 1 is; a factor has at most three decimals.
const ONE: u32 = 1000;
const LARGEST_FACTOR: u32 = 100 * ONE;

/// The series `base`, `base`·factor, `base`·factor² … up to `cap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub base: SignedDuration,
    /// From 1000, which is a factor of 1, to 100,000.
    pub factor_thousandths: u32,
    pub cap: SignedDuration,
}

/// The series of Kubernetes.
impl Default for Setting {
    fn default() -> Setting {
        Setting { base: SignedDuration::from_secs(10), factor_thousandths: 2 * ONE, cap: SignedDuration::from_mins(10) }
    }
}

impl Setting {
    /// Reads `base=1s,factor=2,cap=1m`: at least one part, each at most once, in any order. What is left out is as by
    /// default. The error says what to write instead.
    pub fn parse(text: &str) -> Result<Setting, String> {
        let (mut base, mut factor, mut cap) = (None, None, None);
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(|| form(part))?;
            let repeated = match name {
                "base" => base.replace(duration(name, value)?).is_some(),
                "factor" => factor.replace(parse_factor(value)?).is_some(),
                "cap" => cap.replace(duration(name, value)?).is_some(),
                _ => return Err(form(part)),
            };
            if repeated {
                return Err(format!("{name} is given twice: leave one of them out"));
            }
        }
        let Setting { base: default_base, factor_thousandths, cap: default_cap } = Setting::default();
        let setting = Setting {
            base: base.unwrap_or(default_base),
            factor_thousandths: factor.unwrap_or(factor_thousandths),
            cap: cap.unwrap_or(default_cap),
        };
        if setting.base > setting.cap {
            let of = |given: bool| if given { "" } else { ", the default" };
            return Err(format!(
                "base ({:#}{}) is longer than cap ({:#}{}): write a shorter base or a longer cap",
                setting.base,
                of(base.is_some()),
                setting.cap,
                of(cap.is_some())
            ));
        }
        Ok(setting)
    }

    /// How long to wait after so many failures in a row; nothing after none.
    pub fn delay(&self, failures: u32) -> SignedDuration {
        let cap = self.cap.as_nanos();
        let (mut delay, factor) = (self.base.as_nanos(), i128::from(self.factor_thousandths));
        // A millisecond grows by a factor of 1.001 to a day within 20,000 steps; what does not grow needs none.
        let grows = delay > 0 && factor > i128::from(ONE);
        let steps = if grows { failures.saturating_sub(1) } else { 0 };
        for _ in 0..steps {
            if delay >= cap {
                break;
            }
            delay = delay * factor / i128::from(ONE);
        }
        match failures {
            0 => SignedDuration::ZERO,
            _ => SignedDuration::from_nanos_i128(delay.min(cap)),
        }
    }
}

fn form(part: &str) -> String {
    format!(
        "cannot read {part:?}: write base=DURATION,factor=NUMBER,cap=DURATION or some of them, such as base=1s,cap=1m"
    )
}

/// In thousandths.
fn parse_factor(text: &str) -> Result<u32, String> {
    let thousandths = decimal(text, u64::from(ONE)).and_then(|n| u32::try_from(n).ok());
    thousandths.filter(|n| (ONE..=LARGEST_FACTOR).contains(n)).ok_or_else(|| {
        format!("cannot use factor={text}: write a number from 1 to 100 with at most three decimals, such as 2 or 1.5")
    })
}

/// A duration as Go writes it, down to the millisecond: `500ms`, `1.5s`, `1m30s`, `0`.
fn duration(name: &str, text: &str) -> Result<SignedDuration, String> {
    let millis = millis(text).and_then(|millis| i64::try_from(millis).ok()).ok_or_else(|| {
        format!("cannot read {name}={text}: write numbers with the units h, m, s or ms, such as 500ms, 10s or 1m30s")
    })?;
    if millis > LONGEST as i64 {
        return Err(format!("{name}={text} is too long: write at most 24h"));
    }
    Ok(SignedDuration::from_millis(millis))
}

fn millis(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total) = (text, 0u64);
    loop {
        let (number, unit_on) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let end = unit_on.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit_on.len());
        let (unit, next) = unit_on.split_at(end);
        let unit = match unit {
            "ms" => MILLISECOND,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            _ => return None,
        };
        total = total.checked_add(decimal(number, unit)?)?;
        if next.is_empty() {
            return Some(total);
        }
        rest = next;
    }
}

/// `number` times `unit`, if that is a whole number: `1.5` times 1000 is 1500, `0.0001` times 1000 is nothing.
fn decimal(number: &str, unit: u64) -> Option<u64> {
    let digits = |text: &str| -> Option<u64> {
        let are_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if are_digits { text.parse().ok() } else { None }
    };
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (number, None),
    };
    let whole = digits(whole)?.checked_mul(unit)?;
    let Some(decimals) = decimals else { return Some(whole) };
    let scale = 10u64.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let scaled = digits(decimals)?.checked_mul(unit)?;
    scaled.is_multiple_of(scale).then_some(scaled / scale).and_then(|part| whole.checked_add(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn setting(base_millis: i64, factor_thousandths: u32, cap_millis: i64) -> Setting {
        let (base, cap) = (SignedDuration::from_millis(base_millis), SignedDuration::from_millis(cap_millis));
        Setting { base, factor_thousandths, cap }
    }

    #[test]
    fn each_part_may_be_left_out_and_stand_anywhere() {
        let cases = [
            ("base=1s,factor=2,cap=1m", setting(1000, 2000, 60_000)),
            ("cap=1m,base=1s,factor=2", setting(1000, 2000, 60_000)),
            ("base=1s", setting(1000, 2000, 600_000)),
            ("factor=1.5", setting(10_000, 1500, 600_000)),
            ("cap=10s", setting(10_000, 2000, 10_000)),
            ("base=0", setting(0, 2000, 600_000)),
            ("base=0s,cap=0", setting(0, 2000, 0)),
        ];
        for (text, want) in cases {
            assert_eq!(Setting::parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let good = [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("1s", 1000),
            ("1.5s", 1500),
            ("0.001s", 1),
            ("1.500000s", 1500),
            ("1m30s", 90_000),
            ("1h2m3s4ms", 3_723_004),
            ("24h", 86_400_000),
            ("1440m", 86_400_000),
        ];
        for (text, want) in good {
            let got = duration("cap", text);
            assert_eq!(got, Ok(SignedDuration::from_millis(want)), "{text}");
        }
        let unreadable = [
            "",
            "1",
            "s",
            "-1s",
            "+1s",
            "1 s",
            "1s ",
            "1d",
            "1us",
            "1ns",
            "1S",
            "1m30",
            ".5s",
            "1.s",
            "1..5s",
            "0.0001s",
            "0.5ms",
            "1e3s",
            "99999999999999999999s",
            "18446744073709551615h",
            "1.00000000000000000000s",
            "é",
            "1é",
            "1sé",
        ];
        for text in unreadable {
            let error = duration("cap", text).unwrap_err();
            assert!(error.starts_with(&format!("cannot read cap={text}: write ")), "{error}");
        }
        for text in ["24h1ms", "25h", "1441m", "24h0.001s"] {
            assert_eq!(duration("cap", text), Err(format!("cap={text} is too long: write at most 24h")));
        }
    }

    #[test]
    fn a_factor_lies_between_1_and_100() {
        for (text, want) in
            [("1", 1000), ("1.0", 1000), ("1.001", 1001), ("2", 2000), ("100", 100_000), ("100.000", 100_000)]
        {
            assert_eq!(parse_factor(text), Ok(want), "{text}");
        }
        for text in [
            "0",
            "0.999",
            "100.001",
            "101",
            "1.0001",
            "",
            "x",
            "-2",
            "+2",
            "2x",
            "1e1",
            "inf",
            "NaN",
            "99999999999999999999",
        ] {
            let error = parse_factor(text).unwrap_err();
            assert!(error.starts_with(&format!("cannot use factor={text}: write a number from 1 to 100")), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_write() {
        for (text, part) in
            [("", ""), ("1s", "1s"), ("base=1s,", ""), ("Base=1s", "Base=1s"), ("base=1s, cap=1m", " cap=1m")]
        {
            assert_eq!(Setting::parse(text), Err(form(part)), "{text}");
        }
        let repeated = "cap is given twice: leave one of them out";
        assert_eq!(Setting::parse("cap=1m,base=1s,cap=1m"), Err(repeated.to_owned()));
        assert!(Setting::parse("base=1s,cap=1d").unwrap_err().starts_with("cannot read cap=1d: "));
    }

    #[test]
    fn the_base_is_not_above_the_cap() {
        let cases = [
            ("base=2s,cap=1s", "base (2s) is longer than cap (1s): write a shorter base or a longer cap"),
            ("cap=5s", "base (10s, the default) is longer than cap (5s): write a shorter base or a longer cap"),
            ("base=11m", "base (11m) is longer than cap (10m, the default): write a shorter base or a longer cap"),
        ];
        for (text, want) in cases {
            assert_eq!(Setting::parse(text), Err(want.to_owned()), "{text}");
        }
        assert!(Setting::parse("base=1s,cap=1s").is_ok());
    }

    fn delays(text: &str, failures: &[u32]) -> Vec<f64> {
        let setting = Setting::parse(text).unwrap();
        failures.iter().map(|n| setting.delay(*n).as_secs_f64()).collect()
    }

    #[test]
    fn the_delay_grows_by_the_factor_up_to_the_cap() {
        let default: Vec<i64> = (0..9).map(|n| Setting::default().delay(n).as_secs()).collect();
        assert_eq!(default, [0, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(delays("base=1s,factor=1.5,cap=3s", &[1, 2, 3, 4, u32::MAX]), [1.0, 1.5, 2.25, 3.0, 3.0]);
        assert_eq!(delays("base=1s,factor=1,cap=1m", &[1, 2, u32::MAX]), [1.0, 1.0, 1.0]);
        assert_eq!(delays("base=0,factor=100", &[1, 2, u32::MAX]), [0.0, 0.0, 0.0]);
        assert_eq!(delays("base=1ms,factor=100,cap=24h", &[1, 2, 3, u32::MAX]), [0.001, 0.1, 10.0, 86_400.0]);
        assert_eq!(delays("base=1ms,factor=1.001,cap=24h", &[1, 20_000, u32::MAX]), [0.001, 86_400.0, 86_400.0]);
    }

    proptest! {
        #[test]
        fn the_delay_never_falls_and_never_passes_the_cap(
            base in 0i64..100_000, factor in 1000u32..=100_000, more in 0i64..86_000_000, first in any::<u32>(), step in 0u32..50,
        ) {
            let setting = setting(base, factor, base + more);
            for failures in [first % 60, first] {
                let (sooner, later) = (setting.delay(failures), setting.delay(failures.saturating_add(step)));
                prop_assert!(sooner <= later && later <= setting.cap, "{:?} {:?}", sooner, later);
                prop_assert!(failures == 0 || sooner >= setting.base);
            }
        }

        #[test]
        fn no_text_makes_reading_panic(text in "(base|cap|factor|[a-z])?=?[0-9.]{0,22}(ms|s|m|h|,)?[ -é]{0,6}") {
            if let Ok(setting) = Setting::parse(&text) {
                prop_assert!(setting.base <= setting.cap && setting.cap <= SignedDuration::from_hours(24));
            }
        }
    }
}

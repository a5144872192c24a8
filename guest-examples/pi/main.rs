//! pi N: prints pi, rounded to N significant digits (2000 unless given).
//!
//! The formula is John Machin's, of 1706:   pi = 16 arctan(1/5) - 4 arctan(1/239)
//! with the series                          arctan(1/x) = 1/x - 1/(3 x^3) + 1/(5 x^5) - ...
//!
//! A long number is a list of "limbs" of nine decimal digits each: limb 0 is the integer part, limb 1 holds the first
//! nine decimals, and so on. Machin's formula then needs only sums, and divisions of a long number by a small one.

use std::process::exit;

const LIMB: u64 = 1_000_000_000;
const LIMB_DIGITS: usize = 9;
/// A million digits take less than two million divisions, and each cuts off less than one unit of the last limb. So the
/// error stays within seven digits of the 27 in these limbs, which are computed but not printed.
const SPARE_LIMBS: usize = 3;
const MOST_DIGITS: usize = 1_000_000;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "2000".to_string());
    match wanted.parse() {
        Ok(digits) if (1..=MOST_DIGITS).contains(&digits) => println!("{}", pi(digits)),
        _ => {
            eprintln!("pi: '{wanted}' is not a number of digits from 1 to {MOST_DIGITS}");
            eprintln!("pi: say for example: pi 2000");
            exit(2);
        }
    }
}

/// Pi with this many significant digits, the last one rounded.
fn pi(digits: usize) -> String {
    let decimals = digits - 1;
    let last = 1 + decimals / LIMB_DIGITS; // the limb with the first decimal that is not printed
    let mut sum = vec![0; last + 1 + SPARE_LIMBS];
    add_arctan(&mut sum, 16, 5);
    add_arctan(&mut sum, -4, 239);

    // Round: add 5 to the first decimal that is not printed, then cut there.
    sum[last] += 5 * 10i64.pow((LIMB_DIGITS - 1 - decimals % LIMB_DIGITS) as u32);
    carry(&mut sum);
    let mut text = format!("{}.", sum[0]);
    for limb in &sum[1..] {
        text += &format!("{limb:09}");
    }
    text.truncate(if decimals == 0 { 1 } else { 2 + decimals });
    text
}

/// sum += factor * arctan(1/x). Leaves limbs above LIMB or below zero, for `carry` to put right at the end.
fn add_arctan(sum: &mut [i64], factor: i64, x: u64) {
    // `power` is factor / x^n for n = 1, 3, 5, ... without its sign.
    let mut power = vec![0; sum.len()];
    power[0] = factor.unsigned_abs();
    divide(&mut power, x);

    let mut sign = factor.signum();
    let mut first = 0; // the limbs of `power` before this one have become zero
    for n in (1..).step_by(2) {
        while power[first] == 0 {
            first += 1;
            if first == power.len() {
                return;
            }
        }
        let mut rest = 0;
        for (limb, total) in power[first..].iter().zip(&mut sum[first..]) {
            let value = rest * LIMB + limb;
            *total += sign * (value / n) as i64;
            rest = value % n;
        }
        divide(&mut power[first..], x * x);
        sign = -sign;
    }
}

/// number /= divisor, as on paper: from the left, each remainder carried to the next limb.
fn divide(number: &mut [u64], divisor: u64) {
    let mut rest = 0;
    for limb in number {
        let value = rest * LIMB + *limb;
        *limb = value / divisor;
        rest = value % divisor;
    }
}

/// Brings every limb but the first into 0..LIMB, from the right, without changing the number.
fn carry(number: &mut [i64]) {
    for i in (1..number.len()).rev() {
        number[i - 1] += number[i].div_euclid(LIMB as i64);
        number[i] = number[i].rem_euclid(LIMB as i64);
    }
}

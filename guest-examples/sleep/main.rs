//! sleep SECONDS: waits for this long, fractions allowed, and uses no CPU meanwhile.

use std::process::exit;
use std::thread;
use std::time::Duration;

const LONGEST: f64 = 1e9; // about 31 years

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match wanted.parse::<f64>() {
        Ok(seconds) if (0.0..=LONGEST).contains(&seconds) => {
            println!("sleeping for {seconds} s");
            thread::sleep(Duration::from_secs_f64(seconds));
            println!("slept for {seconds} s");
        }
        _ => {
            eprintln!("sleep: '{wanted}' is not a number of seconds from 0 to {LONGEST}");
            eprintln!("sleep: say for example: sleep 1.5");
            exit(2);
        }
    }
}

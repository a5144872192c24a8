//! exit-code CODE: ends with this exit code, 0 to 255.
//!
//! For Jobs, 0 means success and anything else failure; a podFailurePolicy can tell one code from another.

use std::process::exit;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match wanted.parse::<u8>() {
        Ok(code) => {
            println!("ending with exit code {code}");
            exit(code.into());
        }
        Err(_) => {
            eprintln!("exit-code: '{wanted}' is not an exit code from 0 to 255");
            eprintln!("exit-code: say for example: exit-code 3");
            exit(2);
        }
    }
}

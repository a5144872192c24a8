//! chatty [LINES]: writes numbered lines as fast as they are taken, for ever unless told how many.

use std::io::{self, BufWriter, Write};
use std::process::exit;

const WORDS: &str = "the quick brown fox jumps over the lazy dog";

fn main() -> io::Result<()> {
    let lines = match std::env::args().nth(1) {
        None => u64::MAX,
        Some(wanted) => wanted.parse().unwrap_or_else(|_| {
            eprintln!("chatty: '{wanted}' is not a number of lines");
            eprintln!("chatty: say for example: chatty 1000, or chatty alone to go on for ever");
            exit(2);
        }),
    };
    // One call to the host for many lines, where println would make one call for each.
    let mut out = BufWriter::new(io::stdout().lock());
    for line in 1..=lines {
        writeln!(out, "{line} {WORDS}")?;
    }
    out.flush()
}

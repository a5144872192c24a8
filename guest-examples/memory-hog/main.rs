//! memory-hog MIB: takes memory, one MiB at a time, writes to all of it, and tells how far it came.
//!
//! With a memory limit below MIB it does not reach its end, and its last line of output tells where it stopped.
//! The program itself needs some memory too, so that is a little before the limit.

use std::process::exit;

const MIB: usize = 1024 * 1024;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let goal: usize = wanted.parse().unwrap_or_else(|_| {
        eprintln!("memory-hog: '{wanted}' is not a number of MiB");
        eprintln!("memory-hog: say for example: memory-hog 64");
        exit(2);
    });
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while taken.len() < goal {
        taken.push(vec![1; MIB]);
        println!("{} MiB", taken.len());
    }
    // Reading the memory back keeps the compiler from leaving it out.
    let bytes: usize = taken.iter().flatten().map(|byte| usize::from(*byte)).sum();
    println!("done, all {} MiB at once", bytes / MIB);
}

//! hello NAME...: greets each name, with the word in the environment variable GREETING.
//!
//! Shows how a pod's `command`, `args` and `env` reach a program: `command` and `args` together are its argument
//! list, whose first word is by custom the program's own name, and `env` is its environment.

use std::env;

fn main() {
    let greeting = env::var("GREETING").unwrap_or_else(|_| "Hello".to_string());
    let mut names: Vec<String> = env::args().skip(1).collect();
    if names.is_empty() {
        names.push("world".to_string());
    }
    for name in names {
        println!("{greeting}, {name}!");
    }
}

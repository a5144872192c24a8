//! fail-once [DIRECTORY]: fails the first time and succeeds the second, for what lasts from one try to the next.
//!
//! It remembers by a file in DIRECTORY, /state unless given. With restartPolicy OnFailure the container starts again
//! in the same pod, and an emptyDir volume lives as long as its pod.

use std::fs::File;
use std::path::Path;
use std::process::exit;

fn main() {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "/state".to_string());
    let mark = Path::new(&directory).join("tried");
    if mark.exists() {
        println!("found {}: this is not the first try, all is well", mark.display());
        return;
    }
    match File::create(&mark) {
        Ok(_) => {
            println!("left {} and failing: start me again", mark.display());
            exit(1);
        }
        Err(error) => {
            eprintln!("fail-once: cannot write {}: {error}", mark.display());
            eprintln!("fail-once: mount a volume there, or name another directory");
            exit(2);
        }
    }
}

//! Tests of the real program through its real clients: `kubectl`, HTTP, files and signals. Each test has a server, a
//! port and a directory of its own; none depends on another. [`harness`] starts and watches the program.

mod bad_input;
mod crash;
mod deadlines;
mod harness;
mod jobs;
mod kubectl;
mod run;

//! Runs one WebAssembly module under limits, and says how it ended.
//!
//! What: [`Compiler::compile`] turns a `.wasm` into machine code, [`Sandbox::load_file`] maps that code, and
//! [`Sandbox::run`] runs it once, in a fresh instance, to an [`Ending`]: an [`Outcome`] and what was used.
//! Why: everything that a module may do to the machine passes through here, so every limit is enforced here and
//! tested here, obeyed and violated.
//!
//! Never:
//! - a guest outlives its deadline by more than a few milliseconds, whatever it does: computes, sleeps, writes, grows,
//!   fills. One exception is wasmtime's: a collection of garbage, or the filling of an array, is not interrupted, and takes
//!   up to 2 ms per MiB of the heap, whose size has a limit of its own for that reason;
//! - a guest gets a file, a variable, an argument or a byte of input that its [`Run`] did not name, or an address that it
//!   did not allow;
//! - a guest makes the host panic, block a thread of the runtime, or hold memory out of proportion to its own limit;
//! - anything of a run is left when `run` returns or its future is dropped: slot, stack, memory and handles are free;
//! - a word of Kubernetes.

mod compile;
mod devices;
mod directory;
mod disk;
mod engine;
mod file_output;
mod files;
mod files_component;
mod files_core;
mod http;
mod limits;
mod meter;
mod network;
mod outcome;
mod program;
mod refusal;
mod rewrite;
mod run;
mod stdio;
mod stop;
mod ticker;
mod turns;
mod usage;
mod wasi;

pub use compile::Compiler;
pub use devices::DEVICES;
pub use directory::open_without_links;
pub use disk::{Area, Disk};
pub use engine::{Sandbox, SandboxConfig, SandboxError};
pub use meter::{Meter, Reading};
pub use network::Network;
pub use outcome::{Outcome, TrapKind};
pub use program::{Facts, LoadError, Program, ProgramKind};
pub use refusal::Refusal;
pub use run::{Ending, Limits, Run, Usage};
pub use stdio::{Sink, Stream};
pub use stop::{Cancel, Deadline};
pub use wasi::Mount;

#[cfg(test)]
mod tests;

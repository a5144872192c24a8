//! The ways in which a run can end, and the one function that tells them apart.

use std::fmt::{self, Write};

use wasmtime::{GcHeapOutOfMemory, PoolConcurrencyLimitError, ThrownException, Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use super::disk::DiskError;

/// The longest message about a trap, backtrace included. Function names are the guest's to choose, and may be long.
const MAX_MESSAGE: usize = 4096;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program ended by itself. A return from `_start` is code 0; a component's failure is code 1.
    Exited { code: u8 },
    /// It was stopped at its deadline, or the deadline had passed before it started.
    DeadlineExceeded,
    /// It burned all of its own fuel limit.
    FuelExhausted { limit: u64 },
    /// It was refused memory beyond its limit, and could not go on without.
    MemoryLimit { limit_bytes: u64 },
    /// It wrote more below the directory `area` than its limit.
    DiskLimit { area: String, limit_bytes: u64 },
    /// It did what WebAssembly does not allow. `message` says what and where, with the guest's function names.
    Trap { kind: TrapKind, message: String },
    /// It was stopped through its [`super::Cancel`].
    Cancelled,
    /// It did not start, and would not if tried again: the module and what it was given do not fit together.
    StartFailed { reason: String },
    /// The host could not do its part; another try may succeed.
    HostError { message: String },
}

/// What kind of trap: a short list that a status or a metric can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrapKind {
    /// Recursion too deep.
    StackOverflow,
    /// The program gave up: `abort`, a panic, a failed assertion.
    Unreachable,
    /// A wild pointer, or the overflow of a stack that the program keeps in its own memory.
    MemoryOutOfBounds,
    /// An integer divided by zero, an overflow, or a number without an integer.
    Arithmetic,
    /// A call through a function pointer that points to no function, or to one of another type.
    IndirectCall,
    /// The program threw an exception that it does not catch.
    UncaughtException,
    /// More open files and polled events than the sandbox allows.
    TooManyHandles,
    /// A call of the host with arguments that it cannot accept.
    HostCall,
    /// Any other.
    Other,
}

impl TrapKind {
    pub fn as_str(self) -> &'static str {
        match self {
            TrapKind::StackOverflow => "StackOverflow",
            TrapKind::Unreachable => "Unreachable",
            TrapKind::MemoryOutOfBounds => "MemoryOutOfBounds",
            TrapKind::Arithmetic => "Arithmetic",
            TrapKind::IndirectCall => "IndirectCall",
            TrapKind::UncaughtException => "UncaughtException",
            TrapKind::TooManyHandles => "TooManyHandles",
            TrapKind::HostCall => "HostCall",
            TrapKind::Other => "Other",
        }
    }
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stop that the host decided on, as it travels through the guest's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    #[error("deadline exceeded")]
    Deadline,
    #[error("cancelled")]
    Cancelled,
}

/// What must be known besides the error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Whether the instance was complete, so that the error is the program's own doing.
    pub(super) started: bool,
    /// Whether the guest's last request for memory was refused.
    pub(super) memory_denied: bool,
    pub(super) memory_limit: u64,
    /// The limit of the heap of garbage-collected objects.
    pub(super) heap_limit: u64,
    /// The guest's own fuel limit, if that, and not its deadline, set the fuel it was given.
    pub(super) fuel_limit: Option<u64>,
}

/// Tells how a run ended.
pub(super) fn outcome(result: wasmtime::Result<()>, facts: Facts) -> Outcome {
    let out_of_memory = Outcome::MemoryLimit { limit_bytes: facts.memory_limit };
    let Err(error) = result else { return Outcome::Exited { code: 0 } };
    if let Some(I32Exit(code)) = error.downcast_ref() {
        // A program that checks its allocations exits with a code of its own; `malloc` has told it, and we tell others.
        return match (code & 0xff) as u8 {
            0 => Outcome::Exited { code: 0 },
            _ if facts.memory_denied => out_of_memory,
            code => Outcome::Exited { code },
        };
    }
    match error.downcast_ref() {
        Some(Stop::Deadline) => return Outcome::DeadlineExceeded,
        Some(Stop::Cancelled) => return Outcome::Cancelled,
        None => {}
    }
    match error.downcast_ref() {
        Some(DiskError::Full { area, limit_bytes }) => {
            return Outcome::DiskLimit { area: area.clone(), limit_bytes: *limit_bytes };
        }
        Some(unmeasured @ DiskError::Unmeasured { .. }) => {
            return Outcome::HostError { message: unmeasured.to_string() };
        }
        None => {}
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Outcome::HostError { message: format!("no free slot to run in: {error}") };
    }
    if error.is::<GcHeapOutOfMemory<()>>() {
        return Outcome::MemoryLimit { limit_bytes: facts.heap_limit };
    }
    let trap = error.downcast_ref::<Trap>().copied();
    if trap == Some(Trap::OutOfFuel) {
        // The fuel that goes with a deadline ends only when the deadline was missed.
        return facts.fuel_limit.map_or(Outcome::DeadlineExceeded, |limit| Outcome::FuelExhausted { limit });
    }
    if let (None, false) = (trap, facts.started) {
        return match error.downcast_ref::<std::io::Error>() {
            Some(_) => Outcome::HostError { message: message(&error) },
            None => Outcome::StartFailed { reason: message(&error) },
        };
    }
    match trap_kind(&error, trap) {
        // Recursion has its own limit, whatever else was refused.
        TrapKind::StackOverflow => Outcome::Trap { kind: TrapKind::StackOverflow, message: message(&error) },
        _ if facts.memory_denied => out_of_memory,
        kind => Outcome::Trap { kind, message: message(&error) },
    }
}

fn trap_kind(error: &wasmtime::Error, trap: Option<Trap>) -> TrapKind {
    match trap {
        Some(Trap::StackOverflow) => TrapKind::StackOverflow,
        Some(Trap::UnreachableCodeReached) => TrapKind::Unreachable,
        Some(Trap::MemoryOutOfBounds) => TrapKind::MemoryOutOfBounds,
        Some(Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger) => {
            TrapKind::Arithmetic
        }
        Some(Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature) => TrapKind::IndirectCall,
        Some(_) => TrapKind::Other,
        None if error.is::<ThrownException>() => TrapKind::UncaughtException,
        None if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) => TrapKind::TooManyHandles,
        None => TrapKind::HostCall,
    }
}

/// What happened, then where: at most [`MAX_MESSAGE`] bytes, without control characters.
fn message(error: &wasmtime::Error) -> String {
    let mut text = Bounded(String::new());
    // Fails when the message is full, and then it is complete enough.
    let _ = write_message(&mut text, error);
    text.0
}

fn write_message(text: &mut Bounded, error: &wasmtime::Error) -> fmt::Result {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    if let Some(trap) = error.downcast_ref::<Trap>() {
        write!(text, "{trap}")?;
    } else if error.is::<ThrownException>() {
        write!(text, "uncaught exception")?;
    } else if backtrace.is_some() {
        // The backtrace is the outermost context of the error: below it is what happened.
        for (i, cause) in error.chain().skip(1).enumerate() {
            write!(text, "{}{cause}", if i > 0 { ": " } else { "" })?;
        }
    } else {
        write!(text, "{error:#}")?;
    }
    match backtrace {
        Some(backtrace) => write!(text, "\n{backtrace}"),
        None => Ok(()),
    }
}

/// Takes text until it is full. A writer that stops early keeps a hostile name from being copied at all.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            // Line breaks are ours; what could move a terminal's cursor is not.
            let c = if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
            if self.0.len() + c.len_utf8() > MAX_MESSAGE {
                return Err(fmt::Error);
            }
            self.0.push(c);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts =
        Facts { started: true, memory_denied: false, memory_limit: 64, heap_limit: 32, fuel_limit: None };

    fn trap(kind: TrapKind, message: &str) -> Outcome {
        Outcome::Trap { kind, message: message.to_owned() }
    }

    #[test]
    fn each_way_to_end_has_its_outcome() {
        let denied = Facts { memory_denied: true, ..FACTS };
        let fueled = Facts { fuel_limit: Some(9), ..FACTS };
        let starting = Facts { started: false, ..FACTS };
        let out_of_memory = Outcome::MemoryLimit { limit_bytes: 64 };
        let table: Vec<(&str, wasmtime::Result<()>, Facts, Outcome)> = vec![
            ("returns", Ok(()), FACTS, Outcome::Exited { code: 0 }),
            ("returns after a refused growth", Ok(()), denied, Outcome::Exited { code: 0 }),
            ("exit 0", Err(I32Exit(0).into()), denied, Outcome::Exited { code: 0 }),
            ("exit 3", Err(I32Exit(3).into()), FACTS, Outcome::Exited { code: 3 }),
            ("exit 255", Err(I32Exit(255).into()), FACTS, Outcome::Exited { code: 255 }),
            ("exit 3 after a refused growth", Err(I32Exit(3).into()), denied, out_of_memory.clone()),
            ("deadline", Err(Stop::Deadline.into()), denied, Outcome::DeadlineExceeded),
            ("cancel", Err(Stop::Cancelled.into()), denied, Outcome::Cancelled),
            (
                "a full directory",
                Err(DiskError::Full { area: "data".to_owned(), limit_bytes: 7 }.into()),
                denied,
                Outcome::DiskLimit { area: "data".to_owned(), limit_bytes: 7 },
            ),
            (
                "a directory that is in the host's way",
                Err(DiskError::Unmeasured { area: "data".to_owned(), error: std::io::Error::other("no") }.into()),
                FACTS,
                Outcome::HostError { message: "cannot measure the directory of data: no".to_owned() },
            ),
            (
                "an exception that nobody catches",
                Err(ThrownException.into()),
                FACTS,
                trap(TrapKind::UncaughtException, "uncaught exception"),
            ),
            ("own fuel", Err(Trap::OutOfFuel.into()), fueled, Outcome::FuelExhausted { limit: 9 }),
            ("the deadline's fuel", Err(Trap::OutOfFuel.into()), FACTS, Outcome::DeadlineExceeded),
            (
                "abort",
                Err(Trap::UnreachableCodeReached.into()),
                FACTS,
                trap(TrapKind::Unreachable, "wasm trap: wasm `unreachable` instruction executed"),
            ),
            ("abort after a refused growth", Err(Trap::UnreachableCodeReached.into()), denied, out_of_memory),
            (
                "recursion after a refused growth",
                Err(Trap::StackOverflow.into()),
                denied,
                trap(TrapKind::StackOverflow, "wasm trap: call stack exhausted"),
            ),
            (
                "a trap in the start function",
                Err(Trap::IntegerDivisionByZero.into()),
                starting,
                trap(TrapKind::Arithmetic, "wasm trap: integer divide by zero"),
            ),
            (
                "too many files",
                Err(ResourceTableError::Full.into()),
                FACTS,
                trap(TrapKind::TooManyHandles, "resource table has no free keys"),
            ),
            (
                "a bad pointer given to the host",
                Err(wasmtime::format_err!("out of bounds")),
                FACTS,
                trap(TrapKind::HostCall, "out of bounds"),
            ),
            (
                "cannot be instantiated",
                Err(wasmtime::format_err!("too large")),
                starting,
                Outcome::StartFailed { reason: "too large".to_owned() },
            ),
            (
                "the system refuses memory at start",
                Err(std::io::Error::other("no maps left").into()),
                starting,
                Outcome::HostError { message: "no maps left".to_owned() },
            ),
        ];
        for (case, result, facts, expected) in table {
            assert_eq!(outcome(result, facts), expected, "{case}");
        }
    }

    #[test]
    fn a_message_is_cut_at_its_bound_and_holds_no_control_characters() {
        let text = message(&wasmtime::format_err!("\u{1b}[2J\n{}", "ü".repeat(10_000)));
        assert!(text.starts_with("\u{fffd}[2J\nü"), "{text}");
        assert!(text.len() <= MAX_MESSAGE && text.len() > MAX_MESSAGE - 4, "{}", text.len());
    }
}

//! Where modules are compiled: in a process of its own, which may end for a bad one.
//!
//! ```text
//!   this process:  compile_in_child ──► starts itself again as `kiln compile-module …`, waits, says what came of it
//!   that process:  compile_here     ──► limits itself, reads the module, checks its digest, compiles, writes code, tells its
//!                                       digest and what the module says of itself
//! ```
//!
//! Why: the compiler's time and memory grow with what a module makes it do, and not only with the module's size: some kilobytes
//! keep it busy for minutes. In a process of its own it meets its limits, crashes or is killed, and pods and the API do
//! not notice. What the child writes is believed only as far as its digest: which it tells by another way than the file.
//!
//! Never: a module's bytes in the memory of the process that serves; a child that outlives it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use sha2::{Digest as _, Sha256};

use super::describe::{Description, describe};
use super::digest::Digest;
use crate::sandbox::{Compiler, Refusal, SandboxConfig};

/// How the child ends, beside 0.
mod code {
    /// It says on stdout why the module is refused.
    pub(super) const REFUSED: u8 = 3;
    pub(super) const OUT_OF_MEMORY: u8 = 4;
    /// The module's file cannot be read, or holds other bytes than its name says.
    pub(super) const BAD_FILE: u8 = 5;
    /// The machine does not do its part.
    pub(super) const FAILED: u8 = 6;
}

/// Bytes of what the child says that are kept: a description takes the most, and is bounded itself.
const MAX_SAID: u64 = 64 << 10;

/// The child gives way to guests and to the API where cores are short: a quarter of what they get.
const NICE: i32 = 5;

/// What one compilation may use. The defaults are `config`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of address space, of which nearly all is memory.
    pub memory_bytes: u64,
    /// Seconds of computing, on all cores together.
    pub cpu_seconds: u64,
    /// Seconds by the clock.
    pub wall_seconds: u64,
}

/// Where modules are compiled.
#[derive(Clone, Debug)]
pub enum CompileIn {
    /// In this process, without limits: for tests, whose program cannot be started as a compiler.
    ThisProcess,
    /// In a child: the program to start, and the limits that it keeps.
    Child { program: PathBuf, limits: CompileLimits },
}

impl CompileIn {
    /// In a child that runs this very program, also when its file has been replaced meanwhile.
    pub fn child(limits: CompileLimits) -> CompileIn {
        CompileIn::Child { program: PathBuf::from("/proc/self/exe"), limits }
    }
}

/// Why there is no compiled code.
#[derive(Debug)]
pub(super) enum CompileError {
    Refused(Refusal),
    BadFile,
    /// Another try may succeed.
    Failed(String),
}

/// What is compiled, for which sandbox, and to where.
#[derive(Clone, Debug)]
pub struct Order {
    pub module: PathBuf,
    pub digest: Digest,
    /// A file that exists, and is written.
    pub output: PathBuf,
    pub max_memory_bytes: u64,
    pub max_table_elements: usize,
    pub stack_bytes: usize,
}

impl Order {
    fn args(&self, limits: &CompileLimits) -> Vec<String> {
        let numbers = [
            ("parent", u64::from(std::process::id())),
            ("memory", limits.memory_bytes),
            ("cpu-seconds", limits.cpu_seconds),
            ("max-memory-bytes", self.max_memory_bytes),
            ("max-table-elements", self.max_table_elements as u64),
            ("stack-bytes", self.stack_bytes as u64),
        ];
        numbers.iter().map(|(name, number)| format!("--{name}={number}")).collect()
    }
}

/// Compiles in a child, and returns the digest of what is in `output` now, and what was said of the module. Blocks until the
/// child has ended.
pub(super) fn compile_in_child(
    program: &Path,
    limits: &CompileLimits,
    order: &Order,
) -> Result<(Digest, Description), CompileError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| CompileError::Failed(format!("cannot {what}: {error}"))
    };
    let (said, saying) = io::pipe().map_err(failed("make a pipe"))?;
    let mut command = Command::new(program);
    command.arg0("kiln").arg("compile-module").args(order.args(limits));
    command.arg("--digest").arg(order.digest.to_string());
    command.arg("--module").arg(&order.module).arg("--output").arg(&order.output);
    // The environment can change how libraries behave, and a compiler needs none. The allocator would reserve a gibibyte
    // at its start, which counts toward the limit.
    command.env_clear().env("RUST_BACKTRACE", "0").env("MIMALLOC_DISALLOW_ARENA_ALLOC", "1").stdin(Stdio::null());
    command.stdout(saying.try_clone().map_err(failed("copy a pipe"))?).stderr(saying);
    let mut child = command.spawn().map_err(failed("start the compiler"))?;
    // It holds ends of the pipe, which otherwise would never close.
    drop(command);
    let (done, ended) = mpsc::channel();
    let reader = thread::Builder::new().name("kiln-compile-out".to_owned()).spawn(move || {
        let _ = done.send(read_some(said));
    });
    let in_time = match &reader {
        Ok(_) => ended.recv_timeout(Duration::from_secs(limits.wall_seconds)),
        Err(_) => Err(RecvTimeoutError::Disconnected),
    };
    // By itself it ends right after the pipe has closed; it is not waited for if that is not why we are here.
    if in_time.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed("wait for the compiler"))?;
    match (in_time, reader) {
        (Ok(said), _) => result(status, &said, limits, order),
        (Err(RecvTimeoutError::Timeout), _) => Err(too_costly(format_args!("{} s", limits.wall_seconds))),
        (Err(RecvTimeoutError::Disconnected), Err(error)) => Err(failed("start a thread")(error)),
        (Err(RecvTimeoutError::Disconnected), Ok(_)) => {
            Err(CompileError::Failed("the compiler's words were lost".into()))
        }
    }
}

/// What the child says, to its end; the beginning is kept.
fn read_some(mut from: impl Read) -> String {
    let mut kept = Vec::new();
    // What cannot be read is not known; the status says the rest.
    let _ = from.by_ref().take(MAX_SAID).read_to_end(&mut kept);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&kept).trim().to_owned()
}

fn too_costly(limit: impl fmt::Display) -> CompileError {
    CompileError::Refused(Refusal::TooCostly { limit: limit.to_string() })
}

/// From how the child ended.
fn result(
    status: ExitStatus,
    said: &str,
    limits: &CompileLimits,
    order: &Order,
) -> Result<(Digest, Description), CompileError> {
    let out_of_memory = || too_costly(format_args!("{} MiB of memory", limits.memory_bytes >> 20));
    // What Rust says before it gives up, and what a thread says for which there is no stack.
    let says_so = ["memory allocation of", "ThreadPoolBuildError"].iter().any(|words| said.contains(words));
    let is = |code: u8| status.code() == Some(i32::from(code));
    let signalled = |signal: Signal| status.signal() == Some(signal.as_raw());
    if status.success() {
        let written = digest_of(&order.output).map_err(|error| CompileError::Failed(error.to_string()))?;
        // First the digest, then the description: one line each.
        let (told, described) = said.split_once('\n').unwrap_or((said, ""));
        match (told.parse(), serde_json::from_str(described)) {
            (Ok(told), Ok(description)) if written == told => Ok((written, description)),
            _ => Err(CompileError::Failed(format!("the compiled code is not what the compiler told of: {said}"))),
        }
    } else if is(code::REFUSED) {
        Err(CompileError::Refused(Refusal::Told { message: said.to_owned() }))
    } else if is(code::OUT_OF_MEMORY) || says_so {
        Err(out_of_memory())
    } else if is(code::BAD_FILE) {
        Err(CompileError::BadFile)
    } else if signalled(Signal::XCPU) {
        Err(too_costly(format_args!("{} s of computing", limits.cpu_seconds)))
    } else if is(code::FAILED) || [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP].map(signalled).contains(&true)
    {
        // Not our kill: most likely the kernel's, which chooses the compiler first when memory runs out; or the user's,
        // whose Ctrl-C reaches it too.
        Err(CompileError::Failed(format!("the compiler ended early ({status}) {said}")))
    } else {
        Err(CompileError::Refused(Refusal::CompilerFailed { how: format!("{status} {said}").trim().to_owned() }))
    }
}

fn digest_of(file: &Path) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(file)?, &mut hash)?;
    Ok(Digest::from_hash(hash))
}

/// The child: compiles as ordered, under `limits`, and ends with its parent. Returns the exit code.
///
/// The limits come before anything else, and the whole process is subject to them: nothing else may be done in it.
pub fn compile_here(order: &Order, limits: &CompileLimits, parent: u32) -> u8 {
    if let Err(error) = limit_this_process(limits, parent) {
        say(&format!("the limits cannot be set: {error}"));
        return code::FAILED;
    }
    let wasm = match std::fs::read(&order.module) {
        Ok(wasm) if Digest::of(&wasm) == order.digest => wasm,
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => return code::OUT_OF_MEMORY,
        _ => return code::BAD_FILE,
    };
    let config = SandboxConfig {
        max_memory_bytes: order.max_memory_bytes,
        max_table_elements: order.max_table_elements,
        stack_bytes: order.stack_bytes,
        ..SandboxConfig::default()
    };
    let compiled = match Compiler::new(&config) {
        Ok(compiler) => compiler.compile(&wasm),
        Err(error) => {
            say(&error.to_string());
            return code::FAILED;
        }
    };
    match compiled {
        Ok(compiled) => match std::fs::write(&order.output, &compiled) {
            Ok(()) => {
                // A description always is JSON.
                let description = serde_json::to_string(&describe(&wasm)).unwrap_or_default();
                say(&format!("{}\n{description}", Digest::of(&compiled)));
                0
            }
            Err(error) => {
                say(&format!("{}: {error}", order.output.display()));
                code::FAILED
            }
        },
        Err(Refusal::OutOfMemory) => code::OUT_OF_MEMORY,
        Err(refusal) => {
            say(&refusal.to_string());
            code::REFUSED
        }
    }
}

/// To the parent, which reads to the end: if it is gone, nobody listens.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn limit_this_process(limits: &CompileLimits, parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let has_parent = |pid: Pid| u32::try_from(pid.as_raw_pid()) == Ok(parent);
    if !rustix::process::getppid().is_some_and(has_parent) {
        return Err(io::Error::other("the parent has ended already"));
    }
    let limit = |resource, soft: u64, hard: u64| {
        rustix::process::setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
    };
    limit(Resource::As, limits.memory_bytes, limits.memory_bytes)?;
    // At the first the signal that tells why, at the second the end.
    limit(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds.saturating_add(1))?;
    limit(Resource::Core, 0, 0)?;
    // If the machine runs out of memory, this process is the one to end. It can do without either.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = rustix::process::nice(NICE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A compiler made of a shell script. It gets the path of the output as its last argument.
    fn run(script: &str) -> Result<(Digest, Description), CompileError> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("compiler");
        std::fs::write(&program, format!("#!/bin/sh\nfor output; do :; done\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let order = Order {
            module: directory.path().join("module"),
            digest: Digest::of(b"module"),
            output: directory.path().join("output"),
            max_memory_bytes: 0,
            max_table_elements: 0,
            stack_bytes: 0,
        };
        let limits = CompileLimits { memory_bytes: 64 << 20, cpu_seconds: 0, wall_seconds: 1 };
        loop {
            // A child that another test starts at this moment may still hold the script open.
            match compile_in_child(&program, &limits, &order) {
                Err(CompileError::Failed(message)) if message.contains("Text file busy") => {}
                result => return result,
            }
        }
    }

    fn refused(script: &str) -> (bool, String) {
        match run(script).unwrap_err() {
            CompileError::Refused(refusal) => (refusal.is_hopeless(), refusal.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn code_is_believed_if_its_digest_is_told_and_no_other() {
        let digest = Digest::of(b"code");
        let description = Description { exports: vec!["_start".to_owned()], ..Description::default() };
        let said = serde_json::to_string(&description).unwrap();
        let told = run(&format!("printf code > \"$output\"; echo '{digest}'; printf '{said}'")).unwrap();
        assert_eq!(told, (digest, description));
        for script in [
            format!("printf cod > \"$output\"; echo '{digest}'; printf '{said}'"),
            format!("printf code > \"$output\"; echo '{digest}'; printf 'hello'"),
            format!("printf code > \"$output\"; echo '{digest}'"),
            "printf code > \"$output\"".to_owned(),
        ] {
            assert!(matches!(run(&script), Err(CompileError::Failed(_))), "{script}");
        }
    }

    #[test]
    fn each_way_to_end_is_told_apart() {
        assert_eq!(refused("echo because; exit 3"), (false, "because".to_owned()));
        for script in ["exit 4", "echo memory allocation of 9 bytes failed >&2; kill -ABRT $$"] {
            let (hopeless, message) = refused(script);
            assert!(hopeless && message.contains("within 64 MiB of memory"), "{script}: {message}");
        }
        let (hopeless, message) = refused("kill -XCPU $$");
        assert!(hopeless && message.contains("within 0 s of computing"), "{message}");
        let (hopeless, message) = refused("echo panicked at x >&2; exit 101");
        assert!(hopeless && message.contains("the compiler failed") && message.contains("panicked at x"), "{message}");
        let (hopeless, message) = refused("kill -SEGV $$");
        assert!(hopeless && message.contains("signal: 11"), "{message}");
        assert!(matches!(run("exit 5"), Err(CompileError::BadFile)));
        for script in ["exit 6", "kill -KILL $$", "kill -INT $$"] {
            assert!(matches!(run(script), Err(CompileError::Failed(_))), "{script}");
        }
    }

    #[test]
    fn a_compiler_that_does_not_end_is_killed_and_one_that_talks_without_end_is_cut_short() {
        let (hopeless, message) = refused("exec sleep 1000");
        assert!(hopeless && message.contains("within 1 s"), "{message}");
        let (_, message) = refused("i=0; while [ $i -lt 8000 ]; do echo 0123456789; i=$((i+1)); done; exit 3");
        assert!(message.len() as u64 <= MAX_SAID, "{}", message.len());
    }

    #[test]
    fn a_program_that_cannot_be_started_is_no_fault_of_the_module() {
        let order = Order {
            module: "/m".into(),
            digest: Digest::of(b""),
            output: "/o".into(),
            max_memory_bytes: 0,
            max_table_elements: 0,
            stack_bytes: 0,
        };
        let limits = CompileLimits { memory_bytes: 1, cpu_seconds: 1, wall_seconds: 1 };
        let error = compile_in_child(Path::new("/does/not/exist"), &limits, &order).unwrap_err();
        assert!(matches!(error, CompileError::Failed(message) if message.contains("start the compiler")));
    }
}

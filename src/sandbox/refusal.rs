//! Why a module is not accepted, in the words of who made it, and what to do about it.

use super::program::ProgramKind;
use super::wasi::PREVIEW1;

/// How many missing imports a message names.
const NAMED_IMPORTS: usize = 8;

/// What components may import from.
pub(super) const OFFERED_PACKAGES: [&str; 7] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:http/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Why a module is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("not a WebAssembly module: {looks_like}")]
    NotWasm { looks_like: &'static str },
    #[error("not a valid WebAssembly module: {message}")]
    Invalid { message: String },
    #[error("the module uses {feature}, which kiln does not offer; {remedy}")]
    Feature { feature: &'static str, remedy: &'static str },
    #[error(
        "the module is a library (it exports no `_start`), and a Job needs a program: build it as a command, with a \
         `main` (in Rust without `crate-type = [\"cdylib\"]`, in C without `-mexec-model=reactor`, in Go without \
         `-buildmode=c-shared`)"
    )]
    Library,
    #[error("the module's `_start` is not a function without parameters and results, so it is not a WASI command")]
    BadStart,
    #[error(
        "the component does not export `wasi:cli/run`, so it is a library, and a Job needs a program: build it as a command"
    )]
    ComponentWithoutRun,
    #[error(
        "the module is made for {host}, and kiln runs WASI programs: build it for WASI (in Rust `--target \
         wasm32-wasip1`, in Go `GOOS=wasip1 GOARCH=wasm`, in C with the WASI SDK)"
    )]
    OtherHost { host: &'static str },
    #[error(
        "the module uses `wasi_unstable`, a preview of WASI from 2019: build it with a current toolchain (Rust 1.41, \
         WASI SDK 8 or later)"
    )]
    Preview0,
    #[error("imports {missing}, which kiln does not offer; offered: {PREVIEW1}, or WASI 0.2 for components")]
    Imports { missing: String },
    #[error("the module calls WASI but does not export its memory as `memory`, without which WASI cannot work")]
    NoMemory,
    #[error("the module needs {needed} bytes of memory at start, and this node gives at most {max}")]
    Memory { needed: u64, max: u64 },
    #[error("the module has a table of {needed} entries, and this node gives at most {max}")]
    Table { needed: u64, max: u64 },
    #[error("the module has {count} tables, and kiln gives at most {max}")]
    Tables { count: u32, max: u32 },
    #[error("the module has {count} memories, and kiln gives one")]
    Memories { count: u32 },
    #[error("the compiler ran out of memory")]
    OutOfMemory,
    /// The compiler did not come to an end with it; `limit` says which limit it met.
    #[error(
        "the module cannot be compiled within {limit}, which this node allows: split its largest functions, or simplify them"
    )]
    TooCostly { limit: String },
    /// The compiler failed at it, which is no fault of a well-made module.
    #[error("the compiler failed at the module: {how}")]
    CompilerFailed { how: String },
    /// Refused in another process, for a reason that it has put in words.
    #[error("{message}")]
    Told { message: String },
}

impl Refusal {
    /// Whether it took the compiler's limits, or its life, to find out, and would again.
    pub fn is_hopeless(&self) -> bool {
        matches!(self, Refusal::TooCostly { .. } | Refusal::CompilerFailed { .. })
    }

    /// From what the parser or compiler says of `len` bytes.
    pub(super) fn invalid(error: &wasmtime::Error, len: usize) -> Refusal {
        let no_room = |error: &std::io::Error| error.kind() == std::io::ErrorKind::OutOfMemory;
        let no_memory = |error: &rustix::io::Errno| *error == rustix::io::Errno::NOMEM;
        if error.is::<wasmtime::error::OutOfMemory>()
            || error.downcast_ref().is_some_and(no_room)
            || error.downcast_ref().is_some_and(no_memory)
        {
            return Refusal::OutOfMemory;
        }
        let message = format!("{error:#}");
        let has = |part: &str| message.contains(part);
        if has("threads must be enabled") || has("shared memor") || has("threads support is not enabled") {
            return Refusal::Feature {
                feature: "threads or shared memory",
                remedy: "build it without (in Rust not for `wasm32-wasip1-threads`, in C without `-pthread`)",
            };
        }
        if has("memory64 must be enabled") {
            return Refusal::Feature { feature: "64-bit memory", remedy: "build it for wasm32" };
        }
        if has("legacy_exceptions") || has("legacy exceptions") {
            return Refusal::Feature {
                feature: "the first form of WebAssembly exceptions",
                remedy: "build it with their final form (in C and C++ `-mllvm -wasm-use-legacy-eh=false`, with Emscripten \
                         `-sWASM_LEGACY_EXCEPTIONS=0`, in Rust `-Cllvm-args=-wasm-use-legacy-eh=false`), or without",
            };
        }
        let cut_off =
            if has("unexpected end") { format!(" (is the file complete? it has {len} bytes)") } else { String::new() };
        Refusal::Invalid { message: message + &cut_off }
    }
}

/// Which of the two binary formats it is.
pub(super) fn kind_of(bytes: &[u8]) -> Result<ProgramKind, Refusal> {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(ProgramKind::Core),
        [0, b'a', b's', b'm', _, 0, 1, 0, ..] => Ok(ProgramKind::Component),
        _ => Err(Refusal::NotWasm { looks_like: looks_like(bytes) }),
    }
}

fn looks_like(bytes: &[u8]) -> &'static str {
    let text = bytes.trim_ascii_start();
    let starts =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    match bytes {
        [] => "the file is empty",
        [0, b'a', b's', b'm', ..] if bytes.len() < 8 => "the file ends within its first eight bytes",
        [0, b'a', b's', b'm', ..] => "it is of a version of WebAssembly that kiln does not know",
        [0x7f, b'E', b'L', b'F', ..] => {
            "it looks like a program for Linux (ELF), or a module compiled for a runtime; give the `.wasm` file"
        }
        [b'M', b'Z', ..] => "it looks like a program for Windows",
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "it looks like a program for macOS or Java",
        [b'P', b'K', 3, 4, ..] => "it looks like a ZIP archive; unpack it first",
        [0x1f, 0x8b, ..] => "it looks like a gzip file; unpack it first",
        [b'B', b'C', 0xc0, 0xde, ..] => "it looks like LLVM bitcode; link it into a module first",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "it looks like a static library; link it into a module first",
        _ if starts("(module") || starts("(component") || starts(";;") || starts("(;") => {
            "it looks like WebAssembly text; make a binary of it first (`wat2wasm`, or `wasm-tools parse`)"
        }
        _ if starts("<!doctype") || starts("<html") || starts("<?xml") => {
            "it looks like an HTML page; was it downloaded from the wrong address?"
        }
        _ if starts("version https://git-lfs") => "it is a Git LFS pointer; fetch the file itself with `git lfs pull`",
        _ if starts("#!") => "it looks like a script",
        _ if bytes.get(257..262) == Some(b"ustar") => "it looks like a tar archive; unpack it first",
        _ if bytes.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "it looks like text"
        }
        _ => "it does not start with the bytes of a module (00 61 73 6d)",
    }
}

/// Refuses a module whose imports, each `module.name`, are not offered; says so more helpfully where it can.
pub(super) fn refuse_missing(missing: Vec<String>) -> Result<(), Refusal> {
    let from = |prefixes: &[&str]| missing.iter().any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    if missing.is_empty() {
        Ok(())
    } else if from(&["wasi_unstable."]) {
        Err(Refusal::Preview0)
    } else if from(&["wbg.", "__wbindgen", "./"]) {
        Err(Refusal::OtherHost { host: "a web page (wasm-bindgen)" })
    } else if from(&["gojs.", "go."]) {
        Err(Refusal::OtherHost { host: "a web page (Go for js/wasm)" })
    } else if from(&["env.emscripten_", "env.invoke_", "env._emscripten", "a."]) {
        Err(Refusal::OtherHost { host: "a web page (Emscripten)" })
    } else {
        let more = missing.len().saturating_sub(NAMED_IMPORTS);
        let mut names =
            missing.into_iter().take(NAMED_IMPORTS).map(|name| printable(&name)).collect::<Vec<_>>().join(", ");
        if more > 0 {
            names += &format!(" and {more} more");
        }
        Err(Refusal::Imports { missing: names })
    }
}

/// A name that the module chose, fit for a message: short, and without control characters.
fn printable(name: &str) -> String {
    let mut short: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(100).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

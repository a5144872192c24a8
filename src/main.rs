//! The `kiln` program: everything is in the library.

use std::process::ExitCode;

/// Objects are made, copied and dropped by the thousand each second: measured, glibc's allocator took a quarter of the
/// time of a Job of small pods.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // wasmtime captures a backtrace of the host with every trap and every exit of a guest, if asked to by the
    // environment: measured, that makes the end of a small guest cost 2.7 times as much. Wasm backtraces stay.
    #[allow(
        unsafe_code,
        reason = "the environment is set before any other thread exists, so nobody reads it meanwhile"
    )]
    unsafe {
        std::env::set_var("RUST_LIB_BACKTRACE", "0");
    }
    kiln::cli::main()
}

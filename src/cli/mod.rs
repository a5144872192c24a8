//! The command line: one file per subcommand.

pub mod allow;
pub mod compile_module;
pub mod kubeconfig;
pub mod manifest;
pub mod output;
pub mod progress;
pub mod push;
pub mod run;
pub mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Kubernetes Jobs without a Kubernetes cluster: pods are WebAssembly modules.
#[derive(Parser, Debug)]
#[command(name = "kiln", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the Jobs of manifests to their end, here and now, without a server
    Run(run::RunArgs),
    /// Serve the Kubernetes API, so that kubectl works against it
    Serve(serve::ServeArgs),
    /// Upload a WebAssembly module to a kiln server, under a name
    Push(push::PushArgs),
    /// Print a kubeconfig for clients that need one
    Kubeconfig(kubeconfig::KubeconfigArgs),
    #[command(hide = true)]
    CompileModule(compile_module::CompileModuleArgs),
}

/// Exit codes, documented in README.
pub mod exit {
    /// All went well; for `kiln run`: all Jobs are Complete.
    pub const OK: u8 = 0;
    /// A Job has failed, or the work could not be done.
    pub const FAILED: u8 = 1;
    /// The command or the manifest is wrong; nothing was started.
    pub const USAGE: u8 = 2;
    /// Stopped by Ctrl-C (128 + SIGINT), as a shell reports it.
    pub const INTERRUPTED: u8 = 130;
}

/// What a command says before it ends, and the code it ends with.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub fn usage(message: impl ToString) -> Failure {
        Failure { code: exit::USAGE, message: message.to_string() }
    }

    pub fn failed(message: impl ToString) -> Failure {
        Failure { code: exit::FAILED, message: message.to_string() }
    }
}

/// Parses the command line and runs what it names.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Serve(args) => serve::run(args),
        Command::CompileModule(args) => Ok(compile_module::run(args)),
        Command::Kubeconfig(args) => kubeconfig::run(&args),
        Command::Push(args) => push::run(args).map(|()| exit::OK).map_err(Failure::failed),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("kiln: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Log lines go to stderr. `RUST_LOG` overrides `default_level`.
pub fn start_logging(default_level: &str, json: bool) {
    use tracing_subscriber::EnvFilter;
    // wasmtime_wasi opens a span per host call at level info, which costs more than the call.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{default_level},wasmtime_wasi=warn,sled=warn")));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second call finds logging started, which is as good.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}

/// The runtime of everything but guests.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("kiln")
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start threads: {e}")))
}

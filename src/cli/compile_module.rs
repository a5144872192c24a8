//! `kiln compile-module`: what kiln starts for each module that it compiles; not for people.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Config};
use crate::modules::{CompileLimits, Digest, Order, compile_here};

/// The process is limited as told and ends with its parent; stdout gets the digest of what was written, or the refusal.
#[derive(Args, Debug)]
pub struct CompileModuleArgs {
    #[arg(long)]
    module: PathBuf,
    #[arg(long)]
    digest: Digest,
    #[arg(long)]
    output: PathBuf,
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    memory: u64,
    #[arg(long)]
    cpu_seconds: u64,
    #[arg(long)]
    max_memory_bytes: u64,
    #[arg(long)]
    max_table_elements: usize,
    #[arg(long)]
    stack_bytes: usize,
}

pub fn run(args: CompileModuleArgs) -> u8 {
    let CompileModuleArgs { module, digest, output, max_memory_bytes, max_table_elements, stack_bytes, .. } = args;
    let order = Order { module, digest, output, max_memory_bytes, max_table_elements, stack_bytes };
    let limits = CompileLimits { memory_bytes: args.memory, cpu_seconds: args.cpu_seconds, wall_seconds: u64::MAX };
    compile_here(&order, &limits, args.parent)
}

/// How much the compilation of a module may take.
#[derive(Args, Debug)]
pub struct CompileArgs {
    /// Seconds of computing that the compilation of one module may take
    #[arg(long, value_name = "SECONDS", default_value_t = config::COMPILE_CPU_SECONDS, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    compile_seconds: u64,
    /// Mebibytes of memory that the compilation of one module may take
    #[arg(long, value_name = "MIB", default_value_t = config::COMPILE_MEMORY_BYTES >> 20, value_parser = clap::value_parser!(u64).range(256..=1_048_576))]
    compile_memory: u64,
}

impl CompileArgs {
    pub fn apply(&self, config: &mut Config) {
        config.compile_cpu_seconds = self.compile_seconds;
        config.compile_memory_bytes = self.compile_memory << 20;
    }
}

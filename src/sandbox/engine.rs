//! The engine: how guests are compiled, where their memory comes from, and how they are interrupted.
//!
//! One engine runs all guests. Their memories, tables and stacks come from a pool that is reserved once, so that a
//! start costs microseconds and a guest cannot take more than its slot. A second engine with the same code-generation
//! settings and no pool only compiles; a test holds that the first accepts what the second makes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::component::Linker as ComponentLinker;
use wasmtime::{
    Collector, Config, Engine, InstanceAllocationStrategy, Linker, PoolingAllocationConfig, WasmBacktraceDetails,
    WasmFeatures,
};

use super::compile::Compiler;
use super::limits::HEAP_AT_START;
use super::rewrite;
use super::ticker::Ticker;
use super::turns::Turns;
use super::wasi::{self, Guest};
use crate::clock::Clock;

/// The address space reserved for each memory: all that 32 bits reach, so that no access needs a bounds check. A slot
/// of the pool can hold at most this much.
const RESERVATION: u64 = 4 << 30;

/// Stack for host functions, on top of what wasm may use of the same stack. wasmtime's own default proportion.
const HOST_STACK: usize = 1 << 20;

/// Resident memory that idle slots may keep, all together. A kept page is cleared with a `memset` instead of a system
/// call that stops all threads (measured: twice to four times the throughput on two cores).
const KEPT_MEMORY: usize = 1 << 30;

/// Beyond this, what a slot keeps costs more to clear than it saves.
const MAX_KEPT_PER_SLOT: usize = 1 << 20;

/// How the sandbox is built. Each number bounds what guests can take of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct SandboxConfig {
    /// Guests that exist at once, computing or sleeping. Default 1,000. Each takes 4 GiB of address space and up to
    /// five of the kernel's memory maps, so the usual `vm.max_map_count` of 65,530 allows about 12,000.
    pub max_instances: u32,
    /// Guests at once that use garbage-collected objects or exceptions; more get a host error that says so. Default
    /// 1,000: such a guest takes a second memory of the pool for its heap, and beside ten thousand slots the kernel's
    /// memory maps allow about that many. The heap is made at the start of a module that can need one; others pay nothing.
    pub max_heaps: u32,
    /// Bytes of one heap, at most; the guest's memory limit includes it and may bind first. Default 256 MiB: a collection,
    /// or the filling of one array, is not interrupted, and takes up to 2 ms per MiB. wasmtime doubles a heap when it is
    /// full, so of this 224 are reached.
    pub max_heap_bytes: u64,
    /// Bytes of memory of one guest, at most: the size of a slot of the pool. Default and maximum 4 GiB, which is what
    /// 32-bit WebAssembly can address; a [`super::Limits`] below it binds first.
    pub max_memory_bytes: u64,
    /// Entries of one table, at most: as many functions as a program can call through pointers. Default 100,000; the
    /// largest program tried (a 69 MB one) has 60,000, and an entry takes 8 bytes of address space until used.
    pub max_table_elements: usize,
    /// Bytes of stack for the guest's calls. Default 1 MiB: twice wasmtime's, because interpreters recurse. What a C
    /// program calls its stack is in its linear memory and not counted here.
    pub stack_bytes: usize,
    /// How often a computing guest is interrupted to look at its deadline and to let others run. Default 1 ms: the
    /// deadline is then met within 3 ms, and it costs under 1 %.
    pub tick: Duration,
    /// Fuel (roughly: wasm instructions) that one core cannot burn in a second. A guest with a deadline gets this much
    /// per second left, so that its work is bounded even if the ticker stalls. Default: see [`DEFAULT_FUEL_RATE`].
    pub fuel_rate: u64,
    /// Bytes that one call of a guest may make the host hold (a read or write of a file is copied whole), at most; a
    /// guest's own memory limit binds first. Default 64 MiB. A larger single read or write fails with ENOMEM.
    pub max_hostcall_bytes: usize,
    /// Files, directories and polled events that one guest may hold at once. Default 1,024, as the usual soft limit of
    /// a Unix process.
    pub max_handles: usize,
}

/// Measured on one core of an AMD EPYC VM: a tight loop burns 1 G fuel a second, code that the compiler folds into next to
/// nothing 19 G, and `memory.fill` of what fits the first cache, at one per byte, 100 G (test
/// `no_loop_burns_fuel_as_fast_as_the_fuel_rate`). This is four times the largest: fuel must never end a guest
/// before its deadline, and where it must end one because all else failed, any bound will do. Code written to fold
/// further could burn more, and would end early.
pub const DEFAULT_FUEL_RATE: u64 = 400_000_000_000;

impl Default for SandboxConfig {
    fn default() -> SandboxConfig {
        SandboxConfig {
            max_instances: 1_000,
            max_heaps: 1_000,
            max_heap_bytes: 256 << 20,
            max_memory_bytes: RESERVATION,
            max_table_elements: 100_000,
            stack_bytes: 1 << 20,
            tick: Duration::from_millis(1),
            fuel_rate: DEFAULT_FUEL_RATE,
            max_hostcall_bytes: 64 << 20,
            max_handles: 1_024,
        }
    }
}

impl SandboxConfig {
    /// A few slots, for tests.
    pub fn small() -> SandboxConfig {
        SandboxConfig { max_instances: 8, ..SandboxConfig::default() }
    }
}

/// Why a sandbox could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "cannot reserve room for {slots} instances: {cause} (fewer instances need fewer memory maps; the limit is \
         `sysctl vm.max_map_count`)"
    )]
    Pool { slots: u32, cause: String },
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    #[error("cannot start the thread that interrupts guests: {0}")]
    Ticker(std::io::Error),
}

/// Compiles and runs modules. Cheap to clone; clones share the engine and its slots.
#[derive(Clone)]
pub struct Sandbox(pub(super) Arc<Inner>);

pub(super) struct Inner {
    // Dropped in this order: the thread ends before its engine.
    pub(super) ticker: Ticker,
    pub(super) turns: Turns,
    pub(super) config: SandboxConfig,
    pub(super) clock: Clock,
    pub(super) runner: Linkers,
    /// Made when it is first needed: who compiles in other processes never does, and its linkers take milliseconds.
    pub(super) compiler: OnceLock<Compiler>,
}

/// An engine, and what it offers to guests.
pub(super) struct Linkers {
    pub(super) engine: Engine,
    pub(super) core: Linker<Guest>,
    pub(super) component: ComponentLinker<Guest>,
}

impl Linkers {
    pub(super) fn new(config: &Config) -> wasmtime::Result<Linkers> {
        let engine = Engine::new(config)?;
        Ok(Linkers { core: wasi::core_linker(&engine)?, component: wasi::component_linker(&engine)?, engine })
    }
}

impl Sandbox {
    /// Reserves the pool and starts the ticker; about 5 ms for 1,000 slots and 50 ms for 10,000.
    ///
    /// The process should have set `RUST_LIB_BACKTRACE=0` before it started any thread: wasmtime's errors otherwise
    /// capture a host backtrace each, and every `proc_exit` is one, at nearly twice the cost of the whole run.
    pub fn new(config: SandboxConfig, clock: Clock) -> Result<Sandbox, SandboxError> {
        let slots = config.max_instances;
        let runner = Linkers::new(&running(&config)).map_err(|error| match Engine::new(&code_generation(&config)) {
            Ok(_) => SandboxError::Pool { slots, cause: format!("{error:#}") },
            Err(_) => SandboxError::Engine(format!("{error:#}")),
        })?;
        let ticker = Ticker::start(runner.engine.weak(), config.tick).map_err(SandboxError::Ticker)?;
        Ok(Sandbox(Arc::new(Inner { ticker, turns: Turns::new(), config, clock, runner, compiler: OnceLock::new() })))
    }

    pub fn config(&self) -> &SandboxConfig {
        &self.0.config
    }

    /// The clock by which guests are stopped.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Differs between engines that cannot, or should not, load each other's compiled code: by version, target, settings,
    /// or how modules are rewritten before they are compiled.
    pub fn compatibility(&self) -> u64 {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        // A default-keyed hasher: the same in every process of one build.
        BuildHasherDefault::<DefaultHasher>::default()
            .hash_one((self.0.runner.engine.precompile_compatibility_hash(), rewrite::VERSION))
    }
}

/// What decides the machine code, and so must be the same where code is made and where it runs.
pub(super) fn code_generation(config: &SandboxConfig) -> Config {
    let mut engine = Config::new();
    engine
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(config.stack_bytes)
        .async_stack_size(config.stack_bytes + HOST_STACK)
        // A stack keeps nothing of the guest before: neither its data nor, beyond what is kept resident, its pages.
        .async_stack_zeroing(true)
        .memory_reservation(RESERVATION)
        // Frames are named from the module's name section; reading its debug information is not worth its bugs.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // Offered: WebAssembly 3.0, so SIMD, tail calls, exceptions in their final form and garbage-collected objects.
        // Not offered: shared memory, whose waits cannot be interrupted; 64-bit memory, which has no preview 1; what is
        // not finished, or was given up, as the first form of exceptions.
        .wasm_features(WasmFeatures::THREADS | WasmFeatures::MEMORY64 | WasmFeatures::LEGACY_EXCEPTIONS, false)
        .shared_memory(false)
        // Frees at once what nothing refers to; the other collector never frees anything.
        .collector(Collector::DeferredReferenceCounting)
        .gc_heap_initial_size(HEAP_AT_START)
        .concurrency_support(false);
    engine
}

fn running(config: &SandboxConfig) -> Config {
    let slots = config.max_instances.max(1);
    let heaps = slots.min(config.max_heaps);
    let memories = slots.saturating_add(heaps);
    // In whole pages of wasm, which are whole pages of any machine.
    let kept = (KEPT_MEMORY / memories as usize).min(MAX_KEPT_PER_SLOT) >> 16 << 16;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(memories)
        .total_stacks(slots)
        .total_component_instances(slots)
        // A component made from a preview-1 module is four core instances with a few tables each, around one memory.
        .total_core_instances(slots.saturating_mul(4))
        .total_tables(slots.saturating_mul(4))
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .max_memories_per_component(1)
        .max_tables_per_component(8)
        .max_core_instances_per_component(8)
        .max_memory_size(usize::try_from(config.max_memory_bytes.min(RESERVATION)).unwrap_or(usize::MAX))
        .table_elements(config.max_table_elements)
        .total_gc_heaps(heaps)
        .linear_memory_keep_resident(kept)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(kept.min(64 << 10));
    let mut engine = code_generation(config);
    engine.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    engine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_of_ten_thousand_slots_can_be_reserved_under_the_default_map_limit() {
        let clock = Clock::real();
        for max_instances in [1_000, 10_000] {
            let start = clock.instant();
            let sandbox = Sandbox::new(SandboxConfig { max_instances, ..SandboxConfig::default() }, clock.clone());
            sandbox.map(drop).unwrap();
            eprintln!("{max_instances} slots: {:?}", clock.instant() - start);
        }
    }

    #[test]
    fn too_many_slots_are_an_error_that_says_what_to_change() {
        let config = SandboxConfig { max_instances: 1_000_000, ..SandboxConfig::default() };
        let error = Sandbox::new(config, Clock::real()).map(drop).unwrap_err().to_string();
        assert!(error.contains("1000000 instances") && error.contains("vm.max_map_count"), "{error}");
    }

    #[test]
    fn the_compatibility_of_one_configuration_is_one_value() {
        let new = |config| Sandbox::new(config, Clock::real()).unwrap().compatibility();
        assert_eq!(new(SandboxConfig::small()), new(SandboxConfig { max_instances: 9, ..SandboxConfig::small() }));
    }
}

//! From the bytes of a `.wasm` to machine code.
//!
//! [`Compiler::compile`] accepts what kiln can run and refuses the rest in the words of who made the module, with what to
//! do next. It takes seconds for large modules, all cores, and about ten times the module's size in memory; a module
//! made for that takes more than there is. So: never on a runtime that serves, and modules that nobody trusts only in a
//! process that may end, for which a compiler can be made without a [`Sandbox`] and its reservations.

use wasmtime::component::Component;
use wasmtime::{ExternType, Module, ResourcesRequired, Store};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::engine::{Linkers, Sandbox, SandboxConfig, SandboxError, code_generation};
use super::program::{ProgramKind, initial_memory};
use super::refusal::{self, Refusal};
use super::rewrite;
use super::wasi::{Guest, PREVIEW1};

/// Compiles modules for the sandboxes of one configuration.
pub struct Compiler {
    linkers: Linkers,
    max_memory_bytes: u64,
    max_table_elements: usize,
}

impl Sandbox {
    /// [`Compiler::compile`], in this process.
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
        let compiler = match self.0.compiler.get() {
            Some(compiler) => compiler,
            None => {
                let failed = |error: SandboxError| Refusal::CompilerFailed { how: error.to_string() };
                let made = Compiler::new(&self.0.config).map_err(failed)?;
                self.0.compiler.get_or_init(|| made)
            }
        };
        compiler.compile(wasm)
    }
}

impl Compiler {
    pub fn new(config: &SandboxConfig) -> Result<Compiler, SandboxError> {
        let linkers =
            Linkers::new(&code_generation(config)).map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        let SandboxConfig { max_memory_bytes, max_table_elements, .. } = *config;
        Ok(Compiler { linkers, max_memory_bytes, max_table_elements })
    }

    /// Checks and compiles a module, and returns what [`Sandbox::load_file`] reads.
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
        match refusal::kind_of(wasm)? {
            ProgramKind::Core => {
                // As it came: so that what is said of it is said of what its owner knows.
                Module::validate(&self.linkers.engine, wasm).map_err(|error| Refusal::invalid(&error, wasm.len()))?;
                self.compile_core(wasm)
            }
            ProgramKind::Component => self.compile_component(wasm),
        }
    }

    fn compile_core(&self, wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
        let engine = &self.linkers.engine;
        let short = rewrite::interruptible(wasm).map_err(|error| Refusal::Invalid { message: error.to_string() })?;
        let module = Module::new(engine, &short).map_err(|error| Refusal::invalid(&error, wasm.len()))?;
        self.check_size(module.resources_required())?;
        self.check_imports(&module)?;
        match module.get_export("_start") {
            Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => {}
            Some(_) => return Err(Refusal::BadStart),
            None => return Err(Refusal::Library),
        }
        let calls_wasi = module.imports().any(|import| import.module() == PREVIEW1 && import.name() != "proc_exit");
        if calls_wasi && !matches!(module.get_export("memory"), Some(ExternType::Memory(_))) {
            return Err(Refusal::NoMemory);
        }
        module.serialize().map_err(|error| Refusal::invalid(&error, wasm.len()))
    }

    fn compile_component(&self, wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
        let engine = &self.linkers.engine;
        let short = rewrite::interruptible(wasm).map_err(|error| Refusal::Invalid { message: error.to_string() })?;
        let component = Component::new(engine, &short).map_err(|error| Refusal::invalid(&error, wasm.len()))?;
        if let Some(required) = component.resources_required() {
            self.check_size(required)?;
        }
        let missing = component
            .component_type()
            .imports(engine)
            .map(|(name, _)| name.to_owned())
            .filter(|name| !refusal::OFFERED_PACKAGES.iter().any(|offered| name.starts_with(offered)))
            .collect();
        refusal::refuse_missing(missing)?;
        let pre = self
            .linkers
            .component
            .instantiate_pre(&component)
            .map_err(|error| Refusal::Imports { missing: format!("{error:#}") })?;
        CommandPre::new(pre).map_err(|_| Refusal::ComponentWithoutRun)?;
        component.serialize().map_err(|error| Refusal::invalid(&error, wasm.len()))
    }

    fn check_size(&self, required: ResourcesRequired) -> Result<(), Refusal> {
        let (needed, max) = (initial_memory(&required), self.max_memory_bytes);
        if needed > max {
            return Err(Refusal::Memory { needed, max });
        }
        let (needed, max) = (required.max_initial_table_size.unwrap_or(0), self.max_table_elements as u64);
        if needed > max {
            return Err(Refusal::Table { needed, max });
        }
        if required.num_memories > 1 {
            return Err(Refusal::Memories { count: required.num_memories });
        }
        Ok(())
    }

    fn check_imports(&self, module: &Module) -> Result<(), Refusal> {
        let linker = &self.linkers.core;
        let mut store = Store::new(&self.linkers.engine, Guest::inert());
        let missing = module
            .imports()
            .filter(|import| linker.get_by_import(&mut store, import).is_none())
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect();
        refusal::refuse_missing(missing)?;
        match linker.instantiate_pre(module) {
            Ok(_) => Ok(()),
            Err(error) => Err(Refusal::Imports { missing: format!("{error:#}") }),
        }
    }
}

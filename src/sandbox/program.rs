//! From the bytes of a `.wasm` to a [`Program`] that is ready to start.
//!
//! [`Sandbox::compile`] accepts what kiln can run and refuses the rest in the words of who made the module, with what
//! to do next. It takes seconds for large modules: never call it on a runtime that serves. [`Sandbox::load_file`] maps
//! what it made, in about a tenth of a millisecond.

use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Engine, ExternType, InstancePre, Module, Precompiled, ResourcesRequired, Store};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::engine::{Inner, Sandbox};
use super::refusal::{self, Refusal};
use super::wasi::{Guest, PREVIEW1};

/// A compiled program, linked and ready to start any number of times. Cheap to clone.
#[derive(Clone)]
pub struct Program {
    pub(super) code: Code,
    facts: Facts,
}

#[derive(Clone)]
pub(super) enum Code {
    Core(InstancePre<Guest>),
    Component(CommandPre<Guest>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// A core module with `_start`, of WASI preview 1.
    Core,
    /// A component with `wasi:cli/run`, of WASI 0.2.
    Component,
}

/// What is known of a program before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub kind: ProgramKind,
    /// Whether it can open files, so that it has a use for a directory.
    pub uses_files: bool,
    /// The linear memory that it has from the first instruction on.
    pub initial_memory_bytes: u64,
}

/// Why compiled code was not loaded. The remedy is to compile again.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read compiled module: {0}")]
    Io(std::io::Error),
    #[error("compiled module does not fit this version of kiln, or is damaged: {0}")]
    Unusable(String),
}

impl Program {
    pub fn facts(&self) -> Facts {
        self.facts
    }
}

impl Sandbox {
    /// Checks and compiles a module, and returns what [`Sandbox::load_file`] reads. Uses all cores, and about ten times
    /// the module's size in memory.
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
        let inner = &*self.0;
        match refusal::kind_of(wasm)? {
            ProgramKind::Core => {
                Module::validate(&inner.compiler.engine, wasm).map_err(|error| Refusal::invalid(&error, wasm.len()))?;
                inner.compile_core(wasm)
            }
            ProgramKind::Component => inner.compile_component(wasm),
        }
    }

    /// Loads what [`Sandbox::compile`] made.
    ///
    /// The caller answers for the file: it holds, byte for byte, what `compile` returned (it checked a digest of its
    /// own), and nobody changes it while programs made of it exist. It is machine code, and runs as part of this process.
    #[allow(unsafe_code, reason = "the one place where compiled code enters; see SAFETY inside")]
    pub fn load_file(&self, path: &Path) -> Result<Program, LoadError> {
        let engine = &self.0.runner.engine;
        let unusable = |error: wasmtime::Error| LoadError::Unusable(format!("{error:#}"));
        std::fs::File::open(path).map_err(LoadError::Io)?;
        match Engine::detect_precompiled_file(path).map_err(unusable)? {
            Some(Precompiled::Module) => {
                // SAFETY: the file was written by this program from the output of `compile`, under a name that only it
                // writes to, and the caller checked its digest: so it is unmodified output of `Module::serialize`.
                // wasmtime itself refuses code of another version, target or configuration.
                let module = unsafe { Module::deserialize_file(engine, path) }.map_err(unusable)?;
                let facts = core_facts(&module);
                let pre = self.0.runner.core.instantiate_pre(&module).map_err(unusable)?;
                Ok(Program { code: Code::Core(pre), facts })
            }
            Some(Precompiled::Component) => {
                // SAFETY: as above, with `Component::serialize`.
                let component = unsafe { Component::deserialize_file(engine, path) }.map_err(unusable)?;
                let facts = component_facts(&component, engine);
                let pre = self.0.runner.component.instantiate_pre(&component).map_err(unusable)?;
                Ok(Program { code: Code::Component(CommandPre::new(pre).map_err(unusable)?), facts })
            }
            None => Err(LoadError::Unusable("not compiled code".to_owned())),
        }
    }
}

impl Inner {
    /// `wasm` may be text here, which only tests make use of: [`Sandbox::compile`] has refused it.
    pub(super) fn compile_core(&self, wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
        let engine = &self.compiler.engine;
        let module = Module::new(engine, wasm).map_err(|error| Refusal::invalid(&error, wasm.len()))?;
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

    pub(super) fn compile_component(&self, wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
        let engine = &self.compiler.engine;
        let component = Component::new(engine, wasm).map_err(|error| Refusal::invalid(&error, wasm.len()))?;
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
            .compiler
            .component
            .instantiate_pre(&component)
            .map_err(|error| Refusal::Imports { missing: format!("{error:#}") })?;
        CommandPre::new(pre).map_err(|_| Refusal::ComponentWithoutRun)?;
        component.serialize().map_err(|error| Refusal::invalid(&error, wasm.len()))
    }

    fn check_size(&self, required: ResourcesRequired) -> Result<(), Refusal> {
        let (needed, max) = (initial_memory(&required), self.config.max_memory_bytes);
        if needed > max {
            return Err(Refusal::Memory { needed, max });
        }
        let (needed, max) = (required.max_initial_table_size.unwrap_or(0), self.config.max_table_elements as u64);
        if needed > max {
            return Err(Refusal::Table { needed, max });
        }
        if required.num_memories > 1 {
            return Err(Refusal::Memories { count: required.num_memories });
        }
        Ok(())
    }

    fn check_imports(&self, module: &Module) -> Result<(), Refusal> {
        let linker = &self.compiler.core;
        let mut store = Store::new(&self.compiler.engine, Guest::inert());
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

fn initial_memory(required: &ResourcesRequired) -> u64 {
    const PAGE: u64 = 65_536;
    required.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE)
}

fn core_facts(module: &Module) -> Facts {
    Facts {
        kind: ProgramKind::Core,
        uses_files: module.imports().any(|import| import.name().starts_with("path_")),
        initial_memory_bytes: initial_memory(&module.resources_required()),
    }
}

fn component_facts(component: &Component, engine: &Engine) -> Facts {
    let imports_preopens = |(name, _): (&str, _)| name.starts_with("wasi:filesystem/preopens");
    Facts {
        kind: ProgramKind::Component,
        uses_files: component.component_type().imports(engine).any(imports_preopens),
        initial_memory_bytes: component.resources_required().map_or(0, |required| initial_memory(&required)),
    }
}

//! From compiled code to a [`Program`] that is ready to start: [`Sandbox::load_file`] maps what [`super::Compiler`] made,
//! in about a tenth of a millisecond.

use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Engine, InstancePre, Module, Precompiled, ResourcesRequired};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::engine::Sandbox;
use super::wasi::Guest;

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
    /// Loads what [`super::Compiler::compile`] made.
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

pub(super) fn initial_memory(required: &ResourcesRequired) -> u64 {
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

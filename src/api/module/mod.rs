//! The kind `Module` of `kiln.dev/v1`: a name and a tag, and the WebAssembly module that they mean. Cluster-wide, because all
//! namespaces share one store of modules.
//!
//! kiln writes these objects itself, when a module is pushed or pulled. A client may label and delete them; what they say of
//! a module follows from its bytes, so nobody else may write that.

mod kind;
mod name;
mod write;

pub use kind::{ARTIFACT, COMMAND, COMPONENT, GROUP, Module, ModuleSpec, ModuleStatus, PULLED, PUSHED};
pub use name::object_name;
pub use write::{HOW_TO_MAKE, check_update};

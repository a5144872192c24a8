//! What a client may write of a Module: its labels, annotations, finalizers and owners.

use super::kind::Module;
use crate::api::field::{FieldError, Path};

/// Why nobody can create one, and what to do instead.
pub const HOW_TO_MAKE: &str = "modules are not created but uploaded, and the upload makes the Module: `kiln push NAME[:TAG] \
                               FILE.wasm`, or `curl -T FILE.wasm http://SERVER/modules/NAME[:TAG]`";

const HOW_TO_CHANGE: &str = "follows from the module's bytes and is written by kiln; to let the name mean another module, \
                             upload that: `kiln push NAME[:TAG] FILE.wasm`";

/// Nothing but the metadata may differ.
pub fn check_update(new: &Module, old: &Module, faults: &mut Vec<FieldError>) {
    if new.spec != old.spec {
        faults.push(FieldError::forbidden(&Path::root("spec"), HOW_TO_CHANGE));
    }
    if new.status != old.status {
        faults.push(FieldError::forbidden(&Path::root("status"), HOW_TO_CHANGE));
    }
}

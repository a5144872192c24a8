//! How a field that kiln cannot honour is refused: `Forbidden`, with a sentence that says why or what to do instead. A
//! field that is silently ignored would be worse: the manifest would promise what does not happen.

use crate::api::field::{FieldError, Path};

/// Collects the refusals of one struct's fields.
pub struct Refusals<'a> {
    path: &'a Path,
    faults: &'a mut Vec<FieldError>,
}

impl<'a> Refusals<'a> {
    pub fn of(path: &'a Path, faults: &'a mut Vec<FieldError>) -> Refusals<'a> {
        Refusals { path, faults }
    }

    /// Refuses `field` if it asks for something. `why` is a sentence without capital and full stop.
    pub fn refuse(&mut self, asked: bool, field: &str, why: &str) {
        if asked {
            self.faults.push(refusal(&self.path.child(field), why));
        }
    }

    /// Refuses a list that is not empty.
    pub fn list<T>(&mut self, list: &Option<Vec<T>>, field: &str, why: &str) {
        self.refuse(list.as_ref().is_some_and(|l| !l.is_empty()), field, why);
    }

    /// Refuses a flag that is set.
    pub fn flag(&mut self, flag: Option<bool>, field: &str, why: &str) {
        self.refuse(flag == Some(true), field, why);
    }

    /// Refuses a text that is not empty and not in `honoured`.
    pub fn text(&mut self, text: &Option<String>, honoured: &[&str], field: &str, why: &str) {
        let text = text.as_deref().unwrap_or_default();
        self.refuse(!text.is_empty() && !honoured.contains(&text), field, why);
    }
}

pub fn refusal(path: &Path, why: &str) -> FieldError {
    FieldError::forbidden(path, format!("not supported by this version of kiln: {why}"))
}

//! What a module says of itself: what it imports and exports, and by what it was made.
//!
//! Read where the module is compiled, so that its bytes need not be anywhere else. All of it is the module's own words: they
//! are bounded ([`MAX_TEXTS`]), rid of control characters, and only ever shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmparser::{KnownCustom, Parser, Payload};

/// Bytes of all names together. A program of fifty megabytes has some two hundred imports.
pub const MAX_TEXTS: usize = 16 << 10;
/// Bytes of one name.
const MAX_TEXT: usize = 256;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Else it is a core module.
    pub is_component: bool,
    /// `MODULE NAME` for a core module, `wasi:cli/environment@0.2.0` for a component.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// `language`, `processed-by`, `sdk`, each with `NAME VERSION`.
    pub producers: BTreeMap<String, Vec<String>>,
    /// Names that had no room.
    pub left_out: u32,
}

/// Describes a module that is valid; of another, as far as it can be read.
pub fn describe(wasm: &[u8]) -> Description {
    let mut notes = Notes { description: Description::default(), room: MAX_TEXTS };
    notes.description.is_component = Parser::is_component(wasm);
    // Modules and components within a component have imports and exports of their own, which are nobody's concern.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { break };
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ImportSection(imports) if depth == 1 => {
                for import in imports.into_imports().map_while(Result::ok) {
                    notes.import(&format!("{} {}", import.module, import.name));
                }
            }
            Payload::ExportSection(exports) if depth == 1 => {
                exports.into_iter().map_while(Result::ok).for_each(|export| notes.export(export.name));
            }
            Payload::ComponentImportSection(imports) if depth == 1 => {
                imports.into_iter().map_while(Result::ok).for_each(|import| notes.import(import.name.name));
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                exports.into_iter().map_while(Result::ok).for_each(|export| notes.export(export.name.name));
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Producers(fields) = section.as_known() else { continue };
                for field in fields.into_iter().map_while(Result::ok) {
                    for value in field.values.into_iter().map_while(Result::ok) {
                        notes.producer(field.name, &format!("{} {}", value.name, value.version));
                    }
                }
            }
            _ => {}
        }
    }
    notes.description
}

struct Notes {
    description: Description,
    room: usize,
}

impl Notes {
    fn import(&mut self, name: &str) {
        if let Some(text) = self.text(name) {
            self.description.imports.push(text);
        }
    }

    fn export(&mut self, name: &str) {
        if let Some(text) = self.text(name) {
            self.description.exports.push(text);
        }
    }

    fn producer(&mut self, field: &str, name: &str) {
        let shown = printable(name);
        // The parts of a component mostly have the same makers. Few stand here, so they can be gone through.
        if self.description.producers.get(field).is_some_and(|known| known.contains(&shown)) {
            return;
        }
        if let Some(text) = self.text(name) {
            self.description.producers.entry(field.to_owned()).or_default().push(text);
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = printable(name);
        // What a list costs beside its text counts too, or empty names would cost nothing.
        match self.room.checked_sub(text.len() + 8) {
            Some(room) => {
                self.room = room;
                Some(text)
            }
            None => {
                self.description.left_out = self.description.left_out.saturating_add(1);
                None
            }
        }
    }
}

/// Fit to be shown: short, and without control characters.
fn printable(name: &str) -> String {
    let short = &name[..name.floor_char_boundary(MAX_TEXT)];
    let mut text: String = short.trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if short.len() < name.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wat: &str) -> Description {
        describe(&wat::parse_str(wat).unwrap())
    }

    #[test]
    fn a_core_module_says_what_it_imports_and_exports() {
        let found = of(r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (func (export "_start")))"#);
        assert!(!found.is_component);
        assert_eq!(found.imports, ["wasi_snapshot_preview1 fd_write"]);
        assert_eq!(found.exports, ["memory", "_start"]);
        assert_eq!((found.producers.len(), found.left_out), (0, 0));
    }

    #[test]
    fn a_component_says_so_and_what_is_within_it_does_not_count() {
        let found = of(r#"(component
            (import "a:b/c@1.0.0" (instance))
            (core module $m (import "x" "y" (func)) (func (export "z")))
            (component (import "inner" (func)))
            (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#);
        assert!(found.is_component);
        assert_eq!(
            (found.imports, found.exports),
            (vec!["a:b/c@1.0.0".to_owned()], vec!["wasi:cli/run@0.2.0".to_owned()])
        );
    }

    #[test]
    fn producers_are_read_wherever_they_stand_and_each_once() {
        // `producers` with one field, `language`, of one value, `Rust` `1.0`.
        let section = "(@custom \"producers\" \"\\01\\08language\\01\\04Rust\\031.0\")";
        let found = of(&format!("(module {section})"));
        assert_eq!(found.producers["language"], ["Rust 1.0"]);
        let found = of(&format!("(component (core module {section}) (core module {section}))"));
        assert_eq!(found.producers["language"], ["Rust 1.0"]);
    }

    #[test]
    fn what_a_module_says_is_bounded() {
        let imports: String = (0..5_000).map(|n| format!("(import \"m\" \"{n}\" (func))")).collect();
        let long = "x".repeat(10_000);
        let found = of(&format!("(module {imports} (func (export \"{long}\")) (func (export \"a\\n\\1b[2Jb\")))"));
        let texts: usize = found.imports.iter().chain(&found.exports).map(String::len).sum();
        assert!(texts <= MAX_TEXTS && found.left_out > 3_000, "{texts} {}", found.left_out);
        assert!(serde_json::to_vec(&found).unwrap().len() < 2 * MAX_TEXTS);
        let found = of(&format!("(module (func (export \"{long}\")) (func (export \"a\\n\\1b[2Jb\")))"));
        assert_eq!(found.exports[0].len(), MAX_TEXT + '…'.len_utf8());
        assert_eq!(found.exports[1], "a\u{fffd}\u{fffd}[2Jb");
    }

    #[test]
    fn what_cannot_be_read_is_described_as_far_as_it_can() {
        let whole = wat::parse_str("(module (func (export \"_start\")))").unwrap();
        for end in 0..whole.len() {
            let found = describe(&whole[..end]);
            assert!(found.exports.len() <= 1);
        }
        assert_eq!(describe(b"hello"), Description::default());
    }
}

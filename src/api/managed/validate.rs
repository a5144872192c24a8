//! The names of field managers (apimachinery `ValidateFieldManager`, apiserver `managerOrUserAgent`).

use crate::api::field::{FieldError, Path};

/// Bytes.
const MOST_NAME: usize = 128;
/// Who says nothing about itself.
const UNKNOWN: &str = "unknown";

pub fn validate_name(name: &str, path: &Path, faults: &mut Vec<FieldError>) {
    if name.len() > MOST_NAME {
        faults.push(FieldError::too_long(path, MOST_NAME));
    }
    for (place, c) in name.char_indices().filter(|(_, c)| !is_printable(*c)).take(MOST_NAME) {
        let detail = format!("invalid character U+{:04X} (at position {place})", u32::from(c));
        faults.push(FieldError::invalid(path, name, detail));
    }
}

/// The manager that a client is: its program, as far as its `User-Agent` tells.
pub fn from_user_agent(agent: &str) -> String {
    let mut name = String::new();
    for c in agent.split('/').next().unwrap_or_default().chars().filter(|c| is_printable(*c)) {
        if name.len() + c.len_utf8() > MOST_NAME {
            break;
        }
        name.push(c);
    }
    if name.is_empty() { UNKNOWN.to_owned() } else { name }
}

/// Rust knows what it would show as it is. A letter in front keeps marks, which combine with it, from being escaped.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || ['a', c].iter().collect::<String>().escape_debug().skip(1).eq([c])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        let check = |name: &str| {
            let mut faults = Vec::new();
            validate_name(name, &Path::root("fieldManager"), &mut faults);
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for good in ["", "kubectl", "a b", "größe \"x\" \\", "日本", "e\u{301}"] {
            assert_eq!(check(good), Vec::<String>::new(), "{good:?}");
        }
        assert_eq!(check(&"x".repeat(129)), ["fieldManager: Too long: may not be more than 128 bytes"]);
        let expected = r#"fieldManager: Invalid value: "a\n": invalid character U+000A (at position 1)"#;
        assert_eq!(check("a\n"), [expected]);
        for bad in ["\u{0}", "\t", "\u{7f}", "\u{a0}", "\u{200b}", "\u{202e}", "\u{feff}", "\u{e000}"] {
            assert_eq!(check(bad).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_client_is_called_by_its_program() {
        assert_eq!(from_user_agent("kubectl/v1.37.1 (linux/amd64) kubernetes/abc"), "kubectl");
        assert_eq!(from_user_agent(""), "unknown");
        assert_eq!(from_user_agent("/x"), "unknown");
        assert_eq!(from_user_agent("a\u{200b}b c"), "ab c");
        assert_eq!(from_user_agent(&"ä".repeat(100)), "ä".repeat(64));
    }
}

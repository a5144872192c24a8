//! The shapes of names, labels and keys. Each function answers with what is wrong, in the words of Kubernetes; an
//! empty answer means that the value is good.
//!
//! Rules and texts: apimachinery (about 1.34) `util/validation/validation.go` and `api/validate/content`; name generation:
//! apiserver `storage/names/generate.go`. The regular expressions in the texts are checked by hand here, so that no
//! name can cost more than one pass over its bytes.

use crate::api::field::{FieldError, Path};

const LABEL_FMT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                          start and end with an alphanumeric character";
const SUBDOMAIN_FMT: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
                              '.', and must start and end with an alphanumeric character";
const QUALIFIED_FMT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_TEXT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                              alphanumeric character";
const LABEL_VALUE_FMT: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const LABEL_VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                                '.', and must start and end with an alphanumeric character";
const CONFIG_KEY_FMT: &str = "[-._a-zA-Z0-9]+";
const CONFIG_KEY_TEXT: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
const ENV_TEXT: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

/// Bytes that a DNS label, a label value and the name part of a label key may have.
pub const MAX_LABEL: usize = 63;
/// Bytes that a DNS subdomain, and so the name of most objects, may have.
pub const MAX_SUBDOMAIN: usize = 253;

/// One `Invalid value` for each of `messages`.
pub fn report(path: &Path, value: &str, messages: Vec<String>, faults: &mut Vec<FieldError>) {
    faults.extend(messages.into_iter().map(|message| FieldError::invalid(path, value, message)));
}

/// The name of a namespace, container, volume or host.
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > MAX_LABEL {
        faults.push(too_long(MAX_LABEL));
    }
    if !is_dns_label(value) {
        faults.push(match is_dns_subdomain(value) {
            true => "must not contain dots".to_owned(),
            false => mismatch(LABEL_TEXT, &["my-name", "123-abc"], LABEL_FMT),
        });
    }
    faults
}

/// The name of every object that is not a namespace.
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > MAX_SUBDOMAIN {
        faults.push(too_long(MAX_SUBDOMAIN));
    }
    if !is_dns_subdomain(value) {
        faults.push(mismatch(SUBDOMAIN_TEXT, &["example.com"], SUBDOMAIN_FMT));
    }
    faults
}

/// A label key, finalizer, condition type or resource name: `name` or `domain/name`.
pub fn qualified_name(value: &str) -> Vec<String> {
    let shape = || mismatch(QUALIFIED_TEXT, &["MyName", "my.name", "123-abc"], QUALIFIED_FMT);
    let mut faults = Vec::new();
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                shape()
            )];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(dns1123_subdomain(prefix).into_iter().map(|m| format!("prefix part {m}")));
            }
            name
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > MAX_LABEL {
        faults.push(format!("name part {}", too_long(MAX_LABEL)));
    }
    if !is_qualified_part(name) {
        faults.push(format!("name part {}", shape()));
    }
    faults
}

pub fn label_value(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > MAX_LABEL {
        faults.push(too_long(MAX_LABEL));
    }
    if !value.is_empty() && !is_qualified_part(value) {
        faults.push(mismatch(LABEL_VALUE_TEXT, &["MyValue", "my_value", "12345"], LABEL_VALUE_FMT));
    }
    faults
}

/// As a label key, but capitals may stand in the domain too.
pub fn annotation_key(value: &str) -> Vec<String> {
    match value.bytes().any(|b| b.is_ascii_uppercase()) {
        true => qualified_name(&value.to_ascii_lowercase()),
        false => qualified_name(value),
    }
}

/// The relaxed rule (GA in 1.34): printable ASCII without `=`.
pub fn env_var_name(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    match value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=') {
        true => Vec::new(),
        false => vec![ENV_TEXT.to_owned()],
    }
}

/// A key of a ConfigMap or Secret, which may become the name of a file.
pub fn config_map_key(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > MAX_SUBDOMAIN {
        faults.push(too_long(MAX_SUBDOMAIN));
    }
    if value.is_empty() || !value.bytes().all(is_qualified_byte) {
        faults.push(mismatch(CONFIG_KEY_TEXT, &["key.name", "KEY_NAME", "key-name"], CONFIG_KEY_FMT));
    }
    match value {
        "." => faults.push("must not be '.'".to_owned()),
        ".." => faults.push("must not be '..'".to_owned()),
        _ if value.starts_with("..") => faults.push("must not start with '..'".to_owned()),
        _ => {}
    }
    faults
}

/// `base` as it is checked before the suffix is known: a trailing dash is fine there.
pub fn mask_trailing_dash(base: &str) -> String {
    match base.strip_suffix('-') {
        Some(stem) if !stem.is_empty() => format!("{stem}a"),
        _ => base.to_owned(),
    }
}

/// The name for `metadata.generateName: base`. The base is cut so that with a suffix of the usual 5 characters the name
/// has at most 63, which is what a pod's host name may have.
pub fn generate_name(base: &str, suffix: &str) -> String {
    let room = MAX_LABEL.saturating_sub(suffix.len());
    let base = &base[..base.floor_char_boundary(room)];
    format!("{base}{suffix}")
}

fn too_long(most: usize) -> String {
    format!("must be no more than {most} characters")
}

fn mismatch(text: &str, examples: &[&str], regex: &str) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{text} (e.g. {}regex used for validation is '{regex}')", examples.join(" or "))
}

fn is_dns_label(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    framed(value, inner, |b| inner(b) || b == b'-')
}

fn is_dns_subdomain(value: &str) -> bool {
    value.split('.').all(is_dns_label)
}

fn is_qualified_part(value: &str) -> bool {
    framed(value, |b| b.is_ascii_alphanumeric(), is_qualified_byte)
}

fn is_qualified_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

/// Not empty, first and last byte satisfy `edge`, all satisfy `any`.
fn framed(value: &str, edge: impl Fn(u8) -> bool, any: impl Fn(u8) -> bool) -> bool {
    match value.as_bytes() {
        [] => false,
        [only] => edge(*only),
        [first, middle @ .., last] => edge(*first) && edge(*last) && middle.iter().all(|b| any(*b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_those_of_kubernetes() {
        assert_eq!(
            dns1123_label("My_Name"),
            ["a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
              and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]
        );
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(dns1123_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(
            dns1123_subdomain("-"),
            ["a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
              must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"]
        );
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
        assert_eq!(config_map_key(".."), ["must not be '..'"]);
        assert_eq!(env_var_name(""), ["environment variable name must be non-empty"]);
    }

    #[test]
    fn good_and_bad_values_are_told_apart() {
        type Rule = fn(&str) -> Vec<String>;
        let table: &[(Rule, &[&str], &[&str])] = &[
            (dns1123_label, &["a", "0", "a-b", "123-abc"], &["", "-a", "a-", "A", "a_b", "ä", "a.b"]),
            (dns1123_subdomain, &["a", "a.b", "a-b.c"], &["", "a..b", ".a", "a.", "a.-b", "A"]),
            (qualified_name, &["a", "A_b.c", "x.io/Name"], &["", "/", "a/", "a/b/c", "X.io/a", "-a", "a b", "é"]),
            (annotation_key, &["X.io/Name", "a"], &["", "a/b/c"]),
            (label_value, &["", "a", "A.b_c-1"], &["-", "a b", "a/b", "ü"]),
            (env_var_name, &["A", "1", "a b", "-", "a.b/c"], &["", "A=B", "Ä", "a\tb"]),
            (config_map_key, &["a", ".a", "-", "A_1.txt"], &["", "a/b", ".", "..", "..a", "a b"]),
        ];
        for (rule, good, bad) in table {
            for value in *good {
                assert_eq!(rule(value), Vec::<String>::new(), "{value:?} is good");
            }
            for value in *bad {
                assert_ne!(rule(value), Vec::<String>::new(), "{value:?} is bad");
            }
        }
    }

    #[test]
    fn a_generated_name_keeps_its_suffix_and_fits_a_host_name() {
        assert_eq!(generate_name("job-", "abcde"), "job-abcde");
        assert_eq!(generate_name(&"x".repeat(80), "abcde"), format!("{}abcde", "x".repeat(58)));
        assert_eq!(mask_trailing_dash("job-"), "joba");
        assert_eq!(mask_trailing_dash("-"), "-");
    }

    proptest! {
        #[test]
        fn no_input_makes_a_rule_panic(value in any::<String>()) {
            for rule in [dns1123_label, dns1123_subdomain, qualified_name, annotation_key, label_value, env_var_name,
                         config_map_key] {
                rule(&value);
            }
            prop_assert!(generate_name(&value, "abcde").len() <= MAX_LABEL);
            mask_trailing_dash(&value);
        }
    }
}

//! The name of the object for a name and a tag. An object's name is more narrow than an image's: no slashes, no colons, no
//! underscores, no capitals.

use sha2::{Digest, Sha256};

use crate::api::names::{self, MAX_SUBDOMAIN};

/// The tag that is left out of an image.
const LATEST: &str = "latest";

/// Hexadecimal digits of the hash that tells slugs apart.
const HASH: usize = 8;

/// `pi` for `pi:latest`; `tools-pi-1-0-36b3ca04` for `tools/pi:1.0`: the name itself where it can be one and the tag is
/// `latest`, else what can be read of both, with a part of the SHA-256 of `NAME:TAG`.
///
/// Two pairs may have one name, though hardly by chance: whoever makes an object looks whose the name is.
pub fn object_name(name: &str, tag: &str) -> String {
    if tag == LATEST && names::dns1123_subdomain(name).is_empty() {
        return name.to_owned();
    }
    let shown = if tag == LATEST { name.to_owned() } else { format!("{name}-{tag}") };
    let mut slug = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(MAX_SUBDOMAIN - HASH - 1);
    let slug = slug.trim_end_matches('-');
    let hash: String =
        Sha256::digest(format!("{name}:{tag}")).iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect();
    if slug.is_empty() { hash } else { format!("{slug}-{hash}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_can_be_read() {
        for (name, tag, expected) in [
            ("pi", "latest", "pi"),
            ("my-tool.v2", "latest", "my-tool.v2"),
            ("pi", "1.0", "pi-1-0-"),
            ("tools/pi", "latest", "tools-pi-"),
            ("a__b", "latest", "a-b-"),
            ("localhost:5000/a/b", "T_1", "localhost-5000-a-b-t-1-"),
            ("[::1]:5000/pi", "latest", "1-5000-pi-"),
        ] {
            let found = object_name(name, tag);
            let hash = found.strip_prefix(expected).unwrap_or_else(|| panic!("{found}"));
            assert!(hash.len() == if expected.ends_with('-') { HASH } else { 0 }, "{found}");
        }
        assert_ne!(object_name("a/b", "latest"), object_name("a-b", "latest"));
        assert_ne!(object_name("pi", "A"), object_name("pi", "a"));
        // What somebody may choose on purpose; the second is refused where it is made.
        assert_eq!(object_name(&object_name("a/b", "latest"), "latest"), object_name("a/b", "latest"));
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_an_object_can_have(name in "\\PC{0,300}|[a-z0-9._/-]{1,255}", tag in "[A-Za-z0-9_.-]{1,128}") {
            let found = object_name(&name, &tag);
            prop_assert_eq!(names::dns1123_subdomain(&found), Vec::<String>::new(), "{}", found);
        }

        #[test]
        fn similar_names_are_told_apart(pairs in prop::collection::vec(("[ab./_-]{1,6}", "latest|[ab._-]{1,3}"), 2..40)) {
            let mut seen: HashMap<String, (String, String)> = HashMap::new();
            for pair in pairs {
                let other = seen.insert(object_name(&pair.0, &pair.1), pair.clone());
                prop_assert!(other.is_none_or(|other| other == pair));
            }
        }
    }
}

//! The names of modules, as `image:` fields and `kiln push` write them. The grammar is that of OCI and Docker
//! (github.com/distribution/reference v0.6, `regexp.go`): `[host[:port]/]path[:tag][@digest]`.
//!
//! One rule differs, because modules live in kiln's own store and not in a registry: a bare name is a local name. `pi` is
//! `pi:latest`, and never `docker.io/library/pi:latest`; those are two names.

use std::fmt;
use std::str::FromStr;

use super::digest::{Digest, DigestError};

/// The tag of a reference that has neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";

/// Of all parts of the name together, as in distribution.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// What an image field names. At least one of tag and digest is there; if both are, the digest decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// With the registry's host, if one was given: `pi`, `tools/pi`, `localhost:5000/a/b`.
    pub name: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("the image name is empty")]
    Empty,
    #[error("the image name `{0}` has upper-case letters; names are lower case")]
    UpperCase(String),
    #[error("the image name is longer than {MAX_NAME} characters")]
    TooLong,
    #[error(
        "`{part}` is not a valid part of an image name: lower-case letters and digits, with single `.`, `_`, `__` or any \
         number of `-` between them"
    )]
    Part { part: String },
    #[error("`{host}` is not a valid registry host")]
    Host { host: String },
    #[error(
        "`{tag}` is not a valid tag: at most {MAX_TAG} letters, digits, `_`, `.` and `-`, of which the first is neither \
         `.` nor `-`"
    )]
    Tag { tag: String },
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("`{0}` is an address of the web; an image name has no `://`")]
    Url(String),
}

impl Reference {
    /// The host of the registry, if the name has one: its first part, where that has a `.`, a `:` or upper case, or is
    /// `localhost`.
    pub fn host(&self) -> Option<&str> {
        split_host(&self.name).0
    }

    /// The name without the host: what the registry calls the repository.
    pub fn path(&self) -> &str {
        split_host(&self.name).1
    }
}

fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        // As in distribution: what cannot be a part of a path is a host, and so is `localhost`.
        Some((host, path)) if host == "localhost" || host.contains(['.', ':']) || has_upper_case(host) => {
            (Some(host), path)
        }
        _ => (None, name),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        if text.contains("://") {
            return Err(ReferenceError::Url(shortened(text)));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[path_start..].split_once(':') {
            Some((last, tag)) => (&rest[..path_start + last.len()], Some(tag)),
            None => (rest, None),
        };
        check_name(name)?;
        let tag = match (tag, digest) {
            (Some(tag), _) if is_tag(tag) => Some(tag.to_owned()),
            (Some(tag), _) => return Err(ReferenceError::Tag { tag: shortened(tag) }),
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Reference { name: name.to_owned(), tag, digest })
    }
}

fn check_name(name: &str) -> Result<(), ReferenceError> {
    if name.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(ReferenceError::TooLong);
    }
    let (host, path) = split_host(name);
    if let Some(host) = host.filter(|host| !is_host(host)) {
        return Err(ReferenceError::Host { host: shortened(host) });
    }
    if has_upper_case(path) {
        return Err(ReferenceError::UpperCase(shortened(name)));
    }
    match path.split('/').find(|part| !is_part(part)) {
        Some(part) => Err(ReferenceError::Part { part: shortened(part) }),
        None => Ok(()),
    }
}

fn has_upper_case(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// `[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_well = part.starts_with(is_alphanumeric) && part.ends_with(is_alphanumeric);
    ends_well
        && part
            .split(is_alphanumeric)
            .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

/// A name or an address, in brackets if it is one of version 6, and perhaps a port.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inner)
    };
    let is_v6 = |name: &str| {
        let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_port = |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    (name.split('.').all(is_label) || is_v6(name)) && port.is_none_or(is_port)
}

/// `[\w][\w.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

/// Fit for a message: short, and without control characters.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Result<Reference, ReferenceError> {
        text.parse()
    }

    #[test]
    fn references_are_taken_apart() {
        let with_digest = format!("pi@sha256:{HEX}");
        let with_both = format!("localhost:5000/a/b:t@sha256:{HEX}");
        let table = [
            ("pi", "pi", Some("latest"), false),
            ("pi:latest", "pi", Some("latest"), false),
            ("pi:1.29_a-B", "pi", Some("1.29_a-B"), false),
            ("tools/pi", "tools/pi", Some("latest"), false),
            ("docker.io/library/x:1.29", "docker.io/library/x", Some("1.29"), false),
            ("localhost/pi", "localhost/pi", Some("latest"), false),
            ("localhost:5000/a/b:t", "localhost:5000/a/b", Some("t"), false),
            ("[::1]:5000/pi", "[::1]:5000/pi", Some("latest"), false),
            ("REGISTRY/pi", "REGISTRY/pi", Some("latest"), false),
            ("a.b/c__d.e-----f_g", "a.b/c__d.e-----f_g", Some("latest"), false),
            (&with_digest, "pi", None, true),
            (&with_both, "localhost:5000/a/b", Some("t"), true),
        ];
        for (text, name, tag, has_digest) in table {
            let reference = parse(text).unwrap();
            assert_eq!((&*reference.name, reference.tag.as_deref()), (name, tag), "{text}");
            assert_eq!(reference.digest.is_some(), has_digest, "{text}");
        }
    }

    #[test]
    fn a_bare_name_is_local_and_latest() {
        assert_eq!(parse("pi"), parse("pi:latest"));
        assert_ne!(parse("pi"), parse("docker.io/library/pi"));
        assert_eq!(parse("pi").unwrap().to_string(), "pi:latest");
    }

    #[test]
    fn a_host_is_told_from_the_first_part_of_a_path() {
        for (name, host, path) in [
            ("pi", None, "pi"),
            ("tools/pi", None, "tools/pi"),
            ("localhost/pi", Some("localhost"), "pi"),
            ("ghcr.io/a/b", Some("ghcr.io"), "a/b"),
            ("registry:5000/a", Some("registry:5000"), "a"),
            ("[::1]:5000/a", Some("[::1]:5000"), "a"),
            ("REGISTRY/a", Some("REGISTRY"), "a"),
            ("a/b.c/d", None, "a/b.c/d"),
        ] {
            let reference = parse(name).unwrap();
            assert_eq!((reference.host(), reference.path()), (host, path), "{name}");
        }
    }

    #[test]
    fn what_is_not_a_reference_is_refused_with_the_reason() {
        let long_name = "a".repeat(256);
        let long_tag = format!("pi:{}", "t".repeat(129));
        let table = [
            ("", "empty"),
            (":tag", "empty"),
            ("Pi", "upper-case"),
            ("docker.io/Library/pi", "upper-case"),
            ("pi:", "`` is not a valid tag"),
            ("pi:-x", "`-x` is not a valid tag"),
            ("pi:a:b", "`a:b` is not a valid tag"),
            (&long_tag, "not a valid tag"),
            (&long_name, "longer than 255"),
            ("pi/", "`` is not a valid part"),
            ("a//b", "`` is not a valid part"),
            ("../etc/passwd", "not a valid registry host"),
            ("a/../b", "`..` is not a valid part"),
            ("-pi", "`-pi` is not a valid part"),
            ("a___b", "not a valid part"),
            ("a..b", "not a valid part"),
            ("p i", "not a valid part"),
            ("π", "not a valid part"),
            ("host:port/pi", "`host:port` is not a valid registry host"),
            ("http://localhost/pi", "address of the web"),
            ("pi@sha256:abc", "64 hexadecimal digits"),
            ("pi@md5:abc", "only `sha256`"),
            ("pi@", "64 hexadecimal digits"),
        ];
        for (text, expected) in table {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_what_is_accepted_reads_back_as_itself(text in "\\PC{0,40}|[a-zA-Z0-9.:/@_-]{0,40}") {
            if let Ok(reference) = parse(&text) {
                prop_assert_eq!(parse(&reference.to_string()), Ok(reference));
            }
        }
    }
}

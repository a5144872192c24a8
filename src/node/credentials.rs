//! What a pod's image pull secrets say, and which of it is for which image (kubernetes `pkg/credentialprovider`,
//! `config.go` and `keyring.go`).
//!
//! An entry is for a host, or for a host and the beginning of a path; parts of the host may be patterns (`*.example.com`),
//! and stand for exactly one part. The longest entries are tried first. An entry is never shown to another host.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use serde_json::Value;

use crate::modules::{Credentials, Reference};

/// Secrets of other types, or without this key, are none of ours, and passed over.
const KINDS: [(&str, &str); 2] =
    [("kubernetes.io/dockerconfigjson", ".dockerconfigjson"), ("kubernetes.io/dockercfg", ".dockercfg")];

/// Where Docker's own registry is known under three names.
const DOCKER: &str = "index.docker.io";

/// Tried for one pull, at most: each is a log-in.
const MOST: usize = 8;

/// The credentials of a pod's secrets, by the host and path that they are for.
#[derive(Debug, Default)]
pub struct Keyring(BTreeMap<String, Vec<Credentials>>);

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    username: Option<String>,
    password: Option<String>,
    /// `USER:PASSWORD` in base64.
    auth: Option<String>,
    #[serde(rename = "registrytoken")]
    registry_token: Option<String>,
}

impl Keyring {
    /// Takes in a secret. Refuses one that is of the right type and makes no sense.
    pub fn add(&mut self, secret: &Secret) -> Result<(), String> {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let kind = KINDS.iter().find(|(kind, _)| secret.type_.as_deref() == Some(kind));
        let Some((kind, key)) = kind else { return Ok(()) };
        let Some(data) = secret.data.as_ref().and_then(|data| data.get(*key)) else { return Ok(()) };
        // What is wrong is said without a word of what stands there.
        let wrong = |what: &str| format!("the key {key} of the image pull secret {name:?} {what}");
        let entries = match *key == KINDS[0].1 {
            true => serde_json::from_slice::<Config>(&data.0).map(|config| config.auths),
            false => serde_json::from_slice(&data.0),
        };
        let entries = entries.map_err(|_| wrong(&format!("is not the JSON of a secret of the type {kind}")))?;
        for (place, entry) in entries {
            let credentials =
                entry.credentials().ok_or_else(|| wrong("has an \"auth\" that is not USER:PASSWORD in base64"))?;
            if let (Some(place), Some(credentials)) = (key_of(&place), credentials) {
                self.0.entry(place).or_default().push(credentials);
            }
        }
        Ok(())
    }

    /// What may be shown to the registry of an image, in the order to try.
    pub fn of(&self, image: &Reference) -> Vec<Credentials> {
        let Some(host) = image.host() else { return Vec::new() };
        let target = format!("{host}/{}", image.path());
        let fitting = self.0.iter().rev().filter(|(place, _)| fits(place, &target));
        let mut found: Vec<Credentials> = fitting.flat_map(|(_, credentials)| credentials).cloned().collect();
        if found.is_empty() && matches!(host, "docker.io" | DOCKER) {
            found.extend(self.0.get(DOCKER).into_iter().flatten().cloned());
        }
        found.truncate(MOST);
        found
    }
}

impl Entry {
    /// `None` if it makes no sense, `Some(None)` if it is empty.
    fn credentials(self) -> Option<Option<Credentials>> {
        let from = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(auth) = from(self.auth) {
            let decoded = serde_json::from_value::<ByteString>(Value::String(auth.trim().to_owned())).ok()?;
            let text = String::from_utf8(decoded.0).ok()?;
            let (username, password) = text.split_once(':')?;
            let (username, password) = (username.to_owned(), password.trim_end_matches('\0').to_owned());
            return Some(Some(Credentials::Basic { username, password }));
        }
        if let Some(username) = from(self.username) {
            return Some(Some(Credentials::Basic { username, password: self.password.unwrap_or_default() }));
        }
        Some(from(self.registry_token).map(Credentials::Bearer))
    }
}

/// `https://index.docker.io/v1/` is `index.docker.io`: the version of the API is no path.
fn key_of(place: &str) -> Option<String> {
    let place = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://")).unwrap_or(place);
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let path = match path.split_once('/') {
        Some(("v1" | "v2", rest)) => rest,
        _ if matches!(path, "v1" | "v2") => "",
        _ => path,
    };
    let path = path.trim_end_matches('/');
    match (host, path) {
        ("", _) => None,
        (host, "") => Some(host.to_owned()),
        (host, path) => Some(format!("{host}/{path}")),
    }
}

fn fits(place: &str, target: &str) -> bool {
    let split = |text: &str| {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, ""),
        };
        (name.to_owned(), port.to_owned(), path.to_owned())
    };
    let ((pattern, its_port, its_path), (name, port, path)) = (split(place), split(target));
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), name.split('.').collect());
    its_port == port
        && path.starts_with(&its_path)
        && patterns.len() == parts.len()
        && patterns.iter().zip(parts).all(|(pattern, part)| is_like(pattern.as_bytes(), part.as_bytes()))
}

/// `*` is any text, `?` any character.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    // The last star, and how much of the text it stands for so far.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c.eq_ignore_ascii_case(&text[t]) => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn secret(kind: usize, content: &str) -> Secret {
        let (kind, key) = KINDS[kind];
        let data = BTreeMap::from([(key.to_owned(), ByteString(content.as_bytes().to_vec()))]);
        let mut secret = Secret { type_: Some(kind.to_owned()), data: Some(data), ..Secret::default() };
        secret.metadata.name = Some("s".to_owned());
        secret
    }

    fn basic(username: &str) -> Credentials {
        Credentials::Basic { username: username.to_owned(), password: "p".to_owned() }
    }

    fn users(entries: &Value, image: &str) -> Vec<String> {
        let mut keyring = Keyring::default();
        keyring.add(&secret(0, &json!({"auths": entries}).to_string())).unwrap();
        let found = keyring.of(&image.parse().unwrap());
        let user = |credentials| match credentials {
            Credentials::Basic { username, .. } => username,
            Credentials::Bearer(token) => token,
        };
        found.into_iter().map(user).collect()
    }

    #[test]
    fn an_entry_is_for_its_host_and_path_and_for_no_other() {
        let entry = |user: &str| json!({"username": user, "password": "p"});
        for (place, image, fits) in [
            ("ghcr.io", "ghcr.io/a/b", true),
            ("ghcr.io", "ghcr.io:443/a/b", false),
            ("ghcr.io", "evil.ghcr.io/a/b", false),
            ("ghcr.io", "ghcr.io.evil.example/a/b", false),
            ("https://ghcr.io", "ghcr.io/a", true),
            ("https://ghcr.io/v2/", "ghcr.io/a", true),
            ("ghcr.io/a", "ghcr.io/a/b", true),
            ("ghcr.io/a", "ghcr.io/b/a", false),
            ("localhost:5000", "localhost:5000/a", true),
            ("localhost:5000", "localhost:5001/a", false),
            ("*.example.com", "r.example.com/a", true),
            ("*.example.com", "example.com/a", false),
            ("*.example.com", "a.r.example.com/a", false),
            ("re*.example.com:5000", "registry.example.com:5000/a", true),
            ("*", "ghcr.io/a", false),
            ("https://index.docker.io/v1/", "docker.io/library/x", true),
            ("https://index.docker.io/v1/", "docker.io.evil.example/x", false),
            ("ghcr.io", "local/image", false),
        ] {
            let found = users(&json!({place: entry("u")}), image);
            assert_eq!(!found.is_empty(), fits, "{place} for {image}: {found:?}");
        }
        let both = json!({"ghcr.io": entry("host"), "ghcr.io/a": entry("path")});
        assert_eq!(users(&both, "ghcr.io/a/b"), ["path", "host"], "the longest is tried first");
    }

    #[test]
    fn entries_are_read_in_each_form() {
        // "u:p:q" in base64: the first colon ends the name.
        assert_eq!(users(&json!({"r.io": {"auth": "dTpwOnE="}}), "r.io/a"), ["u"]);
        assert_eq!(users(&json!({"r.io": {"registrytoken": "t"}}), "r.io/a"), ["t"]);
        assert_eq!(users(&json!({"r.io": {}}), "r.io/a"), [] as [&str; 0]);
        let mut keyring = Keyring::default();
        keyring.add(&secret(1, &json!({"r.io": {"username": "u", "password": "p"}}).to_string())).unwrap();
        assert_eq!(keyring.of(&"r.io/a".parse().unwrap()), [basic("u")]);
        let mut other = secret(0, "{}");
        other.type_ = Some("Opaque".to_owned());
        keyring.add(&other).unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_showing_it() {
        for content in [
            "s3cret",
            r#"{"auths": "s3cret"}"#,
            r#"{"auths": {"r.io": {"auth": "s3cret!"}}}"#,
            r#"{"auths": {"r.io": {"auth": "czNjcmV0"}}}"#,
        ] {
            let error = Keyring::default().add(&secret(0, content)).unwrap_err();
            assert!(error.contains("image pull secret \"s\"") && !error.contains("s3cret"), "{error}");
        }
        let mut keyring = Keyring::default();
        keyring.add(&secret(0, r#"{"auths": {"r.io": {"username": "u", "password": "s3cret"}}}"#)).unwrap();
        assert!(!format!("{keyring:?}").contains("s3cret"));
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*a*", "bab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("*", "", true),
            ("ABC", "abc", true),
        ] {
            assert_eq!(is_like(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}

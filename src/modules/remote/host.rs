//! The registries that may be asked for modules: hosts, as image names begin with them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// `HOST[:PORT]` of a registry, in lower case. It stands for itself only: `ghcr.io` is not `ghcr.io:443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the host of a registry: write HOST or HOST:PORT as images name it, such as ghcr.io or localhost:5000"
)]
pub struct NotAHost(String);

impl RegistryHost {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this machine, as far as its name says: to that one there is no TLS, to any other there is.
    pub fn is_loopback(&self) -> bool {
        let name = match self.0.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => name,
            _ => &self.0,
        };
        let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        name == "localhost" || inner.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Of a host that stands in a reference, which has been checked already.
    pub(super) fn of(host: &str) -> RegistryHost {
        RegistryHost(host.to_ascii_lowercase())
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RegistryHost {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<RegistryHost, NotAHost> {
        // What images cannot name would never be asked.
        match format!("{text}/x").parse::<crate::modules::Reference>() {
            Ok(reference) if reference.host() == Some(text) => Ok(RegistryHost::of(text)),
            _ => Err(NotAHost(super::short(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_what_image_names_begin_with() {
        for host in ["ghcr.io", "localhost", "localhost:5000", "127.0.0.1:80", "[::1]:5000", "registry:5000"] {
            assert_eq!(host.parse::<RegistryHost>().unwrap().as_str(), host);
        }
        assert_eq!("GHCR.io".parse::<RegistryHost>().unwrap().as_str(), "ghcr.io");
        for text in ["", "ghcr", "https://ghcr.io", "ghcr.io/", "ghcr.io/a", "a b.c", "*.io", "ghcr.io:x", "ghcr.io@x"]
        {
            assert!(text.parse::<RegistryHost>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        let is = |host: &str| host.parse::<RegistryHost>().unwrap().is_loopback();
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.1:1", "[::1]:5000", "[::1]"] {
            assert!(is(host), "{host}");
        }
        for host in
            ["ghcr.io", "localhost.evil.example:80", "127.0.0.1.nip.io", "10.0.0.1:5000", "[::2]", "[fe80::1]:80"]
        {
            assert!(!is(host), "{host}");
        }
    }
}

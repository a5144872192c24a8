//! Which addresses a guest may reach.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// The addresses to which a guest may open connections. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network(Arc<[IpNet]>);

impl Network {
    /// None at all: there is no network.
    pub fn none() -> Network {
        Network(Arc::from([]))
    }

    pub fn outbound(allowed: &[IpNet]) -> Network {
        Network(Arc::from(allowed))
    }

    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub fn allows(&self, address: IpAddr) -> bool {
        // An IPv4 address in the clothes of IPv6 is what it is underneath.
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }
}

//! Which addresses a guest may reach, and what it may do with sockets.
//!
//! Core modules have no sockets at all. Components have those of `wasi:sockets`, towards allowed addresses only, and
//! [`super::http`]. Never: a guest that listens; a byte from or to an address that is not allowed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

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

    /// Gives a guest the sockets that it may have.
    pub(super) fn open(&self, wasi: &mut WasiCtxBuilder) {
        let some = !self.is_none();
        wasi.allow_tcp(some).allow_udp(some).allow_ip_name_lookup(some);
        if some {
            let network = self.clone();
            wasi.socket_addr_check(move |address, purpose| {
                let permitted = network.permits(address, purpose);
                Box::pin(async move { permitted })
            });
        }
    }

    fn permits(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => self.allows(address.ip()),
            // Before a socket sends it gets an address of its own. A port of the guest's choice is for listening.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => address.port() == 0,
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_block_holds_is_allowed_in_whatever_clothes() {
        let network = Network::outbound(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let allows = |address: &str| network.allows(address.parse().unwrap());
        assert!(allows("10.1.2.3") && allows("::ffff:10.1.2.3") && allows("fd00::1"));
        assert!(!allows("11.1.2.3") && !allows("::ffff:127.0.0.1") && !allows("::1") && !allows("169.254.169.254"));
        assert!(!Network::none().allows("10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn sockets_send_and_never_listen() {
        let network = Network::outbound(&["0.0.0.0/0".parse().unwrap()]);
        let permits = |address: &str, purpose| network.permits(address.parse().unwrap(), purpose);
        assert!(permits("192.0.2.1:80", SocketAddrUse::TcpConnect) && permits("192.0.2.1:53", SocketAddrUse::UdpSend));
        assert!(permits("0.0.0.0:0", SocketAddrUse::TcpBind) && !permits("0.0.0.0:80", SocketAddrUse::UdpBind));
        assert!(!permits("127.0.0.1:0", SocketAddrUse::TcpListen) && !permits("192.0.2.1:9", SocketAddrUse::TcpAccept));
    }
}

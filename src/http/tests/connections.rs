use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::http::{Access, guarded, serve};

pub(super) async fn served(f: &Fixture) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let access = Access { token: None, loopback: true };
    let server = tokio::spawn(serve(listener, guarded(f.router.clone(), access), f.api.server.clone(), stop.clone()));
    (address, stop, server)
}

/// A connection with a watch on it, of which the head and the first event have come.
async fn watching(f: &Fixture, address: SocketAddr) -> TcpStream {
    f.map("a", json!({})).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {MAPS}?watch=true HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("ADDED") {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap();
        assert!(n > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
    stream
}

#[tokio::test]
async fn a_server_that_stops_ends_its_watches_at_once() {
    let f = Fixture::new();
    let (address, stop, server) = served(&f).await;
    let mut watch = watching(&f, address).await;
    stop.cancel();
    let mut rest = String::new();
    watch.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the body has its end: {rest:?}");
    tokio::time::timeout(Duration::from_secs(2), server).await.expect("the server stops soon").unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let f = Fixture::new();
    let (address, _stop, _server) = served(&f).await;
    let before = Arc::strong_count(&f.api.namespaces);
    let watch = watching(&f, address).await;
    assert!(Arc::strong_count(&f.api.namespaces) > before);
    drop(watch);
    let freed = async {
        while Arc::strong_count(&f.api.namespaces) > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.expect("the watch is dropped with its connection");
}

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_path() {
    let f = Fixture::new();
    let router = guarded(f.router.clone(), Access { token: None, loopback: true });
    for path in ["/api/v1/namespaces", "/no/such/path"] {
        let request = Request::get(path).header("host", "evil.example").body(Body::empty()).unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), 403, "{path}");
    }
}

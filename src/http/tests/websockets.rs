use std::net::SocketAddr;
use std::sync::Arc;

use futures::SinkExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::connections::served;
use super::logs::{container, pod};
use super::*;
use crate::http::observed;
use crate::logs::{LogId, Stream};

const BASE64: &str = "base64.binary.k8s.io";

struct Client {
    socket: WebSocketStream<TcpStream>,
    protocol: Option<String>,
}

impl Client {
    /// Opens `path`; code and body of the answer if it is refused.
    async fn open(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Client, (u16, Value)> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.status(), 101);
                let protocol = answer.headers().get("sec-websocket-protocol").map(|p| p.to_str().unwrap().to_owned());
                Ok(Client { socket, protocol })
            }
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err((answer.status().as_u16(), serde_json::from_slice(body).unwrap_or_default()))
            }
            Err(other) => panic!("{path}: {other}"),
        }
    }

    async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await.expect("nothing comes");
        next.and_then(Result::ok)
    }

    async fn event(&mut self) -> (String, String) {
        match self.next().await {
            Some(Message::Text(text)) => {
                let event: Value = serde_json::from_str(&text).unwrap();
                let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                (event["type"].as_str().unwrap().to_owned(), name)
            }
            other => panic!("no event: {other:?}"),
        }
    }

    /// The code with which it is closed, once everything else has come.
    async fn close_code(&mut self) -> Option<CloseCode> {
        loop {
            if let Message::Close(frame) = self.next().await? {
                return frame.map(|frame| frame.code);
            }
        }
    }
}

/// Waits until nothing is left of a watch but what was there before.
async fn freed(f: &Fixture, before: usize) {
    let freed = async {
        while Arc::strong_count(&f.api.namespaces) > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.expect("what the request held is given back");
}

/// Moves the clock for ever, slowly enough that those who sleep by it are asleep before.
#[allow(clippy::disallowed_methods, reason = "how fast the clock goes; what is awaited beside it is a condition")]
async fn ticking(f: &Fixture, step: Duration) {
    loop {
        f.clock.advance(step);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A ConfigMap of the namespace `default`, to be committed as it is.
fn stored(value: &Value) -> Object {
    let mut value = value.clone();
    value["metadata"]["namespace"] = json!("default");
    value["metadata"]["uid"] = json!("u");
    Object::deserialize(Kind::ConfigMap, value).unwrap()
}

#[tokio::test]
async fn a_watch_is_a_message_per_event() {
    let f = Fixture::new();
    let (address, _stop, _server) = served(&f).await;
    let before = Arc::strong_count(&f.api.namespaces);
    f.map("a", json!({})).await;
    f.map("b", json!({})).await;
    // As Headlamp opens it.
    let mut watch =
        Client::open(address, &format!("{MAPS}?watch=1"), &[("sec-websocket-protocol", BASE64)]).await.ok().unwrap();
    assert_eq!(watch.protocol.as_deref(), Some(BASE64));
    assert_eq!(watch.event().await, event("ADDED", "a"));
    assert_eq!(watch.event().await, event("ADDED", "b"), "one by one, though they came together");
    // Its server says hello with nothing in it; whatever a client says means nothing.
    watch.socket.send(Message::Binary(Vec::new().into())).await.unwrap();
    watch.socket.send(Message::text("hello")).await.unwrap();
    watch.socket.send(Message::Ping(b"there?".to_vec().into())).await.unwrap();
    assert_eq!(watch.next().await, Some(Message::Pong(b"there?".to_vec().into())));
    f.delete(&format!("{MAPS}/a"), &json!({})).await;
    assert_eq!(watch.event().await, event("DELETED", "a"));
    // The client's end is answered, and leaves nothing behind.
    watch.socket.close(None).await.unwrap();
    assert_eq!(watch.next().await.map(|m| m.is_close()), Some(true));
    freed(&f, before).await;
}

#[tokio::test]
async fn a_watch_for_a_table_and_one_without_a_protocol() {
    let f = Fixture::new();
    let (address, _stop, _server) = served(&f).await;
    f.map("a", json!({})).await;
    let mut watch = Client::open(address, &format!("{MAPS}?watch=1"), &[("accept", TABLE)]).await.ok().unwrap();
    assert_eq!(watch.protocol, None);
    let Some(Message::Text(text)) = watch.next().await else { panic!() };
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["object"]["kind"], "Table");
}

#[tokio::test]
async fn a_quiet_watch_is_pinged_and_closed_at_its_time() {
    let f = Fixture::new();
    let (address, _stop, _server) = served(&f).await;
    let before = Arc::strong_count(&f.api.namespaces);
    let mut watch = Client::open(address, &format!("{MAPS}?watch=1&timeoutSeconds=40"), &[]).await.ok().unwrap();
    let both = async {
        let ping = watch.next().await;
        (ping, watch.close_code().await)
    };
    let (ping, close) =
        tokio::select! { both = both => both, () = ticking(&f, Duration::from_secs(1)) => unreachable!() };
    assert_eq!((ping, close), (Some(Message::Ping(Vec::new().into())), Some(CloseCode::Normal)));
    freed(&f, before).await;
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let f = Fixture::new();
    let (address, stop, server) = served(&f).await;
    f.map("a", json!({})).await;
    let mut watch = Client::open(address, &format!("{MAPS}?watch=1"), &[]).await.ok().unwrap();
    assert_eq!(watch.event().await, event("ADDED", "a"));
    stop.cancel();
    assert_eq!(watch.close_code().await, Some(CloseCode::Away));
    drop(watch);
    tokio::time::timeout(Duration::from_secs(2), server).await.expect("the server stops soon").unwrap();
}

#[tokio::test]
async fn an_old_version_is_told_in_an_event_and_the_watch_closed() {
    let f = Fixture::with_ring(2);
    for name in ["a", "b", "c", "d"] {
        f.map(name, json!({})).await;
    }
    let (address, _stop, _server) = served(&f).await;
    let mut watch = Client::open(address, &format!("{MAPS}?watch=1&resourceVersion=1"), &[]).await.ok().unwrap();
    assert_eq!(watch.event().await, event("ERROR", ""));
    assert_eq!(watch.close_code().await, Some(CloseCode::Normal));
}

#[tokio::test]
async fn a_log_is_its_bytes_as_the_protocol_says() {
    let f = Fixture::new();
    let (address, stop, _server) = served(&f).await;
    let pod_uid = pod(&f, container(json!({"running": {}}), 0)).await;
    let log = f.api.logs.open(LogId { pod_uid, container: "c".to_owned(), restart: 0 });
    log.write(Stream::Stdout, b"one\n");
    let path = "/api/v1/namespaces/default/pods/p/log?follow=true";
    let reading = async {
        let mut text = Client::open(address, path, &[("sec-websocket-protocol", BASE64)]).await.ok().unwrap();
        assert_eq!(text.protocol.as_deref(), Some(BASE64));
        assert_eq!(text.next().await, Some(Message::text("")), "it was found");
        assert_eq!(text.next().await, Some(Message::text("b25lCg==")));
        let mut binary = Client::open(address, path, &[]).await.ok().unwrap();
        assert_eq!(binary.next().await, Some(Message::binary(Vec::new())));
        assert_eq!(binary.next().await, Some(Message::binary(b"one\n".to_vec())));
        log.write(Stream::Stdout, b"two\n");
        assert_eq!(text.next().await, Some(Message::text("dHdvCg==")));
        assert_eq!(binary.next().await, Some(Message::binary(b"two\n".to_vec())));
        stop.cancel();
        for mut client in [text, binary] {
            assert_eq!(client.close_code().await, Some(CloseCode::Away));
        }
    };
    // What is written waits a moment for company before it is to be read.
    let writing = f.api.logs.clone().flush_loop(CancellationToken::new());
    tokio::select! { () = reading => {}, () = writing => {}, () = ticking(&f, Duration::from_millis(5)) => {} }
}

#[tokio::test]
async fn what_cannot_be_a_websocket_is_refused_as_a_plain_request_is() {
    let f = Fixture::new();
    let (address, _stop, _server) = served(&f).await;
    let refused = async |path: &str, headers: &[(&'static str, &str)]| {
        let (code, body) = Client::open(address, path, headers).await.err().unwrap();
        assert_eq!((&body["kind"], &body["code"]), (&json!("Status"), &json!(code)), "{path}");
        (code, body["message"].as_str().unwrap().to_owned())
    };
    let watch = format!("{MAPS}?watch=1");
    let (code, message) = refused(&watch, &[("origin", "http://evil.example")]).await;
    assert!(code == 403 && message.contains("another origin"), "hijacking by a page: {code} {message}");
    assert_eq!(refused(&watch, &[("origin", "null")]).await.0, 403);
    let own = format!("http://{address}");
    assert!(
        Client::open(address, &watch, &[("origin", own.as_str())]).await.is_ok(),
        "Headlamp names the server itself"
    );
    let (code, message) = refused(MAPS, &[]).await;
    assert!(code == 400 && message.contains("watch=true"), "{message}");
    assert_eq!(refused(&format!("{MAPS}?watch=1&resourceVersion=x"), &[]).await.0, 422);
    assert_eq!(refused("/api/v1/namespaces/default/pods/p/log", &[]).await.0, 404);
    pod(&f, container(json!({"running": {}}), 0)).await;
    let channel = [("sec-websocket-protocol", "v4.channel.k8s.io")];
    let (code, message) = refused("/api/v1/namespaces/default/pods/p/log", &channel).await;
    assert!(code == 400 && message.contains("not supported"), "{message}");
    let (code, message) = refused("/api/v1/namespaces/default/pods/p/exec?command=sh", &channel).await;
    assert!(code == 501 && message.contains("WASI"), "{message}");
    // No handshake at all.
    let request = Request::get(&watch).header("upgrade", "websocket").body(Body::empty()).unwrap();
    assert_eq!(f.send(request).await.refusal().0, 400);
}

#[tokio::test]
async fn it_takes_a_place_until_it_is_over() {
    let limits = ServerLimits { long_requests: 1, connections: 2, ..ServerLimits::default() };
    let f = Fixture::with(10, limits);
    let f = Fixture { router: observed(f.router.clone(), f.api.server.clone()), ..f };
    let (address, _stop, _server) = served(&f).await;
    let path = format!("{MAPS}?watch=1");
    let first = Client::open(address, &path, &[]).await.ok().unwrap();
    assert_eq!(f.api.server.requests.connections.get(), 1);
    assert_eq!(Client::open(address, &path, &[]).await.err().unwrap().0, 429);
    drop(first);
    let again = async {
        while Client::open(address, &path, &[]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again).await.expect("its place is given back");
}

#[tokio::test]
async fn who_reads_nothing_is_given_up_and_who_sends_too_much_too() {
    let f = Fixture::with_ring(100_000);
    let (address, _stop, _server) = served(&f).await;
    let before = Arc::strong_count(&f.api.namespaces);
    let path = format!("{MAPS}?watch=1");
    let mut loud = Client::open(address, &path, &[]).await.ok().unwrap();
    // It may be cut off before all is sent.
    let _ = loud.socket.send(Message::Binary(vec![0; 1 << 20].into())).await;
    freed(&f, before).await;

    let stuck = Client::open(address, &path, &[]).await.ok().unwrap();
    // More than the kernel holds for it.
    for n in 0..24 {
        let labels = json!({"n": n.to_string()});
        let big = json!({"metadata": {"name": "big", "labels": labels}, "data": {"k": "x".repeat(900_000)}});
        f.api
            .store
            .commit(if n == 0 { Tx::new().create(stored(&big)) } else { Tx::new().update(stored(&big)) })
            .unwrap();
    }
    let ticking = ticking(&f, Duration::from_secs(10));
    tokio::select! { () = freed(&f, before) => {}, () = ticking => {} }
    let metrics = f.get("/metrics").await.text;
    assert!(metrics.contains("kiln_http_connections_cut_total{reason=\"stalled\"} 1"), "{metrics}");
    drop(stuck);
}

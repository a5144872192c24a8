//! What one client, and all together, may take of the server: each limit kept and broken, over plain sockets, against
//! the real program. `docs/api.md` lists them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{SOON, Server, guest, job, wait_for};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn limited(limits: &[&str]) -> Server {
    let args: Vec<&str> = limits.iter().flat_map(|limit| ["--limit", *limit]).collect();
    Server::start_with(tempfile::tempdir().unwrap(), &args)
}

/// A connection on which the test writes HTTP by hand.
struct Raw(TcpStream);

impl Raw {
    fn open(server: &Server) -> Raw {
        let stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw(stream)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn get(&mut self, path: &str, headers: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
    }

    /// Reads until `ends` is satisfied with what has come; panics if the connection ends before.
    fn read_until(&mut self, ends: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&seen);
            if ends(&text) {
                return text.into_owned();
            }
            let mut piece = [0; 16384];
            match self.0.read(&mut piece) {
                Ok(n) if n > 0 => seen.extend_from_slice(&piece[..n]),
                other => panic!("{other:?} after {text}"),
            }
        }
    }

    /// The code of the next answer.
    fn code(&mut self) -> u16 {
        self.read_until(|text| text.contains("\r\n\r\n"))[9..12].parse().unwrap()
    }

    /// What comes until the server closes the connection.
    fn rest(&mut self) -> Vec<u8> {
        let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 20]);
        loop {
            match self.0.read(&mut piece) {
                Ok(0) => return all,
                Ok(n) => all.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return all,
                Err(e) => panic!("the server does not close the connection: {e}; {} bytes came", all.len()),
            }
        }
    }

    /// Sends one byte of `text` every fifth of a second, until the server has closed the connection; how long that took.
    fn trickle(&mut self, text: &str) -> (Duration, String) {
        let begun = Instant::now();
        self.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut seen = Vec::new();
        for byte in text.as_bytes().iter().cycle() {
            assert!(begun.elapsed() < SOON, "the server goes on listening; it said {seen:?}");
            let sent = self.0.write_all(&[*byte]);
            let mut piece = [0; 4096];
            match self.0.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => seen.extend_from_slice(&piece[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => sent.unwrap(),
                Err(_) => break,
            }
        }
        (begun.elapsed(), String::from_utf8_lossy(&seen).into_owned())
    }
}

fn metric(server: &Server, name: &str) -> Option<f64> {
    let (code, text) = server.send("GET", "/metrics", "", b"");
    assert_eq!(code, 200);
    let Value::String(text) = text else { panic!("{text}") };
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn map(server: &Server, name: &str, bytes: usize) {
    let map = json!({"metadata": {"name": name}, "data": {"x": "y".repeat(bytes)}});
    let (code, answer) = server.send("POST", MAPS, "application/json", map.to_string().as_bytes());
    assert_eq!(code, 201, "{answer}");
}

#[test]
fn long_heads_and_urls_and_bodies_are_refused_and_those_that_fit_are_not() {
    let server = limited(&["url-bytes=1000", "head-bytes=8192", "headers=20"]);
    let code = |path: &str, headers: &str| {
        let mut raw = Raw::open(&server);
        raw.get(path, headers);
        raw.code()
    };
    let url = |bytes: usize| format!("{MAPS}?x={}", "x".repeat(bytes - MAPS.len() - "?x=".len()));
    assert_eq!((code(&url(1000), ""), code(&url(1001), "")), (200, 414));
    assert_eq!(code(MAPS, &format!("X: {}\r\n", "x".repeat(7000))), 200);
    assert_eq!(code(MAPS, &format!("X: {}\r\n", "x".repeat(8200))), 431);
    let headers = |n: usize| (0..n).map(|n| format!("X{n}: y\r\n")).collect::<String>();
    assert_eq!((code(MAPS, &headers(19)), code(MAPS, &headers(20))), (200, 431));
    let cut = wait_for("the cut is counted", || {
        let cut = metric(&server, "kiln_http_connections_cut_total{reason=\"head-too-large\"}");
        cut.filter(|n| *n >= 1.0).ok_or(cut)
    });
    assert_eq!(cut, 2.0);
    // Three mebibytes, to the byte: JSON may end in blanks.
    let body = |bytes: usize| {
        let mut body = json!({"metadata": {"generateName": "m-"}}).to_string();
        body.extend(std::iter::repeat_n(' ', bytes - body.len()));
        body
    };
    let post = |bytes: usize| server.send("POST", MAPS, "application/json", body(bytes).as_bytes());
    assert_eq!(post(3 << 20).0, 201);
    let (code, status) = post((3 << 20) + 1);
    assert_eq!((code, &status["reason"]), (413, &json!("RequestEntityTooLarge")), "{status}");
}

/// A connection that is closed on what nobody read is reset, and who is writing then never sees the words.
#[test]
fn a_client_gets_to_an_answer_that_does_not_wait_for_its_body() {
    let server = limited(&[]);
    let answered = |request: &str, body: &str, code: u16| {
        let mut client = Raw::open(&server);
        client.send(&format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len()));
        // So that the answer is there before the body.
        assert_eq!(client.0.peek(&mut [0]).unwrap(), 1);
        client.send(body);
        assert_eq!(client.code(), code, "{request}");
    };
    let long = "x".repeat(20 << 20);
    for (request, code) in [
        ("POST /apis/apps/v1/namespaces/default/deployments", 404),
        ("POST /apis/kiln.dev/v1/modules", 405),
        ("PUT /version", 405),
    ] {
        answered(request, &long[..2_900_000], code);
        answered(request, &long, code);
    }
    let mut client = Raw::open(&server);
    client.send(&format!("POST {MAPS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{long}", long.len()));
    assert_eq!(client.code(), 413);
    // Who asks before it sends, sends nothing, and nobody waits for it.
    let mut client = Raw::open(&server);
    client.send("PUT /version HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 20000000\r\n\r\n");
    assert_eq!(client.code(), 405);
}

#[test]
fn a_client_that_sends_byte_by_byte_is_cut_off_and_a_quick_one_is_not() {
    let server = limited(&["head-seconds=2", "body-seconds=2", "upload-bytes-per-second=1000"]);
    // The head.
    let (took, said) = Raw::open(&server).trickle(&format!("GET {MAPS} HTTP/1.1\r\nX: {}", "x".repeat(1000)));
    assert!(took >= Duration::from_secs(2) && said.is_empty(), "{took:?} {said}");
    // Nothing, before the first request and after one.
    let mut idle = Raw::open(&server);
    assert!(idle.rest().is_empty());
    let mut idle = Raw::open(&server);
    idle.get("/livez", "");
    assert_eq!(idle.code(), 200);
    assert!(idle.rest().len() < 10);
    for (reason, number) in [("idle", 2.0), ("head-too-slow", 1.0)] {
        let name = format!("kiln_http_connections_cut_total{{reason=\"{reason}\"}}");
        wait_for("the cut to be counted", || match metric(&server, &name) {
            Some(n) if n == number => Ok(()),
            other => Err((reason, other)),
        });
    }
    // A body, and an upload.
    for (method, path) in [("POST", MAPS), ("PUT", "/modules/slow")] {
        let mut raw = Raw::open(&server);
        let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
        raw.send(&format!("{method} {path} HTTP/1.1\r\n{head}"));
        let (took, said) = raw.trickle("x");
        assert!(took >= Duration::from_secs(2), "{took:?} {said}");
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("\"reason\":\"Timeout\""), "{path}: {said}");
    }
    // An upload that goes on may take longer than that: three seconds at twice the least rate.
    let mut raw = Raw::open(&server);
    raw.send("PUT /modules/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000\r\n\r\n");
    for _ in 0..15 {
        raw.send(&"x".repeat(400));
        std::thread::park_timeout(Duration::from_millis(200));
    }
    assert_eq!(raw.code(), 422, "it is no module, which it took all of it to say");
}

#[test]
fn connections_beyond_the_limit_wait_until_one_ends() {
    let server = limited(&["connections=2"]);
    let mut open: Vec<Raw> = (0..2).map(|_| Raw::open(&server)).collect();
    for raw in &mut open {
        raw.get("/livez", "");
        assert_eq!(raw.code(), 200);
    }
    let mut third = Raw::open(&server);
    third.get("/livez", "");
    third.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let waits = third.0.read(&mut [0; 10]).unwrap_err();
    assert!(matches!(waits.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waits}");
    third.0.set_read_timeout(Some(SOON)).unwrap();
    drop(open.pop());
    assert_eq!(third.code(), 200);
}

#[test]
fn requests_under_way_are_bounded_by_kind() {
    let server = limited(&["requests-inflight=1", "mutating-requests-inflight=1", "long-requests=2"]);
    let refused = |method: &str, path: &str| {
        let (code, status) = server.send(method, path, "application/json", b"{}");
        if code == 429 {
            assert_eq!(
                (&status["reason"], &status["details"]["retryAfterSeconds"]),
                (&json!("TooManyRequests"), &json!(1))
            );
        }
        code == 429
    };
    // A write whose body has not come is under way.
    let mut write = Raw::open(&server);
    write.send(&format!("POST {MAPS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"));
    wait_for("the write to be under way", || {
        let mutating = metric(&server, "apiserver_current_inflight_requests{request_kind=\"mutating\"}");
        if mutating == Some(1.0) { Ok(()) } else { Err(mutating) }
    });
    assert!(refused("POST", MAPS) && refused("DELETE", &format!("{MAPS}/x")));
    assert!(!refused("GET", MAPS), "reads have places of their own");
    drop(write);
    wait_for("a place to be free", || if refused("POST", MAPS) { Err("refused") } else { Ok(()) });
    // Watches count among themselves, and not among reads.
    let mut watches: Vec<Raw> = (0..2).map(|_| Raw::open(&server)).collect();
    for watch in &mut watches {
        watch.get(&format!("{MAPS}?watch=true"), "");
        assert_eq!(watch.code(), 200);
    }
    let mut third = Raw::open(&server);
    third.get(&format!("{MAPS}?watch=true"), "");
    let answer = third.read_until(|text| text.contains("later."));
    assert!(
        answer.starts_with("HTTP/1.1 429 ") && answer.to_lowercase().contains("\r\nretry-after: 1\r\n"),
        "{answer}"
    );
    assert!(!refused("GET", MAPS));
    watches.clear();
    wait_for("a place to be free", || {
        let mut watch = Raw::open(&server);
        watch.get(&format!("{MAPS}?watch=true"), "");
        match watch.code() {
            200 => Ok(()),
            code => Err(code),
        }
    });
    // kubectl waits and asks again.
    map(&server, "seen", 1);
    assert!(server.kubectl_ok(&["get", "configmaps", "-o", "name"]).contains("configmap/"));
}

/// Bytes of memory that the server holds.
fn resident(server: &Server) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).unwrap();
    kib.trim().parse::<i64>().unwrap() * 1024
}

#[test]
fn a_client_that_reads_nothing_is_cut_off_and_one_that_reads_slowly_is_served() {
    let server = limited(&["stall-seconds=2"]);
    for n in 0..40 {
        map(&server, &format!("big-{n:02}"), 900_000);
    }
    let before = resident(&server);
    // A list, and a watch that begins with what there is: each is longer than all buffers on the way.
    let mut stalled: Vec<Raw> = Vec::new();
    for path in [MAPS.to_owned(), format!("{MAPS}?watch=true")] {
        for _ in 0..4 {
            let mut raw = Raw::open(&server);
            raw.get(&path, "");
            stalled.push(raw);
        }
    }
    let mut slow = Raw::open(&server);
    slow.get(MAPS, "Connection: close\r\n");
    let mut read = Vec::new();
    let mut piece = vec![0; 2 << 20];
    // Longer than the limit in all, and never so long at a time.
    loop {
        match slow.0.read(&mut piece).unwrap() {
            0 => break,
            n => read.extend_from_slice(&piece[..n]),
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert!(read.len() > 36_000_000 && read.ends_with(b"0\r\n\r\n"), "{} bytes", read.len());
    wait_for("all that read nothing to be cut off", || {
        let cut = metric(&server, "kiln_http_connections_cut_total{reason=\"stalled\"}");
        if cut == Some(8.0) { Ok(()) } else { Err(cut) }
    });
    for raw in &mut stalled {
        assert!(raw.rest().len() < 36_000_000, "what they find is cut off");
    }
    let grown = resident(&server) - before;
    assert!(grown < 64 << 20, "nine clients of 36 MB each made the server grow by {grown} bytes");
}

#[test]
fn a_followed_log_that_nobody_reads_is_cut_off_and_holds_up_nobody() {
    let server = limited(&["stall-seconds=1"]);
    server.push("flood", &guest("flood"));
    server.create(&job("flood", "flood", &["flood"], "  activeDeadlineSeconds: 5"));
    let pod = wait_for("the pod to run", || match server.pods("flood").first() {
        Some(pod) if pod["status"]["phase"] == "Running" => Ok(pod["metadata"]["name"].as_str().unwrap().to_owned()),
        other => Err(other.cloned()),
    });
    let mut raw = Raw::open(&server);
    raw.get(&format!("/api/v1/namespaces/default/pods/{pod}/log?follow=true&timestamps=true"), "");
    wait_for("it to be cut off", || {
        let cut = metric(&server, "kiln_http_connections_cut_total{reason=\"stalled\"}");
        if cut == Some(1.0) { Ok(()) } else { Err(cut) }
    });
    assert_eq!(server.wait_for_end("flood").1.1, "DeadlineExceeded");
}

//! Who may reach what: nothing without a network, and with one only what it allows.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::*;

/// What the guests say when it works.
const WORKS: u32 = 100;

/// Error codes of `wasi:sockets/network`.
const ACCESS_DENIED: u32 = 1;
const UNRESOLVABLE: u32 = 20;

/// Error codes of `wasi:http/types`.
const IP_PROHIBITED: u32 = 4;
const REFUSED: u32 = 6;
const TLS_PROTOCOL: u32 = 12;
const REQUEST_DENIED: u32 = 15;

fn network(blocks: &[&str]) -> Network {
    let blocks: Vec<_> = blocks.iter().map(|block| block.parse().unwrap()).collect();
    Network::outbound(&blocks)
}

fn with(network: Network) -> Run {
    Run { network, ..plain_run() }
}

fn sockets(mode: u32, port: u16, wanted: u32) -> Program {
    let text = include_str!("../../../tests/guests/component-sockets.wat");
    let text = text.replace("const MODE", &format!("const {mode}")).replace("const PORT", &format!("const {port}"));
    load(&text.replace("const WANTED", &format!("const {wanted}")))
}

fn request(scheme: u32, authority: &str, size: usize, wanted: u32) -> Program {
    let text = include_str!("../../../tests/guests/component-http.wat");
    let text = text.replace("\"AUTHORITY\"", &format!("\"{authority}\""));
    let numbers =
        [("LENGTH", authority.len()), ("SCHEME", scheme as usize), ("SIZE", size), ("WANTED", wanted as usize)];
    let text = numbers
        .iter()
        .fold(text, |text, (word, number)| text.replace(&format!("const {word}"), &format!("const {number}")));
    load(&text)
}

/// Answers each request with a body of `size` bytes, `answers` times; its port.
fn server(size: usize, answers: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().take(answers) {
            let mut stream = stream.unwrap();
            let mut heard = Vec::new();
            let mut byte = [0];
            while !heard.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                heard.push(byte[0]);
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
            // Who has heard enough hangs up.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; size]));
        }
    });
    port
}

#[test]
fn without_a_network_there_are_no_sockets_and_no_names() {
    for (mode, wanted) in [(1, ACCESS_DENIED), (2, ACCESS_DENIED), (3, ACCESS_DENIED), (4, UNRESOLVABLE)] {
        let ending = run(&sockets(mode, 80, wanted), plain_run());
        assert_eq!(ending.outcome, Outcome::Exited { code: 0 }, "mode {mode}");
    }
}

#[test]
fn sockets_reach_what_is_allowed_and_nothing_else_and_never_listen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (here, elsewhere) = (network(&["127.0.0.0/8"]), network(&["192.0.2.0/24", "::/0"]));
    let cases = [
        (1, &here, WORKS),
        (1, &elsewhere, ACCESS_DENIED),
        (2, &here, ACCESS_DENIED),
        (3, &here, WORKS),
        (3, &elsewhere, ACCESS_DENIED),
        (4, &here, WORKS),
    ];
    for (mode, network, wanted) in cases {
        let ending = run(&sockets(mode, port, wanted), with(network.clone()));
        assert_eq!(ending.outcome, Outcome::Exited { code: 0 }, "mode {mode}, {network:?}");
    }
}

#[test]
fn requests_are_answered_from_where_it_is_allowed() {
    let here = network(&["127.0.0.0/8"]);
    for size in [0, 1, 3 << 20] {
        let port = server(size, 2);
        for host in ["127.0.0.1", "localhost"] {
            let program = request(0, &format!("{host}:{port}"), size, WORKS);
            assert_eq!(run(&program, with(here.clone())).outcome, Outcome::Exited { code: 0 }, "{host}, {size} bytes");
        }
    }
}

#[test]
fn requests_are_refused_without_a_network_and_to_what_is_not_allowed() {
    let port = server(0, 0);
    let (here, elsewhere) = (network(&["127.0.0.0/8"]), network(&["192.0.2.0/24"]));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs_up = silent.local_addr().unwrap().port();
    thread::spawn(move || silent.accept());
    let cases = [
        (0, format!("127.0.0.1:{port}"), Network::none(), REQUEST_DENIED),
        (1, format!("127.0.0.1:{port}"), Network::none(), REQUEST_DENIED),
        (0, format!("127.0.0.1:{port}"), elsewhere.clone(), IP_PROHIBITED),
        (0, format!("localhost:{port}"), elsewhere.clone(), IP_PROHIBITED),
        (0, "169.254.169.254".to_owned(), here.clone(), IP_PROHIBITED),
        (0, "[::ffff:192.168.0.1]".to_owned(), here.clone(), IP_PROHIBITED),
        (0, format!("127.0.0.1:{closed}"), here.clone(), REFUSED),
        // No TLS there.
        (1, format!("127.0.0.1:{hangs_up}"), here.clone(), TLS_PROTOCOL),
    ];
    for (scheme, authority, network, wanted) in cases {
        let ending = run(&request(scheme, &authority, 0, wanted), with(network));
        assert_eq!(ending.outcome, Outcome::Exited { code: 0 }, "{scheme} {authority} {wanted}");
    }
}

#[test]
fn a_request_without_an_answer_ends_with_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let program = request(0, &format!("127.0.0.1:{port}"), 0, WORKS);
    let given = Run { deadline: Deadline::at(now() + Duration::from_millis(50)), ..with(network(&["127.0.0.1/32"])) };
    let ending = run(&program, given);
    assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
    assert!(ending.usage.wall < PROMPT, "{ending:?}");
    // The connection is closed with it: after the request comes the end, and not silence.
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert!(heard.starts_with(b"GET / HTTP/1.1\r\n"));
}

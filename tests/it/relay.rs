//! A port that stays while the server behind it goes and comes back elsewhere: what a client with a fixed address sees
//! of a restart.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub struct Relay {
    pub url: String,
    to: Arc<Mutex<Option<SocketAddr>>>,
}

impl Relay {
    /// Hands connections on to the server at this URL.
    pub fn to(url: &str) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay { url: format!("http://{}", listener.local_addr().unwrap()), to: Arc::default() };
        relay.turn_to(url);
        let to = relay.to.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Some(server) = *to.lock().unwrap() else { continue };
                // A client that is dropped here sees its connection closed, as from a server that is gone.
                let Ok(server) = TcpStream::connect(server) else { continue };
                let (back, forth) = (pair(&server, &client), pair(&client, &server));
                std::thread::spawn(move || pump(back));
                std::thread::spawn(move || pump(forth));
            }
        });
        relay
    }

    pub fn turn_to(&self, url: &str) {
        *self.to.lock().unwrap() = Some(url.trim_start_matches("http://").parse().unwrap());
    }

    /// Until it is turned to another server, every new connection is closed at once.
    pub fn cut(&self) {
        *self.to.lock().unwrap() = None;
    }
}

fn pair(from: &TcpStream, to: &TcpStream) -> (TcpStream, TcpStream) {
    (from.try_clone().unwrap(), to.try_clone().unwrap())
}

/// Copies until one of the two is closed, and closes the other.
fn pump((mut from, mut to): (TcpStream, TcpStream)) {
    let mut piece = [0; 8192];
    loop {
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(n) if to.write_all(&piece[..n]).is_ok() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

//! The output of pods on stdout: whole lines, each with its pod's name in front when several run.

use std::io::{self, Write};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::logs::{LogId, Logs, Query};

/// Copies one log to `lines`, line by line, until it ends.
pub async fn follow(logs: Logs, id: LogId, prefix: Option<String>, lines: mpsc::Sender<Bytes>) {
    let mut pieces = logs.read(id, Query { follow: true, ..Query::default() });
    let mut rest = BytesMut::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Ok(piece) => rest.extend_from_slice(&piece),
            Err(error) => {
                tracing::error!(%error, "a log cannot be read");
                return;
            }
        }
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line = rest.split_to(end + 1);
            if lines.send(with(prefix.as_deref(), &line)).await.is_err() {
                return;
            }
        }
    }
    if rest.has_remaining() {
        rest.extend_from_slice(b"\n");
        let _ = lines.send(with(prefix.as_deref(), &rest)).await;
    }
}

fn with(prefix: Option<&str>, line: &[u8]) -> Bytes {
    match prefix {
        Some(prefix) => [prefix.as_bytes(), b" | ", line].concat().into(),
        None => Bytes::copy_from_slice(line),
    }
}

/// Writes lines to stdout, until all senders are gone. `around` runs each write, so that a progress bar can step aside.
pub async fn print(mut lines: mpsc::Receiver<Bytes>, around: impl Fn(&mut dyn FnMut())) {
    while let Some(line) = lines.recv().await {
        let mut written = Ok(());
        around(&mut || {
            let mut out = io::stdout().lock();
            written = out.write_all(&line).and_then(|()| out.flush());
        });
        if written.is_err() {
            // Whoever read it has gone, as with `| head`: the work goes on, unseen.
            lines.close();
        }
    }
}

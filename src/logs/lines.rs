//! From records to lines. The streams are interleaved by line, as a container runtime does it: a line belongs to one
//! stream and comes when it is complete, or when the log ends.

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;

use super::record::{Record, Stream};

/// A line with its line break; the last one of a stream may have none. A line longer than [`LONGEST`] comes in parts,
/// of which only the first begins a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    pub begins: bool,
    pub text: Bytes,
}

/// As container runtimes cut them (CRI: 16 KiB).
const LONGEST: usize = 16 << 10;

#[derive(Default)]
struct Partial {
    text: BytesMut,
    at: Option<Timestamp>,
    /// An earlier part of this line is out.
    continues: bool,
}

#[derive(Default)]
pub struct Assembler {
    stdout: Partial,
    stderr: Partial,
}

impl Assembler {
    pub fn push(&mut self, record: Record<'_>, out: &mut Vec<Line>) {
        let partial = match record.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        for piece in record.bytes.split_inclusive(|b| *b == b'\n') {
            partial.at.get_or_insert(record.at);
            partial.text.put_slice(piece);
            if piece.ends_with(b"\n") || partial.text.len() >= LONGEST {
                partial.complete(out);
            }
        }
    }

    /// What is left when the log ends.
    pub fn end(&mut self, out: &mut Vec<Line>) {
        self.stdout.complete(out);
        self.stderr.complete(out);
    }
}

impl Partial {
    fn complete(&mut self, out: &mut Vec<Line>) {
        let Some(at) = self.at.take() else { return };
        let text = self.text.split().freeze();
        let begins = !std::mem::replace(&mut self.continues, !text.ends_with(b"\n"));
        out.push(Line { at, begins, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: Stream, text: &str) -> Record<'_> {
        Record { stream, at: Timestamp::UNIX_EPOCH, bytes: text.as_bytes() }
    }

    #[test]
    fn lines_of_two_streams_do_not_run_into_each_other() {
        let (mut assembler, mut out) = (Assembler::default(), Vec::new());
        for (stream, text) in [(Stream::Stdout, "ab"), (Stream::Stderr, "warn\n"), (Stream::Stdout, "c\nrest")] {
            assembler.push(record(stream, text), &mut out);
        }
        assembler.end(&mut out);
        let texts: Vec<_> = out.iter().map(|l| l.text.as_ref()).collect();
        assert_eq!(texts, [&b"warn\n"[..], b"abc\n", b"rest"]);
    }

    #[test]
    fn a_line_without_end_comes_in_parts() {
        let (mut assembler, mut out) = (Assembler::default(), Vec::new());
        let long = "x".repeat(LONGEST);
        assembler.push(record(Stream::Stdout, &long), &mut out);
        assembler.push(record(Stream::Stdout, "end\nnext\n"), &mut out);
        let begins: Vec<_> = out.iter().map(|l| (l.begins, l.text.len())).collect();
        assert_eq!(begins, [(true, LONGEST), (false, 4), (true, 5)]);
    }
}

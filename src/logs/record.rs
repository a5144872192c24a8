//! The bytes of a chunk: records of what was written, when, and to which stream.
//!
//! ```text
//! stream (1 byte: 1 stdout, 2 stderr)  nanoseconds since 1970 (8, big endian)  length (4, big endian)  bytes
//! ```

use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The bytes that a record takes beside what was written.
pub const OVERHEAD: usize = 13;

pub fn append(chunk: &mut Vec<u8>, stream: Stream, at: Timestamp, bytes: &[u8]) {
    let nanos = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    chunk.push(if stream == Stream::Stdout { 1 } else { 2 });
    chunk.extend_from_slice(&nanos.to_be_bytes());
    chunk.extend_from_slice(&length.to_be_bytes());
    chunk.extend_from_slice(&bytes[..length as usize]);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub stream: Stream,
    pub at: Timestamp,
    pub bytes: &'a [u8],
}

/// The records of a chunk; ends at the first that is cut short.
pub fn records(mut chunk: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = chunk.split_first_chunk::<OVERHEAD>()?;
        let nanos = i64::from_be_bytes(head[1..9].try_into().ok()?);
        let length = u32::from_be_bytes(head[9..13].try_into().ok()?) as usize;
        let bytes = rest.get(..length)?;
        chunk = &rest[length..];
        let stream = if head[0] == 1 { Stream::Stdout } else { Stream::Stderr };
        Some(Record { stream, at: Timestamp::from_nanosecond(nanos.into()).ok()?, bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_back_as_written_and_a_cut_chunk_ends_early(
            writes in proptest::collection::vec((any::<bool>(), any::<i64>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..10),
            cut in 0usize..500,
        ) {
            let mut chunk = Vec::new();
            for (out, nanos, bytes) in &writes {
                let stream = if *out { Stream::Stdout } else { Stream::Stderr };
                append(&mut chunk, stream, Timestamp::from_nanosecond((*nanos).into()).unwrap(), bytes);
            }
            let read: Vec<_> = records(&chunk).map(|r| (r.stream == Stream::Stdout, r.at.as_nanosecond() as i64, r.bytes.to_vec())).collect();
            prop_assert_eq!(&read, &writes);
            let cut = &chunk[..cut.min(chunk.len())];
            prop_assert!(records(cut).zip(&writes).all(|(r, w)| r.bytes == w.2));
        }
    }
}

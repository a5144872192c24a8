use super::*;

struct Fixture {
    store: Store,
    logs: Logs,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 16).unwrap();
        let logs = Logs::new(store.clone(), Clock::real());
        let stop = CancellationToken::new();
        tokio::spawn(logs.clone().flush_loop(stop.clone()));
        Fixture { store, logs, stop, _dir: dir }
    }

    fn id() -> LogId {
        LogId { pod_uid: "u".to_owned(), container: "c".to_owned(), restart: 0 }
    }

    fn finish(&self, writer: LogWriter) {
        let mut tx = writer.finish();
        tx.put_side(b"x".to_vec(), Bytes::new());
        let revision = self.store.commit(tx).unwrap().revision;
        writer.committed(revision);
    }

    async fn read(&self, query: Query) -> Vec<u8> {
        self.read_run(0, query).await
    }

    async fn read_run(&self, restart: u32, query: Query) -> Vec<u8> {
        let mut pieces = self.logs.read(LogId { restart, ..Fixture::id() }, query);
        let mut all = Vec::new();
        while let Some(piece) = pieces.recv().await {
            all.extend_from_slice(&piece.unwrap());
        }
        all
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn what_was_written_is_read_while_running_and_afterwards() {
    let f = Fixture::new();
    let writer = f.logs.open(Fixture::id());
    writer.write(Stream::Stdout, b"one\ntwo\n");
    assert_eq!(f.read(Query::default()).await, b"one\ntwo\n");
    writer.write(Stream::Stderr, b"three");
    f.finish(writer);
    assert_eq!(f.read(Query::default()).await, b"one\ntwo\nthree");
    let tail = Query { tail_lines: Some(2), ..Query::default() };
    assert_eq!(f.read(tail).await, b"two\nthree");
    let limited = Query { limit_bytes: Some(5), ..Query::default() };
    assert_eq!(f.read(limited).await, b"one\nt");
    let stamped = f.read(Query { timestamps: true, ..Query::default() }).await;
    let stamped = String::from_utf8(stamped).unwrap();
    let (time, text) = stamped.lines().next().unwrap().split_once(' ').unwrap();
    assert!(text == "one" && time.parse::<jiff::Timestamp>().is_ok() && time.len() == 30, "{stamped}");
    let future = Query { since: Some(jiff::Timestamp::MAX), ..Query::default() };
    assert_eq!(f.read(future).await, b"");
}

#[tokio::test]
async fn a_follower_gets_each_line_and_the_end() {
    let f = Fixture::new();
    let writer = f.logs.open(Fixture::id());
    writer.write(Stream::Stdout, b"0\n");
    let mut follower = f.logs.read(Fixture::id(), Query { follow: true, ..Query::default() });
    for n in 1..20 {
        let piece = follower.recv().await.unwrap().unwrap();
        assert_eq!(piece, format!("{}\n", n - 1).as_bytes());
        writer.write(Stream::Stdout, format!("{n}\n").as_bytes());
    }
    f.finish(writer);
    assert_eq!(follower.recv().await.unwrap().unwrap(), &b"19\n"[..]);
    assert!(follower.recv().await.is_none());
}

#[tokio::test]
async fn a_flood_keeps_its_first_and_last_bytes_and_says_what_is_missing() {
    let f = Fixture::new();
    let writer = f.logs.open(Fixture::id());
    let line = |n: usize| format!("{n:062}\n");
    let lines = 3 * (HEAD + TAIL) / 63;
    for n in 0..lines {
        writer.write(Stream::Stdout, line(n).as_bytes());
    }
    f.finish(writer);
    let log = f.read(Query::default()).await;
    assert!(log.len() < HEAD + TAIL + 200, "{}", log.len());
    let text = String::from_utf8(log).unwrap();
    assert!(text.starts_with(&line(0)), "begins {:?}", &text[..200]);
    assert!(text.ends_with(&line(lines - 1)), "ends {:?}", &text[text.len() - 200..]);
    assert!(text.contains("bytes of stdout dropped here"));
}

#[tokio::test]
async fn each_stream_says_what_is_missing_of_it() {
    let stdout = |n: usize| format!("o{n:061}\n");
    for both in [false, true] {
        let f = Fixture::new();
        let writer = f.logs.open(Fixture::id());
        writer.write(Stream::Stderr, b"a few words\n");
        let lines = 2 * (HEAD + TAIL) / 63;
        for n in 0..lines {
            writer.write(Stream::Stdout, stdout(n).as_bytes());
            if both {
                writer.write(Stream::Stderr, b"more\n");
            }
        }
        f.finish(writer);
        let read = async |stream| {
            let log = f.read(Query { stream, ..Query::default() }).await;
            String::from_utf8(log).unwrap()
        };
        let said = |log: &str, of: &str| -> Option<usize> {
            let end = log.find(&format!(" bytes of {of} dropped here: "))?;
            log[..end].rsplit_once("\n[kiln: ")?.1.parse().ok()
        };
        let kept = |log: &str| -> usize {
            log.split_inclusive('\n').filter(|l| !l.starts_with("[kiln: ") && *l != "\n").map(str::len).sum()
        };
        let (out, err, all) = (read(Some(Stream::Stdout)).await, read(Some(Stream::Stderr)).await, read(None).await);
        assert_eq!((said(&out, "stderr"), said(&err, "stdout")), (None, None));
        assert_eq!(said(&out, "stdout").unwrap() + kept(&out), lines * 63);
        assert!(out.starts_with(&stdout(0)) && out.ends_with(&stdout(lines - 1)));
        assert_eq!((said(&all, "stdout"), said(&all, "stderr")), (said(&out, "stdout"), said(&err, "stderr")));
        match both {
            true => assert_eq!(said(&err, "stderr").unwrap() + kept(&err), 12 + lines * 5),
            false => assert_eq!(err, "a few words\n"),
        }
    }
}

#[tokio::test]
async fn deleting_a_pods_logs_leaves_other_pods_alone() {
    let f = Fixture::new();
    for uid in ["u", "u2"] {
        let writer = f.logs.open(LogId { pod_uid: uid.to_owned(), ..Fixture::id() });
        writer.write(Stream::Stdout, b"x\n");
        f.finish(writer);
    }
    f.logs.delete_all(&["u".to_owned()]);
    f.store.durable(f.store.revision()).await.unwrap();
    assert_eq!(f.logs.pods().unwrap(), ["u2"]);
    assert_eq!(f.read(Query::default()).await, b"");
}

#[tokio::test]
async fn of_each_container_the_current_and_the_previous_run_are_kept() {
    let f = Fixture::new();
    let run = |container: &str, restart: u32| {
        let writer = f.logs.open(LogId { container: container.to_owned(), restart, ..Fixture::id() });
        writer.write(Stream::Stdout, format!("{container}{restart}\n").as_bytes());
        f.finish(writer);
    };
    run("other", 0);
    for restart in 0..4 {
        run("c", restart);
    }
    f.store.durable(f.store.revision()).await.unwrap();
    for (restart, kept) in [(0, ""), (1, ""), (2, "c2\n"), (3, "c3\n")] {
        assert_eq!(f.read_run(restart, Query::default()).await, kept.as_bytes(), "run {restart}");
    }
    let other = LogId { container: "other".to_owned(), ..Fixture::id() };
    assert_eq!(f.logs.read(other, Query::default()).recv().await.unwrap().unwrap(), &b"other0\n"[..]);
}

#[tokio::test]
async fn a_pod_that_goes_while_its_guest_writes_leaves_nothing() {
    let f = Fixture::new();
    let writer = f.logs.open(Fixture::id());
    writer.write(Stream::Stdout, b"before\n");
    f.logs.delete_all(&["u".to_owned()]);
    writer.write(Stream::Stdout, b"after\n");
    assert_eq!(f.read(Query::default()).await, b"", "a reader flushes first");
    assert!(writer.finish().is_empty());
    drop(writer);
    // One that is opened only after the pod has gone.
    let late = f.logs.open(Fixture::id());
    late.write(Stream::Stdout, b"late\n");
    assert_eq!(f.read(Query::default()).await, b"late\n");
    late.discard();
    f.store.durable(f.store.revision()).await.unwrap();
    assert_eq!(f.logs.pods().unwrap(), [] as [&str; 0]);
}

#[tokio::test]
async fn one_stream_can_be_asked_for() {
    let f = Fixture::new();
    let writer = f.logs.open(Fixture::id());
    for (stream, text) in [(Stream::Stdout, "a"), (Stream::Stderr, "x\ny"), (Stream::Stdout, "b\n")] {
        writer.write(stream, text.as_bytes());
    }
    f.finish(writer);
    let only = |stream| Query { stream: Some(stream), ..Query::default() };
    assert_eq!(f.read(only(Stream::Stdout)).await, b"ab\n");
    assert_eq!(f.read(only(Stream::Stderr)).await, b"x\ny");
    assert_eq!(f.read(Query::default()).await, b"x\nab\ny");
}

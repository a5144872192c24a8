//! What a guest sees of the world, and what it does not.

use super::*;

#[test]
fn a_guest_gets_its_arguments_and_variables_and_no_others() {
    let sink = Arc::new(Kept::default());
    let given = Run {
        argv: vec!["pi".to_owned(), "2 000".to_owned(), String::new(), "ü".to_owned()],
        env: vec![("DIGITS".to_owned(), "a=b".to_owned())],
        sink: sink.clone(),
        ..plain_run()
    };
    assert_eq!(run(&guest!("print-args"), given).outcome, Outcome::Exited { code: 0 });
    assert_eq!(sink.text(Stream::Stdout), "pi\x002 000\0\0ü\0");
    assert_eq!(sink.text(Stream::Stderr), "DIGITS=a=b\0");
}

#[test]
fn output_arrives_on_its_own_stream_and_in_order() {
    let sink = Arc::new(Kept::default());
    let ending = run(&guest!("hello"), Run { sink: sink.clone(), ..plain_run() });
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
    let expected = [(Stream::Stdout, b"hello\n".to_vec()), (Stream::Stderr, b"world\n".to_vec())];
    assert_eq!(*sink.0.lock(), expected);
}

#[test]
fn exit_codes_arrive_as_given() {
    let program = guest!("exit-code");
    for (asked, told) in
        [(0, 0), (1, 1), (125, 125), (126, 126), (127, 127), (137, 137), (255, 255), (256, 0), (300, 44)]
    {
        let given = Run { argv: vec!["exit".to_owned(), asked.to_string()], ..plain_run() };
        assert_eq!(run(&program, given).outcome, Outcome::Exited { code: told }, "exit({asked})");
    }
}

#[test]
fn input_is_empty() {
    assert_eq!(run(&guest!("stdin-read"), plain_run()).outcome, Outcome::Exited { code: 0 });
}

#[test]
fn random_bytes_fill_all_that_was_asked_for() {
    let mut given = plain_run();
    given.limits.memory_bytes = 2048 * MIB;
    let ending = run(&guest!("random"), given);
    eprintln!("1 GiB of random bytes: cpu {:?}", ending.usage.cpu);
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
}

#[test]
fn there_are_no_sockets() {
    assert_eq!(run(&guest!("socket"), plain_run()).outcome, Outcome::Exited { code: 57 });
}

#[test]
fn a_guest_writes_where_it_may_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(directory.path().join("secret"), "secret").unwrap();
    let mounted = |writable| {
        let mount = Mount::new(&inner, "/", writable);
        Run { mounts: vec![mount], ..plain_run() }
    };
    let write = guest!("write-file");
    assert!(write.facts().uses_files && !guest!("hello").facts().uses_files);
    // Without a directory there is no descriptor 3 (EBADF); in a read-only one it may not create (EPERM).
    assert_eq!(run(&write, plain_run()).outcome, Outcome::Exited { code: 8 });
    assert_eq!(run(&write, mounted(false)).outcome, Outcome::Exited { code: 63 });
    assert!(!inner.join("out").exists());
    assert_eq!(run(&write, mounted(true)).outcome, Outcome::Exited { code: 0 });
    assert_eq!(std::fs::read_to_string(inner.join("out")).unwrap(), "hello\n");
    assert_eq!(run(&guest!("escape"), mounted(true)).outcome, Outcome::Exited { code: 63 });
    // Nor through a link that leads out.
    std::os::unix::fs::symlink(directory.path(), inner.join("out2")).unwrap();
    std::fs::remove_file(inner.join("out")).unwrap();
    std::os::unix::fs::symlink("../secret", inner.join("out")).unwrap();
    assert_ne!(run(&write, mounted(true)).outcome, Outcome::Exited { code: 0 });
    assert_eq!(std::fs::read_to_string(directory.path().join("secret")).unwrap(), "secret");
}

#[test]
fn a_directory_that_is_not_there_fails_the_start_and_is_named() {
    let mount = Mount::new("/does/not/exist", "/data", false);
    let ending = run(&guest!("hello"), Run { mounts: vec![mount], ..plain_run() });
    let Outcome::StartFailed { reason } = ending.outcome else { panic!("{ending:?}") };
    assert!(reason.contains("/data"), "{reason}");
}

#[test]
fn components_run() {
    let program = guest!("component");
    assert_eq!(program.facts().kind, ProgramKind::Component);
    assert_eq!(run(&program, plain_run()).outcome, Outcome::Exited { code: 0 });
    assert_eq!(run(&guest!("component-fails"), plain_run()).outcome, Outcome::Exited { code: 1 });
}

#[test]
fn chatty_guests_are_fast() {
    let sink = Arc::new(Counted::default());
    let given = Run { sink: sink.clone(), deadline: Deadline::at(now() + Duration::from_millis(500)), ..plain_run() };
    let ending = run(&guest!("flood"), given);
    let rate = sink.0.load(Relaxed) as f64 / ending.usage.cpu.as_secs_f64() / 1e6;
    eprintln!("64-byte writes: {rate:.0} MB/s");
    if cfg!(not(debug_assertions)) {
        assert!(rate > 20.0, "{rate:.0} MB/s");
    }
}

#[test]
fn a_run_is_cheap() {
    let program = guest!("hello");
    block_on(async {
        let runs = 5_000;
        let start = now();
        for _ in 0..runs {
            SANDBOX.run(&program, plain_run()).await;
        }
        eprintln!("hello: {:?} per run", (now() - start) / runs);
    });
}

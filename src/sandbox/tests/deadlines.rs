//! A guest ends at its deadline and at its cancellation, whatever it does.

use super::*;

/// Runs until a deadline of `after`; returns by how much it was missed.
fn overshoot(what: &str, program: &Program, after: Duration, change: impl FnOnce(&mut Run)) -> (Ending, Duration) {
    let mut given = plain_run();
    change(&mut given);
    let deadline = now() + after;
    given.deadline = Deadline::at(deadline);
    let ending = run(program, given);
    assert_eq!(ending.outcome, Outcome::DeadlineExceeded, "{what}");
    let overshoot = ending.finished.saturating_duration_since(deadline);
    eprintln!(
        "{what}: stopped {overshoot:?} after its deadline, cpu {:?}, fuel {}",
        ending.usage.cpu, ending.usage.fuel
    );
    assert!(ending.finished >= deadline, "{what}: stopped too early");
    assert!(overshoot < PROMPT, "{what}: {overshoot:?}");
    (ending, overshoot)
}

#[test]
fn a_guest_that_never_ends_is_stopped_at_its_deadline_whatever_it_does() {
    let short = Duration::from_millis(200);
    overshoot("loop", &guest!("loop"), short, |_| {});
    overshoot("loop in the start function", &guest!("start-loop"), short, |_| {});
    overshoot("flood of 64-byte writes", &guest!("flood"), short, |_| {});
    overshoot("flood of 32 MiB writes", &guest!("flood-large"), short, |_| {});
    overshoot("component that loops", &guest!("component-loop"), short, |_| {});
    let (asleep, _) = overshoot("sleep", &guest!("sleep"), short, |_| {});
    assert!(asleep.usage.cpu < Duration::from_millis(50), "a sleeping guest computes nothing: {:?}", asleep.usage);
}

#[test]
fn a_gibibyte_of_random_bytes_is_interrupted_like_anything_else() {
    let more = |run: &mut Run| run.limits.memory_bytes = 2048 * MIB;
    overshoot("random_get of 1 GiB", &guest!("random"), Duration::from_millis(100), more);
}

#[test]
fn an_instruction_that_touches_a_gibibyte_is_interrupted_like_anything_else() {
    for (what, program) in
        [("memory.fill of 1 GiB", guest!("fill-large")), ("memory.copy of 512 MiB", guest!("copy-large"))]
    {
        for after in [20, 100, 400, 1000].map(Duration::from_millis) {
            let mut given = plain_run();
            given.limits.memory_bytes = 1024 * MIB;
            let deadline = now() + after;
            given.deadline = Deadline::at(deadline);
            let ending = run(&program, given);
            assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
            // The kernel takes its time to take a gibibyte back, and that is not the guest's doing: its own time counts.
            let (cpu, late) = (ending.usage.cpu, ending.finished - deadline);
            eprintln!("{what}: computed for {cpu:?} of {after:?}, all free {late:?} after the deadline");
            assert!(cpu < after + PROMPT, "{what}: {cpu:?}");
        }
    }
}

#[test]
fn a_guest_whose_deadline_has_passed_is_not_started() {
    let sink = Arc::new(Kept::default());
    let given = Run { sink: sink.clone(), deadline: Deadline::at(now()), ..plain_run() };
    let ending = run(&guest!("hello"), given);
    assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
    assert_eq!((ending.usage.fuel, ending.usage.cpu), (0, Duration::ZERO));
    assert_eq!(sink.text(Stream::Stdout), "");
}

#[test]
fn a_guest_that_ends_before_its_deadline_is_left_alone() {
    let given = Run { argv: vec!["sleep".to_owned(), "30".to_owned()], ..plain_run() };
    let ending = run(&guest!("sleep"), given);
    assert_eq!(ending.outcome, Outcome::Exited { code: 0 });
    assert!(ending.usage.wall >= Duration::from_millis(30), "{:?}", ending.usage);
}

/// Moves the deadline of a guest under way from `first` to `second`, and returns when it was stopped, from its start.
fn stopped_after(program: &Program, first: Option<Duration>, second: Option<Duration>) -> Duration {
    block_on(async {
        let start = now();
        let deadline = first.map_or_else(Deadline::none, |first| Deadline::at(start + first));
        let given = Run { deadline: deadline.clone(), ..plain_run() };
        let mover = async {
            Clock::real().sleep(Duration::from_millis(50)).await;
            deadline.set(second.map(|second| start + second));
        };
        let (ending, ()) = tokio::join!(SANDBOX.run(program, given), mover);
        assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
        ending.finished - start
    })
}

#[test]
fn a_deadline_moves_while_the_guest_runs() {
    let ms = Duration::from_millis;
    for program in [guest!("loop"), guest!("sleep")] {
        let later = stopped_after(&program, Some(ms(150)), Some(ms(300)));
        assert!(later >= ms(300) && later < ms(300) + PROMPT, "put off: {later:?}");
        let sooner = stopped_after(&program, Some(ms(60_000)), Some(ms(100)));
        assert!(sooner >= ms(100) && sooner < ms(100) + PROMPT, "brought forward: {sooner:?}");
        let set = stopped_after(&program, None, Some(ms(100)));
        assert!(set >= ms(100) && set < ms(100) + PROMPT, "set: {set:?}");
    }
}

#[test]
fn a_cancelled_guest_ends_at_once_and_one_cancelled_before_never_starts() {
    for program in [guest!("loop"), guest!("sleep"), guest!("start-loop"), guest!("flood")] {
        block_on(async {
            let given = plain_run();
            let cancel = given.cancel.clone();
            let canceller = async {
                Clock::real().sleep(Duration::from_millis(30)).await;
                cancel.cancel();
                now()
            };
            let (ending, asked) = tokio::join!(SANDBOX.run(&program, given), canceller);
            assert_eq!(ending.outcome, Outcome::Cancelled);
            let after = ending.finished.saturating_duration_since(asked);
            eprintln!("cancelled: ended {after:?} after");
            assert!(after < PROMPT, "{after:?}");
        });
    }
    let given = plain_run();
    given.cancel.cancel();
    let ending = run(&guest!("hello"), given);
    assert_eq!((ending.outcome, ending.usage.fuel), (Outcome::Cancelled, 0));
}

#[test]
fn the_slot_of_a_stopped_dropped_or_panicked_run_is_free_at_once() {
    struct Panics;
    impl Sink for Panics {
        fn write(&self, _: Stream, _: &[u8]) {
            panic!("the sink of a test");
        }
    }
    let sandbox = Sandbox::new(SandboxConfig { max_instances: 1, ..SandboxConfig::default() }, Clock::real()).unwrap();
    let program = |wat| load_into(&sandbox, wat);
    let (endless, brief, chatty) = (
        program(include_str!("../../../tests/guests/loop.wat")),
        program(include_str!("../../../tests/guests/exit0.wat")),
        program(include_str!("../../../tests/guests/hello.wat")),
    );
    block_on(async {
        for round in 0..30 {
            match round % 3 {
                0 => {
                    let run = Run { deadline: Deadline::at(now() + Duration::from_millis(2)), ..plain_run() };
                    assert_eq!(sandbox.run(&endless, run).await.outcome, Outcome::DeadlineExceeded);
                }
                1 => {
                    let run = tokio::time::timeout(Duration::from_millis(2), sandbox.run(&endless, plain_run()));
                    run.await.unwrap_err();
                }
                _ => {
                    let (sandbox, chatty) = (sandbox.clone(), chatty.clone());
                    let run = Run { sink: Arc::new(Panics), ..plain_run() };
                    let task = tokio::spawn(async move { sandbox.run(&chatty, run).await });
                    assert!(task.await.unwrap_err().is_panic());
                }
            }
            let ending = sandbox.run(&brief, plain_run()).await;
            assert_eq!(ending.outcome, Outcome::Exited { code: 0 }, "round {round}");
        }
        let (first, second) = tokio::join!(
            sandbox.run(&endless, Run { deadline: Deadline::at(now() + Duration::from_millis(50)), ..plain_run() }),
            sandbox.run(&brief, plain_run()),
        );
        assert_eq!(first.outcome, Outcome::DeadlineExceeded);
        let Outcome::HostError { message } = second.outcome else { panic!("{:?}", second.outcome) };
        assert!(message.contains("no free slot"), "{message}");
    });
}

#[test]
fn guests_that_compute_take_turns() {
    block_on(async {
        let program = guest!("loop");
        let until = Deadline::at(now() + Duration::from_millis(200));
        let run = || SANDBOX.run(&program, Run { deadline: until.clone(), ..plain_run() });
        let (a, b, c) = tokio::join!(run(), run(), run());
        for ending in [&a, &b, &c] {
            // A third each; on a busy machine less, but never nothing.
            assert!(ending.usage.cpu > Duration::from_millis(5), "{ending:?}");
        }
    });
}

/// How late each of 15 deadlines is met while 120 other guests compute.
fn late_in_a_crowd(sandbox: &Sandbox, program: &Arc<Program>) -> Vec<Duration> {
    let spawn = |deadline: Instant| {
        let (sandbox, program) = (sandbox.clone(), program.clone());
        let run = Run { deadline: Deadline::at(deadline), ..plain_run() };
        tokio::spawn(async move { sandbox.run(&program, run).await.finished.saturating_duration_since(deadline) })
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).event_interval(3).enable_all().build().unwrap();
    runtime.block_on(async {
        let (start, ms) = (now(), Duration::from_millis);
        let crowd: Vec<_> = (0..120).map(|_| spawn(start + ms(2000))).collect();
        // By then all have used up what they may compute without standing in line: 120 times 5 ms on two cores.
        let watched: Vec<_> = (0..15).map(|i| spawn(start + ms(1000 + 37 * i))).collect();
        let late = futures::future::join_all(watched).await;
        futures::future::join_all(crowd).await;
        late.into_iter().map(Result::unwrap).collect()
    })
}

#[test]
fn a_deadline_does_not_wait_for_the_slices_of_a_crowd() {
    let sandbox =
        Sandbox::new(SandboxConfig { max_instances: 200, ..SandboxConfig::default() }, Clock::real()).unwrap();
    let program = Arc::new(load_into(&sandbox, include_str!("../../../tests/guests/loop.wat")));
    // Whoever waits for a slice of each other guest is 30 to 60 ms late in the median, at every try. A machine that does
    // something else gets a few.
    let prompt = (0..5).any(|_| {
        let mut late = late_in_a_crowd(&sandbox, &program);
        late.sort();
        eprintln!("beside 120 guests that compute: {:?} late in the median, {:?} at most", late[7], late[14]);
        late[7] < Duration::from_millis(15)
    });
    assert!(prompt);
}

#[test]
fn without_the_ticker_fuel_still_lets_timers_in_and_bounds_the_work() {
    // A tick per hour stands for a ticker that hangs.
    let config = SandboxConfig { max_instances: 1, tick: Duration::from_secs(3600), ..SandboxConfig::default() };
    let sandbox = std::mem::ManuallyDrop::new(Sandbox::new(config, Clock::real()).unwrap());
    let program = load_into(&sandbox, include_str!("../../../tests/guests/loop.wat"));
    let deadline = now() + Duration::from_millis(100);
    let ending = block_on(sandbox.run(&program, Run { deadline: Deadline::at(deadline), ..plain_run() }));
    assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
    let overshoot = ending.finished.saturating_duration_since(deadline);
    eprintln!("without ticks: stopped {overshoot:?} after its deadline");
    assert!(overshoot < PROMPT, "{overshoot:?}");
}

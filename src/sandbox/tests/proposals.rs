//! What came to WebAssembly after its first version works, and keeps to the limits.

use super::*;

fn exits(program: &Program, arguments: usize) -> Outcome {
    run(program, Run { argv: vec!["guest".to_owned(); arguments], ..plain_run() }).outcome
}

fn with_memory(memory_bytes: u64) -> Run {
    let mut run = plain_run();
    run.limits.memory_bytes = memory_bytes;
    run
}

#[test]
fn vectors_tail_calls_and_the_smaller_additions_work() {
    assert_eq!(exits(&guest!("vectors"), 1), Outcome::Exited { code: 0 });
    assert_eq!(exits(&guest!("tail-calls"), 1), Outcome::Exited { code: 0 });
}

#[test]
fn exceptions_are_caught_and_one_that_is_not_is_named() {
    let program = guest!("exceptions");
    assert_eq!(exits(&program, 1), Outcome::Exited { code: 0 });
    let ending = run(&program, Run { argv: vec!["guest".to_owned(); 2], ..plain_run() });
    let (kind, message) = trap_of(&ending);
    assert_eq!((kind, message.lines().next()), (TrapKind::UncaughtException, Some("uncaught exception")));
}

#[test]
fn a_guest_with_garbage_collected_objects_ends_as_it_likes_within_its_limit() {
    let program = guest!("gc-objects");
    let ending = run(&program, plain_run());
    assert_eq!(ending.outcome, Outcome::Exited { code: 1 });
    eprintln!("{:?}", ending.usage);
    // Not all that it ever made, but what it kept, and more than its linear memory.
    let peak = ending.usage.peak_memory_bytes;
    assert!(peak > MIB && peak <= 16 * MIB, "{peak}");
    // A heap that is refused more is collected instead: the exit code is still the guest's own.
    let small = run(&program, with_memory(peak - MIB));
    assert_eq!(small.outcome, Outcome::Exited { code: 1 }, "{small:?}");
    assert!(small.usage.peak_memory_bytes < peak);
}

#[test]
fn garbage_collected_objects_count_toward_the_memory_limit() {
    for limit in [3 * MIB, 40 * MIB] {
        let ending = run(&guest!("gc-hoard"), with_memory(limit));
        assert_eq!(ending.outcome, Outcome::MemoryLimit { limit_bytes: limit });
        let peak = ending.usage.peak_memory_bytes;
        assert!(peak > limit / 3 && peak <= limit, "{ending:?}");
    }
}

#[test]
fn a_heap_has_a_limit_of_its_own() {
    let ending = run(&guest!("gc-hoard"), with_memory(2048 * MIB));
    assert_eq!(ending.outcome, Outcome::MemoryLimit { limit_bytes: 256 * MIB });
    assert!(ending.usage.peak_memory_bytes < 256 * MIB, "{ending:?}");
}

#[test]
fn a_guest_that_makes_garbage_without_end_is_stopped_at_its_deadline_and_by_its_fuel() {
    let churn = guest!("gc-churn");
    let mut large = plain_run();
    large.limits.memory_bytes = 1024 * MIB;
    for (what, program) in [("objects", &churn), ("arrays", &guest!("gc-arrays"))] {
        for after in [150, 300, 600, 1200] {
            let deadline = now() + Duration::from_millis(after);
            let ending = run(program, Run { deadline: Deadline::at(deadline), ..large.clone() });
            assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
            let overshoot = ending.finished - deadline;
            eprintln!("{what}: stopped {overshoot:?} after its deadline, {:?}", ending.usage);
            assert!(overshoot < PROMPT, "{what}: {overshoot:?}");
        }
    }
    let mut fueled = large.clone();
    fueled.limits.fuel = Some(50_000_000);
    assert_eq!(run(&churn, fueled).outcome, Outcome::FuelExhausted { limit: 50_000_000 });
}

#[test]
fn more_heaps_at_once_than_there_are_is_an_error_of_the_host_and_each_is_free_afterwards() {
    let config = SandboxConfig { max_instances: 3, max_heaps: 1, ..SandboxConfig::default() };
    let sandbox = Sandbox::new(config, Clock::real()).unwrap();
    let churn = load_into(&sandbox, include_str!("../../../tests/guests/gc-churn.wat"));
    let objects = load_into(&sandbox, include_str!("../../../tests/guests/gc-objects.wat"));
    let plain = load_into(&sandbox, include_str!("../../../tests/guests/exit0.wat"));
    block_on(async {
        for _ in 0..10 {
            let until = Run { deadline: Deadline::at(now() + Duration::from_millis(50)), ..plain_run() };
            let (first, second, third) = tokio::join!(
                sandbox.run(&churn, until),
                sandbox.run(&objects, plain_run()),
                sandbox.run(&plain, plain_run())
            );
            assert_eq!(first.outcome, Outcome::DeadlineExceeded);
            let Outcome::HostError { message } = second.outcome else { panic!("{:?}", second.outcome) };
            assert!(message.contains("no free slot") && message.contains("GC heaps"), "{message}");
            assert_eq!(third.outcome, Outcome::Exited { code: 0 });
            assert_eq!(sandbox.run(&objects, plain_run()).await.outcome, Outcome::Exited { code: 1 });
        }
    });
}

//! Memory, tables, recursion, handles and fuel: each limit obeyed and violated.

use super::*;

fn limited(memory_bytes: u64) -> Run {
    let mut run = plain_run();
    run.limits.memory_bytes = memory_bytes;
    run
}

#[test]
fn a_guest_that_takes_all_memory_ends_at_its_limit() {
    let ending = run(&guest!("grow"), limited(40 * MIB));
    assert_eq!(ending.outcome, Outcome::MemoryLimit { limit_bytes: 40 * MIB });
    assert!(ending.usage.peak_memory_bytes > 38 * MIB && ending.usage.peak_memory_bytes <= 40 * MIB, "{ending:?}");
}

#[test]
fn out_of_memory_is_told_apart_from_an_exit_code_of_the_guests_own_choice() {
    assert_eq!(run(&guest!("grow-exit"), limited(MIB)).outcome, Outcome::MemoryLimit { limit_bytes: MIB });
    assert_eq!(run(&guest!("grow-exit"), limited(4096 * MIB)).outcome, Outcome::Exited { code: 0 });
    assert_eq!(run(&guest!("grow-cope"), limited(MIB)).outcome, Outcome::Exited { code: 3 });
}

#[test]
fn a_guest_that_needs_more_at_start_than_its_limit_is_not_started() {
    let Outcome::StartFailed { reason } = run(&guest!("print-args"), limited(2 * 65_536)).outcome else { panic!() };
    assert!(reason.contains("196608 bytes of memory at start"), "{reason}");
    assert_eq!(run(&guest!("print-args"), limited(3 * 65_536)).outcome, Outcome::Exited { code: 0 });
}

#[test]
fn a_table_grows_up_to_its_limit_and_no_further() {
    assert_eq!(run(&guest!("table-grow"), plain_run()).outcome, Outcome::Exited { code: 0 });
    let mut more = plain_run();
    more.limits.table_elements = 20_000;
    assert_eq!(run(&guest!("table-grow"), more).outcome, Outcome::Exited { code: 1 });
}

#[test]
fn recursion_without_end_is_a_stack_overflow() {
    let ending = run(&guest!("recurse"), plain_run());
    let (kind, message) = trap_of(&ending);
    assert_eq!(kind, TrapKind::StackOverflow);
    assert!(message.contains("call stack exhausted") && message.contains("deeper"), "{message}");
    assert!(message.len() <= 4096);
}

#[test]
fn the_kinds_of_traps_are_told_apart() {
    let kinds = [
        (guest!("trap"), TrapKind::Unreachable),
        (guest!("oob"), TrapKind::MemoryOutOfBounds),
        (guest!("divide"), TrapKind::Arithmetic),
        (guest!("indirect"), TrapKind::IndirectCall),
        (guest!("bad-pointer"), TrapKind::HostCall),
        (guest!("random-oob"), TrapKind::HostCall),
        (guest!("poll-many"), TrapKind::TooManyHandles),
    ];
    for (program, expected) in kinds {
        let ending = run(&program, plain_run());
        let (kind, message) = trap_of(&ending);
        eprintln!("{kind}: {message}\n");
        assert_eq!(kind, expected, "{message}");
        assert!(message.contains("wasm backtrace:\n    0: "), "{message}");
    }
}

#[test]
fn a_backtrace_has_the_names_as_the_programmer_wrote_them() {
    let ending = run(&guest!("trap"), plain_run());
    let (_, message) = trap_of(&ending);
    assert!(message.starts_with("wasm trap: wasm `unreachable` instruction executed\n"), "{message}");
    assert!(message.contains("guest::deep::down") && message.contains("middle"), "{message}");
}

#[test]
fn a_guest_cannot_use_up_the_hosts_files() {
    let directory = tempfile::tempdir().unwrap();
    let mount = Mount::new(directory.path(), "/", false);
    let ending = run(&guest!("open-many"), Run { mounts: vec![mount], ..plain_run() });
    assert_eq!(trap_of(&ending).0, TrapKind::TooManyHandles, "{ending:?}");
}

#[test]
fn one_call_moves_as_much_as_the_sandbox_allows_and_no_more() {
    let config = SandboxConfig { max_hostcall_bytes: 3 << 20, ..SandboxConfig::small() };
    let sandbox = Sandbox::new(config, Clock::real()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // Writes as many MiB as it has arguments, in one call; ENOMEM is 48.
    let program = load_into(&sandbox, include_str!("../../../tests/guests/write-large.wat"));
    for (mebibytes, expected) in [(2, 0), (4, 48)] {
        let mount = Mount::new(directory.path(), "/", true);
        let given = Run { argv: vec![String::new(); mebibytes], mounts: vec![mount], ..plain_run() };
        let ending = block_on(sandbox.run(&program, given));
        assert_eq!(ending.outcome, Outcome::Exited { code: expected }, "{mebibytes} MiB");
    }
    assert_eq!(std::fs::metadata(directory.path().join("out")).unwrap().len(), 2 * MIB);
}

#[test]
fn a_guest_ends_when_it_has_burned_its_own_fuel_and_the_same_work_burns_the_same() {
    let fueled = |fuel| {
        let mut run = plain_run();
        run.limits.fuel = Some(fuel);
        run
    };
    let ending = run(&guest!("loop"), fueled(30_000_000));
    assert_eq!(ending.outcome, Outcome::FuelExhausted { limit: 30_000_000 });
    assert!(ending.usage.fuel.abs_diff(30_000_000) < 100, "{ending:?}");

    let exit_code = guest!("exit-code");
    let counting = |fuel| {
        let digits = "0".repeat(10_000) + "7";
        run(&exit_code, Run { argv: vec!["exit".to_owned(), digits], ..fueled(fuel) })
    };
    let needed = counting(1_000_000).usage.fuel;
    assert_eq!(needed, counting(2_000_000).usage.fuel);
    assert_eq!(counting(needed).outcome, Outcome::Exited { code: 7 });
    assert_eq!(counting(needed / 2).outcome, Outcome::FuelExhausted { limit: needed / 2 });
    assert!(counting(needed / 2).usage.fuel < needed / 2 + 100);
}

#[test]
fn the_lesser_of_fuel_and_deadline_ends_a_guest_and_is_named() {
    let mut given = plain_run();
    given.limits.fuel = Some(u64::MAX);
    given.deadline = Deadline::at(now() + Duration::from_millis(50));
    assert_eq!(run(&guest!("loop"), given).outcome, Outcome::DeadlineExceeded);
}

#[test]
fn no_loop_burns_fuel_as_fast_as_the_fuel_rate() {
    for (name, program) in [("loop", guest!("loop")), ("burn", guest!("burn")), ("fill", guest!("fill-small"))] {
        let mut given = plain_run();
        given.deadline = Deadline::at(now() + Duration::from_millis(500));
        let ending = run(&program, given);
        let rate = ending.usage.fuel as f64 / ending.usage.cpu.as_secs_f64();
        eprintln!("{name}: {:.2} G fuel per second", rate / 1e9);
        assert!(rate > 1e6 && rate < SandboxConfig::default().fuel_rate as f64, "{name}: {rate}");
    }
}

#[test]
fn the_fuel_of_a_deadline_ends_a_guest_if_nothing_else_does() {
    // A clock that stands still: the deadline never passes, and only fuel is left to end the guest.
    let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
    let config = SandboxConfig { max_instances: 1, fuel_rate: 100_000_000, ..SandboxConfig::default() };
    let sandbox = Sandbox::new(config, clock.clone()).unwrap();
    let program = load_into(&sandbox, include_str!("../../../tests/guests/loop.wat"));
    let given = Run { deadline: Deadline::at(clock.instant() + Duration::from_secs(1)), ..plain_run() };
    let ending = block_on(sandbox.run(&program, given));
    assert_eq!(ending.outcome, Outcome::DeadlineExceeded);
    assert!(ending.usage.fuel.abs_diff(101_000_000) < 100_000, "{ending:?}");
}

#[test]
fn what_a_guest_uses_can_be_read_while_it_runs() {
    let (clock, while_it_runs) = (Clock::real(), Duration::from_millis(200));
    let (busy, idle) = (Meter::default(), Meter::default());
    let given = |meter: &Meter| {
        let argv = vec!["guest".to_owned(), "16".to_owned()];
        Run { argv, meter: meter.clone(), deadline: Deadline::at(now() + 5 * while_it_runs), ..plain_run() }
    };
    assert_eq!(busy.read(&clock), None, "it has not begun");
    let (computing, holding) = (guest!("loop"), guest!("hold"));
    let watch = async {
        clock.sleep(while_it_runs).await;
        (busy.read(&clock).unwrap(), idle.read(&clock).unwrap())
    };
    let (computed, slept, (of_busy, of_idle)) = block_on(async {
        futures::join!(SANDBOX.run(&computing, given(&busy)), SANDBOX.run(&holding, given(&idle)), watch)
    });
    assert!(of_busy.cpu > Duration::ZERO && of_busy.cpu <= of_busy.window, "{of_busy:?}");
    assert!(of_busy.cpu <= computed.usage.cpu && of_busy.window >= while_it_runs, "{of_busy:?} of {computed:?}");
    assert_eq!((of_busy.memory_bytes, of_idle.memory_bytes), (65_536, 18 * 65_536));
    assert!(of_idle.cpu <= slept.usage.cpu, "{of_idle:?} of {slept:?}");
    assert_eq!(busy.read(&clock).unwrap().cpu, computed.usage.cpu, "all of it, once it is over");
}

//! Tables of phases, and the invariants of [`super`] under any order of what can happen to a pod.

use super::*;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ended(exit_code: i32, second: i64) -> Ended {
    Ended { exit_code, reason: "Error", message: None, started: at(0), finished: at(second) }
}

fn pod(inits: usize, main: usize, policy: RestartPolicy) -> Machine {
    let named = |prefix: &'static str, n| (0..n).map(move |_| Named { name: prefix, image: "i" });
    Machine::new(named("i", inits), named("c", main), policy)
}

/// Runs the next due container to an end with `exit_code`.
fn run_next(machine: &mut Machine, exit_code: i32) -> usize {
    let due = machine.due();
    let [(index, _)] = due[..] else { panic!("one container is due: {due:?}") };
    machine.starts(index, at(0));
    machine.ends(index, ended(exit_code, 1));
    index
}

#[test]
fn one_container_goes_from_pending_to_its_end() {
    let mut machine = pod(0, 1, RestartPolicy::Never);
    assert_eq!(machine.phase(), "Pending");
    assert_eq!(machine.due(), [(0, None)]);
    assert_eq!(machine.due(), [], "told once");
    machine.starts(0, at(0));
    assert_eq!((machine.phase(), machine.is_over()), ("Running", false));
    machine.ends(0, ended(0, 1));
    assert_eq!((machine.phase(), machine.is_over()), ("Succeeded", true));
}

#[test]
fn a_failure_ends_the_pod_or_starts_the_container_again() {
    let mut never = pod(0, 1, RestartPolicy::Never);
    run_next(&mut never, 3);
    assert_eq!((never.phase(), never.due()), ("Failed", vec![]));

    let mut again = pod(0, 1, RestartPolicy::OnFailure);
    run_next(&mut again, 3);
    assert_eq!((again.phase(), again.is_over()), ("Running", false));
    assert_eq!(again.due(), [(0, Some(at(1)))], "at once the first time");
    again.starts(0, at(1));
    assert_eq!((again.containers[0].restarts(), again.containers[0].last.is_some()), (1, true));
    again.ends(0, ended(3, 2));
    assert_eq!(again.due(), [(0, Some(at(12)))]);
    assert!(again.waits(0, "CrashLoopBackOff", None) && !again.waits(0, "CrashLoopBackOff", None));
    assert_eq!(again.phase(), "Running", "a container that waits to be started again counts as stopped");
}

#[test]
fn init_containers_run_one_after_the_other_and_before_all_others() {
    let mut machine = pod(2, 2, RestartPolicy::OnFailure);
    assert_eq!(run_next(&mut machine, 0), 0);
    assert_eq!(machine.phase(), "Pending");
    assert_eq!(run_next(&mut machine, 1), 1);
    assert_eq!((machine.phase(), machine.is_over()), ("Pending", false));
    assert_eq!(run_next(&mut machine, 0), 1, "an init container that failed runs again");
    assert_eq!(machine.due(), [(2, None), (3, None)]);
    machine.starts(2, at(2));
    assert_eq!(machine.phase(), "Pending", "one has not run yet");
    machine.starts(3, at(2));
    machine.ends(2, ended(0, 3));
    assert_eq!((machine.phase(), machine.is_over()), ("Running", false));
    machine.ends(3, ended(0, 3));
    assert_eq!(machine.phase(), "Succeeded");
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let mut machine = pod(2, 1, RestartPolicy::Never);
    run_next(&mut machine, 1);
    assert_eq!((machine.phase(), machine.is_over(), machine.due()), ("Failed", true, vec![]));
    assert!(matches!(machine.main()[0].state, State::Waiting { reason: "PodInitializing", .. }));
}

#[test]
fn the_end_of_a_stopped_pod_depends_on_why_and_on_its_containers() {
    let cases = [
        (Some(0), Stop::Deleted, "Succeeded"),
        (Some(0), Stop::Deadline, "Failed"),
        (Some(0), Stop::Told("X".to_owned()), "Failed"),
        (Some(0), Stop::Evicted("X".to_owned()), "Failed"),
        (Some(137), Stop::Deleted, "Failed"),
        (None, Stop::Deleted, "Failed"),
        (None, Stop::Rejected("OutOfpods", "X".to_owned()), "Failed"),
    ];
    for (exit_code, stop, expected) in cases {
        let mut machine = pod(0, 1, RestartPolicy::OnFailure);
        if let Some(exit_code) = exit_code {
            let _ = machine.due();
            machine.starts(0, at(0));
            assert!(machine.stops(stop.clone()));
            assert!(!machine.is_over() && machine.phase() == "Running", "it still runs");
            machine.ends(0, ended(exit_code, 1));
        } else {
            assert!(machine.stops(stop.clone()));
        }
        assert!(machine.is_over() && machine.due().is_empty());
        assert!(!machine.stops(Stop::Deadline), "the first reason counts");
        machine.close(at(2));
        assert_eq!(machine.phase(), expected, "{exit_code:?} {stop:?}");
    }
}

#[test]
fn a_container_that_waited_to_run_again_ends_as_it_did_before() {
    let mut machine = pod(0, 2, RestartPolicy::OnFailure);
    let _ = machine.due();
    machine.starts(0, at(0));
    machine.ends(0, ended(7, 1));
    let _ = machine.due();
    machine.waits(0, "CrashLoopBackOff", None);
    machine.stops(Stop::Deadline);
    machine.close(at(5));
    let codes = machine.containers.iter().map(|c| match &c.state {
        State::Ended(ended) => (ended.exit_code, ended.reason),
        other => panic!("{other:?}"),
    });
    assert_eq!(codes.collect::<Vec<_>>(), [(7, "Error"), (137, "DeadlineExceeded")]);
}

#[derive(Clone, Debug)]
enum Step {
    /// Starts what is due.
    Start,
    /// Ends the n-th running container with this code.
    End(usize, i32),
    Wait(usize),
    Stop(Stop),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Start),
        4 => (0..4_usize, prop_oneof![Just(0), Just(1), Just(137)]).prop_map(|(n, code)| Step::End(n, code)),
        1 => (0..4_usize).prop_map(Step::Wait),
        1 => prop_oneof![
            Just(Stop::Deadline),
            Just(Stop::Deleted),
            Just(Stop::Told("X".to_owned())),
            Just(Stop::Evicted("X".to_owned())),
        ].prop_map(Step::Stop),
    ]
}

proptest! {
    #[test]
    fn any_order_of_events_keeps_the_invariants(
        inits in 0..3_usize,
        main in 1..4_usize,
        on_failure in any::<bool>(),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut machine = pod(inits, main, if on_failure { RestartPolicy::OnFailure } else { RestartPolicy::Never });
        // Told to start, and not yet started.
        let mut begun: Vec<usize> = Vec::new();
        let mut end = None;
        for step in steps {
            match step {
                Step::Start => {
                    for (index, _) in machine.due() {
                        prop_assert!(!begun.contains(&index) && !machine.containers[index].is_running());
                        prop_assert!(machine.stop().is_none());
                        let before = if machine.is_init(index) { index } else { inits };
                        prop_assert!(machine.containers[..before].iter().all(Container::has_succeeded));
                        begun.push(index);
                    }
                    if machine.stop().is_none() {
                        for index in begun.drain(..) {
                            machine.starts(index, at(1));
                        }
                    }
                }
                Step::End(n, code) => {
                    let running: Vec<usize> =
                        (0..machine.containers.len()).filter(|i| machine.containers[*i].is_running()).collect();
                    if let Some(index) = running.get(n) {
                        machine.ends(*index, ended(code, 2));
                    }
                }
                Step::Wait(n) => {
                    if let Some(index) = begun.get(n) {
                        machine.waits(*index, "ContainerCreating", None);
                    }
                }
                Step::Stop(stop) => drop(machine.stops(stop)),
            }
            prop_assert!(!machine.is_over() || !machine.is_running());
            let terminal = matches!(machine.phase(), "Succeeded" | "Failed");
            prop_assert_eq!(terminal, machine.is_over());
            match &end {
                None if terminal => end = Some(machine.phase()),
                None => {}
                Some(phase) => prop_assert_eq!(*phase, machine.phase()),
            }
        }
        if machine.is_over() {
            let phase = machine.phase();
            machine.close(at(9));
            prop_assert_eq!(phase, machine.phase());
        }
    }
}

//! `activeDeadlineSeconds`: how far past its deadline a guest is stopped, whatever it does.

use std::io::Write;

use serde_json::Value;

use super::harness::{Server, guest, job};

/// The promise, in milliseconds.
const PROMISED: f64 = 20.0;
/// Other programs on the machine can hold any process up; they do not do so each time.
const TRIES: usize = 4;

/// Runs the guest under a deadline of one second; answers the overshoot in milliseconds, and the log.
fn overshoot(server: &Server, name: &str, command: &[&str]) -> (f64, String) {
    server.create(&job(name, command[0], command, "  activeDeadlineSeconds: 1\n  backoffLimit: 6"));
    let (_, end) = server.wait_for_end(name);
    assert_eq!(end, ("Failed".to_owned(), "DeadlineExceeded".to_owned()));
    let pods = server.pods(name);
    let [pod] = &pods[..] else { panic!("one pod, kept with its evidence: {pods:#?}") };
    let status = &pod["status"];
    assert_eq!((status["phase"].as_str(), status["reason"].as_str()), (Some("Failed"), Some("DeadlineExceeded")));
    let ended = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((ended["reason"].as_str(), ended["exitCode"].as_i64()), (Some("DeadlineExceeded"), Some(137)));
    let annotations = &pod["metadata"]["annotations"];
    let usage: Value = serde_json::from_str(annotations["kiln.dev/usage"].as_str().unwrap()).unwrap();
    let time = |v: &Value| v.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let over = time(&usage["finished"]).duration_since(time(&annotations["kiln.dev/deadline"]));
    (over.as_secs_f64() * 1000.0, server.log(pod))
}

/// At least one of a few tries keeps the promise, none ends early, and each leaves its log.
fn keeps_the_promise(guest_name: &str, module: &[u8], log_has: &str, arguments: &[&str]) {
    let server = Server::start();
    server.push(guest_name, module);
    let command: Vec<&str> = [&[guest_name], arguments].concat();
    let mut best = f64::MAX;
    for n in 0..TRIES {
        let (over, log) = overshoot(&server, &format!("{guest_name}-{n}"), &command);
        // Past the capture of test output: the figure is a result.
        let mut out = std::io::stderr().lock();
        writeln!(out, "{guest_name}: stopped {over:.2} ms after its deadline; {} bytes of log", log.len()).unwrap();
        drop(out);
        assert!(over >= 0.0, "stopped {over} ms too early");
        assert!(log.contains(log_has), "{:?}", &log[..log.len().min(200)]);
        best = best.min(over);
        if best <= PROMISED {
            return;
        }
    }
    panic!("{guest_name}: at best {best:.2} ms after its deadline");
}

#[test]
fn an_infinite_loop_is_stopped_at_its_deadline() {
    let module = super::harness::example_module("infinite-loop");
    keeps_the_promise("infinite-loop", &module, "computing", &[]);
}

#[test]
fn a_sleeping_guest_is_stopped_at_its_deadline() {
    keeps_the_promise("sleep", &super::harness::example_module("sleep"), "sleeping", &["3600"]);
}

#[test]
fn a_guest_that_floods_its_output_is_stopped_at_its_deadline() {
    keeps_the_promise("flood", &guest("flood"), "", &[]);
}

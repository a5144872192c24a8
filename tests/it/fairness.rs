//! Pods that use all of a core, for as long as they live, do not slow the API.

use std::io::Write;
use std::time::{Duration, Instant};

use super::harness::{Server, example_module, guest, job, wait_for};

const REQUESTS: usize = 300;

/// The median time of a read through the API, one after the other on one connection.
fn median(server: &Server) -> Duration {
    let agent = ureq::Agent::new_with_defaults();
    let url = format!("{}/apis/batch/v1/namespaces/default/jobs", server.url);
    let mut times: Vec<Duration> = (0..REQUESTS)
        .map(|_| {
            let begun = Instant::now();
            agent.get(&url).call().unwrap().body_mut().read_to_string().unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[REQUESTS / 2]
}

#[test]
fn pods_that_use_all_of_a_core_do_not_slow_the_api() {
    let server = Server::start();
    server.push("loop", &guest("loop"));
    server.push("hello", &example_module("hello"));
    let mut idle = median(&server);
    for hogs in [1, 2, 8] {
        let name = format!("hogs-{hogs}");
        let spec = format!("  parallelism: {hogs}\n  completions: {hogs}");
        server.create(&job(&name, "loop", &["loop"], &spec));
        wait_for("hogs that run", || {
            let running = server.pods(&name).iter().filter(|p| p["status"]["phase"] == "Running").count();
            if running == hogs { Ok(()) } else { Err(running) }
        });
        let busy = median(&server);
        // A Job behind them runs too, and soon.
        let begun = Instant::now();
        server.create(&job(&format!("behind-{hogs}"), "hello", &["hello"], ""));
        assert_eq!(server.wait_for_end(&format!("behind-{hogs}")).1.0, "Complete");
        let behind = begun.elapsed();
        let path = format!("/apis/batch/v1/namespaces/default/jobs/{name}?propagationPolicy=Background");
        assert_eq!(server.send("DELETE", &path, "application/json", b"").0, 200);
        wait_for("no hogs", || {
            let left = server.pods(&name).len();
            if left == 0 { Ok(()) } else { Err(left) }
        });
        // The machine has other work, and less or more of it at another time: the idle figure is taken on both sides.
        let after = median(&server);
        let mut out = std::io::stderr().lock();
        writeln!(
            out,
            "{hogs} hogs: {busy:?} in the median of {REQUESTS} reads; {idle:?} before and {after:?} after; a Job \
             behind them took {behind:?}"
        )
        .unwrap();
        // A guest that held the API's thread for one slice per request would cost hundreds of times as much.
        assert!(busy <= idle.max(after) * 10 + Duration::from_millis(5), "{busy:?} with {hogs} hogs, {idle:?} without");
        idle = after;
    }
}

//! Whatever happens to the pods of a Job, its books are kept.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Happening {
    Succeed(usize),
    Fail(usize),
    Interrupt(usize),
    Place(usize),
    Parallelism(i32),
    Pass(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<usize>().prop_map(Happening::Succeed),
        3 => any::<usize>().prop_map(Happening::Fail),
        1 => any::<usize>().prop_map(Happening::Interrupt),
        2 => any::<usize>().prop_map(Happening::Place),
        1 => (0..4).prop_map(Happening::Parallelism),
        2 => (0i64..700).prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to the pods: never more active pods than allowed, each pod counted once, a terminal condition
    /// never changes, and a settled Job has nothing to do.
    #[test]
    fn a_job_keeps_its_books(
        completions in proptest::option::of(0i32..6), parallelism in 0i32..4, limit in 0i32..4,
        deadline in proptest::option::of(1i64..3000),
        happenings in proptest::collection::vec(happening(), 0..40),
    ) {
        let mut w = World::new(JobSpec { active_deadline_seconds: deadline, ..spec(completions, parallelism, limit) });
        let (mut succeeded, mut failed, mut allowed) = (0, 0, parallelism);
        w.settle();
        for happening in happenings {
            let ended = status::is_finished(&w.job).then(|| w.job.clone());
            let active = w.active();
            let pick = |i: usize| active.get(i % active.len().max(1)).cloned();
            match happening {
                Happening::Succeed(i) => if let Some(name) = pick(i) { w.place(&name); w.finish(&name, true); succeeded += 1; },
                Happening::Fail(i) => if let Some(name) = pick(i) { w.place(&name); w.finish(&name, false); failed += 1; },
                Happening::Interrupt(i) => if let Some(name) = pick(i) { w.interrupt(&name); },
                Happening::Place(i) => if let Some(name) = pick(i) { w.place(&name); },
                Happening::Parallelism(p) => {
                    w.job.spec.as_mut().unwrap().parallelism = Some(p);
                    w.tell_job();
                    allowed = p;
                }
                Happening::Pass(seconds) => w.pass(seconds),
            }
            w.settle();
            if let Some(ended) = ended {
                prop_assert_eq!(&ended.status, &w.job.status);
            }
            let ending = !w.conditions().is_empty();
            let (active, counted, lost) = w.numbers();
            prop_assert_eq!(active as usize, w.active().len());
            prop_assert!(ending || active <= allowed);
            // Pods that no node had when the Job failed were never seen to fail, and count all the same.
            prop_assert!(counted == succeeded && (lost == failed || ending && lost >= failed), "{:?} {} {}", w.numbers(), succeeded, failed);
            prop_assert_eq!(w.used(), ((succeeded + failed) as u64, (succeeded + failed) as u64));
            prop_assert!(w.plan().effects.is_empty());
        }
    }
}

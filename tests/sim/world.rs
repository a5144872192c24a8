//! The world: whose turn it is, what time it is, what a crash leaves.

use std::collections::VecDeque;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use kiln::api::{Kind, Object, admission, meta};
use kiln::clock::Clock;
use kiln::ids::Ids;
use kiln::store::{Store, Tx};
use serde_json::json;

use crate::actions::{self, Held};
use crate::books::{Auditor, Books, By};
use crate::checked::{Desk, Meddling, Sabotage};
use crate::cron_actions;
use crate::follow::Client;
use crate::namespaces;
use crate::node;
use crate::process::{Dirs, Process, remove};
use crate::rng::Rng;

/// Steps that a world takes before it comes to rest.
const MOST_STEPS: i64 = 1600;

/// Steps in a row while time stands still: more, and something goes round in circles.
const TIRELESS: usize = 20_000;

/// Lines of the story that are told when a world ends badly.
const REMEMBERED: usize = 60;

pub struct World {
    seed: u64,
    pub rng: Rng,
    pub clock: Clock,
    pub ids: Ids,
    pub held: Held,
    /// Whether users make CronJobs here.
    pub has_cron_jobs: bool,
    desk: Desk,
    ring: usize,
    dirs: Dirs,
    dir: PathBuf,
    process: Option<Process>,
    /// What the disk held when all was last made durable.
    saved: Option<(PathBuf, Books)>,
    auditor: Auditor,
    client: Client,
    /// A part that does not get its turn for some steps.
    starved: Option<(usize, usize)>,
    story: VecDeque<String>,
    is_telling: bool,
}

#[derive(Clone, Copy)]
enum Turn {
    Controller,
    Node,
    User,
    Events,
    Time,
    Watcher,
    Starve,
    Save,
    Crash,
}

const TURNS: &[(usize, Turn)] = &[
    (430, Turn::Controller),
    (350, Turn::Node),
    (60, Turn::User),
    (20, Turn::Events),
    (100, Turn::Time),
    (10, Turn::Watcher),
    (5, Turn::Starve),
    (5, Turn::Save),
    (3, Turn::Crash),
];

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let start = cron_actions::beginning(&mut rng);
        let has_cron_jobs = rng.percent(50);
        let (clock, ids) = (Clock::manual(start), Ids::seeded(rng.next()));
        let mut dirs = Dirs::new();
        let dir = dirs.fresh();
        let ring = *rng.pick(&[48, 96, 1024]);
        let desk = Desk::new(ids.clone());
        let process = Process::start(&dir, ring, &clock, &ids, &desk);
        let auditor = Auditor::new(&process.store);
        let mut world = World {
            seed,
            rng,
            clock,
            ids,
            held: Held::default(),
            has_cron_jobs,
            desk,
            ring,
            dirs,
            dir,
            process: Some(process),
            saved: None,
            auditor,
            client: Client::new(Kind::Pod),
            starved: None,
            story: VecDeque::new(),
            is_telling: false,
        };
        world.make_node();
        namespaces::make(&mut world, "default");
        world.audit(By::User);
        world
    }

    /// Tells its story as it goes.
    pub fn telling(mut self) -> World {
        self.is_telling = true;
        self
    }

    /// Takes whole objects into the hash of its history, and not only their revisions.
    pub fn in_full(mut self) -> World {
        self.auditor.in_full = true;
        self
    }

    pub fn with_cron_jobs(mut self) -> World {
        self.has_cron_jobs = true;
        self
    }

    /// Has a controller make mistakes.
    pub fn sabotaged(self, sabotage: Sabotage) -> World {
        self.desk.sabotage(sabotage);
        self
    }

    pub fn store(&self) -> &Store {
        &self.process.as_ref().expect("it runs").store
    }

    fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    fn make_node(&mut self) {
        let pods = self.rng.between(2, 8).to_string();
        let value = json!({"metadata": {"name": node::NAME}, "status": {"allocatable": {"pods": pods}}});
        let node = Object::deserialize(Kind::Node, value).expect("it is a node");
        let stamp = admission::Stamp { now: self.clock.now(), uid: self.ids.uid(), suffix: "" };
        let node = admission::create(node, &stamp).expect("it is legal");
        self.store().commit(Tx::new().create(node)).expect("it is new");
        self.audit(By::User);
    }

    /// Lives to its end; answers the hash of its history.
    pub fn run(mut self) -> u64 {
        let first = actions::create_job(&mut self);
        self.say("user", &first);
        if self.has_cron_jobs {
            let second = cron_actions::create(&mut self);
            self.say("user", &second);
        }
        self.audit(By::User);
        let steps = self.rng.between(MOST_STEPS / 4, MOST_STEPS);
        for _ in 0..steps {
            self.turn();
        }
        self.come_to_rest();
        self.auditor.history()
    }

    fn say(&mut self, who: &str, what: &str) {
        let line = format!("{} @{} {who}: {what}", self.clock.now(), self.auditor.books.revision);
        if self.is_telling {
            eprintln!("{line}");
        }
        if self.story.len() == REMEMBERED {
            self.story.pop_front();
        }
        self.story.push_back(line);
    }

    fn audit(&mut self, by: By) {
        let process = self.process.as_ref().expect("it runs");
        self.auditor.look(&process.store, by, self.clock.now());
    }

    fn turn(&mut self) {
        match *self.rng.weighted(TURNS) {
            Turn::Controller => {
                let n = self.running().actors.len();
                let i = self.rng.below(n);
                if self.may_step(i) {
                    let meddlings = [Meddling::Touch, Meddling::Delete, Meddling::TakeName];
                    let meddling = self.rng.percent(15).then(|| *self.rng.pick(&meddlings));
                    self.step_controller(i, meddling);
                }
            }
            Turn::Node => drop(self.step_node(false)),
            Turn::User => {
                let what = actions::act(self);
                self.say("user", &what);
                self.audit(By::User);
            }
            Turn::Events => self.write_events(),
            Turn::Time => self.pass_time(),
            Turn::Watcher => {
                let n = self.running().followers.len();
                let i = self.rng.below(n);
                let Process { store, followers, .. } = self.running();
                let what = followers[i].read(store);
                self.say("watcher", what);
            }
            Turn::Starve => {
                let n = self.running().actors.len();
                self.starved = Some((self.rng.below(n), self.rng.below(150)));
            }
            Turn::Save => self.save(),
            Turn::Crash => self.crash(),
        }
    }

    fn may_step(&mut self, i: usize) -> bool {
        match &mut self.starved {
            Some((starved, left)) if *starved == i && *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        }
    }

    fn step_controller(&mut self, i: usize, meddling: Option<Meddling>) -> bool {
        self.desk.ask(meddling);
        let now = self.clock.now();
        let actor = &mut self.running().actors[i];
        let (name, stepped) = (actor.name(), actor.step(now));
        let meddled = self.desk.take_done();
        if let Some((Meddling::Touch | Meddling::Delete, revision)) = meddled {
            assert_eq!(self.store().revision(), revision, "{name} decided on a version that was the last no more");
        }
        if stepped {
            let what = match meddled {
                Some((meddling, _)) => format!("decides, and somebody comes in between: {meddling:?}"),
                None => "decides".to_owned(),
            };
            self.say(name, &what);
        }
        self.audit(if meddled.is_some() { By::Several(name) } else { By::Controller(name) });
        stepped
    }

    fn step_node(&mut self, kinder: bool) -> bool {
        let looks = kinder || self.rng.percent(60);
        let Process { node, .. } = self.process.as_mut().expect("it runs");
        let news = looks && node.look();
        let done = node.step(&mut self.rng, kinder);
        if let Some(what) = &done {
            self.say("node", what);
        }
        self.audit(By::Node);
        news || done.is_some()
    }

    fn write_events(&mut self) {
        self.running().write_events();
        self.audit(By::Recorder);
    }

    fn pass_time(&mut self) {
        let due = if self.rng.percent(15) { self.next_due() } else { None };
        let now = self.clock.now();
        let by = match due {
            Some(at) => at.duration_since(now).min(SignedDuration::from_secs(1200)),
            // Long enough for more than a hundred times of most schedules to be missed.
            None if self.has_cron_jobs && self.rng.percent(2) => {
                SignedDuration::from_secs(self.rng.between(3600, 40 * 3600))
            }
            None => {
                let most = if self.rng.percent(20) { 10_000 } else { 800 };
                SignedDuration::from_millis(self.rng.between(1, most))
            }
        };
        self.advance(by);
    }

    fn advance(&mut self, by: SignedDuration) {
        self.clock.advance(by.try_into().expect("time goes on"));
        self.say("time", &format!("{:.3} s pass", by.as_secs_f64()));
    }

    /// When something happens by itself, if nothing can happen now.
    fn next_due(&mut self) -> Option<Timestamp> {
        let now = self.clock.now();
        let Process { node, actors, .. } = self.process.as_mut().expect("it runs");
        let controllers = actors.iter().filter_map(|a| a.next_due());
        controllers.chain(node.next_due(now)).filter(|at| *at > now).min()
    }

    /// Makes all durable, and keeps a copy of the disk as it is then.
    fn save(&mut self) {
        self.running().settle_disk();
        self.audit(By::Recorder);
        let Process { store, .. } = self.process.as_ref().expect("it runs");
        self.client.read(store);
        let copy = self.dirs.copy(&self.dir);
        if let Some((old, _)) = self.saved.replace((copy, self.auditor.books.clone())) {
            remove(&old);
        }
        self.say("disk", "everything so far is durable");
    }

    fn end_process(&mut self) {
        self.auditor.looks_away();
        self.process = None;
    }

    fn forget_saved(&mut self) {
        if let Some((dir, _)) = self.saved.take() {
            remove(&dir);
        }
    }

    fn crash(&mut self) {
        let loses = self.saved.is_some() && self.rng.percent(60);
        let old = self.dir.clone();
        self.held.forget();
        if loses {
            self.end_process();
            let (saved, books) = self.saved.clone().expect("there is an earlier moment");
            self.dir = self.dirs.copy(&saved);
            self.auditor.books = books;
            remove(&old);
        } else {
            let process = self.running();
            process.settle_disk();
            self.audit(By::Recorder);
            self.end_process();
            // What a start has read cannot be lost any more.
            self.forget_saved();
        }
        self.say("crash", if loses { "what was not durable is lost" } else { "nothing is lost" });
        let process = Process::start(&self.dir, self.ring, &self.clock, &self.ids, &self.desk);
        self.auditor.meets_again(&process.store);
        assert!(self.client.cursor() <= process.store.revision(), "a client was told what a crash took back");
        self.process = Some(process);
    }

    /// Everybody gets their turn, and time passes whenever nobody has anything to do, until nothing is left to wait for.
    fn come_to_rest(&mut self) {
        self.say("world", "comes to rest");
        actions::cordon(self, false);
        while actions::let_go(self).is_some() {}
        self.audit(By::User);
        self.watch_schedules();
        loop {
            self.until_nobody_moves();
            let Some(at) = self.next_due() else { break };
            let now = self.clock.now();
            self.advance(at.duration_since(now));
        }
        self.auditor.at_rest(self.clock.now());
        for i in 0..self.running().followers.len() {
            let Process { store, followers, .. } = self.running();
            followers[i].read(store);
        }
        // A process that starts on a world at rest finds nothing to do. It may wonder again about a Job that no schedule
        // made and that has not ended.
        self.save();
        self.forget_saved();
        self.crash();
        let before = self.auditor.books.objects.clone();
        self.until_nobody_moves();
        let after = &mut self.auditor.books.objects;
        after.retain(
            |_, object| !matches!(object, Object::Event(event) if event.reason.as_deref() == Some("UnexpectedJob")),
        );
        assert!(*after == before, "a restart changes a world at rest");
    }

    /// A CronJob never comes to rest. So time passes from one moment at which something is due to the next, and at each
    /// of them everything that was due must be done; at last all of them are suspended or deleted.
    fn watch_schedules(&mut self) {
        if self.auditor.books.cron_jobs.is_empty() {
            return;
        }
        self.until_nobody_moves();
        let seen = self.clock.now();
        let until = meta::add_seconds(seen, self.rng.between(30, 300));
        self.auditor.books.cron_jobs.on_time(seen, seen);
        while let Some(at) = self.next_due().filter(|at| *at <= until) {
            let now = self.clock.now();
            self.advance(at.duration_since(now));
            self.until_nobody_moves();
            self.auditor.books.cron_jobs.on_time(seen, at);
        }
        let seconds = self.rng.between(1, 100_000);
        self.advance(SignedDuration::from_secs(seconds));
        self.until_nobody_moves();
        self.auditor.books.cron_jobs.on_time(seen, self.clock.now());
        for what in cron_actions::end_all(self) {
            self.say("user", &what);
        }
        self.audit(By::User);
    }

    fn until_nobody_moves(&mut self) {
        for _ in 0..TIRELESS {
            let mut moved = false;
            for i in 0..self.running().actors.len() {
                moved |= self.step_controller(i, None);
            }
            moved |= self.step_node(true);
            let before = self.store().revision();
            self.write_events();
            moved |= self.store().revision() != before;
            if !moved {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let story: Vec<&str> = self.story.iter().map(String::as_str).collect();
            eprintln!(
                "the last that happened:\n  {}\nseed {}: KILN_SIM_SEED={} cargo test --test sim whatever",
                story.join("\n  "),
                self.seed,
                self.seed
            );
        }
    }
}

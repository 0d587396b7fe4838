//! The lives of the gateway: started, looked at, reloaded, and ended in every way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use capigate::sandbox::{Sandbox, SandboxSettings};
use capigate::time::Clock;
use fastrand::Rng;
use tokio::task::block_in_place;

use super::disk::Disk;
use super::laws::{self, Doubt, Figures};
use super::load::Load;
use super::place;
use super::support::{Process, Site};
use super::weather::{self, Weather};

/// The longest time to drain, as long as something is delivered in every [`STUCK`].
const DRAIN: Duration = Duration::from_mins(2);
const STUCK: Duration = Duration::from_secs(30);
const LOG: &str = "info";

/// How a soak ended.
pub(crate) struct Found {
    /// Laws that do not hold, in words.
    pub(crate) broken: Vec<String>,
    /// The last line.
    pub(crate) summary: String,
}

struct Rig {
    started: Instant,
    rng: Rng,
    site: Site,
    disk: Disk,
    sandbox: Sandbox,
    load: Arc<Load>,
    weather: Weather,
    /// Times around kills.
    doubts: Vec<Doubt>,
    kills: u64,
    stops: u64,
    reloads: u64,
    told: Instant,
}

/// A life of the gateway.
struct Life {
    process: Process,
    /// Already found in the log.
    scanned: usize,
}

pub(crate) async fn run(seed: u64, time: Duration) -> Found {
    let mut rig = Rig::new(seed).await;
    let clients = rig.load.start(&mut rig.rng.fork());
    let ends = rig.started + time;
    let mut life = rig.start();
    while Instant::now() < ends {
        rig.live(&mut life, ends).await;
        if Instant::now() < ends {
            life = rig.again(life).await;
        }
    }
    rig.disk.free();
    weather::heal(&rig.sandbox);
    rig.load.stop();
    clients.join_all().await;
    let drained = rig.drain(&life).await;
    rig.look(&life, "the last").await;
    rig.end(life);
    rig.judge(drained)
}

impl Rig {
    async fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tokens: place::tokens(),
            latency: Duration::from_millis(2),
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
        let site = place::site(sandbox.url());
        let now = Instant::now();
        Self {
            started: now,
            weather: Weather::new(rng.fork()),
            rng,
            disk: Disk::new(place::disk_control(&site)),
            site,
            sandbox,
            load: Load::new(),
            doubts: Vec::new(),
            kills: 0,
            stops: 0,
            reloads: 0,
            told: now,
        }
    }

    fn start(&mut self) -> Life {
        let process = block_in_place(|| self.site.start(None, LOG)).expect("the gateway starts");
        self.load.show_gateway(Some(process.ingest.clone()));
        Life {
            process,
            scanned: 0,
        }
    }

    /// A few seconds of one life; in the middle of it the books are compared.
    async fn live(&mut self, life: &mut Life, ends: Instant) {
        let begun = Instant::now();
        let lasts = Duration::from_millis(self.rng.u64(1500..8000));
        let look_at = lasts.mul_f64(self.rng.f64());
        let reload_at = (self.rng.u8(..3) == 0).then(|| lasts.mul_f64(self.rng.f64()));
        let (mut looked, mut reloaded) = (false, false);
        while begun.elapsed() < lasts && Instant::now() < ends {
            self.weather.step(&self.sandbox);
            if let Some(full_for) = self.disk.step(&mut self.rng) {
                // emptied segments would be used again, and the disk never felt
                self.weather.outage(full_for);
            }
            self.progress();
            if !looked && begun.elapsed() >= look_at {
                looked = true;
                self.look(life, "a").await;
            }
            if !reloaded && reload_at.is_some_and(|at| begun.elapsed() >= at) {
                reloaded = true;
                self.reload(life);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the life, one way or another, and begins the next.
    async fn again(&mut self, mut life: Life) -> Life {
        let full_for = self.disk.unnoted();
        let is_kill = self.rng.u8(..3) > 0;
        if is_kill {
            self.kills += 1;
            block_in_place(|| life.process.kill());
            self.load.show_gateway(None);
            self.read_log(life);
        } else {
            self.look(&life, "an ended").await;
            self.end(life);
        }
        let ended = Clock::Real.now();
        let life = self.start();
        // who stops in order leaves nothing in doubt, unless there is no room to note it
        if is_kill || !full_for.is_zero() {
            self.doubts
                .push(Doubt::around(ended, full_for, Clock::Real.now()));
        }
        life
    }

    /// SIGTERM: everything under way is finished.
    fn end(&mut self, mut life: Life) {
        self.stops += 1;
        let code = block_in_place(|| life.process.terminate());
        self.load.show_gateway(None);
        if code != 0 {
            self.load
                .books
                .problem(format!("SIGTERM ends with code {code}"));
        }
        self.read_log(life);
    }

    fn read_log(&self, life: Life) {
        let log = life.process.whole_log();
        for what in laws::read_log(&log[life.scanned..]) {
            self.load.books.problem(what);
        }
    }

    /// Lets nothing in for a moment, and compares the counters: they must balance.
    async fn look(&self, life: &Life, which: &str) {
        let load = Arc::clone(&self.load);
        let _silence = load.silence().await;
        let mut last = Figures::default();
        for _ in 0..100 {
            last = self.figures(life).await;
            if last.balance() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if !last.balance() {
            self.load.books.problem(format!(
                "the counters of {which} life do not balance: {last:?}"
            ));
        }
        if last.defects > 0 {
            self.load.books.problem(format!(
                "a journal poisoned or damaged, or a lease dropped: {last:?}"
            ));
        }
    }

    async fn figures(&self, life: &Life) -> Figures {
        let page = self
            .load
            .page(&format!("{}/metrics", life.process.admin))
            .await;
        Figures::read(&page)
    }

    fn reload(&mut self, life: &Life) {
        self.reloads += 1;
        place::configure(&mut self.site, &mut self.rng);
        self.site.write_config();
        life.process.signal("HUP");
    }

    fn progress(&mut self) {
        if self.told.elapsed() < Duration::from_secs(10) {
            return;
        }
        self.told = Instant::now();
        let totals = self.sandbox.totals();
        println!(
            "{:>4} s: accepted={} distinct={} deliveries={} batches={}+{} put_off={} kills={} stops={} reloads={}{}",
            self.started.elapsed().as_secs(),
            self.load.books.accepted(),
            totals.events_distinct,
            totals.events_accepted,
            totals.batches_accepted,
            totals.batches_refused,
            self.load.put_off.load(Ordering::Relaxed),
            self.kills,
            self.stops,
            self.reloads,
            if self.disk.is_full() {
                " (disk full)"
            } else {
                ""
            },
        );
    }

    /// Waits until the journal is empty; false when it is stuck.
    async fn drain(&mut self, life: &Life) -> bool {
        let begun = Instant::now();
        let (mut least, mut moved) = (u64::MAX, begun);
        while begun.elapsed() < DRAIN && moved.elapsed() < STUCK {
            let left = self.figures(life).await.in_journal;
            if left == 0 {
                println!("drained in {} s", begun.elapsed().as_secs());
                return true;
            }
            if left < least {
                (least, moved) = (left, Instant::now());
            }
            self.progress();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!(
            "not drained in {} s; /readyz says {}",
            begun.elapsed().as_secs(),
            {
                self.load
                    .page(&format!("{}/readyz", life.process.admin))
                    .await
            }
        );
        false
    }

    fn judge(self, drained: bool) -> Found {
        println!("moods: {:?}", self.weather.seen);
        let case = laws::Case {
            books: &self.load.books,
            ledger: self.sandbox.ledger(),
            violations: self.sandbox.violations(),
            doubts: &self.doubts,
            journal: &self.site.journal(),
            drained,
        };
        let found = case.judge();
        if !found.broken.is_empty() {
            let Self { site, .. } = self;
            println!(
                "the data of the gateway is left in {}",
                site.dir.keep().display()
            );
        }
        found
    }
}

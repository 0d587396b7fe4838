//! Durable appends, reads and deletes, recovery: what a record costs, in the journal and beside it.
//!
//! Every engine does the same job: a number of callers append one record each, again and again,
//! each answered once its record is synced; what waits is read, oldest first, and deleted
//! meanwhile; then a backlog is appended, the files are copied as a killed process would leave
//! them, and the copy is opened and drained. What an engine puts off (notes, compaction) counts into
//! its CPU time and bytes, but not into its wall time. Every record that comes back is checked.
//!
//! They take turns in rounds, and of each the turn with the highest rate is printed, with its ratio
//! to the journal's best; `median` is the middle of the ratios of rates within one round. Where the
//! two differ much the disk had slow moments, and neither says much. `written` is what the device
//! has written, for whomever, over the bytes of the records.
//!
//! What each promises and does in these turns:
//!
//! - **journal**: this gateway's. Durable before the answer, eight lanes that are read one by one
//!   (the others keep one queue), what expires first goes first, any record can be settled or
//!   returned by itself. Opening reads every segment to its end and checks each record. Deletes are
//!   noted on disk within 200 ms: after a crash a few records come again.
//! - **journal without sync**: the same without the disk's part. It promises nothing.
//! - **plain group commit, growing file**: records behind each other, one sync for all that wait,
//!   read back in order. No lanes, no checksum, no recovery; nothing is ever deleted.
//! - **fjall**: an LSM tree with a log. One thread puts all that wait, deletes too, into one batch
//!   and syncs it with `fdatasync`; records have rising numbers as keys. No lanes. Opening replays
//!   the log, which has checksums; tables are checked when they are read. Deletes are durable, and
//!   weak tombstones (which it calls experimental) until a compaction.
//! - **sqlite**: a B-tree with a write-ahead log, `synchronous = FULL`. One thread puts all that
//!   wait, deletes too, into one transaction; a second connection reads. No lanes. Opening reads
//!   the log, which has checksums; the table has none. Deletes are durable, and done by range. It
//!   is built to sync with `fdatasync` (`.cargo/config.toml`), which by itself it does not.
//!
//! None of the others knows urgency or hands a record back; each would need an index more for it.
//! With `BENCH_DIR` on a RAM disk a sync is free, and only the engines are compared.
//!
//! `cargo bench --bench journal` takes about 50 seconds, `-- --test` runs everything once. The files
//! are in `BENCH_DIR`, or in the current directory, and need about 1 GB.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

#[path = "journal/engine.rs"]
mod engine;
#[path = "journal/measure.rs"]
mod measure;
#[path = "journal/own.rs"]
mod own;
#[path = "journal/peers.rs"]
mod peers;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use capigate::event::{EncodedEvent, RawEvent, Rules};
use capigate::journal::Envelope;
use capigate::pixel::PixelId;
use capigate::time::UnixMs;
use tokio::runtime::Runtime;

use self::engine::{BATCH, Engine, Tally};
use self::measure::{Disk, Spent, copy_dir, disk_bytes, quantile, spent};
use self::own::{Careless, Own, lane};
use self::peers::{Fjall, Plain, Sqlite};

const NOW: UnixMs = UnixMs(1_795_341_600_000);
/// Stored, this takes about 560 bytes. The id is replaced.
const EVENT: &str = r#"{"event_name":"Purchase","event_time":1795341558,"event_id":"order-1",
"action_source":"website","event_source_url":"https://shop.example/checkout/thank-you",
"user_data":{"em":["someone@shop.example"],"ph":["+1 650 555 1212"],
"client_ip_address":"2001:db8::7334","client_user_agent":"Mozilla/5.0 (X11; Linux x86_64)",
"fbp":"fb.1.1795255200668.1116446470"},"custom_data":{"value":129.9,"currency":"USD",
"order_id":"100234","content_ids":["sku-1","sku-2"],"num_items":2}}"#;
/// Different records; those after them are the same again.
const RECORDS: usize = 4096;

fn event(n: usize) -> EncodedEvent {
    let json = EVENT.replace("order-1", &format!("o-{n:05}"));
    let pixel = PixelId::from_u64(1).unwrap();
    let raw = RawEvent::parse(&json).unwrap();
    raw.hash(pixel, &Rules::default(), NOW)
        .unwrap()
        .encode()
        .unwrap()
}

/// Made once: the bench is about the journal.
fn record(n: usize) -> Envelope {
    static ALL: OnceLock<Vec<Envelope>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let envelope = |n| Envelope {
            lane: lane(n as u64),
            event: event(n),
            received_at: NOW,
            expires_at: NOW.plus(Duration::from_hours(7 * 24)),
        };
        (0..RECORDS).map(envelope).collect()
    });
    all[n % RECORDS].clone()
}

/// Bytes of a record; they are all of one size.
fn record_len() -> u64 {
    record(0).event.as_bytes().len() as u64
}

/// What one engine did in one turn.
struct Turn {
    name: &'static str,
    tally: Tally,
    spent: Spent,
    p50: Duration,
    p99: Duration,
}

impl Turn {
    fn rate(&self) -> f64 {
        self.tally.records as f64 / self.spent.wall.as_secs_f64()
    }

    fn cpu_micros(&self) -> f64 {
        self.spent.cpu.as_secs_f64() * 1e6 / self.tally.records as f64
    }

    fn amplification(&self) -> f64 {
        self.spent.written as f64 / self.tally.bytes as f64
    }
}

/// A backlog in one engine: appended, found again after a kill, and drained.
struct Backlog {
    name: &'static str,
    append: Turn,
    /// On disk, for each waiting record.
    bytes: f64,
    /// From the start to the first record that is read.
    recovery: Duration,
    drain: Turn,
}

/// How long, where, and by whom.
struct Bench {
    runtime: Runtime,
    base: PathBuf,
    disk: Disk,
    /// Of a turn.
    time: Duration,
    /// Records of the backlog.
    count: usize,
    /// Only whether it runs and gives back what it got.
    quick: bool,
}

impl Bench {
    fn open<E: Engine>(&self) -> Arc<E> {
        Arc::new(E::open(&self.base.join(E::NAME)))
    }

    /// Appends of one record each by `writers` at a time; what is there is read and deleted
    /// meanwhile, all of it in the end.
    fn turn<E: Engine>(&self, engine: &Arc<E>, writers: usize) -> Turn {
        let work = || {
            self.runtime
                .block_on(append_and_drain(engine, writers, self.time))
        };
        let rest = || {
            if !self.quick {
                engine.rest();
            }
        };
        let ((appended, drained, mut took), spent) = spent(&self.disk, work, rest);
        assert_eq!(drained, appended, "{} gives back what it got", E::NAME);
        Turn {
            name: E::NAME,
            tally: appended,
            spent,
            p50: quantile(&mut took, 0.5),
            p99: quantile(&mut took, 0.99),
        }
    }

    fn backlog<E: Engine>(&self, engine: Arc<E>) -> Backlog {
        let mut appended = Tally::default();
        let append = || {
            for first in (0..self.count).step_by(BATCH as usize) {
                let batch: Vec<_> = (first..first + BATCH as usize).map(record).collect();
                for one in &batch {
                    appended.add(one.event.as_bytes());
                }
                self.runtime.block_on(engine.append(batch));
            }
        };
        // after a kill, what was settled and not noted yet would come again
        let ((), load) = spent(&self.disk, append, || engine.rest());
        let dir = self.base.join(E::NAME);
        let bytes = disk_bytes(&dir) as f64 / self.count as f64;
        let copy = self.base.join("copy");
        copy_dir(&dir, &copy);
        Arc::into_inner(engine).unwrap().close(&self.runtime);
        self.disk.flush();

        let start = Instant::now();
        let engine = E::open(&copy);
        assert!(engine.first(), "{} finds what it had", E::NAME);
        let recovery = start.elapsed();
        let (drained, unload) = spent(&self.disk, || engine.drain(), || engine.rest());
        assert_eq!(drained, appended, "{} gives back what it got", E::NAME);
        engine.close(&self.runtime);
        std::fs::remove_dir_all(&copy).unwrap();
        let turn = |spent| Turn {
            name: E::NAME,
            tally: appended,
            spent,
            p50: Duration::ZERO,
            p99: Duration::ZERO,
        };
        Backlog {
            name: E::NAME,
            append: turn(load),
            bytes,
            recovery,
            drain: turn(unload),
        }
    }
}

async fn append_and_drain<E: Engine>(
    engine: &Arc<E>,
    writers: usize,
    time: Duration,
) -> (Tally, Tally, Vec<Duration>) {
    let end = Instant::now() + time;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let engine = engine.clone();
        tasks.spawn(async move {
            let (mut tally, mut took) = (Tally::default(), Vec::new());
            let mut n = writer;
            while Instant::now() < end {
                let one = record(n);
                tally.add(one.event.as_bytes());
                let start = Instant::now();
                engine.append(vec![one]).await;
                took.push(start.elapsed());
                n += writers;
            }
            (tally, took)
        });
    }
    let mut drained = Tally::default();
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drained.merge(engine.drain());
    }
    let (mut appended, mut took) = (Tally::default(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (tally, times) = done.unwrap();
        appended.merge(tally);
        took.extend(times);
    }
    drained.merge(engine.drain());
    (appended, drained, took)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Prints one line an engine: its best turn, beside the best of the journal, which is the first;
/// and the middle of the ratios to the journal's rate in the same round.
fn print_turns(writers: usize, rounds: &[Vec<Turn>]) {
    let best = |at: usize| {
        let all = rounds.iter().map(|round: &Vec<Turn>| &round[at]);
        all.max_by(|a, b| a.rate().total_cmp(&b.rate())).unwrap()
    };
    let own = best(0);
    for at in 0..rounds[0].len() {
        let one = best(at);
        let mut ratios: Vec<_> = rounds.iter().map(|r| r[at].rate() / r[0].rate()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        println!(
            "{:<32} {writers:>7} {:>8.2} {:>6.2} {:>9.0} {:>6.2} {:>6.2} {:>7.2} {:>7.2} {:>8.2}",
            one.name,
            one.cpu_micros(),
            one.cpu_micros() / own.cpu_micros(),
            one.rate(),
            one.rate() / own.rate(),
            ratios[ratios.len() / 2],
            millis(one.p50),
            millis(one.p99),
            one.amplification(),
        );
    }
}

fn print_backlogs(count: usize, all: &[Backlog]) {
    println!(
        "\n{:<32} {:>9} {:>10} {:>8} {:>8} {:>9} {:>6} {:>8}",
        format!("{count} records wait"),
        "append/s",
        "bytes each",
        "written",
        "open ms",
        "drain/s",
        "ratio",
        "us CPU"
    );
    for one in all {
        println!(
            "{:<32} {:>9.0} {:>10.0} {:>8.2} {:>8.1} {:>9.0} {:>6.2} {:>8.2}",
            one.name,
            one.append.rate(),
            one.bytes,
            one.append.amplification(),
            millis(one.recovery),
            one.drain.rate(),
            one.drain.rate() / all[0].drain.rate(),
            one.drain.cpu_micros(),
        );
    }
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--test");
    let (time, rounds, count) = if quick {
        (Duration::from_millis(20), 1, 2_000)
    } else {
        (Duration::from_millis(400), 5, 200_000)
    };
    let base = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or(".".to_owned())).unwrap();
    let bench = Bench {
        runtime: tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap(),
        disk: Disk::of(&base.path().join("probe")),
        base: base.path().to_owned(),
        time,
        count,
        quick,
    };
    println!("records of {} bytes", record_len());

    let own = bench.open::<Own>();
    let careless = bench.open::<Careless>();
    let plain = bench.open::<Plain>();
    let fjall = bench.open::<Fjall>();
    let sqlite = bench.open::<Sqlite>();
    let turns: [&dyn Fn(usize) -> Turn; 5] = [
        &|writers| bench.turn(&own, writers),
        &|writers| bench.turn(&careless, writers),
        &|writers| bench.turn(&plain, writers),
        &|writers| bench.turn(&fjall, writers),
        &|writers| bench.turn(&sqlite, writers),
    ];
    // not counted: the first files are small, or not there yet
    for turn in turns {
        turn(64);
    }
    println!(
        "\n{:<32} {:>7} {:>8} {:>6} {:>9} {:>6} {:>6} {:>7} {:>7} {:>8}",
        "append, read, delete",
        "writers",
        "us CPU",
        "ratio",
        "records/s",
        "ratio",
        "median",
        "p50 ms",
        "p99 ms",
        "written"
    );
    let mut probed = Vec::new();
    for writers in [1, 64, 512] {
        let mut all = Vec::new();
        for round in 0..rounds {
            let mut done: Vec<_> = (0..turns.len())
                .map(|n| {
                    // another one begins each round: a disk may be slow after much work
                    let at = (n + round) % turns.len();
                    probed.extend(bench.disk.probe(10));
                    (at, turns[at](writers))
                })
                .collect();
            done.sort_unstable_by_key(|(at, _)| *at);
            all.push(done.into_iter().map(|(_, turn)| turn).collect());
        }
        print_turns(writers, &all);
    }
    println!(
        "the disk itself, 4 KiB over old data and fdatasync, {} between the turns: \
         p50 {:.2} ms, p99 {:.2} ms",
        probed.len(),
        millis(quantile(&mut probed, 0.5)),
        millis(quantile(&mut probed, 0.99))
    );
    let backlogs = [
        bench.backlog(own),
        bench.backlog(fjall),
        bench.backlog(sqlite),
    ];
    print_backlogs(count, &backlogs);
}

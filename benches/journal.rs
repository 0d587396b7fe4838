//! Durable appends, lease and settle, recovery: throughput and CPU time of a record.
//!
//! Run side by side in rounds, so that ratios can be trusted where figures cannot: the journal;
//! the journal on a disk that does not sync; and the plain way, a group commit on a file that
//! grows, without index, recovery or settling.
//!
//! `cargo bench --bench journal` takes about half a minute, `-- --test` runs everything once.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use capigate::event::{EncodedEvent, RawEvent, Rules};
use capigate::journal::segment::disk::{DirLock, DiskFile};
use capigate::journal::{
    Disk, Envelope, Journal, LaneKey, LeaseLimits, RealDisk, Settings, Settlement, settle_all,
};
use capigate::pixel::PixelId;
use capigate::telemetry::metrics::Metrics;
use capigate::time::{Clock, UnixMs};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

const NOW: UnixMs = UnixMs(1_795_341_600_000);
/// Stored, this takes about 600 bytes.
const EVENT: &str = r#"{"event_name":"Purchase","event_time":1795341558,"event_id":"order-1",
"action_source":"website","event_source_url":"https://shop.example/checkout/thank-you",
"user_data":{"em":["someone@shop.example"],"ph":["+1 650 555 1212"],
"client_ip_address":"2001:db8::7334","client_user_agent":"Mozilla/5.0 (X11; Linux x86_64)",
"fbp":"fb.1.1795255200668.1116446470"},"custom_data":{"value":129.9,"currency":"USD",
"order_id":"100234","content_ids":["sku-1","sku-2"],"num_items":2}}"#;
const LANES: u64 = 8;

/// The real disk, except that nothing is ever synced.
#[derive(Debug)]
struct Careless;

#[derive(Debug)]
struct CarelessFile(Arc<dyn DiskFile>);

impl DiskFile for CarelessFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn allocate(&self, size: u64) -> io::Result<()> {
        self.0.allocate(size)
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

impl Disk for Careless {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CarelessFile(RealDisk.create(path)?)))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CarelessFile(RealDisk.open(path)?)))
    }
    fn open_read_only(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open_read_only(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
    fn lock(&self, path: &Path) -> io::Result<DirLock> {
        RealDisk.lock(path)
    }
}

/// User and system time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

#[derive(Clone, Copy, Default)]
struct Figure {
    records: u64,
    wall: Duration,
    cpu: Duration,
}

impl Figure {
    fn rate(&self) -> f64 {
        self.records as f64 / self.wall.as_secs_f64()
    }

    fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.records as f64
    }
}

fn measure(work: impl FnOnce() -> u64) -> Figure {
    let (wall, before) = (Instant::now(), cpu());
    let records = work();
    Figure {
        records,
        wall: wall.elapsed(),
        cpu: cpu().saturating_sub(before),
    }
}

fn lane(n: u64) -> LaneKey {
    LaneKey::plain(PixelId::from_u64(n % LANES + 1).unwrap())
}

fn open(dir: &Path, disk: Arc<dyn Disk>) -> Journal {
    let metrics = Metrics::new().unwrap();
    let settings = Settings {
        max_bytes: 4 << 30,
        ..Settings::new(dir)
    };
    Journal::open(settings, disk, Clock::Real, &metrics).unwrap()
}

fn event() -> EncodedEvent {
    let pixel = PixelId::from_u64(1).unwrap();
    let raw = RawEvent::parse(EVENT).unwrap();
    raw.hash(pixel, &Rules::default(), NOW)
        .unwrap()
        .encode()
        .unwrap()
}

fn envelope(n: u64, event: &EncodedEvent) -> Envelope {
    Envelope {
        lane: lane(n),
        event: event.clone(),
        received_at: NOW,
        expires_at: NOW.plus(Duration::from_hours(7 * 24)),
    }
}

/// Appends of one record each by `writers` at a time; what is there is leased and settled.
async fn appends(journal: &Journal, writers: u64, time: Duration, drain: bool) -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    // made once: the bench is about the journal
    let event = event();
    for writer in 0..writers {
        let (journal, stop, count) = (journal.clone(), stop.clone(), count.clone());
        let envelope = envelope(writer, &event);
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                journal.append(vec![envelope.clone()]).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let end = Instant::now() + time;
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if drain {
            settle_everything(journal);
        }
    }
    stop.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}
    count.load(Ordering::Relaxed)
}

fn settle_everything(journal: &Journal) -> u64 {
    let limits = LeaseLimits {
        max_events: 1000,
        max_bytes: 8 << 20,
    };
    let mut settled = 0;
    for n in 0..LANES {
        loop {
            let leases = journal.lease(&lane(n), limits);
            if leases.is_empty() {
                break;
            }
            settled += leases.len() as u64;
            settle_all(leases, Settlement::Delivered);
        }
    }
    settled
}

/// A caller of the plain way, waiting for its record to be synced.
type Waiting = tokio::sync::oneshot::Sender<()>;

/// The plain way, for the same callers: a thread takes what has gathered, writes it behind the
/// file's end, syncs, and wakes them. It has no index and nothing is ever settled.
fn plain(runtime: &Runtime, dir: &Path, writers: u64, time: Duration) -> u64 {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Waiting>(writers as usize);
    let file = std::fs::File::create(dir.join("plain")).unwrap();
    let thread = std::thread::spawn(move || gather(&file, &receiver, &event()));
    let end = Instant::now() + time;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let sender = sender.clone();
        let append = async move {
            while Instant::now() < end {
                let (tell, told) = tokio::sync::oneshot::channel();
                // there is room for one of each writer
                sender.send(tell).unwrap();
                told.await.unwrap();
            }
        };
        tasks.spawn_on(append, runtime.handle());
    }
    drop(sender);
    runtime.block_on(tasks.join_all());
    thread.join().unwrap()
}

fn gather(file: &std::fs::File, receiver: &Receiver<Waiting>, event: &EncodedEvent) -> u64 {
    use std::os::unix::fs::FileExt;
    let (mut at, mut records) = (0, 0);
    let (mut group, mut waiting) = (Vec::new(), Vec::new());
    while let Ok(first) = receiver.recv() {
        waiting.push(first);
        waiting.extend(receiver.try_iter());
        group.clear();
        for _ in &waiting {
            group.extend_from_slice(event.as_bytes());
        }
        file.write_all_at(&group, at).unwrap();
        file.sync_data().unwrap();
        at += group.len() as u64;
        records += waiting.len() as u64;
        for one in waiting.drain(..) {
            one.send(()).unwrap();
        }
    }
    records
}

fn print(what: &str, figure: Figure, base: Option<Figure>) {
    let ratio = base.map_or_else(String::new, |b| {
        format!("  {:5.2}x the plain way", figure.rate() / b.rate())
    });
    println!(
        "{what:<34} {:>9.0} records/s  {:>6.2} us CPU/record{ratio}",
        figure.rate(),
        figure.cpu_micros()
    );
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--test");
    let (time, rounds) = if quick {
        (Duration::from_millis(50), 1)
    } else {
        (Duration::from_millis(800), 3)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let base = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or(".".to_owned())).unwrap();
    let sound = open(&base.path().join("sound"), Arc::new(RealDisk));
    let careless = open(&base.path().join("careless"), Arc::new(Careless));
    // the first segment of a run is small; the spare is made in the background
    runtime.block_on(appends(&sound, 64, time, true));
    runtime.block_on(appends(&careless, 64, time, true));
    for writers in [1, 64, 512] {
        let mut all = vec![];
        for _ in 0..rounds {
            let journal = measure(|| runtime.block_on(appends(&sound, writers, time, true)));
            let unsynced = measure(|| runtime.block_on(appends(&careless, writers, time, true)));
            let plain = measure(|| plain(&runtime, base.path(), writers, time));
            all.push((journal, unsynced, plain));
        }
        all.sort_by(|a, b| a.0.rate().total_cmp(&b.0.rate()));
        let (journal, unsynced, plain) = all[rounds / 2];
        let size = event().as_bytes().len();
        println!("-- {writers} writers, events of {size} bytes, leased and settled meanwhile");
        print("journal", journal, Some(plain));
        print("journal without sync", unsynced, Some(plain));
        print("plain group commit, growing file", plain, None);
    }
    settle_everything(&sound);
    settle_everything(&careless);

    println!("-- backlog");
    let count: u64 = if quick { 2_000 } else { 200_000 };
    let event = event();
    let figure = measure(|| {
        for first in (0..count).step_by(1000) {
            let batch = (first..first + 1000).map(|n| envelope(n, &event)).collect();
            runtime.block_on(sound.append(batch)).unwrap();
        }
        count
    });
    print("append, 1000 a call", figure, None);
    runtime.block_on(sound.close());
    drop(sound);
    let mut again = None;
    let figure = measure(|| {
        let journal = open(&base.path().join("sound"), Arc::new(RealDisk));
        let records = journal.depth().records;
        again = Some(journal);
        records
    });
    assert_eq!(figure.records, count);
    print("recovery", figure, None);
    let sound = again.unwrap();
    let figure = measure(|| settle_everything(&sound));
    assert_eq!(figure.records, count);
    print("lease and settle, 1000 a batch", figure, None);
    runtime.block_on(sound.close());
    runtime.block_on(careless.close());
}

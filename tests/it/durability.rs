//! What stays when the gateway stops, the disk fills up, or a sync fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capigate::app::Ended;
use capigate::journal::segment::disk::{DirLock, Disk, DiskFile, RealDisk};
use capigate::sandbox::Fault;
use capigate::time::Clock;
use serde_json::json;

use crate::harness::{Gateway, purchase, purchases};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_an_outage_keeps_everything_for_the_next_start() {
    let mut gateway = Gateway::start().await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    assert_eq!(gateway.post(purchases("kept", 25)).await.status, 200);
    assert_eq!(gateway.down().await, Ended::Clean);
    gateway.sandbox.clear_faults();
    gateway.up().await;
    assert_eq!(gateway.metric("capigate_journal_recovered").await, 25);
    gateway.delivered(25).await;
    let ledger = gateway.sandbox.ledger();
    assert!(ledger.events.iter().all(|event| event.times == 1));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clean_stop_nothing_is_sent_twice() {
    let mut gateway = Gateway::start().await;
    gateway.post(purchases("a", 10)).await;
    gateway.delivered(10).await;
    gateway.drained().await;
    gateway.down().await;
    gateway.up().await;
    assert_eq!(gateway.metric("capigate_journal_recovered").await, 0);
    gateway.post(vec![purchase("b")]).await;
    gateway.delivered(11).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_refuses_by_name_and_resumes_by_itself() {
    let gateway = Gateway::with(|config| {
        config.journal.segment_bytes = "1MiB".parse().unwrap();
        config.journal.max_bytes = "4MiB".parse().unwrap();
        config.lanes.rate_per_pixel = "1000/s".parse().unwrap();
    })
    .await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    let mut taken = 0;
    let refused = loop {
        let answer = gateway.post(purchases(&format!("r{taken}"), 500)).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 500;
        assert!(taken < 100_000, "the journal never fills up");
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.body["error"]["error_data"]["code"], "overloaded");
    assert_eq!(
        refused.body["error"]["error_data"]["limit"],
        "journal.max_bytes"
    );
    assert!(refused.retry_after.is_some());
    let (status, readiness) = gateway.readyz().await;
    assert_eq!(status, 503);
    assert_eq!(readiness["reasons"][0]["limit"], "journal.max_bytes");
    gateway.sandbox.clear_faults();
    gateway.delivered(taken).await;
    gateway
        .until("a ready gateway", async |gateway| {
            (gateway.readyz().await.0 == 200).then_some(())
        })
        .await;
    assert_eq!(gateway.post(vec![purchase("after")]).await.status, 200);
    gateway.finish().await;
}

/// The real disk, with faults to switch on.
#[derive(Debug, Default)]
pub(crate) struct BadDisk {
    /// Nothing more can be allocated.
    full: Arc<AtomicBool>,
    /// Every sync of a file fails.
    no_sync: Arc<AtomicBool>,
    /// Every sync of a file takes half a second.
    pub(crate) slow_sync: Arc<AtomicBool>,
}

#[derive(Debug)]
struct BadFile {
    file: Arc<dyn DiskFile>,
    full: Arc<AtomicBool>,
    no_sync: Arc<AtomicBool>,
    slow_sync: Arc<AtomicBool>,
}

impl BadDisk {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(BadFile {
            file,
            full: Arc::clone(&self.full),
            no_sync: Arc::clone(&self.no_sync),
            slow_sync: Arc::clone(&self.slow_sync),
        })
    }
}

impl DiskFile for BadFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        if self.no_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        if self.slow_sync.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(500));
        }
        self.file.sync()
    }
    fn allocate(&self, size: u64) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.file.allocate(size)
    }
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

impl Disk for BadDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.create(path).map(|file| self.wrap(file))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path).map(|file| self.wrap(file))
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
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<DirLock> {
        RealDisk.lock(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_keeps_what_it_has_and_recovers() {
    let disk = Arc::new(BadDisk::default());
    let gateway = Gateway::with_disk(
        |config| config.lanes.rate_per_pixel = "1000/s".parse().unwrap(),
        Arc::clone(&disk) as Arc<dyn Disk>,
        Clock::Real,
    )
    .await;
    disk.full.store(true, Ordering::SeqCst);
    gateway.sandbox.add_fault(Fault::status(503).forever());
    let mut taken = 0;
    let refused = loop {
        let answer = gateway.post(purchases(&format!("r{taken}"), 200)).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 200;
        assert!(taken < 100_000, "the disk never fills up");
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.body["error"]["error_data"]["limit"], "journal.disk");
    let (status, readiness) = gateway.readyz().await;
    assert_eq!(status, 503);
    assert_eq!(readiness["reasons"][0]["code"], "journal_full");
    assert_eq!(readiness["reasons"][0]["limit"], "journal.disk");
    // what was acknowledged goes out all the same
    gateway.sandbox.clear_faults();
    gateway.delivered(taken).await;
    disk.full.store(false, Ordering::SeqCst);
    gateway
        .until("room on the disk", async |gateway| {
            (gateway.post(vec![purchase("after")]).await.status == 200).then_some(())
        })
        .await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_stops_everything_and_the_next_start_has_what_was_acknowledged() {
    let disk = Arc::new(BadDisk::default());
    let mut gateway =
        Gateway::with_disk(|_| (), Arc::clone(&disk) as Arc<dyn Disk>, Clock::Real).await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    assert_eq!(gateway.post(purchases("good", 5)).await.status, 200);
    disk.no_sync.store(true, Ordering::SeqCst);
    let answer = gateway.post(vec![purchase("unsure")]).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body["error"]["error_data"]["code"], "unavailable");
    // a disk that works again changes nothing: what it has is not known before a restart
    disk.no_sync.store(false, Ordering::SeqCst);
    assert_eq!(gateway.post(vec![purchase("later")]).await.status, 503);
    let (status, readiness) = gateway.readyz().await;
    assert_eq!(status, 503);
    assert_eq!(readiness["reasons"][0]["code"], "journal_poisoned");
    assert_eq!(gateway.metric("capigate_journal_poisoned").await, 1);
    assert_eq!(gateway.down().await, Ended::Poisoned);

    gateway.sandbox.clear_faults();
    gateway.up().await;
    gateway.delivered(5).await;
    gateway.drained().await;
    let ledger = gateway.sandbox.ledger();
    for n in 0..5 {
        let id = format!("good-{n}");
        assert!(
            ledger
                .events
                .iter()
                .any(|event| event.event_id.as_deref() == Some(id.as_str())),
            "{id} is lost"
        );
    }
    assert!(
        !ledger
            .events
            .iter()
            .any(|event| event.event_id.as_deref() == Some("later")),
        "a refused event was delivered"
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_journal_does_not_start() {
    let gateway = Gateway::start().await;
    let mut config = gateway.config.clone();
    config.pixels.clear();
    config.sources.clear();
    let second = capigate::app::App::build(config, Clock::Real).await;
    let error = format!("{:#}", second.err().unwrap());
    assert!(
        error.contains("another process") || error.contains("lock"),
        "{error}"
    );
    gateway.finish().await;
}

/// A gateway on a disk whose faults the test switches on.
async fn on_bad_disk() -> (Gateway, Arc<BadDisk>) {
    let disk = Arc::new(BadDisk::default());
    let gateway = Gateway::with_disk(|_| (), Arc::clone(&disk) as Arc<dyn Disk>, Clock::Real).await;
    (gateway, disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_at_a_stop_is_answered() {
    let (mut gateway, disk) = on_bad_disk().await;
    disk.slow_sync.store(true, Ordering::SeqCst);
    let request = gateway
        .http
        .post(gateway.url(&format!("/v26.0/{}/events", crate::harness::PIXEL)))
        .bearer_auth(crate::harness::KEY)
        .json(&json!({"data": [purchase("late")]}));
    let posting = tokio::task::spawn(request.send());
    gateway
        .until("the request to be inside", async |gateway| {
            (gateway.metric("capigate_in_flight_bytes").await > 0).then_some(())
        })
        .await;
    assert_eq!(gateway.down().await, Ended::Clean);
    let answer = posting.await.unwrap().expect("the request was cut");
    assert_eq!(answer.status(), 200);
    disk.slow_sync.store(false, Ordering::SeqCst);
    gateway.up().await;
    gateway.delivered(1).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_during_the_sync_leaves_the_books_balanced() {
    let (gateway, disk) = on_bad_disk().await;
    disk.slow_sync.store(true, Ordering::SeqCst);
    let request = gateway
        .http
        .post(gateway.url(&format!("/v26.0/{}/events", crate::harness::PIXEL)))
        .bearer_auth(crate::harness::KEY)
        .json(&json!({"data": purchases("gone", 5)}));
    let patience = Duration::from_millis(250);
    let answered = tokio::time::timeout(patience, request.send()).await;
    assert!(answered.is_err(), "the sync was not slow");
    disk.slow_sync.store(false, Ordering::SeqCst);
    gateway.delivered(5).await;
    assert_eq!(gateway.metric("capigate_accepted_total").await, 5);
    gateway.finish().await;
}

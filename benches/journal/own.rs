//! The journal, on the real disk and on one that never syncs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use capigate::journal::segment::disk::{DirLock, DiskFile};
use capigate::journal::{
    Disk, Envelope, Journal, LaneKey, LeaseLimits, RealDisk, Settings, Settlement, settle_all,
};
use capigate::pixel::PixelId;
use capigate::telemetry::metrics::Metrics;
use capigate::time::Clock;
use tokio::runtime::Runtime;

use super::engine::{BATCH, Engine, Tally};

/// Lanes that the records are spread over.
pub(crate) const LANES: u64 = 8;

/// The lane of the record number `n`.
pub(crate) fn lane(n: u64) -> LaneKey {
    LaneKey::plain(PixelId::from_u64(n % LANES + 1).unwrap())
}

pub(crate) struct Own(Journal);

impl Own {
    fn on(dir: &Path, disk: Arc<dyn Disk>) -> Self {
        let metrics = Metrics::new().unwrap();
        let settings = Settings {
            max_bytes: 4 << 30,
            ..Settings::new(dir)
        };
        Self(Journal::open(settings, disk, Clock::Real, &metrics).unwrap())
    }
}

impl Engine for Own {
    const NAME: &'static str = "journal";

    fn open(dir: &Path) -> Self {
        Self::on(dir, Arc::new(RealDisk))
    }

    async fn append(&self, records: Vec<Envelope>) {
        self.0.append(records).await.unwrap();
    }

    fn drain(&self) -> Tally {
        let limits = LeaseLimits {
            max_events: BATCH as usize,
            max_bytes: 8 << 20,
        };
        let mut all = Tally::default();
        for lane in (0..LANES).map(lane) {
            loop {
                let leases = self.0.lease(&lane, limits);
                let count = leases.len() as u64;
                for lease in &leases {
                    all.add(lease.event().as_bytes());
                }
                settle_all(leases, Settlement::Delivered);
                if count < BATCH {
                    break;
                }
            }
        }
        all
    }

    fn first(&self) -> bool {
        let limits = LeaseLimits {
            max_events: 1,
            max_bytes: 1,
        };
        (0..LANES).any(|n| {
            let leases = self.0.lease(&lane(n), limits);
            let found = !leases.is_empty();
            settle_all(leases, Settlement::Returned);
            found
        })
    }

    fn rest(&self) {
        std::thread::sleep(self.0.settle_sync() + Duration::from_millis(50));
    }

    fn close(self, runtime: &Runtime) {
        runtime.block_on(self.0.close());
    }
}

/// The journal on a disk that never syncs.
pub(crate) struct Careless(Own);

impl Engine for Careless {
    const NAME: &'static str = "journal without sync";

    fn open(dir: &Path) -> Self {
        Self(Own::on(dir, Arc::new(CarelessDisk)))
    }

    async fn append(&self, records: Vec<Envelope>) {
        self.0.append(records).await;
    }

    fn drain(&self) -> Tally {
        self.0.drain()
    }

    fn first(&self) -> bool {
        self.0.first()
    }

    fn rest(&self) {
        self.0.rest();
    }

    fn close(self, runtime: &Runtime) {
        self.0.close(runtime);
    }
}

/// The real disk, except that nothing is ever synced.
#[derive(Debug)]
struct CarelessDisk;

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

impl Disk for CarelessDisk {
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

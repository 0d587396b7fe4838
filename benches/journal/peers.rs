//! What the journal is measured beside. None of them gathers the commits of many callers by
//! itself, so one thread does that for each, as the journal's writer does.

use std::fs::{File, OpenOptions};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use capigate::journal::Envelope;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::engine::{BATCH, Engine, Tally};

/// Calls that may wait: more than there are writers, so that no one of them blocks.
const CALLS: usize = 1024;

/// What the thread is asked for.
enum Call {
    Append(Vec<Envelope>, oneshot::Sender<()>),
    /// Deletes the records with these numbers.
    Settle(RangeInclusive<u64>, SyncSender<()>),
}

/// The thread that commits: it takes all that has gathered, makes it durable in one go, and tells
/// the callers.
struct Committer {
    calls: Option<SyncSender<Call>>,
    thread: Option<JoinHandle<()>>,
}

struct Inbox(Receiver<Call>);

impl Inbox {
    fn serve(self, mut commit: impl FnMut(&[Call])) {
        let mut calls = Vec::new();
        while let Ok(first) = self.0.recv() {
            calls.push(first);
            calls.extend(self.0.try_iter().take(CALLS - 1));
            commit(&calls);
            for call in calls.drain(..) {
                match call {
                    Call::Append(_, reply) => reply.send(()).unwrap(),
                    // only the last one is waited for
                    Call::Settle(_, reply) => reply.try_send(()).unwrap_or_default(),
                }
            }
        }
    }
}

impl Committer {
    fn start(run: impl FnOnce(Inbox) + Send + 'static) -> Self {
        let (calls, inbox) = sync_channel(CALLS);
        Self {
            calls: Some(calls),
            thread: Some(std::thread::spawn(move || run(Inbox(inbox)))),
        }
    }

    fn call(&self, call: Call) {
        self.calls.as_ref().unwrap().send(call).unwrap();
    }

    async fn append(&self, records: Vec<Envelope>) {
        let (reply, told) = oneshot::channel();
        self.call(Call::Append(records, reply));
        told.await.unwrap();
    }

    /// Reads batches with `read`, which is told the last number of the batch before, adds to the
    /// tally and says the last number it has read; and deletes them. Numbers have no gaps.
    fn drain(&self, last: &Mutex<u64>, read: impl Fn(u64, &mut Tally) -> u64) -> Tally {
        let mut last = last.lock().unwrap();
        let mut all = Tally::default();
        let mut deleted = None;
        loop {
            let before = all.records;
            let end = read(*last, &mut all);
            if all.records > before {
                let (reply, told) = sync_channel(1);
                self.call(Call::Settle(*last + 1..=end, reply));
                deleted = Some(told);
                *last = end;
            }
            if all.records - before < BATCH {
                break;
            }
        }
        if let Some(deleted) = deleted {
            deleted.recv().unwrap();
        }
        all
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.calls.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Bytes behind bytes in a file that grows, read back in order.
pub(crate) struct Plain {
    committer: Committer,
    file: Arc<File>,
    /// Bytes that are on disk.
    end: Arc<AtomicU64>,
    read: Mutex<u64>,
}

impl Plain {
    /// Bytes of a record: all are of one size.
    fn read_to(&self, size: u64) -> Tally {
        let mut read = self.read.lock().unwrap();
        let end = self.end.load(Ordering::Acquire);
        let mut buf = vec![0; (BATCH * size) as usize];
        let mut all = Tally::default();
        while *read < end {
            let len = buf.len().min((end - *read) as usize);
            self.file.read_exact_at(&mut buf[..len], *read).unwrap();
            buf[..len]
                .chunks(size as usize)
                .for_each(|one| all.add(one));
            *read += len as u64;
        }
        all
    }
}

impl Engine for Plain {
    const NAME: &'static str = "plain group commit, growing file";

    fn open(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let file = Arc::new(options.open(dir.join("plain")).unwrap());
        let end = Arc::new(AtomicU64::new(file.metadata().unwrap().len()));
        let (target, durable) = (file.clone(), end.clone());
        let committer = Committer::start(move |inbox| {
            let mut group = Vec::new();
            inbox.serve(|calls| {
                group.clear();
                for call in calls {
                    let Call::Append(records, _) = call else {
                        continue;
                    };
                    for record in records {
                        group.extend_from_slice(record.event.as_bytes());
                    }
                }
                let end = durable.load(Ordering::Relaxed);
                target.write_all_at(&group, end).unwrap();
                target.sync_data().unwrap();
                durable.store(end + group.len() as u64, Ordering::Release);
            });
        });
        Self {
            committer,
            file,
            end,
            read: Mutex::new(0),
        }
    }

    async fn append(&self, records: Vec<Envelope>) {
        self.committer.append(records).await;
    }

    fn drain(&self) -> Tally {
        self.read_to(super::record_len())
    }

    fn first(&self) -> bool {
        *self.read.lock().unwrap() < self.end.load(Ordering::Acquire)
    }
}

/// A keyspace of records under rising numbers.
pub(crate) struct Fjall {
    committer: Committer,
    db: Database,
    records: Keyspace,
    /// The last number that was read.
    last: Mutex<u64>,
}

impl Fjall {
    fn read(&self, last: u64, most: u64, all: &mut Tally) -> u64 {
        let from = (last + 1).to_be_bytes();
        let mut end = last;
        for one in self.records.range(from..).take(most as usize) {
            let (key, value) = one.into_inner().unwrap();
            end = u64::from_be_bytes((&*key).try_into().unwrap());
            all.add(&value);
        }
        end
    }
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";

    fn open(dir: &Path) -> Self {
        let db = Database::builder(dir)
            .manual_journal_persist(true)
            .open()
            .unwrap();
        let options = || KeyspaceCreateOptions::default().manual_journal_persist(true);
        let records = db.keyspace("records", options).unwrap();
        let newest = records.last_key_value().map(|one| one.key().unwrap());
        let mut next = newest.map_or(1, |key| u64::from_be_bytes((&*key).try_into().unwrap()) + 1);
        let (writes, keyspace) = (db.clone(), records.clone());
        let committer = Committer::start(move |inbox| {
            inbox.serve(|calls| {
                // deletes go along with the next sync; no number comes twice, so weak ones will do:
                // a backlog drains faster with them
                let mut batch = writes.batch().durability(Some(PersistMode::SyncData));
                for call in calls {
                    match call {
                        Call::Append(records, _) => {
                            for record in records {
                                let value = record.event.as_bytes().as_ref();
                                batch.insert(&keyspace, next.to_be_bytes(), value);
                                next += 1;
                            }
                        }
                        Call::Settle(numbers, _) => numbers
                            .clone()
                            .for_each(|n| batch.remove_weak(&keyspace, n.to_be_bytes())),
                    }
                }
                batch.commit().unwrap();
            });
        });
        Self {
            committer,
            db,
            records,
            last: Mutex::new(0),
        }
    }

    async fn append(&self, records: Vec<Envelope>) {
        self.committer.append(records).await;
    }

    fn drain(&self) -> Tally {
        self.committer
            .drain(&self.last, |last, all| self.read(last, BATCH, all))
    }

    fn first(&self) -> bool {
        self.read(0, 1, &mut Tally::default()) > 0
    }

    fn rest(&self) {
        let mut quiet = 0;
        while quiet < 3 {
            std::thread::sleep(Duration::from_millis(10));
            let busy = self.db.outstanding_flushes() + self.db.active_compactions();
            quiet = if busy == 0 { quiet + 1 } else { 0 };
        }
    }
}

/// A table of records under rising numbers.
pub(crate) struct Sqlite {
    committer: Committer,
    reader: Mutex<Connection>,
    /// The last number that was read.
    last: Mutex<u64>,
}

/// A connection that keeps the promise. The log is copied into the table about once in 64 MiB: with
/// the usual 4 MiB it had two thirds to four fifths of the rate at 512 writers. Pages of 8 KiB made
/// no clear difference.
fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA wal_autocheckpoint = 16384; PRAGMA cache_size = -65536;
        PRAGMA mmap_size = 1073741824;
        CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY, event BLOB NOT NULL)";
    connection.execute_batch(settings).unwrap();
    connection
}

impl Sqlite {
    fn read(&self, last: u64, most: u64, all: &mut Tally) -> u64 {
        let reader = self.reader.lock().unwrap();
        let mut query = reader
            .prepare("SELECT number, event FROM records WHERE number > ? ORDER BY number LIMIT ?")
            .unwrap();
        let mut rows = query.query((last as i64, most as i64)).unwrap();
        let mut end = last;
        while let Some(row) = rows.next().unwrap() {
            end = row.get::<_, i64>(0).unwrap() as u64;
            all.add(row.get_ref(1).unwrap().as_blob().unwrap());
        }
        end
    }
}

impl Engine for Sqlite {
    const NAME: &'static str = "sqlite";

    fn open(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let path = dir.join("records.sqlite");
        let (reader, writer) = (connect(&path), connect(&path));
        let committer = Committer::start(move |inbox| {
            let newest = "SELECT ifnull(max(number), 0) FROM records";
            let mut next: i64 = writer.query_row(newest, (), |row| row.get(0)).unwrap();
            let prepare = |sql| writer.prepare(sql).unwrap();
            let mut begin = prepare("BEGIN IMMEDIATE");
            let mut insert = prepare("INSERT INTO records VALUES (?, ?)");
            let mut delete = prepare("DELETE FROM records WHERE number BETWEEN ? AND ?");
            let mut commit = prepare("COMMIT");
            inbox.serve(|calls| {
                begin.execute(()).unwrap();
                for call in calls {
                    match call {
                        Call::Append(records, _) => {
                            for record in records {
                                next += 1;
                                let event: &[u8] = record.event.as_bytes();
                                insert.execute((next, event)).unwrap();
                            }
                        }
                        Call::Settle(numbers, _) => {
                            let (first, last) = (*numbers.start() as i64, *numbers.end() as i64);
                            delete.execute((first, last)).unwrap();
                        }
                    }
                }
                commit.execute(()).unwrap();
            });
        });
        Self {
            committer,
            reader: Mutex::new(reader),
            last: Mutex::new(0),
        }
    }

    async fn append(&self, records: Vec<Envelope>) {
        self.committer.append(records).await;
    }

    fn drain(&self) -> Tally {
        self.committer
            .drain(&self.last, |last, all| self.read(last, BATCH, all))
    }

    fn first(&self) -> bool {
        self.read(0, 1, &mut Tally::default()) > 0
    }
}

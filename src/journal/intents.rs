//! Intents: which events are being sent at most once.
//!
//! A record is delivered at least once; for events of which Meta drops no duplicates that is one
//! too many. Their numbers ([`Lease::seq`](super::Lease::seq), which is kept for life) are noted
//! here before their batch is sent, and forgotten once its outcome is known. What an earlier life
//! noted and did not forget may have been taken by Graph, and must not be sent again without
//! asking.
//!
//! # Promises
//!
//! - What [`Intents::begin`] has answered with `Ok` is known to the next life, whatever happens.
//! - What [`Intents::end`] has forgotten may be known to the next life all the same: it was not
//!   synced. So a number that is left says *may have been sent*, never that it was.
//!
//! # Limits
//!
//! At most 131,072 numbers at a time, those that an earlier life left included: that is a hundred
//! full batches that are in flight, or delivered within the last seconds, in about 3 MiB of
//! memory, and 6 MiB more while a file is begun; and a file of at most 5 MiB and one batch. The file belongs to the journal beside it; whoever removes that
//! must remove this too, because the numbers begin anew.
//!
//! ```text
//! file    magic 8 | frame…
//! frame   count 4, the highest bit set for an end | crc 4 | number 8…
//! ```
//!
//! A frame whose checksum does not hold is the torn end of the file. Every life writes a file of
//! its own, so nothing is ever written behind a torn frame, and so does every 4 MiB.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::segment::disk::{Disk, DiskFile, is_full};
use super::segment::locked;
use super::segment::read::read_whole;

const MAGIC: [u8; 8] = *b"capiint\x01";
/// Set in the count of a frame that ends what it names.
const END: u32 = 1 << 31;
/// Numbers at a time.
const MAX_OPEN: usize = 131_072;
/// Bytes after which a new file is begun: some times what a new one may have to hold, 1 MiB.
const FILE_BYTES: u64 = 4 << 20;

/// Why an intent was not noted. The batch must not be sent.
#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    /// Too many are begun and not ended, or the disk has no room.
    #[error("no room for intents to send")]
    Full,
    /// The file is none of ours, or of a later version.
    #[error("the file of the intents to send is not one that this program can read")]
    Foreign,
    /// The disk refused.
    #[error("the disk of the intents to send failed")]
    Io(#[from] io::Error),
}

impl IntentError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "intents_full",
            Self::Foreign => "intents_foreign",
            Self::Io(_) => "intents_io",
        }
    }
}

/// The intents of one gateway. All calls may block, and take turns.
#[derive(Debug)]
pub struct Intents {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Begun in this life and not ended.
    open: HashSet<u64>,
    /// Begun in an earlier life and not ended.
    left: HashSet<u64>,
    /// The file of this life and its end; none before the first intent, and after a failure.
    file: Option<(Arc<dyn DiskFile>, u64)>,
}

impl Intents {
    /// Reads what an earlier life left in the journal's directory `dir`. The journal's lock keeps
    /// other processes out, so the journal must be open.
    pub fn open(dir: impl AsRef<Path>, disk: Arc<dyn Disk>) -> Result<Self, IntentError> {
        let dir = dir.as_ref().to_owned();
        let mut bytes = Vec::new();
        match disk.open_read_only(&dir.join("intents")) {
            Ok(file) => read_whole(&*file, &mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let state = State {
            left: if bytes.is_empty() {
                HashSet::new()
            } else {
                read(&bytes).ok_or(IntentError::Foreign)?
            },
            ..State::default()
        };
        Ok(Self {
            dir,
            disk,
            state: Mutex::new(state),
        })
    }

    /// Makes durable that these are about to be sent; all of them when `Ok`. After an error some
    /// may be known to the next life all the same.
    pub fn begin(&self, seqs: &[u64]) -> Result<(), IntentError> {
        if seqs.is_empty() {
            return Ok(());
        }
        // held across the sync: what is sent at most once is little
        let mut state = locked(&self.state);
        let new = seqs.iter().filter(|seq| !state.open.contains(*seq)).count();
        if state.open.len() + state.left.len() + new > MAX_OPEN {
            return Err(IntentError::Full);
        }
        // taken out: a file whose write or sync failed is not used again
        state.file = match state.file.take().filter(|(_, at)| *at < FILE_BYTES) {
            Some((file, at)) => Some(append(file, at, seqs, 0, true).map_err(full_or_io)?),
            None => Some(self.renew(&state, seqs).map_err(full_or_io)?),
        };
        state.open.extend(seqs);
        Ok(())
    }

    /// Forgets these: their outcome is known. It need not be durable, so a failure to write it
    /// down is none here; the next [`Intents::begin`] starts a new file.
    pub fn end(&self, seqs: &[u64]) {
        if seqs.is_empty() {
            return;
        }
        let mut state = locked(&self.state);
        let mut known = 0;
        for seq in seqs {
            known += usize::from(state.open.remove(seq));
            known += usize::from(state.left.remove(seq));
        }
        // before the first file of this life, the old one is replaced as a whole later on
        if known > 0
            && let Some((file, at)) = state.file.take()
        {
            state.file = append(file, at, seqs, END, false).ok();
        }
    }

    /// Whether an earlier life began to send this event, and nobody has ended it since: Graph
    /// may have taken it.
    pub fn contains(&self, seq: u64) -> bool {
        locked(&self.state).left.contains(&seq)
    }

    /// All for which [`Intents::contains`] says so. Those that are no longer in the journal have
    /// met their end, and should be ended here as well.
    pub fn left(&self) -> HashSet<u64> {
        locked(&self.state).left.clone()
    }

    /// Begins a file that says what is known, and `seqs`. The old one stays until it is durable.
    fn renew(&self, state: &State, seqs: &[u64]) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        let all: HashSet<u64> = state.open.union(&state.left).copied().collect();
        let all: Vec<u64> = all
            .union(&seqs.iter().copied().collect())
            .copied()
            .collect();
        let making = self.dir.join("intents.new");
        let file = self.disk.create(&making)?;
        file.write_at(&MAGIC, 0)?;
        let (file, at) = append(file, MAGIC.len() as u64, &all, 0, true)?;
        self.disk.rename(&making, &self.dir.join("intents"))?;
        self.disk.sync_dir(&self.dir)?;
        Ok((file, at))
    }
}

fn full_or_io(error: io::Error) -> IntentError {
    if is_full(&error) {
        IntentError::Full
    } else {
        IntentError::Io(error)
    }
}

/// Writes one frame; gives back the file and its new end.
fn append(
    file: Arc<dyn DiskFile>,
    at: u64,
    seqs: &[u64],
    flag: u32,
    sync: bool,
) -> io::Result<(Arc<dyn DiskFile>, u64)> {
    let count = seqs.len() as u32 | flag;
    let body: Vec<u8> = seqs.iter().flat_map(|seq| seq.to_le_bytes()).collect();
    let mut frame = Vec::with_capacity(8 + body.len());
    frame.extend_from_slice(&count.to_le_bytes());
    frame.extend_from_slice(&checksum(count, &body).to_le_bytes());
    frame.extend_from_slice(&body);
    file.write_at(&frame, at)?;
    if sync {
        file.sync()?;
    }
    Ok((file, at + frame.len() as u64))
}

fn checksum(count: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&count.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// What was begun and not ended; none if the file is not of this kind.
fn read(bytes: &[u8]) -> Option<HashSet<u64>> {
    let mut rest = bytes.strip_prefix(&MAGIC)?;
    let mut open = HashSet::new();
    while let Some((count, body, behind)) = frame(rest) {
        let (seqs, _) = body.as_chunks();
        for seq in seqs.iter().copied().map(u64::from_le_bytes) {
            if count & END == 0 {
                open.insert(seq);
            } else {
                open.remove(&seq);
            }
        }
        rest = behind;
    }
    Some(open)
}

fn frame(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let (count, crc) = (u32::from_le_bytes(*count), u32::from_le_bytes(*crc));
    let len = ((count & !END) as usize).checked_mul(8)?;
    let (body, behind) = rest.split_at_checked(len)?;
    // no frame is empty, and zeros are no frame
    (len > 0 && checksum(count, body) == crc).then_some((count, body, behind))
}

#[cfg(test)]
mod tests {
    use super::super::segment::disk::RealDisk;
    use super::super::segment::sim::{Rng, SimDisk};
    use super::*;

    fn open(disk: &SimDisk) -> Intents {
        Intents::open("journal", Arc::new(disk.clone())).unwrap()
    }

    fn content(path: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        read_whole(&*RealDisk.open(path).unwrap(), &mut bytes).unwrap();
        bytes
    }

    fn left(intents: &Intents) -> Vec<u64> {
        let mut left: Vec<u64> = intents.left().into_iter().collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn what_was_begun_and_not_ended_is_left_for_the_next_life() {
        let base = tempfile::tempdir().unwrap();
        let open = || Intents::open(base.path(), Arc::new(RealDisk)).unwrap();
        let first = open();
        assert!(left(&first).is_empty());
        first.begin(&[]).unwrap();
        assert!(!base.path().join("intents").exists());
        first.begin(&[7, 8, 9]).unwrap();
        first.begin(&[20]).unwrap();
        first.end(&[8, 9, 1000]);
        assert!(!first.contains(7), "this life knows what became of it");
        drop(first);

        let second = open();
        assert_eq!(left(&second), [7, 20]);
        assert!(second.contains(7) && !second.contains(8));
        second.end(&[7]);
        second.begin(&[30]).unwrap();
        assert!(!second.contains(30));
        drop(second);

        let third = open();
        assert_eq!(left(&third), [20, 30]);
        third.end(&[20, 30]);
        third.begin(&[31]).unwrap();
        third.end(&[31]);
        drop(third);
        assert!(left(&open()).is_empty());
    }

    #[test]
    fn a_torn_tail_is_the_end() {
        let base = tempfile::tempdir().unwrap();
        let intents = Intents::open(base.path(), Arc::new(RealDisk)).unwrap();
        intents.begin(&[1, 2]).unwrap();
        let path = base.path().join("intents");
        let whole = content(&path).len();
        intents.end(&[2]);
        let bytes = content(&path);
        assert_eq!(read(&bytes).unwrap(), HashSet::from([1]));
        for cut in whole..bytes.len() {
            assert_eq!(read(&bytes[..cut]).unwrap(), HashSet::from([1, 2]));
        }
        for at in whole..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(read(&bytes).unwrap(), HashSet::from([1, 2]));
        }
        let mut zeros = bytes[..whole].to_vec();
        zeros.resize(whole + 100, 0);
        assert_eq!(read(&zeros).unwrap(), HashSet::from([1, 2]));
    }

    #[test]
    fn a_file_of_another_kind_is_not_touched() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("intents");
        let file = RealDisk.create(&path).unwrap();
        file.write_at(b"capiint\x02 of the future", 0).unwrap();
        let error = Intents::open(base.path(), Arc::new(RealDisk)).unwrap_err();
        assert_eq!(error.code(), "intents_foreign");
        assert!(content(&path).ends_with(b"future"));
    }

    #[test]
    fn the_set_and_the_file_are_bounded() {
        let disk = SimDisk::new(1);
        let intents = open(&disk);
        let batch = |n: u64| (n * 1000..(n + 1) * 1000).collect::<Vec<u64>>();
        // what some pixels have in flight at the default pace, and before that is forgotten
        for n in 0..131 {
            intents.begin(&batch(n)).unwrap();
        }
        assert_eq!(
            intents.begin(&batch(131)).unwrap_err().code(),
            "intents_full"
        );
        // again what is there takes no room
        intents.begin(&batch(3)).unwrap();
        let mut begun = 0;
        for n in 1..800 {
            intents.end(&batch(n));
            let before = disk.used();
            intents.begin(&batch(n)).unwrap();
            begun += usize::from(disk.used() < before);
            intents.end(&batch(n));
            assert!(disk.used() <= 5 << 20, "{}", disk.used());
        }
        assert!(begun > 1, "{begun} new files");
        disk.kill();
        assert_eq!(left(&open(&disk)), batch(0));
    }

    #[test]
    fn a_failed_sync_is_told_and_the_next_file_is_whole() {
        let disk = SimDisk::new(3);
        let intents = open(&disk);
        intents.begin(&[1]).unwrap();
        disk.fail_sync_in(Some(0));
        assert_eq!(intents.begin(&[2]).unwrap_err().code(), "intents_io");
        intents.begin(&[3]).unwrap();
        disk.power_cycle();
        let left = left(&open(&disk));
        assert!(left == [1, 3] || left == [1, 2, 3], "{left:?}");
        disk.set_capacity(disk.used());
        let full = open(&disk).begin(&[4]).unwrap_err();
        assert_eq!(full.code(), "intents_full");
    }

    #[test]
    fn whatever_the_power_takes_what_was_begun_is_known() {
        let mut left_some = 0;
        for seed in 0..2000 {
            let mut rng = Rng::new(seed);
            let disk = SimDisk::new(seed ^ 0x1e7);
            disk.create_dir(Path::new("journal")).unwrap();
            let mut next = 1;
            // what must be known, and what may be: ended, or never answered with success
            let (mut must, mut may) = (HashSet::new(), HashSet::new());
            for _life in 0..3 {
                let intents = open(&disk);
                let found = intents.left();
                assert!(must.is_subset(&found), "seed {seed}: {must:?} in {found:?}");
                assert!(
                    found
                        .iter()
                        .all(|seq| must.contains(seq) || may.contains(seq)),
                    "seed {seed}: {found:?}"
                );
                left_some += usize::from(!found.is_empty());
                // what was found is not durable before it is written again
                disk.lose_power_in(Some(rng.below(30)));
                for _ in 0..rng.below(12) {
                    if rng.once_in(2) {
                        let batch: Vec<u64> = (next..=next + rng.below(100)).collect();
                        next += 101;
                        if intents.begin(&batch).is_ok() {
                            must.extend(batch);
                        } else {
                            may.extend(batch);
                        }
                    } else {
                        let half = |_: &u64| rng.once_in(2);
                        let ended: Vec<u64> = must.iter().copied().filter(half).collect();
                        intents.end(&ended);
                        must.retain(|seq| !ended.contains(seq));
                        may.extend(ended);
                    }
                }
                drop(intents);
                if rng.once_in(3) && !disk.is_off() {
                    disk.lose_power_in(None);
                    disk.kill();
                } else {
                    disk.power_cycle();
                }
            }
        }
        assert!(left_some > 1000, "{left_some}");
    }
}

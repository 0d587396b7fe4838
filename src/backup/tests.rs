#![expect(clippy::disallowed_methods, reason = "files of these tests")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::journal::{
    Envelope, Journal, LaneKey, LeaseLimits, RealDisk, Settings, Settlement, format, settle_all,
};
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};

const SOME: LeaseLimits = LeaseLimits {
    max_events: 200,
    max_bytes: 100 << 20,
};

fn open(dir: &Path) -> Journal {
    let settings = Settings {
        segment_bytes: 1 << 20,
        max_bytes: 24 << 20,
        settle_sync: Duration::from_millis(20),
        ..Settings::new(dir)
    };
    let metrics = Metrics::new().unwrap();
    Journal::open(settings, Arc::new(RealDisk), Clock::Real, &metrics).unwrap()
}

fn event(number: u64) -> Envelope {
    let text = format!("{{\"n\":{number},\"fill\":\"{}\"}}", "x".repeat(6000));
    Envelope {
        expires_at: UnixMs(i64::MAX),
        ..Envelope::sample(7, Box::leak(text.into_boxed_str()))
    }
}

fn number(json: &[u8]) -> u64 {
    let value: serde_json::Value = serde_json::from_slice(json).unwrap();
    value["n"].as_u64().unwrap()
}

fn lane() -> LaneKey {
    LaneKey::plain(PixelId::from_u64(7).unwrap())
}

fn places(base: &Path) -> Places {
    Places {
        journal: base.join("journal"),
        vault: Some(base.join("tokens.vault")),
        secrets: vec![base.join("journal/vault.key")],
    }
}

fn clock() -> Clock {
    Clock::manual(UnixMs(5_000))
}

/// What a journal holds, by number.
async fn held(dir: &Path) -> BTreeSet<u64> {
    let journal = open(dir);
    let mut found = BTreeSet::new();
    loop {
        let leases = journal.lease(&lane(), SOME);
        if leases.is_empty() {
            break;
        }
        found.extend(leases.iter().map(|lease| number(lease.event().as_bytes())));
        settle_all(leases, Settlement::Delivered);
    }
    journal.close().await;
    found
}

/// Segments fill, are settled, moved and given back all the time, and every backup has all that
/// waited from its begin to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_waiting_event_is_missing_beside_a_busy_journal() {
    let base = tempfile::tempdir().unwrap();
    let from = places(base.path());
    let journal = open(&from.journal);
    let accepted = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(Mutex::new(BTreeSet::new()));
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (journal, accepted, is_over) = (journal.clone(), accepted.clone(), is_over.clone());
        let ended = ended.clone();
        tokio::task::spawn(async move {
            let mut next = 1;
            while !is_over.load(Ordering::SeqCst) {
                let some = next..next + 8;
                next = some.end;
                let events = some.clone().map(event).collect();
                if journal.append(events).await.is_err() {
                    // full for a moment: they were never accepted
                    ended.lock().unwrap().extend(some);
                }
                accepted.store(next - 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let sender = {
        let (journal, ended, is_over) = (journal.clone(), ended.clone(), is_over.clone());
        tokio::task::spawn_blocking(move || {
            let mut kept = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let leases = journal.lease(&lane(), SOME);
                let is_slow = |n: u64| n.is_multiple_of(100) && n < 20_000;
                let (slow, quick): (Vec<_>, Vec<_>) = (leases.into_iter())
                    .partition(|lease| is_slow(number(lease.event().as_bytes())));
                let numbers = quick.iter().map(|lease| number(lease.event().as_bytes()));
                ended.lock().unwrap().extend(numbers);
                kept.extend(slow);
                settle_all(quick, Settlement::Delivered);
                std::thread::sleep(Duration::from_millis(1));
            }
            kept.len()
        })
    };
    let mut taken = Vec::new();
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = accepted.load(Ordering::SeqCst);
        let (from, out) = (from.clone(), base.path().join(format!("backup-{round}")));
        let manifest = {
            let out = out.clone();
            tokio::task::spawn_blocking(move || take(&from, &out, &clock()))
        };
        let manifest = manifest.await.unwrap().unwrap();
        assert!(!manifest.damaged);
        let over = ended.lock().unwrap().clone();
        taken.push((out, before, over));
    }
    is_over.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    assert!(sender.await.unwrap() > 0, "nothing was held back");
    for (out, before, over) in taken {
        let to = Places {
            vault: None,
            ..places(&out.join("again"))
        };
        restore(&out, &to).unwrap();
        let held = held(&to.journal).await;
        let missing: Vec<u64> = (1..=before)
            .filter(|n| !over.contains(n) && !held.contains(n))
            .collect();
        assert!(
            missing.is_empty(),
            "{before} accepted, missing: {missing:?}"
        );
        assert!(held.iter().any(|n| n.is_multiple_of(100)), "{}", held.len());
    }
    journal.close().await;
}

#[tokio::test]
async fn what_is_private_stays_so_and_secrets_stay_out() {
    let base = tempfile::tempdir().unwrap();
    let from = places(base.path());
    let journal = open(&from.journal);
    journal.append((1..=3).map(event).collect()).await.unwrap();
    journal.close().await;
    let put = |name: &str, text: &str| {
        let path = base.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    put("tokens.vault", "sealed");
    put("journal/vault.key", "canary");
    put("journal/dead/dead-0000000001.ndjson", "{}\n{}\n");
    put("journal/receipts/000000000001.lines", "{}\n");
    put("journal/alerts.json", "{}");
    let out = base.path().join("deep/backup");
    let manifest = take(&from, &out, &clock()).unwrap();
    assert_eq!((manifest.events(), manifest.dead_letters), (3, 2));
    assert!(manifest.vault && !manifest.damaged);
    assert_eq!(manifest.taken_at, UnixMs(5_000));
    let names: Vec<&String> = manifest.files.keys().collect();
    let segment = "journal/00000000000000000001.seg";
    for name in [
        segment,
        "journal/FORMAT",
        "journal/alerts.json",
        "journal/dead/dead-0000000001.ndjson",
        "journal/receipts/000000000001.lines",
        "tokens.vault",
    ] {
        let about = out.join(name).metadata().unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
        assert!(manifest.files.contains_key(name), "{names:?}");
    }
    assert_eq!(names.len(), 6, "{names:?}");
    for dir in [out.clone(), out.join("journal"), out.join("journal/dead")] {
        let mode = dir.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", dir.display());
    }
    assert!(matches!(
        take(&from, &out, &clock()),
        Err(BackupError::Taken(_))
    ));
    for within in ["backup", "dead/backup", "new/backup"] {
        let within = from.journal.join(within);
        assert!(matches!(
            take(&from, &within, &clock()),
            Err(BackupError::Within(_))
        ));
        assert!(!within.exists());
    }

    let again = base.path().join("again");
    let to = places(&again);
    assert_eq!(restore(&out, &to).unwrap(), manifest);
    assert_eq!(
        std::fs::read(again.join("tokens.vault")).unwrap(),
        b"sealed"
    );
    assert_eq!(held(&to.journal).await, BTreeSet::from([1, 2, 3]));
    assert!(matches!(restore(&out, &to), Err(BackupError::Taken(_))));
    let other = Places {
        journal: base.path().join("third"),
        ..to.clone()
    };
    let taken = restore(&out, &other);
    assert!(matches!(&taken, Err(BackupError::Taken(path)) if path.ends_with("tokens.vault")));
    assert!(!other.journal.exists());

    // one bit of a segment, and nothing is restored
    let mut bytes = std::fs::read(out.join(segment)).unwrap();
    bytes[600] ^= 1;
    std::fs::write(out.join(segment), bytes).unwrap();
    let other = Places {
        vault: None,
        ..other
    };
    let damaged = restore(&out, &other).unwrap_err();
    assert!(damaged.to_string().contains(segment), "{damaged}");
    assert!(!other.journal.exists());
}

#[test]
fn what_is_no_backup_is_told() {
    let base = tempfile::tempdir().unwrap();
    let to = places(&base.path().join("to"));
    let none = take(&places(base.path()), &base.path().join("out"), &clock());
    assert!(matches!(none, Err(BackupError::NoJournal(_))));
    let file = base.path().join("backup.json");
    let refused = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let error = restore(base.path(), &to).unwrap_err();
        assert!(!to.journal.exists());
        error.to_string()
    };
    assert!(refused("{").contains("no whole backup"));
    assert!(refused(r#"{"format": 9, "new": true}"#).contains("format 9"));
    let outside = r#"{"format":1,"program":"1","taken_at":1,"waiting":{},"dead_letters":0,"vault":false,"damaged":false,"files":{"../x":{"bytes":0,"sha256":""}}}"#;
    assert!(refused(outside).contains("no whole backup"));
    assert_eq!(
        format::VERSION,
        1,
        "a new format needs a reader of the old one"
    );
}

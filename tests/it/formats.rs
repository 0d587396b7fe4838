//! Data that an earlier version wrote is opened, and that of a later one is refused and left alone.
//!
//! `tests/data/format-1` is a backup that version 0.1.0 took: three events that wait and one of
//! another pixel, whose token is in the vault, two dead letters, and the receipts of two delivered
//! events. When a format changes, it stays, and the new one gets a directory beside it: run
//! `WRITE_FORMAT=tests/data/format-2 cargo test --test it -- formats`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capigate::backup::{self, Places};
use capigate::config::{Config, SecretRef};
use capigate::journal::format;
use capigate::journal::segment::disk::RealDisk;
use capigate::receipts::State;
use capigate::sandbox::Fault;
use capigate::secret::Secret;
use capigate::time::{Clock, UnixMs};
use capigate::tokens::{Facts, Obtained, Slot, TokenRecord, Vault, VaultError};
use serde_json::{Value, json};

use crate::harness::{Gateway, OTHER, purchase};
use crate::support::all_bytes;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/format-1");
/// When it was written: 2026-11-30T12:00:00Z.
const WRITTEN: UnixMs = UnixMs(1_796_040_000_000);

fn vault_key() -> String {
    "ab".repeat(32)
}

fn event(id: &str) -> Value {
    let mut event = purchase("someone");
    event["event_id"] = json!(id);
    event["event_time"] = json!(WRITTEN.secs() - 5);
    event
}

/// The other pixel has its token in the vault, and every event is held to duplicates.
fn with_vault(config: &mut Config) -> Places {
    let dir = config.journal.dir.parent().unwrap().to_owned();
    let key = dir.join("vault.key");
    std::fs::write(&key, vault_key()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    config.tokens.vault = dir.join("tokens.vault");
    config.tokens.vault_key = Some(SecretRef::File(key.clone()));
    let other = config.pixels.get_mut(&OTHER.parse().unwrap()).unwrap();
    other.token = None;
    other.app_secret = None;
    config.duplicates.events = capigate::config::duplicates::Covers::All;
    Places {
        journal: config.journal.dir.clone(),
        vault: Some(config.tokens.vault.clone()),
        secrets: vec![key],
    }
}

/// What is in `tests/data/format-1`, written by this version.
async fn write(out: &Path) {
    let mut places = None;
    let clock = Clock::manual(WRITTEN);
    let change = |config: &mut Config| {
        let at = with_vault(config);
        let vault = Vault::new(config.tokens.vault.clone(), &Secret::new(vault_key())).unwrap();
        let put = vault.update(|contents| -> Result<(), VaultError> {
            let name = "other".parse().unwrap();
            let record = TokenRecord {
                secret: Secret::new("sandbox-token".to_owned()),
                obtained: Obtained::Pasted,
                added_at: WRITTEN,
                facts: Facts::default(),
            };
            contents.add(name, record)?;
            let name = "other".parse().unwrap();
            contents.bind(OTHER.parse().unwrap(), Slot::Current, &name, WRITTEN)?;
            Ok(())
        });
        put.unwrap();
        places = Some(at);
    };
    let mut gateway = Gateway::with_disk(change, Arc::new(RealDisk), clock.clone()).await;
    for id in ["dead-1", "dead-2"] {
        gateway
            .sandbox
            .add_fault(Fault::refuse_event(id, Some(2_804_019)));
    }
    let some = ["sent-1", "dead-1", "sent-2", "dead-2"].map(event);
    assert_eq!(gateway.post(some.to_vec()).await.status, 200);
    gateway.drained().await;
    gateway.sandbox.clear_faults();
    gateway.sandbox.add_fault(Fault::status(503).forever());
    let some = ["waits-1", "waits-2", "waits-3"].map(event);
    assert_eq!(gateway.post(some.to_vec()).await.status, 200);
    let body = json!({"data": [event("waits-4")]});
    assert_eq!(gateway.post_body(OTHER, &body).await.status, 200);
    gateway.finish_with_backlog().await;
    let manifest = backup::take(&places.unwrap(), out, &clock).unwrap();
    assert_eq!((manifest.events(), manifest.dead_letters), (4, 2));
}

/// A copy with the modes that a checkout does not keep.
fn private_copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for (path, bytes) in all_bytes(from) {
        let copy = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::write(&copy, bytes).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_the_first_format_is_opened_whole() {
    let base = tempfile::tempdir().unwrap();
    let kept = base.path().join("kept");
    private_copy(Path::new(KEPT), &kept);
    let clock = Clock::manual(WRITTEN.plus(Duration::from_hours(1)));
    let change = |config: &mut Config| {
        let manifest = backup::restore(&kept, &with_vault(config)).unwrap();
        assert_eq!((manifest.format, manifest.events()), (1, 4));
    };
    let gateway = Gateway::with_disk(change, Arc::new(RealDisk), clock).await;
    // the fourth has its token in the vault
    gateway.delivered(4).await;
    gateway.drained().await;
    assert_eq!(gateway.metric("capigate_journal_recovered").await, 4);
    assert_eq!(gateway.metric("capigate_dead_letters").await, 2);
    let ids: BTreeSet<String> = (gateway.sandbox.ledger().events.into_iter())
        .filter_map(|event| event.event_id)
        .collect();
    let waited = ["waits-1", "waits-2", "waits-3", "waits-4"].map(str::to_owned);
    assert_eq!(ids, waited.into());
    for (id, state) in [("sent-1", State::Delivered), ("dead-2", State::Dead)] {
        let found = gateway.running().receipts().find(id, 10).unwrap();
        assert_eq!(found.len(), 1, "{id}: {found:?}");
        assert_eq!(found[0].state, state, "{id}");
        // none of which was kept then
        assert!(found[0].attempts.is_empty() && found[0].changes.is_empty());
    }
    let found = gateway.running().receipts().find("waits-1", 10).unwrap();
    assert_eq!((found.len(), found[0].attempts.len()), (1, 1));
    // and what was delivered is known
    let answer = gateway.post(vec![event("sent-2")]).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.to_string().contains("duplicate"),
        "{:?}",
        answer.body
    );
    gateway.drained().await;
    assert_eq!(gateway.sandbox.totals().events_accepted, 4);
    gateway.finish().await;
}

/// Kinds of files, and the bytes that say what they are.
fn heads(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    const KINDS: [(&str, usize); 7] = [
        ("seg", 10),
        ("done", 8),
        ("ids", 8),
        ("lines", 2),
        ("keys", 0),
        ("ndjson", 6),
        ("vault", 11),
    ];
    let mut heads = BTreeMap::new();
    for (path, bytes) in all_bytes(dir) {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if let Some((kind, len)) = KINDS.iter().find(|(kind, _)| Some(*kind) == ending) {
            heads.insert((*kind).to_owned(), bytes[..*len].to_vec());
        }
    }
    assert_eq!(heads.len(), KINDS.len(), "{heads:?}");
    heads
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_what_this_version_writes() {
    let base = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("WRITE_FORMAT").map(PathBuf::from);
    let out = asked.unwrap_or_else(|| base.path().join("out"));
    write(&out).await;
    assert_eq!(
        format::VERSION,
        1,
        "keep data of the new format, too, and open both"
    );
    assert_eq!(heads(&out), heads(Path::new(KEPT)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_format_is_refused_and_left_alone() {
    let mut gateway = Gateway::start().await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    gateway.post(vec![purchase("waits")]).await;
    gateway.down().await;
    let dir = gateway.journal_dir();
    let marker = dir.join("FORMAT");
    let known = std::fs::read_to_string(&marker).unwrap();
    assert_eq!(known, "capigate-data 1\n");
    for (text, says) in [
        ("capigate-data 2\n", "has format 2"),
        ("capigate-data restoring\n", "was not restored to the end"),
        ("another program's", "not understood"),
    ] {
        std::fs::write(&marker, text).unwrap();
        let before = all_bytes(&dir);
        let error = format!("{:#}", gateway.try_up().await.unwrap_err());
        assert!(error.contains(says), "{error}");
        assert!(error.contains(dir.to_str().unwrap()), "{error}");
        assert_eq!(all_bytes(&dir), before);
    }
    std::fs::write(&marker, known).unwrap();
    gateway.sandbox.clear_faults();
    gateway.up().await;
    gateway.delivered(1).await;
    gateway.finish().await;
}

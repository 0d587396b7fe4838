//! What differs between two configurations, and which of it a running gateway can take over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use toml::{Table, Value};

use super::docs::{self, TOPICS};
use super::{Config, Role, Secrets};

/// The keys that a running gateway takes over; a whole section ends with a dot. All others are
/// fixed: what binds a socket, opens a file or sizes memory once. So a key that is new and not
/// thought of here needs a restart, and is never half applied.
const LIVE: &[&str] = &[
    "admin.",
    "ingest.body_timeout",
    "ingest.max_body",
    "ingest.max_event_bytes",
    "ingest.max_events",
    "ingest.max_in_flight",
    "pixels.",
    "shutdown.",
    "sources.",
    "telemetry.log_level",
];

/// Whether a change of this key (`lanes.linger`, `pixels.1.token`) works without a restart.
pub fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| {
        if live.ends_with('.') {
            key.starts_with(live)
        } else {
            key == *live
        }
    })
}

/// The keys whose values differ, in their order: `section.key`, in pixels and sources
/// `section.entry.key`, or `section.entry` for one that is new or gone. A key that points to a
/// secret differs, too, when what is read there does.
pub fn changed_keys(old: (&Config, &Secrets), new: (&Config, &Secrets)) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    let (before, after) = (tree(old.0), tree(new.0));
    for topic in TOPICS.iter() {
        let (before, after) = (within(&before, topic.name), within(&after, topic.name));
        if topic.entry.is_none() {
            compare(&mut changed, topic.name, before, after);
            continue;
        }
        for entry in names(before, after) {
            let path = format!("{}.{entry}", topic.name);
            match (before.get(entry), after.get(entry)) {
                (Some(Value::Table(before)), Some(Value::Table(after))) => {
                    compare(&mut changed, &path, before, after);
                }
                _ => {
                    changed.insert(path);
                }
            }
        }
    }
    secrets(&mut changed, old.1, new.1);
    changed
}

fn tree(config: &Config) -> Table {
    // what was read from TOML can be written as TOML; if not, every key is new
    Table::try_from(config).unwrap_or_default()
}

fn within<'t>(tree: &'t Table, name: &str) -> &'t Table {
    static NOTHING: LazyLock<Table> = LazyLock::new(Table::new);
    tree.get(name).and_then(Value::as_table).unwrap_or(&NOTHING)
}

fn names<'t>(one: &'t Table, other: &'t Table) -> BTreeSet<&'t String> {
    one.keys().chain(other.keys()).collect()
}

fn compare(changed: &mut BTreeSet<String>, path: &str, before: &Table, after: &Table) {
    for name in names(before, after) {
        if before.get(name) != after.get(name) {
            changed.insert(format!("{path}.{name}"));
        }
    }
}

/// Of pixels and sources that are there before and after.
fn secrets(changed: &mut BTreeSet<String>, old: &Secrets, new: &Secrets) {
    for (id, after) in &new.pixels {
        let Some(before) = old.pixels.get(id) else {
            continue;
        };
        if before.token.digest() != after.token.digest() {
            changed.insert(format!("pixels.{id}.token"));
        }
        let digest = |app: &Option<crate::secret::Secret>| app.as_ref().map(|app| app.digest());
        if digest(&before.app_secret) != digest(&after.app_secret) {
            changed.insert(format!("pixels.{id}.app_secret"));
        }
    }
    for (name, role) in [("admin.keys", Role::Admin), ("admin.view_keys", Role::View)] {
        if admin_keys(old, role) != admin_keys(new, role) {
            changed.insert(name.to_owned());
        }
    }
    let (before, after) = (keys(old), keys(new));
    for (name, digests) in &after {
        if before.get(name).is_some_and(|before| before != digests) {
            changed.insert(format!("sources.{name}.keys"));
        }
    }
}

fn admin_keys(secrets: &Secrets, role: Role) -> BTreeSet<[u8; 32]> {
    let keys = secrets.admin.iter().filter(|key| key.role == role);
    keys.map(|key| key.digest).collect()
}

fn keys(secrets: &Secrets) -> BTreeMap<&str, BTreeSet<[u8; 32]>> {
    let mut keys: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for (digest, source) in &secrets.keys {
        keys.entry(source).or_default().insert(*digest);
    }
    keys
}

/// For the reference: whether a key of a section needs a restart.
pub(super) fn needs_restart(topic: &docs::Topic, key: &docs::Key) -> bool {
    let entry = topic.entry.map(|entry| format!("{entry}."));
    !is_live(&format!(
        "{}.{}{}",
        topic.name,
        entry.unwrap_or_default(),
        key.name
    ))
}

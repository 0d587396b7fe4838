//! What differs between two configurations, and which of it a running gateway can take over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use toml::{Table, Value};

use super::docs::{self, TOPICS};
use super::{Config, Role, Secrets};
use crate::secret::Secret;

/// The keys that a running gateway takes over; a whole section ends with a dot. All others are
/// fixed: what binds a socket, opens a file or sizes memory once. So a key that is new and not
/// thought of here needs a restart, and is never half applied.
const LIVE: &[&str] = &[
    "admin.keys",
    "admin.view_keys",
    "alerts.",
    "ingest.body_timeout",
    "ingest.max_body",
    "ingest.max_event_bytes",
    "ingest.max_events",
    "ingest.max_in_flight",
    "ingest.trusted_proxies",
    "lanes.backoff_max",
    "lanes.backoff_min",
    "lanes.linger",
    "lanes.max_bisections_per_pixel",
    "lanes.max_bytes",
    "lanes.max_events",
    "lanes.max_in_flight_batches",
    "lanes.max_in_flight_batches_per_pixel",
    "lanes.messaging",
    "lanes.probe_interval",
    "lanes.rate",
    "lanes.rate_per_pixel",
    "lanes.throttle_max",
    "lanes.throttle_min",
    "pixels.",
    "shutdown.",
    "sources.",
    "telemetry.log_level",
];

/// Whether a change of this key (`lanes.linger`, `pixels.1.token`) works without a restart.
pub fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| covers(live, key))
}

fn covers(live: &str, key: &str) -> bool {
    key == live || (live.ends_with('.') && key.starts_with(live))
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
            compare(&mut changed, topic, topic.name, before, after);
            continue;
        }
        for entry in names(before, after) {
            let path = format!("{}.{entry}", topic.name);
            match (before.get(entry), after.get(entry)) {
                (Some(Value::Table(before)), Some(Value::Table(after))) => {
                    compare(&mut changed, topic, &path, before, after);
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

pub(super) fn tree(config: &Config) -> Table {
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

fn compare(
    changed: &mut BTreeSet<String>,
    topic: &docs::Topic,
    path: &str,
    before: &Table,
    after: &Table,
) {
    for name in names(before, after) {
        if topic.has_section(name) {
            let (before, after) = (within(before, name), within(after, name));
            compare(changed, topic, &format!("{path}.{name}"), before, after);
        } else if before.get(name) != after.get(name) {
            changed.insert(format!("{path}.{name}"));
        }
    }
}

/// Of pixels and sources that are there before and after.
fn secrets(changed: &mut BTreeSet<String>, old: &Secrets, new: &Secrets) {
    let digest = |secret: &Option<Secret>| secret.as_ref().map(Secret::digest);
    for (id, after) in &new.pixels {
        let Some(before) = old.pixels.get(id) else {
            continue;
        };
        let digest = |secret: &Option<Secret>| secret.as_ref().map(Secret::digest);
        if digest(&before.token) != digest(&after.token) {
            changed.insert(format!("pixels.{id}.token"));
        }
        if digest(&before.app_secret) != digest(&after.app_secret) {
            changed.insert(format!("pixels.{id}.app_secret"));
        }
    }
    for (name, role) in [("admin.keys", Role::Admin), ("admin.view_keys", Role::View)] {
        if admin_keys(old, role) != admin_keys(new, role) {
            changed.insert(name.to_owned());
        }
    }
    let (before, after) = (&old.alerts, &new.alerts);
    for (name, before, after) in [
        ("webhook_url", &before.webhook_url, &after.webhook_url),
        (
            "webhook_secret",
            &before.webhook_secret,
            &after.webhook_secret,
        ),
        (
            "email_password",
            &before.email_password,
            &after.email_password,
        ),
    ] {
        if digest(before) != digest(after) {
            changed.insert(format!("alerts.{name}"));
        }
    }
    if before.roots != after.roots {
        changed.insert("alerts.ca".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AdminKey, AlertSecrets, PixelSecrets};

    fn parse(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn changed(old: &str, new: &str) -> Vec<String> {
        let none = Secrets::default();
        let changed = changed_keys((&parse(old), &none), (&parse(new), &none));
        changed.into_iter().collect()
    }

    const ONE: &str = "[pixels.1]\ntoken = { env = \"T\" }\n[sources.shop]\nkeys = [{ env = \"K\" }]\npixels = [\"1\"]\n";

    #[test]
    fn changes_are_named_key_by_key_and_entry_by_entry() {
        assert_eq!(changed("", ""), [""; 0]);
        assert_eq!(changed(ONE, ONE), [""; 0]);
        assert_eq!(
            changed("", "[lanes]\nlinger = \"1s\"\n[journal]\ndir = \"/j\""),
            ["journal.dir", "lanes.linger"]
        );
        // what is written in full is no change
        assert_eq!(changed("", "[lanes]\nlinger = \"200ms\""), [""; 0]);
        assert_eq!(changed("", ONE), ["pixels.1", "sources.shop"]);
        assert_eq!(changed(ONE, ""), ["pixels.1", "sources.shop"]);
        let other = ONE
            .replace("\"T\" }", "\"T\" }\ntest_event_code = \"TEST1\"")
            .replace("\"K\"", "\"L\"");
        assert_eq!(
            changed(ONE, &other),
            ["pixels.1.test_event_code", "sources.shop.keys"]
        );
        assert_eq!(
            changed("", "[listen]\ntls = { cert = \"/c\", key = \"/k\" }"),
            ["listen.tls"]
        );
    }

    #[test]
    fn another_secret_in_the_same_place_is_a_change() {
        let secrets = |token: &str, app: Option<&str>, key: u8| {
            let secret = |text: &str| Secret::new(text.to_owned());
            Secrets {
                pixels: [(
                    "1".parse().unwrap(),
                    PixelSecrets {
                        token: Some(secret(token)),
                        app_secret: app.map(secret),
                    },
                )]
                .into(),
                vault_key: None,
                keys: [([key; 32], "shop".to_owned())].into(),
                admin: vec![AdminKey {
                    name: "admin.view_keys[0]".to_owned(),
                    role: Role::View,
                    digest: [key; 32],
                }],
                alerts: AlertSecrets {
                    email_password: app.map(secret),
                    ..AlertSecrets::default()
                },
            }
        };
        let config = parse(ONE);
        let changed = |new: Secrets| -> Vec<String> {
            let old = secrets("t", Some("a"), 1);
            changed_keys((&config, &old), (&config, &new))
                .into_iter()
                .collect()
        };
        assert_eq!(changed(secrets("t", Some("a"), 1)), [""; 0]);
        assert_eq!(changed(secrets("u", Some("a"), 1)), ["pixels.1.token"]);
        assert_eq!(
            changed(secrets("t", Some("b"), 2)),
            [
                "admin.view_keys",
                "alerts.email_password",
                "pixels.1.app_secret",
                "sources.shop.keys"
            ]
        );
    }

    #[test]
    fn every_key_is_live_or_fixed_and_the_reference_says_which() {
        let text = super::super::reference();
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for topic in TOPICS.iter() {
            for key in &topic.keys {
                let path = match topic.entry {
                    Some(entry) => format!("{}.{entry}.{}", topic.name, key.name),
                    None => format!("{}.{}", topic.name, key.name),
                };
                assert_eq!(is_live(&path), !needs_restart(topic, key), "{path}");
                named.extend(LIVE.iter().filter(|live| covers(live, &path)));
            }
        }
        assert_eq!(named.len(), LIVE.len(), "a live key that is no key");
        // what binds or opens something, by hand
        for fixed in [
            "listen.ingest",
            "listen.admin",
            "journal.dir",
            "journal.segment_bytes",
            "journal.max_bytes",
            "telemetry.log_format",
            "admin.max_connections",
            "ingest.max_connections",
            "lanes.weights",
            "no.such_key",
        ] {
            assert!(!is_live(fixed), "{fixed}");
        }
        let marked = text.matches("# Needs a restart.").count();
        let fixed = TOPICS
            .iter()
            .flat_map(|topic| topic.keys.iter().map(move |key| (topic, key)))
            .filter(|(topic, key)| needs_restart(topic, key))
            .count();
        assert_eq!(marked, fixed);
    }
}

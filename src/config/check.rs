//! From the merged tree to a [`Config`]: each leaf is tried by itself, so that one fault does not
//! hide the next, and then the whole is checked for what goes together.

use std::collections::BTreeMap;

use config::{Value, ValueKind};
use toml::Table;

use super::docs::{self, TOPICS, Topic};
use super::layers::{Tree, origin_of};
use super::leaf::{attempt, bad, decode, show, stand_in};
use super::{Config, Fault};
use crate::pixel::PixelId;

/// Where each key that is not a default was set, by the path of the key.
pub type Origins = BTreeMap<String, String>;

/// A configuration and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file and line, or the environment variable, of each key that was set.
    pub origins: Origins,
}

#[derive(Default)]
struct Walk {
    /// What has passed so far, by section and entry (an empty name where there are no entries).
    good: BTreeMap<&'static str, BTreeMap<String, Table>>,
    origins: Origins,
    /// Where each entry (`pixels.123`) stands.
    entries: Origins,
    faults: Vec<Fault>,
}

/// Checks the tree; all faults are added to those given.
pub(super) fn check(tree: &Tree, faults: Vec<Fault>) -> (Loaded, Vec<Fault>) {
    let mut walk = Walk {
        faults,
        ..Walk::default()
    };
    for (name, value) in sorted(tree) {
        match docs::topic(name) {
            Some(topic) => walk.topic(topic, value),
            None => walk.unknown(name, value, None),
        }
    }
    let config = decode(walk.passed()).unwrap_or_else(|message| {
        walk.fault("", String::new(), message);
        Config::default()
    });
    for mut fault in config.validate() {
        // what is missing here may be what was refused above
        let list = whole_list(&fault.key);
        if walk
            .faults
            .iter()
            .any(|known| whole_list(&known.key) == list)
        {
            continue;
        }
        fault.origin = origin_in(&walk.origins, &fault.key);
        if fault.origin.is_empty()
            && let Some((entry, _)) = fault.key.rsplit_once('.')
        {
            fault.origin = origin_in(&walk.entries, entry);
        }
        if fault.origin.is_empty() {
            "default".clone_into(&mut fault.origin);
        }
        fault.got = walk.shown(&fault.key);
        walk.faults.push(fault);
    }
    let loaded = Loaded {
        config,
        origins: walk.origins,
    };
    (loaded, walk.faults)
}

impl Loaded {
    /// Notes in the fault where its key was set.
    pub fn locate(&self, fault: &mut Fault) {
        fault.origin = origin_in(&self.origins, &fault.key);
    }
}

/// Where the key, or the list it is a member of, was set.
fn origin_in(origins: &Origins, path: &str) -> String {
    origins.get(whole_list(path)).cloned().unwrap_or_default()
}

fn sorted(tree: &Tree) -> BTreeMap<&str, &Value> {
    tree.iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

impl Walk {
    fn fault(&mut self, key: &str, origin: String, expected: String) {
        self.faults.push(Fault {
            key: key.to_owned(),
            origin,
            got: None,
            expected,
        });
    }

    fn topic(&mut self, topic: &'static Topic, value: &Value) {
        let Some(section) = self.section(topic.name, topic, value) else {
            return;
        };
        if topic.entry.is_none() {
            for (name, value) in sorted(section) {
                self.key(topic, None, name, value);
            }
            return;
        }
        for (entry, value) in sorted(section) {
            let path = format!("{}.{entry}", topic.name);
            if let Some(expected) = bad_entry(topic, entry) {
                self.fault(&path, origin_of(value), expected);
            } else if let Some(section) = self.section(&path, topic, value) {
                // it is there, even if nothing in it is good
                self.place(topic, Some(entry));
                self.entries.insert(path, origin_of(value));
                for (name, value) in sorted(section) {
                    if topic.has_section(name) {
                        self.within(topic, entry, name, value);
                    } else {
                        self.key(topic, Some(entry), name, value);
                    }
                }
                self.complete(topic, entry, value);
            }
        }
    }

    fn section<'v>(&mut self, path: &str, topic: &Topic, value: &'v Value) -> Option<&'v Tree> {
        if let ValueKind::Table(section) = &value.kind {
            return Some(section);
        }
        let example = topic
            .entry
            .filter(|_| path == topic.name)
            .map_or_else(|| path.to_owned(), |entry| format!("{path}.{entry}"));
        self.fault(
            path,
            origin_of(value),
            format!("expected a section, such as [{example}]"),
        );
        None
    }

    /// A section of an entry, as `policy` of a source.
    fn within(&mut self, topic: &'static Topic, entry: &str, inner: &str, value: &Value) {
        let path = format!("{}.{entry}.{inner}", topic.name);
        let ValueKind::Table(section) = &value.kind else {
            let expected = format!("expected a section, such as [{path}]");
            return self.fault(&path, origin_of(value), expected);
        };
        for (name, value) in sorted(section) {
            self.key(topic, Some(entry), &format!("{inner}.{name}"), value);
        }
    }

    fn key(&mut self, topic: &'static Topic, entry: Option<&str>, name: &str, value: &Value) {
        let mut path = topic.name.to_owned();
        for part in entry.into_iter().chain([name]) {
            path = format!("{path}.{part}");
        }
        let Some(key) = topic.key(name) else {
            let inner = name.rsplit_once('.').map_or("", |(inner, _)| inner);
            return self.unknown(&path, value, Some((topic, inner)));
        };
        let mut origin = origin_of(value);
        if origin.is_empty()
            && let Some(entry) = entry
        {
            // an empty table does not say where it stands
            let entry = format!("{}.{entry}", topic.name);
            origin = origin_in(&self.entries, &entry);
        }
        let tried = match &value.kind {
            // one by one, so that each bad member of a list is told
            ValueKind::Array(members) if key.list => {
                let mut all = Vec::new();
                for (index, member) in members.iter().enumerate() {
                    match attempt(topic, entry, key, member) {
                        Ok(value) => all.push(value),
                        Err(why) => {
                            let path = format!("{path}[{index}]");
                            self.faults
                                .push(bad(topic, key, path, member, &origin, &why));
                        }
                    }
                }
                (all.len() == members.len()).then_some(toml::Value::Array(all))
            }
            _ => match attempt(topic, entry, key, value) {
                Ok(_) if key.list => {
                    self.faults
                        .push(bad(topic, key, path.clone(), value, &origin, ""));
                    None
                }
                Ok(value) => Some(value),
                Err(why) => {
                    self.faults
                        .push(bad(topic, key, path.clone(), value, &origin, &why));
                    None
                }
            },
        };
        self.origins.insert(path, origin);
        if let Some(value) = tried {
            let section = self.place(topic, entry);
            docs::put(section, name, value);
        }
    }

    /// The section of what has passed so far.
    fn place(&mut self, topic: &Topic, entry: Option<&str>) -> &mut Table {
        let entries = self.good.entry(topic.name).or_default();
        entries
            .entry(entry.unwrap_or_default().to_owned())
            .or_default()
    }

    /// What has passed, as one tree.
    fn passed(&self) -> Table {
        let mut whole = Table::new();
        for (name, entries) in &self.good {
            let section = match entries.get("") {
                Some(section) => section.clone(),
                None => entries
                    .iter()
                    .map(|(entry, section)| (entry.clone(), section.clone().into()))
                    .collect(),
            };
            whole.insert((*name).to_owned(), section.into());
        }
        whole
    }

    /// What an entry must have and has not.
    fn complete(&mut self, topic: &'static Topic, entry: &str, value: &Value) {
        for key in topic.keys.iter().filter(|key| key.required) {
            let path = format!("{}.{entry}.{}", topic.name, key.name);
            let section = self.place(topic, Some(entry));
            if section.contains_key(key.name) {
                continue;
            }
            if let Some((name, value)) = stand_in(topic, key) {
                section.insert(name, value);
            }
            if !self.origins.contains_key(&path) {
                let example = key.example.unwrap_or_default();
                let expected = format!("is missing, such as {} = {example}", key.name);
                self.fault(&path, origin_of(value), expected);
            }
        }
    }

    /// `topic` comes with the section within it, empty for its own.
    fn unknown(&mut self, path: &str, value: &Value, topic: Option<(&Topic, &str)>) {
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut expected = "is not a key".to_owned();
        let names: Vec<&str> = match topic {
            Some((topic, inner)) => topic.names(inner),
            None => TOPICS.iter().map(|topic| topic.name).collect(),
        };
        let near = names.iter().min_by_key(|known| distance(known, name));
        let dot = if section.is_empty() { "" } else { "." };
        if let Some(near) = near.filter(|near| distance(near, name) <= 1 + near.len() / 4) {
            expected = format!("{expected}; did you mean {section}{dot}{near}?");
        } else if let Some(home) = TOPICS.iter().find(|topic| topic.key(name).is_some()) {
            expected = format!("{expected}; did you mean {}.{name}?", home.name);
        } else {
            expected = format!("{expected}; the keys here are {}", names.join(", "));
        }
        self.fault(path, origin_of(value), expected);
    }

    /// The value of a key that has passed its type or is the default, where it may be shown.
    fn shown(&self, path: &str) -> Option<String> {
        let mut parts = path.split('.');
        let topic = docs::topic(parts.next()?)?;
        let entry = match topic.entry {
            Some(_) => parts.next()?,
            None => "",
        };
        let key = topic.key(&parts.collect::<Vec<_>>().join("."))?;
        let set = self
            .good
            .get(topic.name)
            .and_then(|all| docs::get(all.get(entry)?, key.name));
        show(key, &set.cloned().or_else(|| docs::default(topic, key))?)
    }
}

/// `sources.shop.keys[1]` → `sources.shop.keys`.
fn whole_list(path: &str) -> &str {
    path.split('[').next().unwrap_or(path)
}

/// Why this is no name of an entry, if so.
fn bad_entry(topic: &Topic, entry: &str) -> Option<String> {
    if topic.name == "pixels" {
        let error = entry.parse::<PixelId>().err()?;
        return Some(format!("expected a pixel id: {error}"));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let good = (1..=64).contains(&entry.len()) && entry.bytes().all(plain);
    (!good).then(|| "expected a name of 1 to 64 characters of a to z, 0 to 9, - and _".to_owned())
}

/// Edits (a letter more, less or another) between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let swap = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = swap.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

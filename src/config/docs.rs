//! What each key means, taken from the doc comments of the structs so that it is said once.
//!
//! The text of the topic files is compiled in and read line by line. A test holds it against what
//! the structs really serialise.

use std::sync::LazyLock;

use toml::Table;

use super::{Config, Source};

/// One section of the configuration.
pub(super) struct Topic {
    /// Its name, such as `lanes`.
    pub(super) name: &'static str,
    /// For sections that are there many times (`pixels.<id>`): an entry's name as an example.
    pub(super) entry: Option<&'static str>,
    /// What it is about, a line an element.
    pub(super) doc: Vec<&'static str>,
    /// Its keys, in the order of the struct.
    pub(super) keys: Vec<Key>,
}

/// One key of a section.
pub(super) struct Key {
    /// Its name, such as `linger`.
    pub(super) name: &'static str,
    /// The type of its value, or of the members of its list.
    pub(super) kind: &'static str,
    /// Whether it is a list.
    pub(super) list: bool,
    /// What it means, a line an element.
    pub(super) doc: Vec<&'static str>,
    /// An example in TOML, for keys where the default is none.
    pub(super) example: Option<&'static str>,
    /// Whether it must be set.
    pub(super) required: bool,
}

/// Every section, in the order of the reference.
pub(super) static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| {
    let entries = |name| match name {
        "pixels" => Some("1234567890123456"),
        "sources" => Some("shop"),
        _ => None,
    };
    SOURCES
        .iter()
        .map(|(name, title, text)| parse(name, title, entries(*name), text))
        .collect()
});

const SOURCES: [(&str, &str, &str); 15] = [
    ("listen", "Listen", include_str!("listen.rs")),
    ("admin", "Admin", include_str!("admin.rs")),
    ("ingest", "Ingest", include_str!("ingest.rs")),
    ("journal", "Journal", include_str!("journal.rs")),
    ("duplicates", "Duplicates", include_str!("duplicates.rs")),
    ("lanes", "Lanes", include_str!("lanes.rs")),
    ("graph", "Graph", include_str!("graph.rs")),
    ("tokens", "Tokens", include_str!("tokens.rs")),
    ("receipts", "Receipts", include_str!("receipts.rs")),
    ("alerts", "Alerts", include_str!("alerts.rs")),
    ("telemetry", "Telemetry", include_str!("telemetry.rs")),
    ("reload", "Reload", include_str!("reload.rs")),
    ("shutdown", "Shutdown", include_str!("shutdown.rs")),
    ("pixels", "Pixel", include_str!("pixels.rs")),
    ("sources", "Source", include_str!("sources.rs")),
];

/// What a good value of each type is, in words; the types' own errors say the same.
const WANTED: [(&str, &str, bool); 30] = [
    (
        "AppId",
        "the id of an app: 1 to 20 decimal digits, the first of them not 0, in quotes",
        false,
    ),
    (
        "BaseUrl",
        "an https address without user, query or fragment",
        false,
    ),
    (
        "Bytes",
        "a size: a whole number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB",
        true,
    ),
    ("Country", "a country code of two letters", true),
    ("Covers", "\"messaging\" or \"all\"", true),
    ("EmailTls", "\"starttls\", \"tls\" or \"none\"", true),
    ("EventIdRule", "\"derive\", \"random\" or \"leave\"", true),
    ("ExternalIdRule", "\"hash\", \"trim\" or \"raw\"", true),
    (
        "GraphVersion",
        "a version of the Graph API: v and two numbers",
        true,
    ),
    ("KeyRef", "a list of tables that say where a key is", false),
    ("LogFormat", "\"text\" or \"json\"", true),
    (
        "LogLevel",
        "error, warn, info, debug or trace, or such a level for each part",
        true,
    ),
    (
        "MailAddress",
        "an e-mail address, as in \"ops@example.com\" or \"Name <ops@example.com>\"",
        false,
    ),
    ("Messaging", "\"at_least_once\" or \"at_most_once\"", true),
    (
        "Moment",
        "a moment as in RFC 3339, with its zone: 2027-01-31T18:00:00Z",
        true,
    ),
    (
        "Network",
        "a network: an IP address, alone or with the length of its prefix, as in 10.0.0.0/8",
        true,
    ),
    (
        "Origin",
        "the origin of a web page, as in https://shop.example, or https://*.shop.example for one label in the place of the *",
        true,
    ),
    ("PathBuf", "a path", false),
    (
        "PixelId",
        "a pixel id: 1 to 20 decimal digits, the first of them not 0, in quotes",
        false,
    ),
    (
        "Rate",
        "a rate: a whole number from 1 to 1000000 with /s, /m or /h",
        true,
    ),
    ("SecretRef", "a table that says where the secret is", false),
    ("SocketAddr", "an IP address and a port", true),
    ("SourceKind", "\"server\" or \"browser\"", true),
    (
        "Span",
        "a duration: a whole number with ms, s, m, h or d, at most 10000d",
        true,
    ),
    ("String", "a text", false),
    ("Tls", "a table with the two files cert and key", false),
    ("TokenIn", "\"header\" or \"body\"", true),
    (
        "WebhookUrl",
        "an https address without user, query or fragment, or a table that says where one is",
        false,
    ),
    (
        "Weights",
        "a table of event names, each with a weight from 1 to 1000",
        true,
    ),
    ("bool", "true or false", true),
];

/// The section of this name.
pub(super) fn topic(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

/// The default of a key; none where it is unset, or where its section has no default.
pub(super) fn default(topic: &Topic, key: &Key) -> Option<toml::Value> {
    static DEFAULTS: LazyLock<Option<(Table, Table)>> = LazyLock::new(|| {
        let whole = Table::try_from(Config::default()).ok()?;
        Some((whole, Table::try_from(Source::default()).ok()?))
    });
    let (whole, source) = DEFAULTS.as_ref()?;
    let section = match topic.name {
        "sources" => source,
        name => whole.get(name)?.as_table()?,
    };
    section.get(key.name).cloned()
}

impl Topic {
    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    /// A good value in words.
    pub(super) fn wanted(&self) -> String {
        let one = WANTED.iter().find(|(kind, ..)| *kind == self.kind);
        let words = one.map_or("a whole number", |(_, words, _)| *words);
        match (self.list, self.kind) {
            (true, "String") => "a list of texts".to_owned(),
            (true, "MailAddress") => {
                "a list of e-mail addresses: each as \"ops@example.com\" or \"Name <ops@example.com>\""
                    .to_owned()
            }
            (true, "Network") => {
                "a list of networks: each an IP address, alone or with the length of its prefix"
                    .to_owned()
            }
            (true, "Origin") => {
                "a list of origins of web pages: each as in https://shop.example, or https://*.shop.example for one label in the place of the *"
                    .to_owned()
            }
            (true, "PixelId") => "a list of pixel ids: each 1 to 20 digits, in quotes".to_owned(),
            _ => words.to_owned(),
        }
    }

    /// Whether a refused value may be shown: not where a secret could stand by mistake.
    pub(super) fn may_be_shown(&self) -> bool {
        let one = WANTED.iter().find(|(kind, ..)| *kind == self.kind);
        !self.list && one.is_none_or(|(.., plain)| *plain)
    }

    /// Whether the value says where a secret is.
    pub(super) fn is_secret_ref(&self) -> bool {
        matches!(self.kind, "SecretRef" | "KeyRef")
    }
}

fn parse(
    name: &'static str,
    title: &str,
    entry: Option<&'static str>,
    text: &'static str,
) -> Topic {
    let head = format!("pub struct {title} {{");
    let (mut doc, mut keys, mut topic_doc, mut inside) =
        (Vec::new(), Vec::new(), Vec::new(), false);
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(said) = trimmed.strip_prefix("///") {
            doc.push(said.trim());
        } else if line == head {
            inside = true;
            topic_doc = std::mem::take(&mut doc);
        } else if inside && line == "}" {
            break;
        } else if inside && let Some(field) = trimmed.strip_prefix("pub ") {
            keys.extend(key(field, std::mem::take(&mut doc)));
        } else if !trimmed.starts_with("#[") {
            doc.clear();
        }
    }
    Topic {
        name,
        entry,
        doc: topic_doc,
        keys,
    }
}

fn key(field: &'static str, mut doc: Vec<&'static str>) -> Option<Key> {
    let (name, kind) = field.trim_end_matches(',').split_once(": ")?;
    let within = |outer: &str| kind.strip_prefix(outer)?.strip_suffix('>');
    let member = within("Vec<").or_else(|| within("BTreeSet<"));
    let example = doc
        .iter()
        .position(|line| line.starts_with("Example: "))
        .map(|at| doc.split_off(at))
        .and_then(|tail| tail.first()?.split('`').nth(1));
    while doc.last().is_some_and(|line| line.is_empty()) {
        doc.pop();
    }
    Some(Key {
        name,
        kind: member.or_else(|| within("Option<")).unwrap_or(kind),
        list: member.is_some(),
        example,
        required: doc.last().is_some_and(|line| line.ends_with("Required.")),
        doc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::alerts::MailAddressError;
    use crate::config::graph::{BaseUrlError, GraphVersionError};
    use crate::config::network::NetworkError;
    use crate::config::pixels::AppIdError;
    use crate::config::sources::CountryError;
    use crate::config::telemetry::LogLevelError;
    use crate::config::test_code::MomentError;
    use crate::config::units::UnitError;
    use crate::origin::OriginError;

    #[test]
    fn every_key_is_described_and_every_description_has_its_key() {
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        for topic in TOPICS.iter() {
            assert!(!topic.doc.is_empty(), "{}", topic.name);
            assert!(topic.keys.len() >= 2, "{}", topic.name);
            for key in &topic.keys {
                let path = format!("{}.{}", topic.name, key.name);
                assert!(!key.doc.is_empty(), "{path} has no doc comment");
                let known = WANTED.iter().any(|(kind, ..)| *kind == key.kind);
                assert!(
                    known || key.kind == "u32",
                    "{path}: {} has no words",
                    key.kind
                );
                assert!(!key.doc.iter().any(|line| line.contains("[`")), "{path}");
            }
            let section = match topic.name {
                "pixels" => continue,
                "sources" => toml::Table::try_from(Source::default()).unwrap(),
                name => defaults[name].as_table().unwrap().clone(),
            };
            for name in section.keys() {
                assert!(topic.key(name).is_some(), "{}.{name}", topic.name);
            }
            for key in &topic.keys {
                assert!(
                    section.contains_key(key.name) || key.example.is_some(),
                    "{}.{} has neither default nor example",
                    topic.name,
                    key.name
                );
            }
        }
        let says = |kind: &str| WANTED.iter().find(|(known, ..)| *known == kind).unwrap().1;
        assert_eq!(says("Bytes"), UnitError::Bytes.to_string());
        assert_eq!(says("Span"), UnitError::Span.to_string());
        assert_eq!(says("Rate"), UnitError::Rate.to_string());
        assert_eq!(says("Network"), NetworkError.to_string());
        assert_eq!(says("Origin"), OriginError.to_string());
        assert_eq!(says("Moment"), MomentError.to_string());
        assert_eq!(says("BaseUrl"), BaseUrlError.to_string());
        assert_eq!(says("GraphVersion"), GraphVersionError.to_string());
        assert_eq!(says("LogLevel"), LogLevelError.to_string());
        assert_eq!(says("Country"), CountryError.to_string());
        assert_eq!(says("AppId"), AppIdError.to_string());
        assert_eq!(says("MailAddress"), MailAddressError.to_string());
        assert_eq!(defaults.len(), TOPICS.len());
        assert!(defaults.keys().all(|name| topic(name).is_some()));
    }
}

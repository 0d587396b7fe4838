//! One value of one key: whether the key takes it, and what to say if not.

use config::{Value, ValueKind};
use toml::Table;

use super::docs::{self, Key, Topic};
use super::layers::PREFIX;
use super::{Config, Fault};

/// The longest value that is shown in a fault; no token is this short.
const MAX_SHOWN: usize = 40;

/// A value for a key that an entry cannot be read without, where there is no good one: the rest
/// of the entry can then still be checked.
pub(super) fn stand_in(topic: &Topic, key: &Key) -> Option<(String, toml::Value)> {
    let needed = topic.name == "pixels" && key.required;
    let value = needed.then(|| key.example?.parse().ok()).flatten()?;
    Some((key.name.to_owned(), value))
}

/// Tries one value (of a list: one member) of one key, all else being as it should.
pub(super) fn attempt(
    topic: &Topic,
    entry: Option<&str>,
    key: &Key,
    value: &Value,
) -> Result<toml::Value, String> {
    let mut first = None;
    for candidate in readings(value) {
        let mut section: Table = topic
            .keys
            .iter()
            .filter_map(|other| stand_in(topic, other))
            .collect();
        let whole = if key.list {
            toml::Value::Array(vec![candidate.clone()])
        } else {
            candidate.clone()
        };
        docs::put(&mut section, key.name, whole);
        if let Some(entry) = entry {
            section = Table::from_iter([(entry.to_owned(), section.into())]);
        }
        match decode(Table::from_iter([(topic.name.to_owned(), section.into())])) {
            Ok(_) => return Ok(candidate),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or_default())
}

/// The typed configuration, or why it is none, in words that quote no secret.
pub(super) fn decode(table: Table) -> Result<Config, String> {
    toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}

/// What a value may mean: a text of a variable may also be a number or a truth value.
fn readings(value: &Value) -> Vec<toml::Value> {
    let mut readings = vec![plain(value)];
    let from_env = value.origin().is_some_and(|at| at.starts_with(PREFIX));
    if let ValueKind::String(text) = &value.kind
        && from_env
    {
        readings.extend(text.parse().map(toml::Value::Integer));
        readings.extend(text.parse().map(toml::Value::Boolean));
    }
    readings
}

/// In the form that the structs are read from.
fn plain(value: &Value) -> toml::Value {
    match &value.kind {
        ValueKind::Boolean(yes) => (*yes).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => text.clone().into(),
        ValueKind::Table(tree) => {
            let pairs = tree.iter();
            let table: Table = pairs
                .map(|(key, inner)| (key.clone(), plain(inner)))
                .collect();
            table.into()
        }
        ValueKind::Array(list) => list.iter().map(plain).collect::<Vec<_>>().into(),
        // the layers make none of the others
        ValueKind::Nil | ValueKind::U64(_) | ValueKind::I128(_) | ValueKind::U128(_) => {
            Table::new().into()
        }
    }
}

/// The fault of a value that its key does not take.
pub(super) fn bad(
    topic: &Topic,
    key: &Key,
    path: String,
    value: &Value,
    origin: &str,
    why: &str,
) -> Fault {
    let example = example(topic, key);
    let is_table = matches!(value.kind, ValueKind::Table(_));
    let expected = if key.is_secret_ref() && is_table && !why.is_empty() {
        format!("expected {why}, such as {example}")
    } else if key.is_secret_ref() {
        format!(
            "a secret is not written here: put it into an environment variable or a file and say \
             which, as in {} = {example}",
            key.name
        )
    } else if key.is_explained() && !why.is_empty() {
        // serde's own words name what is there, ours what should be
        let is_ours = !["unknown", "missing", "duplicate", "invalid"]
            .iter()
            .any(|word| why.starts_with(word));
        let wanted = key.wanted();
        let wanted = if is_ours {
            why
        } else {
            &format!("{wanted} ({why})")
        };
        format!("expected {wanted}, such as {example}")
    } else {
        format!("expected {}, such as {example}", key.wanted())
    };
    Fault {
        key: path,
        origin: origin.to_owned(),
        got: show(key, &plain(value)),
        expected,
    }
}

fn example(topic: &Topic, key: &Key) -> String {
    key.example.map_or_else(
        || docs::default(topic, key).map_or_else(String::new, |value| value.to_string()),
        str::to_owned,
    )
}

/// The value as TOML, where it may be shown.
pub(super) fn show(key: &Key, value: &toml::Value) -> Option<String> {
    let text = value.to_string();
    let short = text.len() <= MAX_SHOWN && !value.is_table() && !value.is_array();
    (short && key.may_be_shown()).then_some(text)
}

//! The layers above the defaults: files, then the environment, merged into one tree whose leaves
//! know where they came from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{ConfigError, Source, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::Fault;
use super::docs::{TOPICS, Topic};

/// What the names of environment variables begin with; two underscores part the keys.
pub(super) const PREFIX: &str = "CAPIGATE__";

/// All layers stand under this one key, so that the crate takes no key of ours for a path.
const ROOT: &str = "root";

/// A merged tree: keys to values or further trees.
pub(super) type Tree = HashMap<String, Value>;

/// One layer, ready to be merged.
#[derive(Clone, Debug)]
struct Layer(Tree);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Tree, ConfigError> {
        let tree = Value::new(None, self.0.clone());
        Ok(HashMap::from([(ROOT.to_owned(), tree)]))
    }
}

/// Reads and merges all layers; what cannot be read is noted and left out.
pub(super) fn merge(
    files: &[PathBuf],
    env: impl Iterator<Item = (String, String)>,
    faults: &mut Vec<Fault>,
) -> Tree {
    let mut merged = Tree::new();
    for path in files {
        merged = layer(merged, read(path, faults));
    }
    let mut variables: Vec<_> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // a variable for a whole section comes before one for a key of it
    variables.sort_by_key(|(name, _)| (name.matches("__").count(), name.clone()));
    let mut from_env = Tree::new();
    for (name, text) in variables {
        from_env = over(from_env, variable(&name, &text));
    }
    layer(merged, from_env)
}

/// One layer over those below. A key is replaced as a whole even where its value is a table: a
/// token that is in a variable here is not also in the file it was in below.
fn layer(mut below: Tree, above: Tree) -> Tree {
    for topic in TOPICS.iter() {
        if let Some((below, above)) = both(&mut below, &above, topic.name) {
            forget(topic, below, above, topic.entry.is_some());
        }
    }
    over(below, above)
}

fn forget(topic: &Topic, below: &mut Tree, above: &Tree, has_entries: bool) {
    for name in above.keys() {
        let both = both(below, above, name).filter(|_| has_entries || topic.has_section(name));
        if let Some((below, above)) = both {
            forget(topic, below, above, false);
        } else if !has_entries {
            below.remove(name);
        }
    }
}

fn both<'b, 'a>(
    below: &'b mut Tree,
    above: &'a Tree,
    key: &str,
) -> Option<(&'b mut Tree, &'a Tree)> {
    match (&mut below.get_mut(key)?.kind, &above.get(key)?.kind) {
        (ValueKind::Table(below), ValueKind::Table(above)) => Some((below, above)),
        _ => None,
    }
}

/// Two trees merged leaf by leaf; what is above wins.
fn over(below: Tree, above: Tree) -> Tree {
    let built = config::Config::builder()
        .add_source(Layer(below))
        .add_source(Layer(above))
        .build();
    if let Ok(built) = built
        && let ValueKind::Table(mut top) = built.cache.kind
        && let Some(root) = top.remove(ROOT)
        && let ValueKind::Table(tree) = root.kind
    {
        return tree;
    }
    Tree::new()
}

fn read(path: &Path, faults: &mut Vec<Fault>) -> Tree {
    let mut note = |origin: String, expected: String| {
        faults.push(Fault {
            key: String::new(),
            origin,
            got: None,
            expected,
        });
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            note(
                path.display().to_string(),
                format!("cannot be read: {}", error.kind()),
            );
            return Tree::new();
        }
    };
    // looked up for every value: a file may have many thousands
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
    let place = |at: usize| origin(path, &ends, at);
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        // its `Display` would show the line, and there may be a secret in it
        let at = error.span().map_or(0, |span| span.start);
        note(place(at), format!("not TOML: {}", error.message()));
    }
    tree(table.into_inner(), &place)
}

/// `ends` are the places of the line breaks.
fn origin(path: &Path, ends: &[usize], at: usize) -> String {
    let line = 1 + ends.partition_point(|end| *end < at);
    format!("{}:{line}", path.display())
}

/// `CAPIGATE__LANES__LINGER=1s` → `{ lanes = { linger = "1s" } }`.
///
/// A text that is a TOML list or inline table becomes one; all else stays text until the type of
/// its key is known.
fn variable(name: &str, text: &str) -> Tree {
    let place = |_| name.to_owned();
    let parsed = if text.starts_with(['[', '{']) {
        DeValue::parse(text).ok()
    } else {
        None
    };
    let mut inner = match parsed {
        Some(parsed) => value(parsed.into_inner(), 0, &place),
        None => Value::new(Some(&name.to_owned()), text),
    };
    let path = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase();
    let mut keys = path.rsplit("__").peekable();
    while let Some(key) = keys.next() {
        let tree = Tree::from([(key.to_owned(), inner)]);
        if keys.peek().is_none() {
            return tree;
        }
        inner = Value::new(None, tree);
    }
    Tree::new()
}

fn tree(table: DeTable<'_>, place: &dyn Fn(usize) -> String) -> Tree {
    table
        .into_iter()
        .map(|(key, inner)| {
            let at = inner.span().start;
            let inner = value(inner.into_inner(), at, place);
            (key.into_inner().into_owned(), inner)
        })
        .collect()
}

fn value(from: DeValue<'_>, at: usize, place: &dyn Fn(usize) -> String) -> Value {
    let kind = match from {
        DeValue::Boolean(yes) => ValueKind::Boolean(yes),
        DeValue::String(text) => ValueKind::String(text.into_owned()),
        DeValue::Datetime(time) => ValueKind::String(time.to_string()),
        // a number that fits nowhere stays text, which no number key takes
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or_else(|_| ValueKind::String(digits.to_string()), ValueKind::I64),
        DeValue::Float(digits) => digits
            .as_str()
            .parse()
            .map_or_else(|_| ValueKind::String(digits.to_string()), ValueKind::Float),
        DeValue::Table(table) => ValueKind::Table(tree(table, place)),
        DeValue::Array(list) => {
            let member = |one: toml::Spanned<DeValue<'_>>| {
                let at = one.span().start;
                value(one.into_inner(), at, place)
            };
            ValueKind::Array(list.into_iter().map(member).collect())
        }
    };
    Value::new(Some(&place(at)), kind)
}

/// Where a value was set; of a section, where the first of its keys was.
pub(super) fn origin_of(value: &Value) -> String {
    if let Some(origin) = value.origin() {
        return origin.to_owned();
    }
    match &value.kind {
        ValueKind::Table(tree) => {
            let first = tree.iter().min_by_key(|(key, _)| key.as_str());
            first.map_or_else(String::new, |(_, inner)| origin_of(inner))
        }
        _ => String::new(),
    }
}

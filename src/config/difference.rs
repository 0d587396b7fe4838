//! What a changed key said and says, for people; never a secret.

use std::collections::BTreeSet;

use serde::Serialize;
use toml::{Table, Value};

use super::Config;
use super::changes::tree;

/// Keys of one change that are told with their values; of more, the names are told.
pub const MAX_TOLD: usize = 100;
/// Characters of a value that are told.
const MAX_VALUE: usize = 200;
/// A text with a run of so many letters and digits may be a token, so it is not told.
const MAX_RUN: usize = 24;

/// A key whose value is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Such as `lanes.linger`, or `sources.shop` for an entry.
    pub key: String,
    /// Whether it is there before and after.
    pub what: What,
    /// The value before, as TOML; none where it was not there, for entries, and for what is, or
    /// might be, a secret or an address of a person.
    pub old: Option<String>,
    /// The value now; none likewise.
    pub new: Option<String>,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It has another value, or points to one.
    Changed,
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
}

impl What {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// What the first [`MAX_TOLD`] of the `changed` keys said and say.
pub fn differences(old: &Config, new: &Config, changed: &BTreeSet<String>) -> Vec<Difference> {
    let (before, after) = (tree(old), tree(new));
    let tell = |key: &String| {
        let (old, new) = (find(&before, key), find(&after, key));
        let what = match (old, new) {
            (None, Some(_)) => What::Added,
            (Some(_), None) => What::Removed,
            _ => What::Changed,
        };
        let is_open = old.is_none_or(is_open) && new.is_none_or(is_open);
        let told = |value: Option<&Value>| Some(cut(&value?.to_string())).filter(|_| is_open);
        Difference {
            key: key.clone(),
            what,
            old: told(old),
            new: told(new),
        }
    };
    changed.iter().take(MAX_TOLD).map(tell).collect()
}

fn find<'t>(tree: &'t Table, key: &str) -> Option<&'t Value> {
    let mut names = key.split('.');
    let mut value = tree.get(names.next()?)?;
    for name in names {
        value = value.get(name)?;
    }
    Some(value)
}

/// Whether a value may be told. A table is a whole entry, or says where a secret is: which file or
/// variable that is, is nobody's business but of who reads the configuration.
fn is_open(value: &Value) -> bool {
    match value {
        Value::Table(_) => false,
        Value::Array(all) => all.iter().all(is_open),
        Value::String(text) => {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let mut runs = text.split(|c: char| !is_word(c));
            !text.contains('@') && runs.all(|run| run.len() < MAX_RUN)
        }
        _ => true,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: &str, new: &str, keys: &[&str]) -> Vec<(What, Option<String>, Option<String>)> {
        let (old, new) = (toml::from_str(old).unwrap(), toml::from_str(new).unwrap());
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let all = differences(&old, &new, &keys).into_iter();
        all.map(|one| (one.what, one.old, one.new)).collect()
    }

    fn said(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn values_are_told_as_they_were_and_are() {
        let old = "[lanes]\nlinger = \"200ms\"\n[pixels.1]\n[pixels.2]\n";
        let new = "[lanes]\nlinger = \"1s\"\n[pixels.1]\ntest_event_code = \"TEST1\"\n[pixels.3]\n";
        let keys = [
            "lanes.linger",
            "pixels.1.test_event_code",
            "pixels.2",
            "pixels.3",
            "vault.1",
        ];
        assert_eq!(
            told(old, new, &keys),
            [
                (What::Changed, Some(said("\"200ms\"")), Some(said("\"1s\""))),
                (What::Added, None, Some(said("\"TEST1\""))),
                (What::Removed, None, None),
                (What::Added, None, None),
                (What::Changed, None, None),
            ]
        );
    }

    #[test]
    fn what_is_or_may_be_a_secret_is_not_told() {
        let token = "EAABsbCS1iHgBO7ZCanary0123456789";
        let old = "[pixels.1]\ntoken = { env = \"OLD\" }\nname = \"a\"\n[alerts]\nemail_to = [\"anna@example.com\"]\nemail_host = \"a.example\"\nemail_from = \"g@example.com\"\n";
        let new = old
            .replace("OLD", "NEW")
            .replace("\"a\"", &format!("\"{token}\""))
            .replace("anna@", "bea@");
        let keys = ["alerts.email_to", "pixels.1.name", "pixels.1.token"];
        let hidden = (What::Changed, None, None);
        assert_eq!(
            told(old, &new, &keys),
            [hidden.clone(), hidden.clone(), hidden]
        );
    }

    #[test]
    fn long_values_and_many_keys_have_their_bounds() {
        let long = |word: &str| {
            format!(
                "[pixels.1]\nname = \"{}\"\n",
                format!("{word} ").repeat(150)
            )
        };
        let all = told(&long("a"), &long("b"), &["pixels.1.name"]);
        assert!(
            all.iter()
                .all(|(_, old, _)| old.as_ref().unwrap().chars().count() == MAX_VALUE + 1)
        );
        let names: Vec<String> = (0..2 * MAX_TOLD).map(|n| format!("pixels.{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(told("", "", &names).len(), MAX_TOLD);
    }
}

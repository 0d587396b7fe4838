//! A JSON answer of Meta: read leniently, wiped when dropped.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value;
use zeroize::Zeroize;

use crate::graph::reply::TraceId;
use crate::graph::scrub::{Scrubber, Text};
use crate::secret::Secret;
use crate::time::UnixMs;

/// Characters of an id or a word of the API.
const MAX_WORD: usize = 100;

/// A whole answer, with the secrets of its request, which nothing read from it may repeat.
pub(super) struct Answer {
    body: Value,
    secrets: Vec<Secret>,
}

/// A place in an answer.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    value: &'a Value,
    secrets: &'a [Secret],
}

impl Drop for Answer {
    fn drop(&mut self) {
        wipe(&mut self.body);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Answer {
    /// The answer in these bytes; none if they are no JSON.
    pub(super) fn read(bytes: &[u8], secrets: Vec<Secret>) -> Option<Self> {
        // of half an answer nothing is kept, since what was read before the fault is not wiped
        serde_json::from_slice::<IgnoredAny>(bytes).ok()?;
        let body = serde_json::from_slice(bytes).ok()?;
        Some(Self { body, secrets })
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node {
            value: &self.body,
            secrets: &self.secrets,
        }
    }
}

impl<'a> Node<'a> {
    fn at(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    fn scrubber(self) -> Scrubber<'a> {
        Scrubber::new(self.secrets.iter().map(Secret::expose))
    }

    /// The member `key`, unless it is absent or null.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.at(value))
    }

    /// The entries of the list `key`; none if there is no such list.
    pub(super) fn list(self, key: &str) -> Option<impl Iterator<Item = Self> + use<'a>> {
        let items = self.value.get(key)?.as_array()?;
        Some(items.iter().map(move |item| self.at(item)))
    }

    /// The words in `key`, without secrets and personal data.
    pub(super) fn text(self, key: &str) -> Option<Text> {
        self.scrubber().text(self.raw(key)?)
    }

    /// The words themselves, without secrets and personal data.
    pub(super) fn own_text(self) -> Option<Text> {
        self.scrubber().text(self.value.as_str()?)
    }

    /// The text in `key` as Meta sent it: to decide by, never to show.
    pub(super) fn raw(self, key: &str) -> Option<&'a str> {
        self.value.get(key)?.as_str()
    }

    /// The id or word of the API in `key`: a number, or letters, digits and `-_.:` only.
    pub(super) fn word(self, key: &str) -> Option<String> {
        self.get(key)?.own_word()
    }

    /// The value itself as such a word.
    pub(super) fn own_word(self) -> Option<String> {
        let word = match self.value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            Value::Number(number) => Cow::Owned(number.to_string()),
            _ => return None,
        };
        let plain = (1..=MAX_WORD).contains(&word.len())
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        (plain && !self.scrubber().finds(&word)).then(|| word.into_owned())
    }

    /// All words of the list `key`.
    pub(super) fn words(self, key: &str) -> Vec<String> {
        let items = self.list(key).into_iter().flatten();
        items.filter_map(Self::own_word).collect()
    }

    /// The whole number in `key`, as a number or as text.
    pub(super) fn integer(self, key: &str) -> Option<i64> {
        match self.value.get(key)? {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        }
    }

    /// The number in `key`, as a number or as text.
    pub(super) fn number(self, key: &str) -> Option<f64> {
        let number = match self.value.get(key)? {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        number.filter(|number: &f64| number.is_finite())
    }

    /// Whether it has members, or could have.
    pub(super) fn is_object(self) -> bool {
        self.value.is_object()
    }

    /// The moment in `key`, in seconds since 1970; none if it is 0 or absent.
    pub(super) fn moment(self, key: &str) -> Option<UnixMs> {
        let seconds = self.integer(key).filter(|seconds| *seconds > 0)?;
        Some(UnixMs::from_secs(seconds))
    }

    /// Whether `key` says yes or no.
    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.get(key)?.own_flag()
    }

    /// Whether the value itself says yes or no: a boolean, 0 or 1, or one of them as text.
    pub(super) fn own_flag(self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_i64().and_then(|n| match n {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            }),
            Value::String(text) => match text.trim() {
                "1" => Some(true),
                "0" => Some(false),
                word if word.eq_ignore_ascii_case("true") => Some(true),
                word if word.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The token in `key`: not empty, and nothing in it that cannot be sent again.
    pub(super) fn secret(self, key: &str) -> Option<Secret> {
        let text = self.raw(key)?;
        let sendable = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        sendable.then(|| Secret::new(text.to_owned()))
    }

    /// The trace id in `key`.
    pub(super) fn trace(self, key: &str) -> Option<TraceId> {
        TraceId::read(self.raw(key)?, &self.scrubber())
    }

    /// The text in `key` if it may be sent back: at most `most` characters, no secret in it.
    pub(super) fn echo(self, key: &str, most: usize) -> Option<&'a str> {
        let text = self.raw(key)?;
        let fine = !text.is_empty() && text.len() <= most && !self.scrubber().finds(text);
        fine.then_some(text)
    }
}

//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;
use std::ops::RangeInclusive;

/// One thing that is wrong: which key, where it was set, what was expected. Prints as one line.
///
/// It carries the refused value only where that cannot be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of the key, such as `lanes.linger`; empty when it is about a whole file.
    pub key: String,
    /// File and line, environment variable, or `default`; empty where it is none of these.
    pub origin: String,
    /// The refused value, where it may be shown.
    pub got: Option<String>,
    /// What is wrong, or what was expected and an example of it.
    pub expected: String,
}

/// Everything that is wrong with a configuration; its `Display` is one line for each fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.faults))]
pub struct ConfigErrors {
    /// The faults, in the order of their keys. Never empty.
    pub faults: Vec<Fault>,
}

impl ConfigErrors {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        "bad_config"
    }

    /// An error when there are faults.
    pub(super) fn check(mut faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by(|a, b| a.key.cmp(&b.key));
        Err(Self { faults })
    }
}

impl Fault {
    /// A value that does not go with the rest, or is out of its range. The loader fills in where
    /// it was set.
    pub(super) fn cross(key: impl Into<String>, expected: impl fmt::Display) -> Self {
        Self {
            key: key.into(),
            origin: String::new(),
            got: None,
            expected: format!("expected {expected}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        if !self.origin.is_empty() {
            line = format!("{}: ", self.origin);
        }
        if !self.key.is_empty() {
            let got = self.got.as_ref().map(|got| format!(" = {got}"));
            line = format!("{line}{}{}: ", self.key, got.unwrap_or_default());
        }
        line.push_str(&self.expected);
        // a key or value may hold a line break
        f.write_str(&line.replace(char::is_control, " "))
    }
}

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("\n")
}

/// Notes a fault when `value` is outside `range`.
pub(super) fn within(faults: &mut Vec<Fault>, key: &str, value: u32, range: RangeInclusive<u32>) {
    if !range.contains(&value) {
        faults.push(Fault::cross(
            key,
            format!("a whole number from {} to {}", range.start(), range.end()),
        ));
    }
}

/// Notes a fault when `value` is under `least`.
pub(super) fn at_least<T: Copy + PartialOrd + fmt::Display>(
    faults: &mut Vec<Fault>,
    key: &str,
    value: T,
    least: T,
) {
    if value < least {
        faults.push(Fault::cross(key, format!("at least {least}")));
    }
}

//! What people are told when something needs them.

use crate::pixel::PixelId;
use crate::time::UnixMs;

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Someone should act in the next days.
    Warning,
    /// Someone must act now.
    Critical,
}

/// Something that needs a person. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about, the same each time, such as `token:9817945f:expires`.
    pub key: String,
    /// How urgent it is.
    pub severity: Severity,
    /// What it is, in a line.
    pub title: String,
    /// What happened, in plain words.
    pub text: String,
    /// What to do, with the exact command.
    pub next: String,
    /// The pixels that are concerned.
    pub pixels: Vec<PixelId>,
    /// The token that is concerned, by fingerprint.
    pub token: Option<String>,
    /// When it was found.
    pub at: UnixMs,
}

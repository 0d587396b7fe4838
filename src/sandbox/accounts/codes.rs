//! Authorization codes: made by the dialog, exchanged once.

use std::collections::VecDeque;
use std::fmt;

/// Most codes remembered; the oldest go first.
pub const MAX_CODES: usize = 10_000;

/// An authorization code. It has no `Debug`: its value is a secret.
pub(super) struct Code {
    pub value: String,
    pub app: String,
    pub person: String,
    /// Byte for byte as it came.
    pub redirect_uri: String,
    pub scopes: Vec<String>,
    /// The configuration of Facebook Login for Business it was asked for with.
    pub config: Option<String>,
    pub made_at: i64,
    pub used: bool,
    /// The person took the app back before the code was exchanged.
    pub lapsed: bool,
}

/// `Debug` shows how many there are.
#[derive(Default)]
pub(super) struct Codes(VecDeque<Code>);

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codes({})", self.0.len())
    }
}

impl Codes {
    pub(super) fn add(&mut self, code: Code) {
        self.0.push_back(code);
        if self.0.len() > MAX_CODES {
            self.0.pop_front();
        }
    }

    pub(super) fn find(&mut self, value: &str) -> Option<&mut Code> {
        self.0.iter_mut().find(|code| code.value == value)
    }

    /// The person takes the app back: codes on their way are void.
    pub(super) fn lapse(&mut self, person: &str, app: &str) {
        let theirs = |code: &&mut Code| code.person == person && code.app == app;
        self.0
            .iter_mut()
            .filter(theirs)
            .for_each(|code| code.lapsed = true);
    }
}

/// Whether a text has the form of a code.
pub(super) fn is_code(text: &str) -> bool {
    text.starts_with("AQ")
        && text.len() >= 40
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

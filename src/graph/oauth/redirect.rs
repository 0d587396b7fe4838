//! What comes back from the login dialog: a code, a no, or a failure.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use url::form_urlencoded;
use zeroize::Zeroize;

use super::catalogue::{self, Context, Row};
use crate::graph::scrub::{Scrubber, Text};
use crate::secret::Secret;

/// Bytes of what comes back; codes have several hundred.
const MAX_REDIRECT: usize = 16 << 10;

/// The parameters that are read; each of them may stand there once.
const PARAMETERS: [&str; 7] = [
    "code",
    "state",
    "error",
    "error_code",
    "error_message",
    "error_description",
    "error_reason",
];

/// Where a redirect was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// The browser's request to our listener: its target, or the query of it.
    Listener,
    /// What a person has pasted: the whole address, or the code alone, which cannot have the
    /// state with it.
    Paste,
}

/// What the dialog came to.
#[derive(Clone, Debug)]
pub enum Redirect {
    /// The person allowed it.
    Code(Secret),
    /// The person said no.
    Denied {
        /// Meta's words, if any.
        message: Option<Text>,
    },
    /// The dialog failed.
    Failed {
        /// `error_code`.
        code: Option<i64>,
        /// Meta's words, if any.
        message: Option<Text>,
    },
}

/// Why what came back is not used. The code, if any, must not be exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// Nothing of a redirect is in it.
    #[error(
        "no code is in it; paste the whole address of the page that the browser ended on, such as http://localhost:8080/?code=…&state=…"
    )]
    NoCode,
    /// More than 16 KiB.
    #[error(
        "it is too long for an address; paste only the address of the page that the browser ended on"
    )]
    TooLong,
    /// No state, so it may be of somebody else's login.
    #[error("it has no state, so it may not be of this login; start the login again")]
    NoState,
    /// Another state, so it is of another login.
    #[error(
        "its state is not the one of this login: it is of an older one or of somebody else's; start the login again"
    )]
    OtherState,
    /// A parameter stands there more than once.
    #[error("one of its parameters stands there twice; start the login again")]
    Twice,
}

impl RedirectError {
    /// The stable word for `--json`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCode => "redirect_no_code",
            Self::TooLong => "redirect_too_long",
            Self::NoState => "redirect_no_state",
            Self::OtherState => "redirect_other_state",
            Self::Twice => "redirect_twice",
        }
    }

    /// What it means and what to do next.
    pub fn explain(self) -> &'static Row {
        catalogue::known(match self {
            Self::NoState | Self::OtherState | Self::Twice => "dialog-state",
            Self::NoCode | Self::TooLong => "dialog-no-code",
        })
    }
}

impl Redirect {
    /// What it means and what to do next; none for a code.
    pub fn explain(&self) -> Option<&'static Row> {
        match self {
            Self::Code(_) => None,
            Self::Denied { .. } => Some(catalogue::known("dialog-denied")),
            Self::Failed { code, message } => {
                let words = message.as_ref().map_or("", Text::as_str);
                let row = code.and_then(|code| {
                    // what the codes of the API mean is not promised here
                    catalogue::first(Context::Dialog, code, None, words)
                        .filter(|row| row.contexts.contains(&Context::Dialog))
                });
                Some(row.unwrap_or_else(|| catalogue::known("dialog-failed")))
            }
        }
    }
}

/// Reads what came back from the dialog that was opened with `state`: an address, its query, or, if
/// pasted, the code alone. The order of the parameters does not matter, and a fragment such as
/// Facebook's `#_=_` is left out. The state is compared in constant time, and before anything else
/// is believed.
pub fn parse_redirect(text: &str, from: Caught, state: &Secret) -> Result<Redirect, RedirectError> {
    if text.len() > MAX_REDIRECT {
        return Err(RedirectError::TooLong);
    }
    let mut found = Found::default();
    let read = found.read(query(text, from));
    let result = read.and_then(|()| found.judge(from, state));
    found.values.iter_mut().flatten().for_each(Zeroize::zeroize);
    result
}

/// The query of an address, or the text itself.
fn query(text: &str, from: Caught) -> &str {
    let text = text.trim().trim_matches(['"', '\'', '<', '>']).trim();
    let text = text.split('#').next().unwrap_or_default();
    match text.split_once('?') {
        Some((_, query)) => query,
        None if text.contains("://")
            || text.starts_with('/')
            || from == Caught::Listener && !text.contains('=') =>
        {
            ""
        }
        None => text,
    }
}

/// The values of [`PARAMETERS`].
#[derive(Default)]
struct Found {
    values: [Option<String>; PARAMETERS.len()],
    is_bare: bool,
}

impl Found {
    fn read(&mut self, query: &str) -> Result<(), RedirectError> {
        for (at, part) in query.split('&').enumerate() {
            // what a person copied from behind `code=`, up to the end or to some other parameter
            let is_bare = at == 0 && !part.is_empty() && !part.contains('=');
            let (name, value) = if is_bare {
                let mut pairs = form_urlencoded::parse(part.as_bytes());
                let Some((code, _)) = pairs.next() else {
                    continue;
                };
                self.is_bare = true;
                ("code".into(), code)
            } else {
                let mut pairs = form_urlencoded::parse(part.as_bytes());
                let Some(pair) = pairs.next() else {
                    continue;
                };
                pair
            };
            let Some(place) = PARAMETERS.iter().position(|known| *known == name) else {
                continue;
            };
            if self.values[place].replace(value.into_owned()).is_some() {
                return Err(RedirectError::Twice);
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let place = PARAMETERS.iter().position(|known| *known == name)?;
        self.values[place].as_deref()
    }

    fn judge(&self, from: Caught, state: &Secret) -> Result<Redirect, RedirectError> {
        let failed = ["error", "error_code", "error_message"].map(|name| self.get(name));
        let code = self.get("code").filter(|code| !code.is_empty());
        if code.is_none() && failed.iter().all(Option::is_none) {
            return Err(RedirectError::NoCode);
        }
        match self.get("state") {
            Some(given) => {
                let expected = state.expose().as_bytes();
                verify_slices_are_equal(given.as_bytes(), expected)
                    .map_err(|_| RedirectError::OtherState)?;
            }
            // the person vouches for it
            None if self.is_bare && from == Caught::Paste => {}
            None => return Err(RedirectError::NoState),
        }
        let [error, error_code, error_message] = failed;
        if error.is_none() && error_code.is_none() && error_message.is_none() {
            let code = code.ok_or(RedirectError::NoCode)?;
            let is_sendable = code.bytes().all(|b| b.is_ascii_graphic());
            return if is_sendable {
                Ok(Redirect::Code(Secret::new(code.to_owned())))
            } else {
                Err(RedirectError::NoCode)
            };
        }
        let scrubber = Scrubber::new([state.expose(), code.unwrap_or_default()]);
        let words = [error_message, self.get("error_description"), error];
        let message = words
            .into_iter()
            .flatten()
            .find_map(|words| scrubber.text(words));
        let is_denied =
            error == Some("access_denied") || self.get("error_reason") == Some("user_denied");
        Ok(if is_denied {
            Redirect::Denied { message }
        } else {
            Redirect::Failed {
                code: error_code.and_then(|code| code.trim().parse().ok()),
                message,
            }
        })
    }
}

#[cfg(test)]
mod tests;

//! Asks the person at the terminal: for secrets, unseen, and for a yes.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use zeroize::Zeroizing;

use super::say::Report;
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Exit;
use crate::secret::Secret;
use crate::tokens::paste::{self, Kind, MAX_PASTE, PasteError};

/// Bytes of an answer that is no secret.
const MAX_LINE: u64 = 1024;

/// Reads a secret: unseen from the terminal, or all of standard input when that is none. Never
/// from an argument, where `ps` and the shell's history would show it. What was mended in it is
/// told.
pub(in crate::cli) fn secret(
    report: &mut Report<'_>,
    what: &str,
    kind: Kind,
) -> anyhow::Result<Secret> {
    let raw = if std::io::stdin().is_terminal() {
        Zeroizing::new(
            rpassword::prompt_password(format!("{what} (not shown while you paste): "))
                .map_err(|error| unread(what, error))?,
        )
    } else {
        let mut text = Zeroizing::new(String::new());
        let limit = MAX_PASTE as u64 + 1;
        let read = std::io::stdin()
            .lock()
            .take(limit)
            .read_to_string(&mut text);
        read.map_err(|_| {
            failure(
                USAGE,
                format!("{what}: standard input is not readable text"),
            )
        })?;
        text
    };
    // a line has an end, which nobody pasted by mistake
    let pasted = raw.strip_suffix('\n').unwrap_or(&raw);
    let pasted = pasted.strip_suffix('\r').unwrap_or(pasted);
    let tidied = paste::tidy(pasted, kind);
    let (secret, notes) = tidied.map_err(|error| {
        failure(
            exit(error, kind),
            format!("{what}: {error} ({})", error.code()),
        )
    })?;
    for note in notes {
        let mark = if note.is_warning() {
            Mark::Warn
        } else {
            Mark::Pass
        };
        report.tell(Finding::new("paste", mark, note.to_string()))?;
    }
    Ok(secret)
}

/// A login that was refused is no fault of who pastes its address.
fn exit(error: PasteError, kind: Kind) -> u8 {
    match error {
        PasteError::RefusedLogin if kind == Kind::Code => Exit::Cancelled.code(),
        _ => USAGE,
    }
}

/// Why nothing came from the prompt: its end, as of Ctrl-D, is a no.
fn unread(what: &str, error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => failure(
            Exit::Cancelled.code(),
            format!("{what}: cancelled, nothing was pasted and nothing is changed"),
        ),
        _ => error.into(),
    }
}

/// Reads a line that is no secret; none without a terminal.
pub(in crate::cli) fn line(question: &str) -> anyhow::Result<Option<String>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(None);
    }
    let mut err = std::io::stderr();
    write!(err, "{question}")?;
    err.flush()?;
    let mut answer = String::new();
    stdin.lock().take(MAX_LINE).read_line(&mut answer)?;
    Ok(Some(answer.trim().to_owned()))
}

/// Whether the person at the terminal takes an offer; without a terminal nobody does.
pub(in crate::cli) fn offered(question: &str) -> anyhow::Result<bool> {
    Ok(std::io::stdin().is_terminal() && yes(question, false)?)
}

/// Whether the person says yes. Without a terminal nobody can, and `--yes` is asked for.
pub(in crate::cli) fn yes(question: &str, given: bool) -> anyhow::Result<bool> {
    if given {
        return Ok(true);
    }
    let answer = line(&format!("{question} [y/N] "))?.ok_or_else(|| {
        failure(
            USAGE,
            format!("{question} Nobody is there to say yes: add --yes"),
        )
    })?;
    Ok(matches!(answer.as_str(), "y" | "Y" | "yes" | "Yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Failure;

    #[test]
    fn the_end_of_the_prompt_and_a_refused_login_are_7() {
        let ended = unread("Code", io::ErrorKind::UnexpectedEof.into());
        assert_eq!(ended.downcast_ref::<Failure>().unwrap().exit, 7);
        assert!(ended.to_string().contains("Code: cancelled"));
        let other = unread("Code", io::ErrorKind::NotFound.into());
        assert!(other.downcast_ref::<Failure>().is_none());
        assert_eq!(exit(PasteError::RefusedLogin, Kind::Code), 7);
        assert_eq!(exit(PasteError::RefusedLogin, Kind::LaneToken), USAGE);
        assert_eq!(exit(PasteError::Empty, Kind::Code), USAGE);
    }
}

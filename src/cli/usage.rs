//! What is said about a command line that is not understood.

use std::io::Write;

use super::{OK, USAGE};

/// Characters from which on an argument may be a secret.
const SECRET_FROM: usize = 20;

/// Parts that give a secret away where there is more around it.
const TELLING: [&str; 4] = ["EAA", "code=", "token=", "secret="];

/// Prints why the command line was not understood, or the help that was asked for; gives the exit
/// code. An argument that may be a secret, pasted where none belongs, is not repeated.
pub fn complain(error: &clap::Error, args: impl Iterator<Item = String>) -> u8 {
    if !error.use_stderr() {
        // nothing is left to tell when the terminal is gone
        let _ = error.print();
        return OK;
    }
    let secrets: Vec<String> = args.flat_map(secrets).collect();
    let _ = if secrets.is_empty() {
        error.print()
    } else {
        write!(
            std::io::stderr(),
            "{}",
            hidden(&error.render().to_string(), &secrets)
        )
    };
    USAGE
}

/// What may be a secret in an argument: the whole of it, or what follows its `=`.
fn secrets(arg: String) -> Vec<String> {
    let value = arg.strip_prefix("--").and_then(|rest| rest.split_once('='));
    let mut found: Vec<String> = value
        .into_iter()
        .map(|(_, value)| value.to_owned())
        .collect();
    if !arg.starts_with('-') {
        found.push(arg);
    }
    found.retain(|text| {
        let is_path = text.contains('/');
        let tells = TELLING.iter().any(|part| text.contains(part));
        text.len() >= SECRET_FROM && (!is_path || tells)
    });
    found
}

fn hidden(message: &str, secrets: &[String]) -> String {
    let mut text = message.to_owned();
    for secret in secrets {
        text = text.replace(secret.as_str(), "…");
    }
    text.push_str(
        "\nAn argument that may be a secret is not repeated here. Never put a token, code or app secret into an\nargument, where `ps` and the shell's history show it: it is asked for, or read from standard input.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        let token = format!("EAA{}", "x7Q".repeat(20));
        let address = format!("http://localhost:8080/?code=AQ{}", "y".repeat(40));
        let flag = format!("--token={token}");
        for (words, secret) in [
            (vec!["token", "add", &token], &token),
            (vec!["token", "inspect", &token], &token),
            (vec!["token", "add", &flag], &token),
            (vec!["token", "exchange", &address], &address),
            (vec!["token", "app", "add", "--app-id", &token], &token),
        ] {
            let words = || ["capigate"].into_iter().chain(words.iter().copied());
            let error = Cli::try_parse_from(words()).unwrap_err();
            let found: Vec<String> = words().map(str::to_owned).flat_map(secrets).collect();
            let text = hidden(&error.render().to_string(), &found);
            assert!(!text.contains(&secret[secret.len() - 8..]), "{text}");
            assert!(text.starts_with("error: "), "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_told() {
        for plain in ["--frobnicate", "sevre", "/etc/capigate/capigate.toml", "-x"] {
            assert_eq!(secrets(plain.to_owned()), [""; 0], "{plain}");
        }
    }
}

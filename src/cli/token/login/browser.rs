//! Opens an address in the browser of this machine, which learns no secret by it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::config::Config;

/// How long a launcher is watched: one that fails does so at once.
const WATCHED: Duration = Duration::from_millis(250);
/// Time between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);
/// What the variables of this program begin with.
const PREFIX: &str = "CAPIGATE_";

/// The commands that open an address, the likeliest first. None of them inherits a variable that
/// the configuration names for a secret, nor one of this program's: a browser and what it starts
/// would keep them, for every process of the user to read.
pub(super) fn launchers(config: &Config, address: &str) -> Vec<Command> {
    let mut commands = open::commands(address);
    for command in &mut commands {
        for name in config.secret_variables() {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                command.env_remove(name);
            }
        }
    }
    commands
}

/// Starts the first one that does not fail at once; whether a window opens then nobody can tell.
/// Blocks for a moment.
pub(super) fn open(launchers: Vec<Command>) -> bool {
    launchers.into_iter().any(|mut command| {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C ends the login, not the browser
            .process_group(0);
        command.spawn().is_ok_and(is_on)
    })
}

/// Whether a launcher is on its way, or has done its work.
fn is_on(mut child: Child) -> bool {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < WATCHED => std::thread::sleep(PAUSE),
            // started twice it would open two windows
            Ok(None) | Err(_) => return true,
        }
    }
}

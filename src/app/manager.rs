//! What the service manager is told (systemd's `sd_notify`, for units of `Type=notify`): when the
//! gateway is ready, reloads and stops, and one sentence for `systemctl status`. Where none asked
//! to be told (`NOTIFY_SOCKET`), nothing is.

use sd_notify::NotifyState;
use sd_notify::NotifyState::{MonotonicUsec, Ready, Reloading, Status, Stopping};

/// Events are taken, with this generation of the configuration.
pub(super) fn ready(generation: u64) {
    let status = format!("taking events, generation {generation} of the configuration");
    tell(&[Ready, Status(&status)]);
}

/// The configuration is being read again.
pub(super) fn reloading() {
    // systemd wants the moment, too, so that it knows which reload this is
    match NotifyState::monotonic_usec_now() {
        Ok(now @ MonotonicUsec(_)) => tell(&[Reloading, now]),
        _ => tell(&[Reloading]),
    }
}

/// The changed configuration was refused, for the reason with this code; events are taken as before.
pub(super) fn kept(code: &str) {
    let status = format!(
        "taking events with the configuration as it was: the changed one is refused ({code}), see the log"
    );
    tell(&[Ready, Status(&status)]);
}

/// It is coming to its end.
pub(super) fn stopping() {
    tell(&[Stopping, Status("stopping; what is not sent waits on disk")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

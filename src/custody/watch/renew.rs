//! Refreshes the tokens that are due, one after the other, and lets each rest after a try.

use std::time::Duration;

use super::{Roster, Watch};
use crate::custody::alarms::DAY;
use crate::custody::refresh::{self, RefreshError, refresh};
use crate::time::UnixMs;

/// The time after which a refresh that failed is tried again.
pub const REFRESH_AGAIN: Duration = Duration::from_hours(1);

/// What came of a try to refresh a token.
pub(super) struct Tried {
    /// Before this it is not tried again.
    rests_until: UnixMs,
    /// Why it failed.
    pub(super) error: Option<String>,
}

impl Watch {
    /// Refreshes what is due; true when the vault has changed.
    pub(super) async fn refresh(&mut self, roster: &Roster, now: UnixMs) -> bool {
        let Some(vault) = &roster.vault else {
            return false;
        };
        let mut any = false;
        for kept in &roster.kept {
            let facts = self.note(kept).facts;
            let tried = self.refreshed.get(&kept.key);
            let rests = tried.is_some_and(|tried| now < tried.rests_until);
            let is_left = refresh::is_left_behind(kept, &roster.kept);
            if rests || is_left || !refresh::is_due(kept, &facts, &roster.policy, now) {
                continue;
            }
            let (label, print) = (&kept.label, kept.key.to_string());
            let outcome = refresh(&self.tools.client, vault, kept, &facts, now).await;
            let counted = match &outcome {
                Ok(_) => Some("done"),
                Err(RefreshError::Elsewhere) => None,
                Err(_) => Some("failed"),
            };
            let refreshes = &self.tools.metrics.token_refreshes;
            if let Some(outcome) = counted {
                refreshes.with_label_values(&[outcome]).inc();
            }
            match outcome {
                Ok(new) => {
                    any = true;
                    tracing::info!(token.name = %label, token.id = %print, token.new = %new.name, "a token was refreshed, the new one is in its place");
                    self.refreshed.remove(&kept.key);
                    // whatever date it bears
                    let rests_until = now.plus(DAY);
                    let error = None;
                    self.refreshed.insert(new.key, Tried { rests_until, error });
                    let note = self.notes.tokens.entry(new.key.to_string()).or_default();
                    note.facts = new.seen.facts;
                }
                // the roster is about to change
                Err(RefreshError::Elsewhere) => {}
                Err(error) => {
                    tracing::warn!(token.name = %label, token.id = %print, %error, "a token could not be refreshed, the old one stays");
                    let rests_until = now.plus(rest(&error));
                    let error = Some(error.to_string());
                    self.refreshed
                        .insert(kept.key, Tried { rests_until, error });
                }
            }
        }
        if any {
            (self.hooks.reload)().await;
        }
        any
    }
}

/// Each try that ends so has made a token at Meta: the next one would not be another.
fn rest(error: &RefreshError) -> Duration {
    match error {
        RefreshError::Unfit(_) => DAY,
        _ => REFRESH_AGAIN,
    }
}

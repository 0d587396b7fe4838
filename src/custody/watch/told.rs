//! Which alerts are raised at this moment: all that is to be told, and nothing that is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Roster, Waiting, Watch};
use crate::alerts::{Alert, Severity};
use crate::custody::Kept;
use crate::custody::alarms::{DAY, alarms};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::State;

/// What is held for less is not told yet: most of it passes. And for so long after its start the
/// watch does not know yet what is held.
const PATIENCE: Duration = Duration::from_mins(2);

impl Watch {
    /// Raises what is to be told, and clears what is over.
    pub(super) async fn tell(&self, roster: &Roster, now: UnixMs) {
        let waiting = Arc::clone(&self.hooks.waiting);
        // it reads when the first events expire
        let waiting = tokio::task::spawn_blocking(move || waiting()).await.ok();
        let ours = ours(
            roster.unread.is_none(),
            waiting.is_some() && now.since(self.since) >= PATIENCE,
        );
        let mut keys = BTreeSet::new();
        let mut all = Vec::new();
        for kept in &roster.kept {
            let mut own = alarms(kept, &self.note(kept), &roster.policy, now);
            self.add_refresh(kept, &mut own);
            all.extend(own);
        }
        if roster.unread.is_none() {
            all.extend(without_token(roster, now));
        }
        all.extend(loose(roster, self, now));
        for one in waiting.unwrap_or_default() {
            // that a dead token holds its pixels is told with the token
            let key = format!("{}:state", one.id);
            match all.iter_mut().find(|alert| alert.key == key) {
                Some(alert) => alert.text = format!("{} {}", alert.text, waits(&one)),
                None => all.extend(hold(&one, now)),
            }
            // it may have been told before it began anew
            keys.extend((one.cause != "no_token").then(|| format!("hold:{}", one.id)));
        }
        all.extend(self.without_vault(roster, now));
        keys.extend(all.iter().map(|alert| alert.key.clone()));
        self.tools.alerts.clear_others(&ours, &keys);
        for alert in all {
            self.tools.alerts.raise(alert);
        }
    }

    fn without_vault(&self, roster: &Roster, now: UnixMs) -> Option<Alert> {
        let trouble = self.vault_trouble.as_ref().or(roster.unread.as_ref())?;
        let effect = match roster.unread {
            Some(_) => "Events of pixels whose token is in it are taken and wait.",
            None => "The gateway goes on with the tokens it has read before.",
        };
        Some(Alert {
            key: "vault:unreadable".to_owned(),
            severity: Severity::Critical,
            title: "The vault cannot be used".to_owned(),
            text: format!("{trouble}. {effect}"),
            next: "mend it, then run `capigate check`".to_owned(),
            pixels: Vec::new(),
            token: None,
            at: now,
        })
    }

    /// A refresh that failed is told with the end of the token that it is about.
    fn add_refresh(&self, kept: &Kept, alerts: &mut [Alert]) {
        let tried = self.refreshed.get(&kept.key);
        let Some(error) = tried.and_then(|tried| tried.error.as_ref()) else {
            return;
        };
        for alert in alerts.iter_mut() {
            if alert.key.ends_with(":expires") {
                alert.text = format!("{} The last try to refresh it failed: {error}", alert.text);
            }
        }
    }
}

/// What begins so is raised and cleared here and nowhere else; without what nobody could look at,
/// since that may go on.
fn ours(knows_tokens: bool, knows_holds: bool) -> Vec<&'static str> {
    let tokens = ["token:", "pixel:"].into_iter().filter(|_| knows_tokens);
    let holds = ["hold:"].into_iter().filter(|_| knows_holds);
    tokens.chain(holds).chain(["vault:"]).collect()
}

/// Pixels whose events have no token to travel with.
fn without_token(roster: &Roster, now: UnixMs) -> impl Iterator<Item = Alert> {
    let served: BTreeSet<PixelId> = (roster.kept.iter())
        .flat_map(|kept| kept.pixels.iter().map(|(pixel, _)| *pixel))
        .collect();
    let missing = roster
        .pixels
        .iter()
        .filter(move |pixel| !served.contains(pixel));
    missing.map(move |pixel| Alert {
        key: format!("pixel:{pixel}:no_token"),
        severity: Severity::Critical,
        title: format!("Pixel {pixel} has no token"),
        text: "Its events are taken and wait.".to_owned(),
        next: format!("run `capigate token add --pixel {pixel}`"),
        pixels: vec![*pixel],
        token: None,
        at: now,
    })
}

/// Tokens in the vault that no pixel has and that still work: good for nobody but a thief. One that
/// has just come may be on its way into a slot.
fn loose(roster: &Roster, watch: &Watch, now: UnixMs) -> Vec<Alert> {
    let is_loose = |kept: &&Kept| {
        let note = watch.note(kept);
        let is_new = note.first_seen.is_none_or(|at| now.since(at) < DAY);
        let was_used = note.usage.events > 0;
        kept.pixels.is_empty() && note.facts.state == State::Valid && was_used && !is_new
    };
    let alert = |kept: &Kept| Alert {
        key: format!("token:{}:loose", kept.key),
        severity: Severity::Info,
        title: format!("Token {} is in no slot and still valid", kept.label),
        text: "It was replaced, and Meta still takes it.".to_owned(),
        next: format!("revoke it: `capigate token revoke {}`", kept.label),
        pixels: Vec::new(),
        token: Some(kept.key.to_string()),
        at: now,
    };
    roster.kept.iter().filter(is_loose).map(alert).collect()
}

/// How many events wait, and for how long that is no loss.
fn waits(one: &Waiting) -> String {
    let expiry = one.first_expiry.map_or_else(String::new, |left| {
        format!(
            ", and the first of them is too old to be sent in {} hours",
            left.as_secs() / 3600
        )
    });
    format!("{} events wait{expiry}.", one.events)
}

/// Something that keeps events waiting for a person.
fn hold(one: &Waiting, now: UnixMs) -> Option<Alert> {
    // told as such, with the token
    if one.cause == "no_token" || one.lasts < PATIENCE {
        return None;
    }
    let graph = one.graph.as_ref();
    let graph = graph.map_or_else(String::new, |codes| format!(" Graph said {codes}."));
    Some(Alert {
        key: format!("hold:{}", one.id),
        severity: if one.events > 0 {
            Severity::Critical
        } else {
            Severity::Warning
        },
        title: format!(
            "{} is held ({}), {} events wait",
            one.id, one.cause, one.events
        ),
        text: format!("It is held: {}.{graph} {}", one.cause, waits(one)),
        next: one.advice.to_owned(),
        pixels: one.pixels.clone(),
        token: None,
        at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(events: u64, lasts: Duration, expiry: Option<Duration>) -> Waiting {
        Waiting {
            id: "pixel:1".to_owned(),
            cause: "permission",
            advice: "look",
            graph: Some("200".to_owned()),
            pixels: Vec::new(),
            events,
            lasts,
            first_expiry: expiry,
        }
    }

    #[test]
    fn a_hold_is_told_once_it_lasts() {
        let now = UnixMs(1);
        assert_eq!(hold(&waiting(5, Duration::from_mins(1), None), now), None);
        let told = hold(&waiting(5, PATIENCE, Some(DAY * 3)), now).unwrap();
        assert_eq!(
            (told.key.as_str(), told.severity),
            ("hold:pixel:1", Severity::Critical)
        );
        assert!(
            told.text.contains("72 hours") && told.text.contains("200"),
            "{}",
            told.text
        );
        let none = hold(&waiting(0, PATIENCE, None), now).unwrap();
        assert_eq!(none.severity, Severity::Warning);
    }
}

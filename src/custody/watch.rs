//! Watches over every token while a gateway runs: asks Meta at the start, each day, and when Graph
//! refuses one; refreshes what can be refreshed; moves slots after a fall-back; and tells people.
//!
//! **Promises.** Nothing here is on the path of an event: what hangs or fails leaves sending as it
//! is. Without an answer of Meta's nothing is said about a token. What changes in the vault is one
//! change, that a crash leaves undone or done.
//! **Limits.** [`AT_ONCE`] questions at a time, one a token and refusal; a refresh that failed is
//! tried again after [`REFRESH_AGAIN`], or after a day where another try so soon would not help.

mod renew;
mod show;
mod slots;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::inspect::{Seen, inspect_kept};
use super::{Kept, Policy, Source};
use crate::alerts::Alerts;
use crate::graph::oauth::{OauthClient, OauthError};
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};
use crate::tokens::{Facts, Notes, Refused, State, TokenKey, Tokens, Usage, Vault, VaultError};

pub use renew::REFRESH_AGAIN;
use renew::Tried;

/// Questions to Meta at a time.
pub const AT_ONCE: usize = 4;
/// The longest time after which a token is asked about again when Meta gave no answer.
const NO_ANSWER: Duration = Duration::from_hours(1);
/// How often everything is looked at that needs no question.
const TICK: Duration = Duration::from_mins(1);
/// What comes together, such as the refusals of several lanes, is looked at together.
const GATHER: Duration = Duration::from_millis(200);

/// Every token there is at this moment, and the rules for them.
#[derive(Clone, Debug)]
pub struct Roster {
    /// The tokens.
    pub kept: Vec<Kept>,
    /// Every configured pixel.
    pub pixels: Vec<PixelId>,
    /// The vault, if there is one.
    pub vault: Option<Vault>,
    /// Why the vault could not be read; its tokens are missing here then.
    pub unread: Option<String>,
    /// When something is due.
    pub policy: Policy,
}

/// Something that keeps events waiting, as lanes tell it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its id, such as `pixel:123`.
    pub id: String,
    /// Why: the stable word.
    pub cause: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Graph's codes, if it has said something.
    pub graph: Option<String>,
    /// Whose events wait.
    pub pixels: Vec<PixelId>,
    /// How many.
    pub events: u64,
    /// For how long it has been so.
    pub lasts: Duration,
    /// Until the first of them is too old to be sent.
    pub first_expiry: Option<Duration>,
}

/// A future without a result.
pub type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the watch asks of the rest of the gateway.
pub struct Hooks {
    /// Every token at this moment.
    pub roster: Box<dyn Fn() -> Roster + Send + Sync>,
    /// Takes the vault over after a change.
    pub reload: Box<dyn Fn() -> Done + Send + Sync>,
    /// What is held now. Blocks.
    pub waiting: std::sync::Arc<dyn Fn() -> Vec<Waiting> + Send + Sync>,
}

/// The rooms and tools of a watch.
pub struct Tools {
    /// The way to Meta.
    pub client: OauthClient,
    /// What pixels go with.
    pub tokens: Tokens,
    /// The way to people.
    pub alerts: Alerts,
    /// What time it is.
    pub clock: Clock,
    /// What to show.
    pub metrics: Metrics,
    /// Where what is noticed is written down.
    pub notes: PathBuf,
}

/// The watch over all tokens.
pub struct Watch {
    tools: Tools,
    hooks: Hooks,
    notes: Notes,
    /// What earlier processes have counted.
    before: BTreeMap<String, Usage>,
    /// When each token is to be asked about next; what is not here is asked about at once.
    due: HashMap<TokenKey, UnixMs>,
    /// The app in whose name each was asked about last.
    asked_by: HashMap<TokenKey, Option<String>>,
    /// Refusals after which a token was asked about already.
    doubted: BTreeSet<Refused>,
    /// What came of the last try to refresh.
    refreshed: HashMap<TokenKey, Tried>,
    /// What is wrong with the vault.
    vault_trouble: Option<String>,
    written: Notes,
    /// Since when it watches.
    since: UnixMs,
}

impl Watch {
    /// Reads what was noted before. Blocks.
    pub fn new(tools: Tools, hooks: Hooks) -> Self {
        let notes = Notes::read(&tools.notes).unwrap_or_else(|error| {
            tracing::warn!(file = %tools.notes.display(), %error, "what was noted about tokens cannot be read, it begins anew");
            Notes::default()
        });
        let usage =
            |(print, note): (&String, &crate::tokens::Note)| (print.clone(), note.usage.clone());
        Self {
            before: notes.tokens.iter().map(usage).collect(),
            written: notes.clone(),
            notes,
            since: tools.clock.now(),
            tools,
            hooks,
            due: HashMap::new(),
            asked_by: HashMap::new(),
            doubted: BTreeSet::new(),
            refreshed: HashMap::new(),
            vault_trouble: None,
        }
    }

    /// Watches until `ended`, and writes down at the end what was counted.
    pub async fn run(mut self, ended: CancellationToken) {
        if ended.run_until_cancelled(self.watch()).await.is_none() {
            let roster = (self.hooks.roster)();
            self.count(&roster);
            self.forget(&roster);
            self.write().await;
        }
    }

    async fn watch(&mut self) {
        let mut changed = self.tools.tokens.changed();
        let mut refusals = self.tools.tokens.refusals();
        loop {
            changed.mark_unchanged();
            refusals.mark_unchanged();
            self.round().await;
            let woken = tokio::select! {
                () = tokio::time::sleep(TICK) => false,
                ended = changed.changed() => ended.is_ok(),
                ended = refusals.changed() => ended.is_ok(),
            };
            if woken {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Does everything that is due.
    pub async fn round(&mut self) {
        let mut roster = (self.hooks.roster)();
        let now = self.tools.clock.now();
        for kept in &roster.kept {
            let note = self.notes.tokens.entry(kept.key.to_string()).or_default();
            note.first_seen.get_or_insert(now);
            if note.facts.checked_at < kept.noted.checked_at {
                note.facts = kept.noted.clone();
            }
        }
        if !roster.policy.check_interval.is_zero() {
            self.ask(&roster, now).await;
            if self.refresh(&roster, now).await {
                roster = (self.hooks.roster)();
            }
        }
        self.count(&roster);
        self.forget(&roster);
        if self.move_slots(&roster, now).await {
            (self.hooks.reload)().await;
            roster = (self.hooks.roster)();
        }
        self.show(&roster, now);
        self.tell(&roster, now).await;
        self.write().await;
    }

    /// What is known about a token, with what came of using it.
    fn note(&self, kept: &Kept) -> crate::tokens::Note {
        let print = kept.key.to_string();
        self.notes.tokens.get(&print).cloned().unwrap_or_default()
    }

    /// Asks Meta about each token that is due, some at a time.
    async fn ask(&mut self, roster: &Roster, now: UnixMs) {
        let refused: BTreeSet<Refused> = self.tools.tokens.refused().into_iter().collect();
        let doubted: BTreeSet<TokenKey> = (refused.difference(&self.doubted))
            .map(|refused| refused.token)
            .collect();
        self.doubted = refused;
        let is_due = |kept: &&Kept| {
            if kept.pixels.is_empty() && self.note(kept).facts.state.is_dead() {
                return false;
            }
            let is_doubted = doubted.contains(&kept.key);
            // an app that has come to the vault may be told more
            let by = kept.app.as_ref().map(|app| app.id.clone());
            let is_other = self.asked_by.get(&kept.key).is_some_and(|was| *was != by);
            is_doubted || is_other || self.due.get(&kept.key).is_none_or(|due| *due <= now)
        };
        let due: Vec<Kept> = roster.kept.iter().filter(is_due).cloned().collect();
        let mut left = due.into_iter();
        let mut asking = JoinSet::new();
        let mut learned = Vec::new();
        loop {
            while asking.len() < AT_ONCE
                && let Some(kept) = left.next()
            {
                let (client, before) = (self.tools.client.clone(), self.note(&kept).facts);
                let by = kept.app.as_ref().map(|app| app.id.clone());
                self.asked_by.insert(kept.key, by);
                asking.spawn(async move {
                    let seen = inspect_kept(&client, &kept, &before, now).await;
                    (kept, seen)
                });
            }
            match asking.join_next().await {
                None => break,
                // it panicked: the token is asked about again with the next round
                Some(Err(_)) => {}
                Some(Ok((kept, seen))) => {
                    let is_doubted = doubted.contains(&kept.key);
                    learned.extend(self.learn(&kept, seen, is_doubted, &roster.policy, now));
                }
            }
        }
        self.note_down(roster, learned).await;
    }

    /// Takes an answer in; what the vault should know is given back.
    fn learn(
        &mut self,
        kept: &Kept,
        seen: Result<Seen, OauthError>,
        is_doubted: bool,
        policy: &Policy,
        now: UnixMs,
    ) -> Option<(Kept, Facts)> {
        let (label, print) = (&kept.label, kept.key.to_string());
        let wait = match &seen {
            Ok(_) => policy.check_interval.mul_f64(0.9 + 0.2 * fastrand::f64()),
            Err(_) => policy.check_interval.min(NO_ANSWER),
        };
        self.due.insert(kept.key, now.plus(wait));
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                let code = error.code();
                tracing::warn!(token.name = %label, token.id = %print, code, %error, "meta gave no answer about a token, it is asked again later");
                return None;
            }
        };
        let facts = seen.facts;
        let note = self.notes.tokens.entry(print.clone()).or_default();
        let (was, is) = (note.facts.state, facts.state);
        let cause = facts.cause.as_deref();
        if was == is {
            tracing::debug!(token.name = %label, token.id = %print, token.state = is.code(), verdict = seen.verdict, "a token was looked at");
        } else {
            tracing::info!(token.name = %label, token.id = %print, token.was = was.code(), token.state = is.code(), cause, "a token is in another state");
        }
        note.facts.clone_from(&facts);
        if seen.verdict && is.is_dead() {
            // before a batch finds out
            let refused = Refused {
                token: kept.key,
                pixel: None,
            };
            self.doubted.insert(refused);
            self.tools.tokens.refuse(refused);
        } else if seen.verdict && is == State::Valid && !is_doubted {
            // not right after Graph has refused it, whatever this endpoint says
            self.tools.tokens.absolve(kept.key);
        }
        let news = Facts {
            checked_at: kept.noted.checked_at,
            ..facts.clone()
        };
        (seen.verdict && news != kept.noted).then(|| (kept.clone(), facts))
    }

    /// Writes what was learned into the vault, where the other commands look for it.
    async fn note_down(&mut self, roster: &Roster, learned: Vec<(Kept, Facts)>) {
        let Some(vault) = roster.vault.clone() else {
            return;
        };
        let learned: Vec<_> = (learned.into_iter())
            .filter_map(|(kept, facts)| match kept.source {
                Source::Vault(name) => Some((name, kept.key, facts)),
                Source::Config => None,
            })
            .collect();
        if learned.is_empty() {
            return;
        }
        let write = move || {
            vault.update(|contents| -> Result<(), VaultError> {
                for (name, key, facts) in learned {
                    let record = contents.tokens.get_mut(&name);
                    // it may have been replaced meanwhile
                    let record = record.filter(|record| TokenKey::of(&record.secret) == key);
                    if let Some(record) = record {
                        record.facts = facts;
                    }
                }
                Ok(())
            })
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => (self.hooks.reload)().await,
            Ok(Err(error)) => {
                tracing::warn!(code = error.code(), %error, "what was learned about tokens cannot be written into the vault");
            }
            Err(_) => {}
        }
    }

    /// Adds what this process has counted to what earlier ones have.
    fn count(&mut self, roster: &Roster) {
        let usage = self.tools.tokens.usage();
        for kept in &roster.kept {
            let print = kept.key.to_string();
            let before = self.before.get(&print).cloned().unwrap_or_default();
            let own = usage.get(&kept.key).cloned().unwrap_or_default();
            let note = self.notes.tokens.entry(print).or_default();
            note.usage = own.and(&before);
            let used_by = &mut note.usage.used_by;
            used_by.retain(|pixel, _| roster.pixels.contains(pixel));
        }
    }

    /// Forgets tokens that are gone; not while nobody knows which are.
    fn forget(&mut self, roster: &Roster) {
        if roster.unread.is_some() {
            return;
        }
        let keys: BTreeSet<TokenKey> = roster.kept.iter().map(|kept| kept.key).collect();
        self.due.retain(|key, _| keys.contains(key));
        self.refreshed.retain(|key, _| keys.contains(key));
        let prints: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
        self.notes.tokens.retain(|print, _| prints.contains(print));
    }

    /// Writes down what was noticed, if anything has changed.
    async fn write(&mut self) {
        if self.notes == self.written {
            return;
        }
        let (notes, path) = (self.notes.clone(), self.tools.notes.clone());
        let file = path.clone();
        let write = tokio::task::spawn_blocking(move || notes.write(&path));
        match write.await {
            Ok(Ok(())) => self.written.clone_from(&self.notes),
            Ok(Err(error)) => {
                tracing::warn!(file = %file.display(), %error, "what was noticed about tokens cannot be written down");
            }
            Err(_) => {}
        }
    }
}

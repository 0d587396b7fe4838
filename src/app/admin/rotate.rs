//! `POST /tokens/rotate`: another token for a pixel, pasted by a person: Meta is asked about it
//! first, then it is sealed into the vault, and the gateway sends with it at once.
//!
//! **Promises.** The token is in no answer, no log line and no error; a page that asks before it is
//! put in place has a ticket for it. The one before is kept as the one to go back to.
//! **Refuses.** What Meta says does not fit, unless a person says that it is taken all the same; to
//! put out unasked what stands in the slot next; and pixels whose token stands in the configuration.
//! **Limits.** [`MAX_PENDING`] tokens wait for a yes, each for [`PATIENCE`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;
use zeroize::Zeroizing;

use super::Inner;
use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::verify;
use super::work::beside;
use crate::app::reload::InForce;
use crate::app::roster;
use crate::custody::fitness::{Asker, known, less_than, look, of_a_page, only_reads, too_short};
use crate::custody::ladder::{Finding, Mark, rungs, verdict};
use crate::graph::oauth::Context;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::paste::{Kind, tidy};
use crate::tokens::{
    ChangeError, Contents, Facts, Name, Notes, Obtained, Slot, TokenKey, TokenRecord, Vault,
    VaultError,
};

/// Tokens that wait for a yes.
const MAX_PENDING: usize = 16;
/// For how long one does.
const PATIENCE: Duration = Duration::from_mins(10);

/// A token that Meta was asked about, on its way into the vault.
pub(super) struct Checked {
    pub(super) pixel: PixelId,
    pub(super) findings: Vec<Finding>,
    secret: Secret,
    facts: Facts,
    /// What the pixel sends with now.
    replaces: Option<Name>,
    /// What stands in the pixel's slot next, which has no room for both.
    puts_out: Option<Name>,
    surface: Surface,
}

/// Where a token comes from.
pub(super) enum Source {
    /// A person's hand.
    Pasted(Zeroizing<String>),
    /// The pixel's slot next.
    Next,
}

/// Where somebody asks, for the words of what to do.
#[derive(Clone, Copy)]
pub(super) enum Surface {
    Api,
    Page,
}

/// What a person has said yes to.
#[derive(Clone, Copy, Default)]
pub(super) struct Consent {
    /// That it is taken whatever speaks against it.
    pub(super) force: bool,
    /// That what stands in the slot next is put out of it.
    pub(super) replace_next: bool,
}

/// A token for people, without the token.
#[derive(Serialize)]
struct Fresh {
    /// The fingerprint.
    id: String,
    masked: String,
    kind: String,
    state: &'static str,
    app_id: Option<String>,
    expires: &'static str,
    expires_at: Option<i64>,
    scopes: Vec<String>,
}

#[derive(Serialize)]
struct Outcome {
    pixel: PixelId,
    /// Whether the pixel sends with it now.
    rotated: bool,
    /// The gravest mark.
    verdict: Mark,
    findings: Vec<Finding>,
    token: Fresh,
    /// Its name in the vault.
    name: Option<String>,
    /// The one that is kept to go back to.
    retiring: Option<String>,
    /// The one in the slot next that is put out of it; it stays in the vault.
    puts_out: Option<String>,
}

/// Tokens that wait for a yes, by ticket.
#[derive(Default)]
pub(super) struct Pending(Mutex<BTreeMap<String, Waiting>>);

struct Waiting {
    checked: Checked,
    /// The session that it was checked in.
    session: String,
    until: UnixMs,
}

impl Pending {
    /// Keeps one for this session; gives its ticket.
    pub(super) fn keep(&self, checked: Checked, session: &str, now: UnixMs) -> String {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, waiting| now < waiting.until);
        while all.len() >= MAX_PENDING {
            let oldest = all.iter().min_by_key(|(_, waiting)| waiting.until);
            let Some(oldest) = oldest.map(|(ticket, _)| ticket.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        let ticket = uuid::Uuid::new_v4().to_string();
        let waiting = Waiting {
            checked,
            session: session.to_owned(),
            until: now.plus(PATIENCE),
        };
        all.insert(ticket.clone(), waiting);
        ticket
    }

    /// Takes it out, once, for the session that it was kept for, where what was said yes to is
    /// enough.
    pub(super) fn take(
        &self,
        ticket: &str,
        session: &str,
        consent: Consent,
        now: UnixMs,
    ) -> Result<Checked, Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, waiting| now < waiting.until);
        let own = all.get(ticket).filter(|waiting| waiting.session == session);
        if let Some(waiting) = own {
            waiting.checked.allowed(consent)?;
        }
        let taken = own.is_some().then(|| all.remove(ticket)).flatten();
        taken.map(|waiting| waiting.checked).ok_or_else(|| {
            let next = "paste the token again: what was checked is kept for ten minutes, for the session that asked, and taken once";
            Problem::not_found("no checked token waits here", next)
        })
    }
}

/// `POST /tokens/rotate`.
pub(super) fn rotate(mut call: Call) -> Done {
    Box::pin(async move {
        let source = source(&mut call.members)?;
        let pixel = pixel(&mut call.members)?;
        let dry_run = call.members.flag("dry_run")?;
        let consent = consent(&mut call.members)?;
        call.members.end()?;
        let inner = &call.admin.0;
        let checked = check(inner, pixel, source, Surface::Api).await?;
        let mut rotated = checked.shown();
        if dry_run {
            return Ok(Reply::ok(&rotated).changed(0));
        }
        checked.allowed(consent)?;
        let (name, retiring) = put(inner, checked).await?;
        rotated.rotated = true;
        rotated.name = Some(name.to_string());
        rotated.retiring = retiring.map(|name| name.to_string());
        Ok(Reply::ok(&rotated).changed(1))
    })
}

/// The pasted token, or that the next one is meant, taken out of the members.
pub(super) fn source(members: &mut Members) -> Result<Source, Problem> {
    let text = members.text("token")?.map(Zeroizing::new);
    match (text, members.flag("from_next")?) {
        (Some(text), false) => Ok(Source::Pasted(text)),
        (None, true) => Ok(Source::Next),
        (Some(_), true) => Err(Problem::bad(
            "from_next",
            "send either the token or from_next",
        )),
        (None, false) => Err(Problem::bad("token", "paste the access token")),
    }
}

/// What is said yes to, taken out of the members.
pub(super) fn consent(members: &mut Members) -> Result<Consent, Problem> {
    Ok(Consent {
        force: members.flag("force")?,
        replace_next: members.flag("replace_next")?,
    })
}

/// The pixel that is meant.
pub(super) fn pixel(members: &mut Members) -> Result<PixelId, Problem> {
    let expected = "send the id of a pixel, such as \"1234567890123456\"";
    let pixel = members.parsed("pixel", expected)?;
    pixel.ok_or_else(|| Problem::bad("pixel", expected))
}

/// The vault that the pixel's token is in or can be put into; or what to do instead.
pub(super) fn vault(in_force: &InForce, pixel: PixelId) -> Result<Vault, Problem> {
    let conflict = |code, message: String, next: &str| {
        Err(Problem::new(StatusCode::CONFLICT, code, message, next))
    };
    let Some(configured) = in_force.config.pixels.get(&pixel) else {
        let next = "name a pixel of the configuration, or add it under pixels.<id>";
        return Err(Problem::not_found("the pixel is not configured", next));
    };
    if let Some(place) = &configured.token {
        let message = format!("pixel {pixel} sends with what is in {place}");
        let next = "put the new token there, and reload the configuration (a variable of the environment needs a restart)";
        return conflict("in_configuration", message, next);
    }
    if let Some(unread) = &in_force.held.unread {
        let next = "mend that first; see the log";
        return conflict("vault", unread.clone(), next);
    }
    let Some(vault) = &in_force.held.vault else {
        let next = "run `capigate token init` on the machine of the gateway; it says which lines the configuration needs";
        return conflict("no_vault", "there is no vault".to_owned(), next);
    };
    Ok(vault.clone())
}

/// Asks Meta about a token for a pixel, and holds it to the one that it is to replace. Nothing is
/// changed.
pub(super) async fn check(
    inner: &Inner,
    pixel: PixelId,
    source: Source,
    surface: Surface,
) -> Result<Checked, Problem> {
    let in_force = inner.in_force();
    let vault = vault(&in_force, pixel)?;
    let tidied = match source {
        Source::Pasted(text) => Some(tidy(&text, Kind::LaneToken)),
        Source::Next => None,
    };
    let tidied = tidied.transpose();
    let tidied = tidied.map_err(|error| Problem::bad("token", error.to_string()))?;
    let journal_dir = in_force.config.journal.dir.clone();
    let read = beside(move || {
        vault.probe()?;
        let notes = Notes::read(&Notes::path(&journal_dir)).unwrap_or_default();
        Ok((vault.read()?, notes))
    });
    let (contents, known_of) = read.await?.map_err(|error| refused(&error))?;
    let next = contents.in_slot(pixel, Slot::Next);
    let stored = next.and_then(|next| contents.tokens.get(next));
    let stored = stored.map(|record| (record.secret.clone(), Vec::new()));
    let meant = tidied.or(stored);
    let (secret, notes) = meant.ok_or_else(|| refused(&ChangeError::NoNext(pixel).into()))?;
    let replaces = contents.in_slot(pixel, Slot::Current).cloned();
    let twin = contents.find(TokenKey::of(&secret)).map(|(name, _)| name);
    if let Some(current) = replaces.as_ref().filter(|current| Some(*current) == twin) {
        let message = format!("this is {current}, the token that pixel {pixel} sends with already");
        return Err(conflict(
            "same_token",
            message,
            "make a new one, and paste that",
        ));
    }
    // the way from next to current is the way of every rotation
    let puts_out = next.filter(|next| replaces.is_some() && Some(*next) != twin);
    let puts_out = puts_out.cloned();

    let now = inner.clock.now();
    let client = verify::client(inner, &in_force)?;
    let (config, secrets) = (&in_force.config, &in_force.secrets.pixels);
    let asker = Asker {
        client: &client,
        contents: &contents,
        app_of: &|facts| roster::app_of(config, secrets, &contents, facts, Some(pixel)),
        now,
    };
    let mut findings: Vec<Finding> = notes
        .iter()
        .map(|note| {
            let mark = if note.is_warning() {
                Mark::Warn
            } else {
                Mark::Pass
            };
            Finding::new("pasted", mark, note.to_string())
        })
        .collect();
    let facts = match look(&asker, &secret, None, &Facts::default()).await {
        Ok(looked) => {
            let (app, seen) = (looked.app.as_ref(), &looked.seen);
            findings.extend(rungs(&client, &secret, app, Some(pixel), seen, now).await);
            looked.seen.facts
        }
        Err(error) => {
            findings.push(Finding::of("token", Mark::Fail, Context::Debug, &error));
            Facts::default()
        }
    };
    findings.extend(too_short(&facts, now));
    findings.extend(of_a_page(&facts));
    let all = roster::of(config, &in_force.secrets, &contents);
    let named = |name: &Name| all.iter().find(|kept| kept.label == name.as_str());
    if let Some(old) = replaces.as_ref().and_then(named) {
        let before = known(old, &known_of).facts;
        findings.extend(less_than(&facts, &before, surface.force()));
    }
    findings.extend(only_reads(&facts, surface.force()));
    let others = all.iter().filter(|kept| kept.key == TokenKey::of(&secret));
    let others = others
        .flat_map(verify::served)
        .find(|other| *other != pixel);
    if let Some(other) = others.filter(|_| !config.tokens.allow_shared) {
        let says = format!("pixel {other} has this same token: when it dies, both wait");
        let next = "give each pixel a token of its own, or set tokens.allow_shared";
        findings.push(Finding::new("shared", Mark::Warn, says).next(next));
    }
    Ok(Checked {
        pixel,
        findings,
        secret,
        facts,
        replaces,
        puts_out,
        surface,
    })
}

/// Seals it into the vault, in the place of the one before, and has the gateway send with it. Gives
/// its name, and that of the one before.
pub(super) async fn put(inner: &Inner, checked: Checked) -> Result<(Name, Option<Name>), Problem> {
    let in_force = inner.in_force();
    let (pixel, now) = (checked.pixel, inner.clock.now());
    let vault = vault(&in_force, pixel)?;
    let wish = in_force.config.pixels.get(&pixel);
    let wish = wish.and_then(|pixel| pixel.name.clone());
    let wish = wish.unwrap_or_else(|| format!("pixel-{pixel}"));
    let Checked {
        secret,
        facts,
        replaces,
        puts_out,
        ..
    } = checked;
    let record = TokenRecord {
        secret,
        obtained: Obtained::Pasted,
        added_at: now,
        facts,
    };
    let before = replaces.clone();
    let change = move |contents: &mut Contents| -> Result<Name, VaultError> {
        let twin = contents.find(TokenKey::of(&record.secret));
        let twin = twin.map(|(name, _)| name.clone());
        let name = twin.clone().unwrap_or_else(|| contents.free_name(&wish));
        is_free(contents, pixel, before.as_ref(), &name, puts_out.as_ref())?;
        if twin.is_none() {
            contents.add(name.clone(), record)?;
        }
        match &before {
            Some(old) => contents.replace(pixel, old, &name, now)?,
            None => contents.bind(pixel, Slot::Current, &name, now)?,
        }
        Ok(name)
    };
    let name = beside(move || vault.update(change)).await?;
    let name = name.map_err(|error| refused(&error))?;
    let Some(reloader) = inner.reloader() else {
        return Ok((name, replaces));
    };
    reloader.reload_vault().await;
    let live = reloader.now();
    if live.held.contents.in_slot(pixel, Slot::Current) != Some(&name) {
        let next = "the token is in the vault, and the gateway could not read that again: see the log, then reload";
        return Err(Problem::failed("not_taken_over", next));
    }
    Ok((name, replaces))
}

/// Whether the slot that it needs is free, but for what a person has said may be put out of it.
fn is_free(
    contents: &Contents,
    pixel: PixelId,
    replaces: Option<&Name>,
    own: &Name,
    puts_out: Option<&Name>,
) -> Result<(), ChangeError> {
    let slot = match replaces {
        Some(_) => Slot::Next,
        None => Slot::Current,
    };
    match contents.check_free(pixel, slot, Some(own)) {
        Err(ChangeError::Occupied(_, Slot::Next, other)) if Some(&other) == puts_out => Ok(()),
        free => free,
    }
}

fn conflict(code: &'static str, message: String, next: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, message, next)
}

fn refused(error: &VaultError) -> Problem {
    if matches!(error, VaultError::Change(_)) {
        return conflict(error.code(), error.to_string(), "nothing was changed");
    }
    tracing::error!(code = error.code(), %error, "the vault cannot be changed");
    let next = "nothing was changed: see the log, and mend the file or its rights";
    conflict(error.code(), error.to_string(), next)
}

impl Surface {
    /// How a token is taken whatever speaks against it.
    fn force(self) -> &'static str {
        match self {
            Self::Api => "send \"force\": true",
            Self::Page => "tick that it is put in place all the same",
        }
    }
}

impl Checked {
    /// Whether what a person has said yes to is enough to put it in place.
    fn allowed(&self, consent: Consent) -> Result<(), Problem> {
        if self.verdict() == Mark::Fail && !consent.force {
            return Err(self.unfit());
        }
        match &self.puts_out {
            Some(next) if !consent.replace_next => Err(self.next_is_taken(next)),
            _ => Ok(()),
        }
    }

    /// Whether a person may overrule what speaks against it on a page: not what Meta has said of a
    /// token that sends nothing.
    pub(super) fn is_arguable(&self) -> bool {
        let failed = |one: &Finding| one.mark == Mark::Fail && one.check == "token";
        !self.facts.state.is_dead() && !self.findings.iter().any(failed)
    }

    /// What stands in the slot next and would be put out of it.
    pub(super) fn puts_out(&self) -> Option<&Name> {
        self.puts_out.as_ref()
    }

    fn next_is_taken(&self, next: &Name) -> Problem {
        let pixel = self.pixel;
        let message = format!("pixel {pixel} has a next token already, {next}");
        let what = match self.surface {
            Surface::Api => format!(
                "to put that one in place, send \"from_next\": true and no token; to put it out of that slot (it stays in the vault), send \"replace_next\": true; or take it out of the vault: `capigate token remove {next}`"
            ),
            Surface::Page => format!(
                "put that one in place, or tick that it is put out of that slot; or take it out of the vault: `capigate token remove {next}`"
            ),
        };
        conflict("next_taken", message, &what)
    }

    /// The gravest mark.
    pub(super) fn verdict(&self) -> Mark {
        verdict(&self.findings).0
    }

    /// What the pixel sends with until now.
    pub(super) fn replaces(&self) -> Option<&Name> {
        self.replaces.as_ref()
    }

    /// The token, masked.
    pub(super) fn masked(&self) -> String {
        self.secret.masked()
    }

    fn unfit(&self) -> Problem {
        let message = "the token was not taken";
        let force = self.surface.force();
        let next = format!("make another one; or, once all that was found is seen, {force}");
        let failed = self.findings.iter().filter(|one| one.mark == Mark::Fail);
        let details = failed.map(|one| match &one.next {
            Some(next) => format!("{}: {}; {next}", one.check, one.says),
            None => format!("{}: {}", one.check, one.says),
        });
        let details = details.collect();
        Problem::new(StatusCode::CONFLICT, "unfit_token", message, next).details(details)
    }

    fn shown(&self) -> Outcome {
        let facts = &self.facts;
        Outcome {
            pixel: self.pixel,
            rotated: false,
            verdict: self.verdict(),
            findings: self.findings.clone(),
            token: Fresh {
                id: TokenKey::of(&self.secret).to_string(),
                masked: self.masked(),
                kind: facts.kind.to_string(),
                state: facts.state.code(),
                app_id: facts.app_id.clone(),
                expires: facts.expires.code(),
                expires_at: facts.expires.at().map(|at| at.0),
                scopes: facts.scopes.clone(),
            },
            name: None,
            retiring: None,
            puts_out: self.puts_out.as_ref().map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pixel: u64) -> Checked {
        Checked {
            pixel: PixelId::from_u64(pixel).unwrap(),
            findings: Vec::new(),
            secret: Secret::new("EAAcanary".to_owned()),
            facts: Facts::default(),
            replaces: None,
            puts_out: None,
            surface: Surface::Page,
        }
    }

    #[test]
    fn a_ticket_is_good_once_for_its_session_and_for_a_while() {
        let (pending, now) = (Pending::default(), UnixMs(1));
        let take = |ticket: &str, session: &str, now| {
            let taken = pending.take(ticket, session, Consent::default(), now);
            taken.is_ok()
        };
        let ticket = pending.keep(checked(1), "one", now);
        assert!(!take(&ticket, "two", now));
        assert!(!take("other", "one", now));
        assert!(take(&ticket, "one", now));
        assert!(!take(&ticket, "one", now));
        let ticket = pending.keep(checked(1), "one", now);
        assert!(!take(&ticket, "one", now.plus(PATIENCE)));
    }

    #[test]
    fn what_nobody_has_said_yes_to_is_not_taken_and_waits_on() {
        let (pending, now) = (Pending::default(), UnixMs(1));
        let unfit = Checked {
            findings: vec![Finding::new("same_app", Mark::Fail, "of another app")],
            puts_out: Some("next".parse().unwrap()),
            ..checked(1)
        };
        assert!(unfit.is_arguable());
        let ticket = pending.keep(unfit, "one", now);
        let refused = |force, replace_next| {
            let consent = Consent {
                force,
                replace_next,
            };
            let taken = pending.take(&ticket, "one", consent, now);
            taken.err().map(|problem| problem.code)
        };
        assert_eq!(refused(false, true), Some("unfit_token"));
        assert_eq!(refused(true, false), Some("next_taken"));
        assert_eq!(refused(true, true), None);
        assert_eq!(refused(true, true), Some("not_found"));
    }

    #[test]
    fn what_meta_refuses_is_no_matter_of_opinion() {
        let dead = Checked {
            findings: vec![Finding::new("token", Mark::Fail, "it has ended")],
            ..checked(1)
        };
        assert!(!dead.is_arguable());
    }

    #[test]
    fn the_oldest_makes_room() {
        let pending = Pending::default();
        let tickets: Vec<String> = (0..=MAX_PENDING as i64)
            .map(|n| pending.keep(checked(1), "k", UnixMs(n)))
            .collect();
        let now = UnixMs(MAX_PENDING as i64);
        let take = |ticket: &str| pending.take(ticket, "k", Consent::default(), now).is_ok();
        assert!(!take(&tickets[0]));
        assert!(take(&tickets[1]));
    }
}

//! A token was obtained, by whatever way: it is extended if it is short-lived, looked at, sealed
//! into the vault, and given to a pixel.

mod store;

use std::time::Duration;

use super::ask;
use super::desk::{Desk, refused};
use super::look::{Looked, ends, look};
use super::say::Report;
pub(in crate::cli) use crate::custody::fitness::SHORT_LIVED_SECS;
use crate::custody::fitness::{is_short_lived, less_than, missing, of_a_page, only_reads};
use crate::custody::ladder::{Finding, Mark, rungs};
use crate::graph::oauth::{App, Context, Exit};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::{ChangeError, Contents, Expiry, Facts, Kind, Name, Obtained, Slot};

pub(super) use store::bound;

/// What is to become of a token.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Keep {
    /// Its name in the vault; one is made up when none.
    pub(in crate::cli) name: Option<Name>,
    /// The pixel that is to have it, and in which slot.
    pub(in crate::cli) bind: Option<(PixelId, Slot)>,
    /// What that pixel sends with now: it takes the place of this one alone, which becomes retiring.
    pub(in crate::cli) replaces: Option<Name>,
    /// Scopes that it must have.
    pub(in crate::cli) require: Vec<String>,
    /// What it must be.
    pub(in crate::cli) kind: Option<Kind>,
    /// The page it must be of.
    pub(in crate::cli) page: Option<String>,
    /// What is known of the token that it is to replace: it must do no less.
    pub(in crate::cli) like: Option<Facts>,
    /// The app it was made by, where that is known.
    pub(in crate::cli) app: Option<App>,
    /// For how many seconds it is good, if Meta has said so when it gave it.
    pub(in crate::cli) expires_in: Option<u64>,
    /// Whether a short-lived one is extended.
    pub(in crate::cli) extend: Extend,
    /// It is in the vault already.
    pub(in crate::cli) stored: bool,
    /// It is kept without asking Meta about it.
    pub(in crate::cli) unseen: bool,
    /// What speaks against it is told, and it is kept all the same.
    pub(in crate::cli) force: bool,
}

/// How a token is taken whatever speaks against it.
const FORCE: &str = "say --force";

/// Whether a short-lived token is extended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Extend {
    /// At once.
    #[default]
    Always,
    /// If the person at the terminal says yes.
    Ask,
    /// Not at all.
    Never,
}

/// A token on its way into the vault.
struct Fresh {
    secret: Secret,
    how: Obtained,
    app: Option<App>,
    facts: Facts,
    findings: Vec<Finding>,
    /// Too short-lived for a pixel.
    is_short: bool,
}

impl Keep {
    /// Whether it can be kept as wished, as far as that can be told before there is a token: worth
    /// knowing before a person pastes one, or a code is spent.
    ///
    /// # Errors
    ///
    /// There is no vault, the name is taken, or the pixel has another token in that slot.
    pub(in crate::cli) fn check(&self, desk: &Desk) -> anyhow::Result<()> {
        desk.writable()?;
        let contents = desk.contents()?;
        let taken = self.name.as_ref();
        if let Some(name) = taken.filter(|name| contents.tokens.contains_key(*name)) {
            return Err(refused(ChangeError::NameTaken(name.clone()).into()));
        }
        let free = self.check_free(&contents, None);
        free.map_err(|error| refused(error.into()))
    }

    /// Whether the slot that it needs is free. A rotation needs the next one: what waits there is to
    /// be taken, or put out by force.
    fn check_free(&self, contents: &Contents, own: Option<&Name>) -> Result<(), ChangeError> {
        let Some((pixel, slot)) = self.bind.filter(|_| !self.force) else {
            return Ok(());
        };
        let slot = match self.replaces {
            Some(_) => Slot::Next,
            None => slot,
        };
        contents.check_free(pixel, slot, own)
    }

    /// The same, for no pixel.
    pub(in crate::cli) fn unbound(&self) -> Self {
        Self {
            bind: None,
            replaces: None,
            ..self.clone()
        }
    }

    /// The pixel that is to have it.
    fn pixel(&self) -> Option<PixelId> {
        self.bind.map(|(pixel, _)| pixel)
    }
}

/// Does everything that is to be done with a token that was just obtained, and tells it: extends
/// one that is short-lived, asks Meta about it, refuses what is of no use, seals it into the vault,
/// gives it to the pixel. Gives its name there; none when it was refused, which the report then has
/// as a failure.
///
/// What Meta has issued here is refused only when it has ended: nobody else has it, and a code is
/// good once. What speaks against it is a failure, and it is kept for no pixel.
///
/// # Errors
///
/// The vault cannot be read, or not changed as asked.
pub(in crate::cli) async fn keep(
    desk: &Desk,
    report: &mut Report<'_>,
    obtained: Secret,
    how: Obtained,
    options: &Keep,
) -> anyhow::Result<Option<Name>> {
    let mut fresh = Fresh {
        secret: obtained,
        how,
        app: options.app.clone(),
        facts: Facts::default(),
        findings: Vec::new(),
        is_short: false,
    };
    if !options.unseen {
        fresh.see(desk, report, options).await?;
        fresh.demand(options);
    }
    let mut findings = std::mem::take(&mut fresh.findings);
    let is_unfit = findings.iter().any(|one| one.mark == Mark::Fail);
    if options.force {
        for finding in &mut findings {
            finding.mark = finding.mark.min(Mark::Warn);
        }
    }
    report.tell_all(findings)?;
    if !is_unfit || options.force {
        return fresh.store(desk, report, options).map(Some);
    }
    if fresh.is_ours() && !fresh.facts.state.is_dead() {
        let name = fresh.store(desk, report, &options.unbound())?;
        set_aside(report, &name, options)?;
        return Ok(Some(name));
    }
    report.say(if options.stored {
        "Nothing was changed; --force does it all the same."
    } else {
        "The token was not kept; --force keeps it all the same."
    })?;
    Ok(None)
}

/// Tells that a token is kept which no pixel has, and how one gets it.
pub(in crate::cli) fn set_aside(
    report: &mut Report<'_>,
    name: &Name,
    options: &Keep,
) -> anyhow::Result<()> {
    let says = format!("{name} is kept all the same, since Meta has issued it; no pixel has it");
    let next = match (options.bind, &options.replaces) {
        (None, _) => format!("look at it again: `capigate token inspect {name}`"),
        (Some((pixel, _)), Some(_)) => format!(
            "when that is put right: `capigate token assign {name} --pixel {pixel} --slot next`, then `capigate token rotate --pixel {pixel} --from-next`"
        ),
        (Some((pixel, slot)), None) => format!(
            "when that is put right: `capigate token assign {name} --pixel {pixel} --slot {}`",
            slot.code()
        ),
    };
    report.tell(
        Finding::new("set_aside", Mark::Warn, says)
            .next(format!("{next}; to end it: `capigate token revoke {name}`")),
    )
}

impl Fresh {
    /// Whether Meta has issued it here, so that nobody else has it.
    fn is_ours(&self) -> bool {
        self.how != Obtained::Pasted
    }

    /// Asks Meta about it; a short-lived one is extended before anything else is asked.
    async fn see(
        &mut self,
        desk: &Desk,
        report: &mut Report<'_>,
        options: &Keep,
    ) -> anyhow::Result<()> {
        let Some(mut looked) = self.look(desk, options, options.expires_in).await? else {
            return Ok(());
        };
        if self.is_short
            && let Some(seconds) = self.extend(desk, report, options).await?
        {
            let Some(again) = self.look(desk, options, seconds).await? else {
                return Ok(());
            };
            looked = again;
        }
        let (now, app) = (desk.clock.now(), self.app.as_ref());
        let (client, seen) = (&desk.client, &looked.seen);
        let found = rungs(client, &self.secret, app, options.pixel(), seen, now).await;
        self.findings.extend(found);
        Ok(())
    }

    /// Asks Meta what it is, and notes that; none when there is no answer.
    async fn look(
        &mut self,
        desk: &Desk,
        options: &Keep,
        expires_in: Option<u64>,
    ) -> anyhow::Result<Option<Looked>> {
        let (app, pixel) = (self.app.clone(), options.pixel());
        let (contents, before) = (desk.contents()?, Facts::default());
        let looked = look(desk, &contents, &self.secret, app, pixel, &before).await;
        let looked = match looked {
            Ok(looked) => looked,
            Err(error) => {
                let finding = Finding::of("token", Mark::Fail, Context::Debug, &error);
                self.findings.push(finding);
                let app_id = self.app.as_ref().map(|app| app.id.clone());
                let facts = Facts { app_id, ..before };
                self.learn(facts, expires_in, desk.clock.now());
                return Ok(None);
            }
        };
        self.app.clone_from(&looked.app);
        self.learn(looked.seen.facts.clone(), expires_in, desk.clock.now());
        Ok(Some(looked))
    }

    /// Takes over what is known of it; when it ends, if nothing else says so, from what Meta has
    /// said when it gave it.
    fn learn(&mut self, facts: Facts, expires_in: Option<u64>, now: UnixMs) {
        self.facts = facts;
        if let (Expiry::Unknown, Some(seconds)) = (self.facts.expires, expires_in) {
            self.facts.expires = Expiry::At(now.plus(Duration::from_secs(seconds)));
        }
        self.is_short = is_short_lived(&self.facts, now);
    }

    /// Exchanges a short-lived token for one that is good for about 60 days, if that is wished and
    /// can be done; then gives what Meta says of its seconds.
    async fn extend(
        &mut self,
        desk: &Desk,
        report: &mut Report<'_>,
        options: &Keep,
    ) -> anyhow::Result<Option<Option<u64>>> {
        let Some(app) = &self.app else {
            return Ok(None);
        };
        let ends = ends(self.facts.expires, desk.clock.now());
        let question =
            format!("This is a short-lived token, it expires {ends}. Extend it to about 60 days?");
        let is_wished = match options.extend {
            Extend::Always => true,
            Extend::Ask => ask::offered(&question)?,
            Extend::Never => false,
        };
        if !is_wished {
            return Ok(None);
        }
        match desk.client.extend(app, &self.secret, false).await {
            Ok(granted) => {
                let says = format!("it was short-lived, expiring {ends}, and is extended");
                report.done("extended", says)?;
                self.secret = granted.token;
                self.how = Obtained::Extended;
                Ok(Some(granted.expires_in))
            }
            Err(error) => {
                // the short-lived one is still there, and can be extended later
                let finding = Finding::of("extended", Mark::Warn, Context::Extend, &error);
                self.findings.push(finding);
                Ok(None)
            }
        }
    }

    /// Holds it to what was asked of it.
    fn demand(&mut self, options: &Keep) {
        let facts = &self.facts;
        let mut unfit = Vec::new();
        let is_known = facts.checked_at.is_some() && facts.kind != Kind::Unknown;
        if let Some(kind) = &options.kind
            && is_known
            && *kind != facts.kind
        {
            let says = format!("it is of the kind {}, not {kind}", facts.kind);
            unfit.push(Finding::new("wanted_kind", Mark::Fail, says).exit(Exit::Token));
        }
        if let Some(missing) = missing(facts, &options.require) {
            let says = format!("it lacks what was asked for: {missing}");
            let next = "make it again with that permission: `capigate token guide` says how";
            unfit.push(
                Finding::new("wanted_scopes", Mark::Fail, says)
                    .next(next)
                    .exit(Exit::Permission),
            );
        }
        if options.bind.is_some() {
            unfit.extend(of_a_page(facts));
        }
        if options.page.is_some() {
            if facts.page_id.is_some() && facts.page_id != options.page {
                let says = "Meta says that it is another page's";
                unfit.push(Finding::new("page_id", Mark::Fail, says).exit(Exit::Token));
            }
            if facts.expires.at().is_some() {
                let says = "a page's token should not expire; this one does, since it was made with a short-lived one";
                let next = "extend the person's token, `capigate token extend`, and get it again";
                unfit.push(Finding::new("page_expires", Mark::Warn, says).next(next));
            }
        }
        if let Some(old) = &options.like {
            unfit.extend(less_than(facts, old, FORCE));
        }
        // one that no pixel gets anyhow need not be able to send
        if options.bind.is_some() && !self.is_short && of_a_page(facts).is_none() {
            unfit.extend(only_reads(facts, FORCE));
        }
        self.findings.extend(unfit);
    }
}

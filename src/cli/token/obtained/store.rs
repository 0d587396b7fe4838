//! Puts a token into the vault and into a slot, and tells what that means.

use std::collections::BTreeSet;

use super::{Fresh, Keep, set_aside};
use crate::cli::token::desk::{Desk, also, refused};
use crate::cli::token::look::{ends, shown};
use crate::cli::token::revoke::BY_HAND;
use crate::cli::token::say::Report;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Exit;
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{
    ChangeError, Contents, Facts, Kind, Name, Obtained, Slot, TokenKey, TokenRecord,
};

impl Fresh {
    /// Seals it into the vault, and gives it to the pixel unless it is too short-lived.
    pub(super) fn store(
        self,
        desk: &Desk,
        report: &mut Report<'_>,
        options: &Keep,
    ) -> anyhow::Result<Name> {
        let now = desk.clock.now();
        let bind = options.bind.filter(|_| !self.is_short || options.force);
        let record = TokenRecord {
            secret: self.secret.clone(),
            obtained: self.how,
            added_at: now,
            facts: self.facts.clone(),
        };
        let is_ours = self.is_ours();
        let made = desk.update(|contents| {
            let key = TokenKey::of(&record.secret);
            let twin = contents.find(key).map(|(name, _)| name.clone());
            let is_new = twin.is_none();
            let name = match (twin, &options.name) {
                (Some(twin), _) => twin,
                // it was free before there was a token
                (None, Some(name)) if is_ours && contents.tokens.contains_key(name) => {
                    contents.free_name(name.as_str())
                }
                (None, Some(name)) => name.clone(),
                (None, None) => contents.free_name(&wish(desk, options, &record.facts)),
            };
            if is_new {
                contents.add(name.clone(), record)?;
            } else if let Some(known) = contents.tokens.get_mut(&name)
                && record.facts.checked_at.is_some()
            {
                known.facts = record.facts;
            }
            match give(contents, options, bind, &name, now) {
                Err(error) if !is_ours => Err(error.into()),
                given => Ok((name, is_new, given.err())),
            }
        });
        let (name, is_new, refusal) = made.map_err(|error| self.lost(&error))?;
        report.set("name", &name)?;
        report.set(
            "token",
            shown(name.as_str(), &self.secret, &self.facts, now),
        )?;
        let masked = self.secret.masked();
        if is_new {
            let says = format!("sealed into the vault as {name}: {masked}");
            report.done("stored", says)?;
        } else if !options.stored {
            let says = format!("this very token is in the vault already, as {name}: {masked}");
            report.tell(Finding::new("stored", Mark::Warn, says))?;
        }
        if let Some(error) = refusal {
            set_aside(report, &name, options)?;
            return Err(refused(error.into()));
        }
        match bind {
            Some((pixel, slot)) => bound(desk, report, options, &name, pixel, slot)?,
            None if self.is_short => report.tell(self.too_short(desk, options, &name))?,
            None => {}
        }
        self.shared(desk, report)?;
        if is_new {
            report.say("Meta does not show it again, and here it is masked from now on: the vault file and its key,\neach kept in its own place, are the backup.")?;
        }
        report.say(desk.takeover())?;
        Ok(name)
    }

    /// What is at Meta though it could not be kept.
    fn lost(&self, error: &anyhow::Error) -> anyhow::Error {
        if self.how == Obtained::Pasted {
            return also(error, "nothing was kept");
        }
        let says = format!(
            "Meta has made the token {}, which is good there and kept nowhere: mend the vault and make another one; {BY_HAND}",
            self.secret.masked()
        );
        also(error, &says)
    }

    /// Why no pixel gets it: no failure unless one was to.
    fn too_short(&self, desk: &Desk, options: &Keep, name: &Name) -> Finding {
        let ends = ends(self.facts.expires, desk.clock.now());
        let (mark, says) = match options.bind {
            Some((pixel, _)) => (
                Mark::Fail,
                format!("it is short-lived, expiring {ends}, so pixel {pixel} did not get it"),
            ),
            None => (
                Mark::Warn,
                format!("it is short-lived, expiring {ends}; no pixel can have it"),
            ),
        };
        let next = if self.app.is_some() {
            format!("extend it: `capigate token extend {name}`")
        } else {
            format!(
                "put the secret of its app into the vault, `capigate token app add`, then extend it: `capigate token extend {name}`"
            )
        };
        Finding::new("short_lived", mark, says)
            .next(next)
            .exit(Exit::Token)
    }

    /// Warns when several pixels have it.
    fn shared(&self, desk: &Desk, report: &mut Report<'_>) -> anyhow::Result<()> {
        let key = TokenKey::of(&self.secret);
        let kept = desk.kept(&desk.contents()?);
        let own = kept.iter().filter(|kept| kept.key == key);
        let pixels: BTreeSet<PixelId> = own
            .flat_map(|kept| kept.pixels.iter().map(|(pixel, _)| *pixel))
            .collect();
        if pixels.len() < 2 || desk.config.tokens.allow_shared {
            return Ok(());
        }
        let pixels: Vec<String> = pixels.iter().map(ToString::to_string).collect();
        let says = format!(
            "the pixels {} have this same token: when it dies, all of them wait",
            pixels.join(", ")
        );
        report.tell(
            Finding::new("shared", Mark::Warn, says)
                .next("give each pixel a token of its own, or set tokens.allow_shared"),
        )
    }
}

/// Gives it to the pixel, or to nobody.
fn give(
    contents: &mut Contents,
    options: &Keep,
    bind: Option<(PixelId, Slot)>,
    name: &Name,
    now: UnixMs,
) -> Result<(), ChangeError> {
    let Some((pixel, slot)) = bind else {
        return Ok(());
    };
    options.check_free(contents, Some(name))?;
    match &options.replaces {
        Some(old) => contents.replace(pixel, old, name, now),
        None => contents.bind(pixel, slot, name, now),
    }
}

/// Tells that a pixel has it now, and what keeps that from having an effect.
pub(in crate::cli::token) fn bound(
    desk: &Desk,
    report: &mut Report<'_>,
    options: &Keep,
    name: &Name,
    pixel: PixelId,
    slot: Slot,
) -> anyhow::Result<()> {
    report.set("pixel", pixel)?;
    report.set("slot", slot)?;
    let configured = desk.config.pixels.get(&pixel);
    let elsewhere = configured.and_then(|pixel| pixel.token.as_ref());
    if let Some(old) = &options.replaces {
        report.set("current", name)?;
        report.set("retiring", old)?;
        let is_dead = options.like.as_ref().is_some_and(|old| old.state.is_dead());
        let says = if is_dead {
            format!(
                "pixel {pixel} sends with {name} now; {old} has ended, so there is no going back to it"
            )
        } else {
            format!("pixel {pixel} sends with {name} now; {old} is kept as the one to go back to")
        };
        let mut rotated = Finding::new("rotated", Mark::Pass, says);
        if !is_dead {
            rotated = rotated.next(format!(
                "`capigate token rotate --pixel {pixel} --undo` goes back"
            ));
        }
        report.tell(rotated)?;
    } else {
        let says = match (elsewhere, slot) {
            (Some(place), _) => format!(
                "pixel {pixel} has it as its {} token in the vault, and sends with what is in {place}",
                slot.code()
            ),
            (None, Slot::Current) => format!("pixel {pixel} sends with it"),
            (None, Slot::Next) => {
                format!("pixel {pixel} falls back on it when its current token is refused")
            }
            (None, Slot::Retiring) => format!("pixel {pixel} can go back to it"),
        };
        report.done("bound", says)?;
    }
    match configured {
        None => report.tell(
            Finding::new(
                "configured",
                Mark::Warn,
                format!("pixel {pixel} is not in the configuration, so nothing is sent to it yet"),
            )
            .next(format!(
                "add a section to the configuration: [pixels.{pixel}] with the lines name = \"Example Shop, web\" and site = \"https://shop.example\""
            )),
        ),
        Some(known) if known.token.is_some() => report.tell(
            Finding::new(
                "configured",
                Mark::Warn,
                format!("pixels.{pixel}.token is set in the configuration and goes before the vault"),
            )
            .next(format!("take the line token = … out of [pixels.{pixel}]")),
        ),
        Some(_) => Ok(()),
    }
}

/// What to call a token that nobody has named.
fn wish(desk: &Desk, options: &Keep, facts: &Facts) -> String {
    if let Some(pixel) = options.pixel() {
        let known = desk.config.pixels.get(&pixel);
        let name = known.and_then(|pixel| pixel.name.clone());
        return name.unwrap_or_else(|| format!("pixel-{pixel}"));
    }
    let of = |what: &str, id: &Option<String>| match id {
        Some(id) => format!("{what}-{id}"),
        None => what.to_owned(),
    };
    match &facts.kind {
        Kind::Page => of("page", &facts.page_id),
        Kind::SystemUser => of("system-user", &facts.user_id),
        Kind::User => of("user", &facts.user_id),
        _ => "token".to_owned(),
    }
}

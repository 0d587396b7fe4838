//! Pixels with their tokens, and what is held.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use askama::Template;
use axum::http::StatusCode;

use super::super::problem::Problem;
use super::super::rotate::Surface;
use super::super::tokens::{self, Shown};
use super::super::{holds, rotate, verify};
use super::shell::Shell;
use super::words::{Moment, counted, span};
use super::{Done, View, Visit};
use crate::custody::Kept;
use crate::custody::ladder::{Finding, Mark};
use crate::lanes::snapshot::{HoldSnapshot, Seen};
use crate::lanes::{Lanes, by_hand};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{Contents, Slot as SlotKind};

/// The page.
const HOME: &str = "/console/pixels";
/// Pixels of one page.
const PAGE: usize = 100;
/// A token with less left is shown as one that somebody has to look at.
const SOON_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

#[derive(Template)]
#[template(path = "pixels.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    asked: Option<PixelId>,
    total: usize,
    pixels: Vec<Row>,
    next: Option<PixelId>,
    holds: Vec<Held>,
    /// How many more are held of other pixels, where one is asked for, in words.
    others: Option<String>,
    has_vault: bool,
    /// Why the vault could not be read.
    unread: Option<String>,
}

struct Row {
    pixel: PixelId,
    name: Option<String>,
    site: Option<String>,
    slots: Vec<Slot>,
    is_held_by_hand: bool,
}

/// A token in a slot of a pixel.
struct Slot {
    place: &'static str,
    token: Shown,
    is_bad: bool,
    /// When it ends, in words.
    ends: String,
    is_soon: bool,
    success: Option<Moment>,
    error: Option<String>,
    checked: Option<Moment>,
}

struct Held {
    hold: HoldSnapshot,
    /// Events, in words.
    waiting: String,
    since: Moment,
    next_probe: Option<String>,
    first_expiry: Option<String>,
    codes: Option<String>,
    pixels: String,
    /// When it ends by itself, of a hold by hand.
    until: Option<Moment>,
}

#[derive(Template)]
#[template(
    path = "pixels_verify.html",
    config = "src/app/admin/console/askama.toml"
)]
struct Verify {
    shell: Shell,
    id: String,
    name: String,
    masked: String,
    pixels: Vec<PixelId>,
    /// None before Meta was asked.
    found: Option<Vec<Found>>,
}

struct Found {
    subject: String,
    mark: &'static str,
    is_bad: bool,
    finding: Finding,
}

#[derive(Template)]
#[template(
    path = "pixels_rotate.html",
    config = "src/app/admin/console/askama.toml"
)]
struct Rotate {
    shell: Shell,
    pixel: PixelId,
    has_token: bool,
    has_vault: bool,
    /// Where the configuration says that the token is.
    place: Option<String>,
    /// Why it cannot be done here, and what to do instead.
    refused: Option<(String, String)>,
    /// What stands in the slot next.
    next: Option<String>,
    /// A token that Meta was asked about.
    checked: Option<Checked>,
}

/// What was found of a token that is to be put in place.
struct Checked {
    masked: String,
    /// What it takes the place of.
    replaces: Option<String>,
    /// What stands in the slot next and is put out of it.
    puts_out: Option<String>,
    is_unfit: bool,
    is_doubtful: bool,
    found: Vec<Found>,
    /// What the token is kept under; empty when it was not.
    ticket: String,
}

/// `GET /console/pixels`.
pub(super) fn show(mut visit: Visit) -> Done {
    Box::pin(async move {
        let expected = "send a pixel id: 1 to 20 digits";
        let asked = visit.members.take(&["pixel"]);
        let asked = match asked["pixel"].as_str().map(str::trim) {
            None | Some("") => None,
            Some(text) => Some(text.parse().map_err(|_| Problem::bad("pixel", expected))?),
        };
        let after = visit.members.parsed::<PixelId>("after", expected)?;
        visit.taken().end()?;
        let inner = visit.inner();
        let (now, in_force) = (inner.clock.now(), inner.in_force());
        let all = tokens::all(inner).await?;
        let mut of: BTreeMap<PixelId, Vec<(&'static str, &Shown)>> = BTreeMap::new();
        for token in &all {
            for serves in &token.pixels {
                of.entry(serves.pixel)
                    .or_default()
                    .push((serves.slot, token));
            }
        }
        let by_hand = inner.lanes.get().map(Lanes::by_hand).unwrap_or_default();
        let config = &in_force.config;
        let mut rest = (config.pixels.iter())
            .filter(|(id, _)| asked.is_none_or(|asked| asked == **id))
            .filter(|(id, _)| after.is_none_or(|after| **id > after));
        let pixels: Vec<Row> = (rest.by_ref().take(PAGE))
            .map(|(id, pixel)| {
                let mut slots: Vec<Slot> = of
                    .get(id)
                    .into_iter()
                    .flatten()
                    .map(|(slot, token)| Slot::of(*id, slot, token, now))
                    .collect();
                slots.sort_by_key(|slot| order(slot.place));
                Row {
                    pixel: *id,
                    name: pixel.name.clone(),
                    site: pixel.site.clone(),
                    slots,
                    is_held_by_hand: by_hand.contains_key(id),
                }
            })
            .collect();
        let more = rest.next().is_some();
        let next = pixels.last().filter(|_| more).map(|row| row.pixel);
        let mut held = holds::all(inner).await?;
        let all_held = held.len();
        held.retain(|hold| asked.is_none_or(|asked| hold.pixels.contains(&asked)));
        let others = all_held - held.len();
        let others = (others > 0).then(|| counted(others as u64, "hold"));
        View::of(&Page {
            asked,
            others,
            total: config.pixels.len(),
            pixels,
            next,
            holds: held.into_iter().map(|hold| Held::of(hold, now)).collect(),
            has_vault: in_force.held.vault.is_some(),
            unread: in_force.held.unread.clone(),
            shell: visit.shell,
        })
    })
}

/// `POST /console/pixels/hold`.
pub(super) fn hold(mut visit: Visit) -> Done {
    Box::pin(async move {
        let members = visit.taken();
        let call = visit.call("", members);
        let held = visit.done(holds::hold(call).await?).await;
        let pixel = held["pixel"].as_str().unwrap_or_default();
        let said = format!(
            "Pixel {pixel} is held: its events are taken and wait until it is released. Batches that were on their way to Meta have gone."
        );
        Ok(View::Go(HOME.to_owned(), said))
    })
}

/// `POST /console/pixels/release`.
pub(super) fn release(mut visit: Visit) -> Done {
    Box::pin(async move {
        let id = visit.members.text("id")?;
        let id = id.ok_or_else(|| Problem::bad("id", "send the id of a hold"))?;
        let rest = visit.taken();
        let call = visit.call(&id, rest);
        let reply = holds::release(call).await?;
        visit.done(reply).await;
        let said = match by_hand::pixel(&id) {
            Some(pixel) => format!("Pixel {pixel} is released: what waits is sent."),
            None => format!("{id} is released: its next batch decides anew."),
        };
        Ok(View::Go(HOME.to_owned(), said))
    })
}

/// `GET /console/pixels/verify`: asks whether Meta is to be asked.
pub(super) fn may_verify(mut visit: Visit) -> Done {
    Box::pin(async move {
        let kept = kept(&mut visit)?;
        View::of(&Verify::of(visit.shell, &kept, None))
    })
}

/// `POST /console/pixels/verify`: asks Meta about a token; sends no event.
pub(super) fn ask_meta(mut visit: Visit) -> Done {
    Box::pin(async move {
        let kept = kept(&mut visit)?;
        let findings = verify::findings(visit.inner(), &kept).await?;
        View::of(&Verify::of(visit.shell, &kept, Some(findings)))
    })
}

/// `GET /console/pixels/rotate`: where another token is put in.
pub(super) fn form_to_rotate(mut visit: Visit) -> Done {
    Box::pin(async move {
        let pixel = rotate::pixel(&mut visit.members)?;
        visit.taken().end()?;
        let in_force = visit.inner().in_force();
        let configured = in_force.config.pixels.get(&pixel);
        let place = configured.and_then(|pixel| pixel.token.as_ref());
        let place = place.map(ToString::to_string);
        let refused = match rotate::vault(&in_force, pixel) {
            Ok(_) => None,
            Err(problem) if problem.status == StatusCode::NOT_FOUND => return Err(problem),
            Err(problem) => Some((problem.message, problem.next)),
        };
        let contents = &in_force.held.contents;
        View::of(&Rotate {
            pixel,
            next: next_of(contents, pixel),
            has_token: in_force.held.contents.pixels.contains_key(&pixel),
            has_vault: in_force.held.vault.is_some(),
            place,
            refused,
            checked: None,
            shell: visit.shell,
        })
    })
}

/// `POST /console/pixels/rotate/check`: asks Meta about another token, and the person then.
pub(super) fn check_to_rotate(mut visit: Visit) -> Done {
    Box::pin(async move {
        let source = rotate::source(&mut visit.members)?;
        let pixel = rotate::pixel(&mut visit.members)?;
        visit.taken().end()?;
        let inner = visit.inner();
        let checked = rotate::check(inner, pixel, source, Surface::Page).await?;
        let shown = Checked {
            masked: checked.masked(),
            replaces: checked.replaces().map(ToString::to_string),
            puts_out: checked.puts_out().map(ToString::to_string),
            is_unfit: checked.verdict() == Mark::Fail,
            is_doubtful: checked.verdict() == Mark::Warn,
            found: checked.findings.iter().cloned().map(Found::of).collect(),
            ticket: String::new(),
        };
        let ticket = if checked.is_arguable() || !shown.is_unfit {
            let now = inner.clock.now();
            inner.pending.keep(checked, &visit.shell.csrf, now)
        } else {
            String::new()
        };
        let in_force = inner.in_force();
        View::of(&Rotate {
            pixel,
            next: next_of(&in_force.held.contents, pixel),
            has_token: shown.replaces.is_some(),
            has_vault: true,
            place: None,
            refused: None,
            checked: Some(Checked { ticket, ..shown }),
            shell: visit.shell,
        })
    })
}

/// `POST /console/pixels/rotate`: the person has said yes.
pub(super) fn put_in_place(mut visit: Visit) -> Done {
    Box::pin(async move {
        let ticket = visit.members.text("ticket")?.unwrap_or_default();
        let consent = rotate::consent(&mut visit.members)?;
        visit.taken().end()?;
        let inner = visit.inner();
        let (session, now) = (visit.shell.csrf.as_str(), inner.clock.now());
        let checked = inner.pending.take(&ticket, session, consent, now)?;
        let pixel = checked.pixel;
        visit.subject.note(format!("pixel={pixel}"));
        let out = checked.puts_out().map_or_else(String::new, |out| {
            format!(
                " {out} is the pixel's next token no more; it is still in the vault, and as good at Meta as before: end it with `capigate token revoke {out}`."
            )
        });
        let (name, before) = rotate::put(inner, checked).await?;
        visit.changed.fetch_add(1, Ordering::Relaxed);
        let kept = before.map_or_else(String::new, |before| {
            format!(
                " {before} is kept as the one to go back to (`capigate token rotate --pixel {pixel} --undo`); when events have been delivered, let go of it: `capigate token rotate --pixel {pixel} --finish --revoke`."
            )
        });
        let said = format!("Pixel {pixel} sends with {name} now.{kept}{out}");
        Ok(View::Go(format!("{HOME}?pixel={pixel}"), said))
    })
}

/// What stands in the slot next of a pixel that sends with another token.
fn next_of(contents: &Contents, pixel: PixelId) -> Option<String> {
    contents.in_slot(pixel, SlotKind::Current)?;
    let next = contents.in_slot(pixel, SlotKind::Next);
    next.map(ToString::to_string)
}

/// The token that is meant, by its fingerprint.
fn kept(visit: &mut Visit) -> Result<Kept, Problem> {
    let id = visit.members.text("token")?.unwrap_or_default();
    visit.taken().end()?;
    verify::find(visit.inner(), &id)
}

fn order(slot: &str) -> usize {
    let all = ["current", "next", "retiring"];
    all.iter().position(|known| *known == slot).unwrap_or(3)
}

/// Before, or until, a token ends.
fn ends(token: &Shown, now: UnixMs) -> (String, bool) {
    match (token.expires, token.expires_at) {
        (_, Some(at)) if at <= now.0 => ("it has ended".to_owned(), true),
        (_, Some(at)) => {
            let days = (at - now.0) / DAY_MS;
            (
                format!("{} left", counted(days.unsigned_abs(), "day")),
                days < SOON_DAYS,
            )
        }
        ("never", _) => ("never".to_owned(), false),
        _ => ("Meta does not say".to_owned(), false),
    }
}

impl Slot {
    fn of(pixel: PixelId, slot: &'static str, token: &Shown, now: UnixMs) -> Self {
        let (ends, is_soon) = ends(token, now);
        let at = |at: UnixMs| Moment::of(at, now);
        let error = token.usage.last_error.as_ref().map(|error| {
            let code = match error.subcode {
                Some(subcode) => format!("{}/{subcode}", error.code),
                None => error.code.to_string(),
            };
            format!("{code}, {}", at(error.at).words)
        });
        Self {
            place: slot,
            is_bad: !matches!(token.state, "valid" | "unknown"),
            ends,
            is_soon,
            success: token.usage.used_by.get(&pixel).copied().map(at),
            error,
            checked: token.checked_at.map(|ms| at(UnixMs(ms))),
            token: token.clone(),
        }
    }
}

impl Held {
    fn of(hold: HoldSnapshot, now: UnixMs) -> Self {
        let mut pixels: Vec<String> = hold.pixels.iter().map(ToString::to_string).collect();
        let count = pixels.len();
        pixels.truncate(3);
        let mut named = pixels.join(", ");
        if count > 3 {
            let _ = write!(named, " and {} more", count - 3);
        }
        Self {
            waiting: counted(hold.waiting, "event"),
            since: Moment::of(UnixMs(hold.since), now),
            next_probe: hold.next_probe.map(span),
            first_expiry: hold.first_expiry.map(span),
            codes: hold.graph.as_ref().map(Seen::codes),
            until: (hold.by_hand.as_ref())
                .and_then(|by_hand| by_hand.until)
                .map(|until| Moment::of(until, now)),
            pixels: named,
            hold,
        }
    }
}

impl Found {
    fn of(finding: Finding) -> Self {
        Self {
            subject: finding.subject.clone().unwrap_or_default(),
            mark: mark(finding.mark),
            is_bad: finding.mark == Mark::Fail,
            finding,
        }
    }
}

impl Verify {
    fn of(shell: Shell, kept: &Kept, findings: Option<Vec<Finding>>) -> Self {
        Self {
            shell,
            id: kept.key.to_string(),
            name: kept.label.clone(),
            masked: kept.secret.masked(),
            pixels: verify::served(kept).into_iter().collect(),
            found: findings.map(|all| all.into_iter().map(Found::of).collect()),
        }
    }
}

/// How a check came out, in words and in a sign.
pub(super) fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Pass => "✓ good",
        Mark::Skipped => "– not known",
        Mark::Warn => "! look at it",
        Mark::Fail => "✗ bad",
    }
}

//! `GET /go-live/{pixel}`: what the last hour says about going live.

mod judge;

use std::time::Duration;

use serde::Serialize;

use super::Inner;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::alerts::Severity;
use crate::app::roster;
use crate::config::units::{Span, UnitError};
use crate::custody::alarms::alarms;
use crate::custody::ladder::{Finding, Mark, when};
use crate::lanes::Lanes;
use crate::pixel::PixelId;
use crate::test_mode::{Entry, Standing};
use crate::time::UnixMs;
use crate::tokens::{Expiry, Note, Notes, Slot};
use crate::traffic::{Report, WINDOW};

use judge::{Facts, judge};

/// How a pixel stands.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) pixel: PixelId,
    /// Nothing has to be mended.
    pub(super) ready: bool,
    #[serde(flatten)]
    pub(super) report: Report,
    pub(super) checks: Vec<Row>,
    /// The codes that are active for it.
    pub(super) test_codes: Vec<Entry>,
}

/// One check.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) check: &'static str,
    pub(super) mark: Mark,
    pub(super) says: String,
    pub(super) next: Option<String>,
}

/// `GET /go-live/{pixel}`.
pub(super) fn show(mut call: Call) -> Done {
    Box::pin(async move {
        let expected = format!("{}, such as \"30m\"; at most 1h", UnitError::Span);
        let window = call.members.parsed::<Span>("window", &expected)?;
        call.members.end()?;
        let window = window.map_or(WINDOW, Span::get);
        if !(Duration::from_mins(1)..=WINDOW).contains(&window) {
            return Err(Problem::bad("window", expected));
        }
        let pixel: PixelId = (call.id.parse()).map_err(|_| {
            Problem::bad(
                "the path",
                "name a pixel, such as /go-live/1234567890123456",
            )
        })?;
        let inner = call.admin.0;
        // it reads a file, and when the first events expire
        let look = move || look(&inner, pixel, window);
        let shown = beside(look).await?;
        let shown = shown.ok_or_else(|| {
            let next = "name a pixel of the configuration, or add it under pixels.<id>";
            Problem::not_found("the pixel is not configured", next)
        })?;
        Ok(Reply::ok(&shown))
    })
}

/// What `window` says about a pixel; none when it is not configured. Blocks.
pub(super) fn look(inner: &Inner, pixel: PixelId, window: Duration) -> Option<Shown> {
    let report = inner.traffic.report(pixel, window)?;
    let mut holds = inner.lanes.get().map(Lanes::holds).unwrap_or_default();
    holds.retain(|hold| hold.pixels.contains(&pixel));
    let mut codes = inner.test_mode.list();
    codes.retain(|entry| entry.pixel == pixel);
    let facts = Facts {
        pixel,
        report: &report,
        now: inner.clock.now(),
        token: token(inner, pixel),
        holds: &holds,
        codes: &codes,
        open_sources: inner.test_mode.open_sources(pixel),
    };
    let findings = judge(facts);
    codes.retain(|entry| entry.state == Standing::Active);
    Some(Shown {
        pixel,
        ready: findings.iter().all(|one| one.mark != Mark::Fail),
        report,
        checks: findings.into_iter().map(row).collect(),
        test_codes: codes,
    })
}

fn row(finding: Finding) -> Row {
    Row {
        check: finding.check,
        mark: finding.mark,
        says: finding.says,
        next: finding.next,
    }
}

/// What the watch over tokens knows of the one that the pixel's events travel with.
fn token(inner: &Inner, pixel: PixelId) -> Vec<Finding> {
    let in_force = inner.in_force();
    let (config, now) = (&in_force.config, inner.clock.now());
    let notes = Notes::read(&Notes::path(&config.journal.dir)).unwrap_or_default();
    let all = roster::of(config, &in_force.secrets, &in_force.held.contents);
    let serves = |(id, slot): &(PixelId, Slot)| *id == pixel && *slot == Slot::Current;
    let Some(kept) = all.iter().find(|kept| kept.pixels.iter().any(serves)) else {
        let says = "there is no token, so its events wait";
        let next = format!("hand one over: `capigate token add --pixel {pixel}`");
        return vec![Finding::new("token", Mark::Fail, says).next(next)];
    };
    let noted = notes.tokens.get(&kept.key.to_string()).cloned();
    let note = noted.unwrap_or_else(|| Note {
        facts: kept.noted.clone(),
        ..Note::default()
    });
    let troubles = alarms(kept, &note, &roster::policy(config), now);
    let mut findings = vec![life(&kept.label, &note, now)];
    findings.extend(troubles.into_iter().filter_map(|alarm| {
        let mark = match alarm.severity {
            Severity::Info => return None,
            Severity::Warning => Mark::Warn,
            Severity::Critical => Mark::Fail,
        };
        let says = format!("{}: {}", alarm.title, alarm.text);
        Some(Finding::new("token", mark, says).next(alarm.next))
    }));
    findings
}

fn life(label: &str, note: &Note, now: UnixMs) -> Finding {
    let facts = &note.facts;
    let check = "token_life";
    let Some(asked) = facts.checked_at else {
        let says = format!("nobody has asked Meta about the token {label} yet");
        return Finding::new(check, Mark::Skipped, says).next("`capigate check` asks");
    };
    let (asked, state) = (when(asked, now), facts.state.code());
    let ends = match facts.expires {
        Expiry::Never => "it does not end".to_owned(),
        Expiry::Unknown => "Meta does not say when it ends".to_owned(),
        Expiry::At(at) => format!("it ends {}", when(at, now)),
    };
    let mark = if facts.state.is_dead() {
        Mark::Fail
    } else {
        Mark::Pass
    };
    let says = format!("the token {label} is {state}, {ends}; asked {asked}");
    Finding::new(check, mark, says)
}

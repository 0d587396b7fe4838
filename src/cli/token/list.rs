//! `capigate token list`: every token with everything that is known about it, and what is due.

mod pixels;

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use super::desk::{Common, Desk};
use super::look::{ends, known, moment, shown};
use super::say::Report;
use crate::alerts::Alert;
use crate::app::roster;
use crate::custody::alarms::alarms;
use crate::custody::{Kept, Source};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::Note;

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    common: Common,
    /// Only what this pixel has
    #[arg(long, value_name = "ID")]
    pixel: Option<PixelId>,
}

/// One token with what is known of it and what is due.
struct Line {
    kept: Kept,
    note: Note,
    source: String,
    due: Vec<Alert>,
}

pub(super) fn run(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = list(args, &mut report);
    report.close(done)
}

fn list(args: &ListArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let contents = desk.contents()?;
    let (now, notes) = (desk.clock.now(), desk.notes());
    let policy = roster::policy(&desk.config);
    let is_asked = |kept: &Kept| {
        let mut own = kept.pixels.iter();
        args.pixel
            .is_none_or(|asked| own.any(|(id, _)| *id == asked))
    };
    let lines: Vec<Line> = (desk.kept(&contents).into_iter().filter(is_asked))
        .map(|kept| {
            let note = known(&kept, &notes);
            let mut due = alarms(&kept, &note, &policy, now);
            due.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
            let source = source(&desk, &kept);
            Line {
                kept,
                note,
                source,
                due,
            }
        })
        .collect();
    let shown: Vec<Value> = lines.iter().map(|line| line.json(now)).collect();
    report.set("tokens", shown)?;
    if lines.is_empty() {
        report.say("No token is kept here: `capigate token add` takes one.")?;
    } else {
        let rows: Vec<_> = lines.iter().map(|line| line.row(now)).collect();
        report.table(
            &[
                "name",
                "pixels",
                "kind",
                "token",
                "source",
                "state",
                "expires",
                "age d",
                "checked",
                "last used",
                "last error",
            ],
            &rows,
        )?;
        for (line, alert) in lines
            .iter()
            .flat_map(|line| line.due.iter().map(move |alert| (line, alert)))
        {
            report.say(&format!(
                "{}: {} → {}",
                line.kept.label, alert.title, alert.next
            ))?;
        }
    }
    let bad: Vec<_> = lines
        .iter()
        .filter(|line| !is_usable(&line.note))
        .map(|line| line.kept.key)
        .collect();
    pixels::tell(&desk, report, &contents, args.pixel, &bad)
}

/// Whether Meta has said nothing against it.
fn is_usable(note: &Note) -> bool {
    use crate::tokens::State;
    matches!(note.facts.state, State::Unknown | State::Valid)
}

/// Where it is: the vault, or what the configuration points to.
fn source(desk: &Desk, kept: &Kept) -> String {
    if let Source::Vault(_) = kept.source {
        return "vault".to_owned();
    }
    let places = kept.pixels.iter().filter_map(|(pixel, _)| {
        let own = desk.config.pixels.get(pixel)?;
        own.token.as_ref().map(ToString::to_string)
    });
    let mut places: Vec<String> = places.collect();
    places.dedup();
    places.join(", ")
}

impl Line {
    fn age(&self, now: UnixMs) -> Option<u64> {
        let since = self.note.facts.issued_at;
        let since = since.or(self.kept.added_at).or(self.note.first_seen)?;
        Some(now.since(since).as_secs() / 86_400)
    }

    fn error(&self) -> Option<String> {
        let error = self.note.usage.last_error.as_ref()?;
        Some(match error.subcode {
            Some(subcode) => format!("{}/{subcode}", error.code),
            None => error.code.to_string(),
        })
    }

    fn json(&self, now: UnixMs) -> Value {
        let (kept, usage) = (&self.kept, &self.note.usage);
        let mut all = shown(&kept.label, &kept.secret, &self.note.facts, now);
        let pixels: Vec<Value> = (kept.pixels.iter())
            .map(|(pixel, slot)| json!({"pixel": pixel, "slot": slot}))
            .collect();
        let due: Vec<Value> = (self.due.iter())
            .map(|alert| {
                json!({
                    "severity": alert.severity,
                    "title": alert.title,
                    "next": alert.next,
                })
            })
            .collect();
        all["source"] = self.source.clone().into();
        all["pixels"] = pixels.into();
        all["app_secret_known"] = kept.app.is_some().into();
        all["added_at"] = kept.added_at.map_or(Value::Null, moment);
        all["age_days"] = self.age(now).into();
        all["events"] = usage.events.into();
        all["errors"] = usage.errors.into();
        all["last_used"] = usage.last_used.map_or(Value::Null, moment);
        all["last_error"] = self.error().into();
        let at = usage.last_error.as_ref().map(|error| error.at);
        all["last_error_at"] = at.map_or(Value::Null, moment);
        all["due"] = due.into();
        all
    }

    fn row(&self, now: UnixMs) -> Vec<String> {
        let (kept, note) = (&self.kept, &self.note);
        let pixels: Vec<String> = (kept.pixels.iter())
            .map(|(pixel, slot)| format!("{pixel} ({})", slot.code()))
            .collect();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let at = |at: Option<UnixMs>| or_none(at.map(stamp));
        let state = match &note.facts.cause {
            Some(cause) => format!("{} ({cause})", note.facts.state.code()),
            None => note.facts.state.code().to_owned(),
        };
        vec![
            kept.label.clone(),
            or_none((!pixels.is_empty()).then(|| pixels.join(", "))),
            note.facts.kind.to_string(),
            kept.secret.masked(),
            self.source.clone(),
            state,
            ends(note.facts.expires, now),
            or_none(self.age(now).map(|days| days.to_string())),
            at(note.facts.checked_at),
            at(note.usage.last_used),
            or_none(self.error()),
        ]
    }
}

fn stamp(at: UnixMs) -> String {
    moment(at).as_str().unwrap_or("-").to_owned()
}

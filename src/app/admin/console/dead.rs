//! Dead letters: which there are, what would become of them, and trying them again.

use std::fmt::Write;

use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::super::call::Members;
use super::super::dead;
use super::choice::Pixels;
use super::shell::{Shell, guarded};
use super::words::{self, Moment};
use super::{Done, View, Visit, masked};
use crate::app::letters;
use crate::journal::dead::{Group, Letter};
use crate::telemetry::metrics::DEAD_REASONS;
use crate::time::UnixMs;

/// The list.
const LIST: &str = "/console/dead";
/// Letters of a page.
const PAGE: usize = 100;
/// Members of a redrive beside the conditions.
const UNCONFIRMED: &str = "include_unconfirmed";

/// The conditions of a filter that say something.
#[derive(Default)]
struct Asked(Vec<(&'static str, String)>);

struct Row {
    letter: Letter,
    dead: Moment,
}

#[derive(Template)]
#[template(path = "dead.html", config = "src/app/admin/console/askama.toml")]
struct List {
    shell: Shell,
    asked: Asked,
    pixels: Pixels,
    reasons: &'static [&'static str],
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
    /// The same conditions in an address.
    query: String,
    letters: u64,
    /// How many events were given up, in words.
    events: String,
    size: String,
    oldest: Option<Moment>,
    groups: Vec<(Group, String)>,
}

#[derive(Template)]
#[template(
    path = "dead_letter.html",
    config = "src/app/admin/console/askama.toml"
)]
struct One {
    shell: Shell,
    letter: Letter,
    options: Option<String>,
    /// Where its receipt is.
    receipt: Option<String>,
    received: Moment,
    expired: Moment,
    dead: Moment,
    happened: Moment,
    event: String,
}

/// What would be done, before it is.
#[derive(Template)]
#[template(path = "dead_plan.html", config = "src/app/admin/console/askama.toml")]
struct Plan {
    shell: Shell,
    asked: Asked,
    query: String,
    is_purge: bool,
    is_everything: bool,
    takes_unconfirmed: bool,
    /// Of letters: those that are meant, and those that something would be done with.
    matched: u64,
    done: u64,
    /// Those, in words.
    letters: String,
    refused: u64,
    unconfirmed: u64,
    refusals: Vec<Refusal>,
    stopped: Option<String>,
}

struct Refusal {
    id: String,
    code: String,
    path: String,
    rule: String,
}

/// `GET /console/dead`.
pub(super) fn show(mut visit: Visit) -> Done {
    Box::pin(async move {
        let asked = Asked::of(&mut visit.members);
        let after = dead::id(&mut visit.members, "after")?;
        let filter = dead::filter_of(&asked.value())?;
        visit.taken().end()?;
        let inner = visit.inner();
        let now = inner.clock.now();
        let pixel = filter.pixel;
        let page = dead::found(inner, filter, after, PAGE).await?;
        let all = dead::summed(inner).await?;
        let next = page.next.map(|after| {
            let mut query = asked.serializer();
            query.append_pair("after", &after.to_string());
            format!("{LIST}?{}", query.finish())
        });
        let at = |at: i64| Moment::of(UnixMs(at), now);
        View::of(&List {
            pixels: Pixels::of(inner, pixel),
            reasons: DEAD_REASONS,
            rows: page
                .letters
                .into_iter()
                .map(|letter| Row {
                    dead: at(letter.dead_at.0),
                    letter,
                })
                .collect(),
            next,
            query: asked.query(),
            letters: all.letters,
            events: words::counted(all.letters, "event"),
            size: words::bytes(all.bytes),
            oldest: all.oldest_at.map(at),
            groups: all.groups.into_iter().map(linked).collect(),
            asked,
            shell: visit.shell,
        })
    })
}

/// `GET /console/dead/{id}`.
pub(super) fn one(visit: Visit) -> Done {
    Box::pin(async move {
        let shown = dead::one(visit.inner(), &visit.id).await?;
        let now = visit.inner().clock.now();
        visit.members.end()?;
        let at = |at: UnixMs| Moment::of(at, now);
        let letter = shown.letter;
        let options = serde_json::to_string(&letter.options).ok();
        View::of(&One {
            shell: visit.shell,
            options: options
                .filter(|_| !letter.options.is_empty())
                .map(|json| masked::laid_out(&json)),
            receipt: letter.event_id.as_ref().map(|id| {
                let mut query = Serializer::new(String::new());
                query.append_pair("event_id", id);
                format!("/console/receipt?{}", query.finish())
            }),
            received: at(letter.received_at),
            expired: at(letter.expires_at),
            dead: at(letter.dead_at),
            happened: at(UnixMs::from_secs(letter.event_time)),
            event: masked::laid_out(shown.event.get()),
            letter,
        })
    })
}

/// `GET /console/dead/export`.
pub(super) fn export(mut visit: Visit) -> Done {
    Box::pin(async move {
        let asked = Asked::of(&mut visit.members);
        let call = visit.call("", asked.members([]));
        visit.members.end()?;
        let mut response = dead::export(call).await?.into_response();
        let headers = response.headers_mut();
        guarded(headers);
        headers.insert(
            CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"dead-letters.ndjson\""),
        );
        Ok(View::Own(response))
    })
}

/// `GET /console/dead/redrive`: what a redrive would do.
pub(super) fn plan_redrive(mut visit: Visit) -> Done {
    Box::pin(async move {
        let asked = Asked::of(&mut visit.members);
        let takes_unconfirmed = visit.members.flag(UNCONFIRMED)?;
        visit.taken().end()?;
        let dry = [
            ("dry_run", Value::Bool(true)),
            (UNCONFIRMED, Value::Bool(takes_unconfirmed)),
        ];
        let report = dead::redrive(visit.call("", asked.members(dry))).await?;
        let report = report.value().await;
        let refusals = report["refusals"].as_array().into_iter().flatten();
        View::of(&Plan {
            shell: visit.shell,
            query: asked.query(),
            is_purge: false,
            is_everything: asked.0.is_empty(),
            takes_unconfirmed,
            matched: number(&report, "matched"),
            done: number(&report, "would_redrive"),
            letters: words::counted(number(&report, "would_redrive"), "letter"),
            refused: number(&report, "refused"),
            unconfirmed: number(&report, "unconfirmed"),
            refusals: refusals
                .map(|one| Refusal {
                    id: text(one, "id"),
                    code: text(one, "code"),
                    path: text(one, "path"),
                    rule: text(one, "rule"),
                })
                .collect(),
            stopped: report["stopped"].as_str().map(str::to_owned),
            asked,
        })
    })
}

/// `GET /console/dead/purge`: what a purge would do.
pub(super) fn plan_purge(mut visit: Visit) -> Done {
    Box::pin(async move {
        let asked = Asked::of(&mut visit.members);
        visit.taken().end()?;
        let is_everything = asked.0.is_empty();
        let dry = [
            ("dry_run", Value::Bool(true)),
            ("all", Value::Bool(is_everything)),
        ];
        let report = dead::purge(visit.call("", asked.members(dry))).await?;
        let letters = number(&report.value().await, "letters");
        View::of(&Plan {
            shell: visit.shell,
            query: asked.query(),
            is_purge: true,
            is_everything,
            takes_unconfirmed: false,
            matched: letters,
            done: letters,
            letters: words::counted(letters, "letter"),
            refused: 0,
            unconfirmed: 0,
            refusals: Vec::new(),
            stopped: None,
            asked,
        })
    })
}

/// `POST /console/dead/redrive`.
pub(super) fn redrive(mut visit: Visit) -> Done {
    Box::pin(async move {
        let members = visit.taken();
        let report = visit
            .done(dead::redrive(visit.call("", members)).await?)
            .await;
        let redriven = number(&report, "redriven");
        let mut said = format!(
            "Back in the journal: {}.",
            words::counted(redriven, "letter")
        );
        for (name, what) in [
            ("refused", "did not pass and stay"),
            ("unconfirmed", "may have been delivered and stay"),
        ] {
            let count = number(&report, name);
            if count > 0 {
                let _ = write!(said, " {count} {what}.");
            }
        }
        if let Some(why) = report["stopped"].as_str() {
            let _ = write!(said, " It stopped before the end: {why}.");
        }
        Ok(View::Go(LIST.to_owned(), said))
    })
}

/// `POST /console/dead/purge`.
pub(super) fn purge(mut visit: Visit) -> Done {
    Box::pin(async move {
        let members = visit.taken();
        let report = visit
            .done(dead::purge(visit.call("", members)).await?)
            .await;
        let letters = number(&report, "letters");
        let said = format!("Gone for good: {}.", words::counted(letters, "letter"));
        Ok(View::Go(LIST.to_owned(), said))
    })
}

impl Asked {
    fn of(members: &mut Members) -> Self {
        let taken = members.take(letters::KEYS);
        let said = letters::KEYS.iter().filter_map(|key| {
            let text = taken[*key].as_str()?.trim();
            (!text.is_empty()).then(|| (*key, text.to_owned()))
        });
        Self(said.collect())
    }

    /// What a condition says; nothing where there is none.
    fn get(&self, key: &str) -> &str {
        let mut all = self.0.iter();
        all.find(|(name, _)| *name == key)
            .map_or("", |(_, text)| text)
    }

    fn value(&self) -> Value {
        let pairs = self.0.iter().cloned();
        let pairs = pairs.map(|(key, text)| (key.to_owned(), Value::String(text)));
        Value::Object(pairs.collect())
    }

    fn members<const N: usize>(&self, also: [(&'static str, Value); N]) -> Members {
        let pairs = self.0.iter().cloned();
        let pairs = pairs.map(|(key, text)| (key, Value::String(text)));
        Members::of(pairs.chain(also))
    }

    fn serializer(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.0);
        query
    }

    fn query(&self) -> String {
        self.serializer().finish()
    }
}

/// A group with the address of its list.
fn linked(group: Group) -> (Group, String) {
    let pairs = [
        ("pixel", group.pixel.to_string()),
        ("reason", group.reason.clone()),
    ];
    let mut query = Serializer::new(String::new());
    query.extend_pairs(&pairs);
    let address = format!("{LIST}?{}", query.finish());
    (group, address)
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_default()
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

//! The live tail: what happens to events while somebody looks.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;

use super::super::tail::Rows;
use super::choice::Pixels;
use super::shell::Shell;
use super::stream::{self, Kind};
use super::words::{span, time};
use super::{Done, View, Visit};
use crate::pixel::PixelId;
use crate::tail::{self, Verdict};
use crate::time::UnixMs;

/// Rows that are sent at once; others are counted.
const MAX_ROWS: usize = 50;
/// Rows that the page keeps.
const MAX_KEPT: usize = 300;
/// For how long one stream lasts; the browser opens the next one, which asks for the session again.
const LASTS: Duration = Duration::from_mins(1);
/// The fields that have a dot of their own, in this order.
const DOTS: [&str; 8] = [
    "em",
    "ph",
    "external_id",
    "fbc",
    "fbp",
    "client_ip_address",
    "client_user_agent",
    "fn",
];

#[derive(Template)]
#[template(path = "live.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    pixels: Pixels,
    stream: String,
    dots: String,
    most: usize,
    watchers: usize,
}

#[derive(Template)]
#[template(path = "live_rows.html", config = "src/app/admin/console/askama.toml")]
struct Fresh {
    rows: Vec<Row>,
    dropped: u64,
}

struct Row {
    at: String,
    utc: String,
    event_name: String,
    event_id: Option<String>,
    /// Where its receipt is.
    receipt: String,
    pixel: String,
    source: String,
    dots: String,
    keys: String,
    verdict: &'static str,
    reason: &'static str,
    is_bad: bool,
    latency: String,
}

/// `GET /console/live`.
pub(super) fn show(mut visit: Visit) -> Done {
    Box::pin(async move {
        let pixel = pixel(&mut visit)?;
        visit.taken().end()?;
        let query = pixel.map_or_else(String::new, |pixel| format!("?pixel={pixel}"));
        View::of(&Page {
            pixels: Pixels::of(visit.inner(), pixel),
            shell: visit.shell,
            stream: format!("/console/live/stream{query}"),
            dots: DOTS.join(", "),
            most: MAX_KEPT,
            watchers: tail::MAX_WATCHERS,
        })
    })
}

/// `GET /console/live/stream`.
pub(super) fn stream(mut visit: Visit) -> Done {
    Box::pin(async move {
        let pixel = pixel(&mut visit)?;
        visit.members.end()?;
        let permit = stream::place(&visit.admin)?;
        let (admin, headers) = (visit.admin.clone(), visit.headers);
        let write = move |rows: &[Arc<tail::Row>], dropped| {
            // the stream holds its place for as long as it lasts
            let _held = &permit;
            stream::lives(&admin, &headers).then(|| written(rows, dropped))
        };
        let body = Rows::body(&visit.admin, pixel, MAX_ROWS, LASTS, write)?;
        Ok(View::Own(stream::response(body)))
    })
}

fn pixel(visit: &mut Visit) -> Result<Option<PixelId>, super::Problem> {
    let expected = "send the id of a pixel, such as 1234567890123456";
    visit.members.parsed("pixel", expected)
}

fn written(rows: &[Arc<tail::Row>], dropped: u64) -> String {
    if rows.is_empty() && dropped == 0 {
        // a comment, and a short pause before the next stream
        return "retry: 500\n: quiet\n\n".to_owned();
    }
    let fresh = Fresh {
        rows: rows.iter().map(|row| Row::of(row)).collect(),
        dropped,
    };
    let html = fresh.render().unwrap_or_default();
    let event = stream::event(Kind::Rows, &html);
    String::from_utf8_lossy(&event).into_owned()
}

impl Row {
    fn of(row: &tail::Row) -> Self {
        let names: Vec<&str> = row.keys.names().collect();
        let dot = |key: &&str| if names.contains(key) { '●' } else { '○' };
        let others = names.iter().filter(|name| !DOTS.contains(name)).count();
        let others = if others > 0 {
            format!(" +{others}")
        } else {
            String::new()
        };
        let id = row.event_id.as_deref().unwrap_or_default();
        let query: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let utc = row.at.to_rfc3339();
        Self {
            at: clock(row.at),
            utc,
            event_name: row.event_name.clone(),
            event_id: row.event_id.clone(),
            receipt: format!("/console/receipt?event_id={query}"),
            pixel: row.pixel.to_string(),
            source: row.source.clone().unwrap_or_default(),
            dots: DOTS.iter().map(dot).collect::<String>() + &others,
            keys: if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            },
            verdict: row.verdict.word(),
            reason: row.reason.unwrap_or_default(),
            is_bad: matches!(row.verdict, Verdict::Refused | Verdict::Dead),
            latency: match row.verdict {
                Verdict::Refused | Verdict::Filtered => String::new(),
                _ => milliseconds(row.latency_ms),
            },
        }
    }
}

/// As precise as they are.
fn milliseconds(latency: u64) -> String {
    if latency < 1000 {
        format!("{latency} ms")
    } else if latency < 60_000 {
        time(latency as f64 / 1000.0)
    } else {
        span(latency / 1000)
    }
}

/// The time of the day, in UTC.
fn clock(at: UnixMs) -> String {
    let seconds = at.secs().rem_euclid(86_400);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_cannot_write_into_the_page() {
        let row = tail::Row {
            at: UnixMs::from_secs(3_723),
            pixel: "7".parse().unwrap(),
            event_name: "<b>&\"'</b>".to_owned(),
            event_id: Some("a b&c=<i>".to_owned()),
            source: Some("shop".to_owned()),
            keys: crate::event::MatchKeys::default(),
            verdict: Verdict::Refused,
            reason: Some("too_old"),
            latency_ms: 7,
        };
        let html = Fresh {
            rows: vec![Row::of(&row)],
            dropped: 3,
        };
        let html = html.render().unwrap();
        assert!(!html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert!(html.contains("event_id=a+b%26c%3D%3Ci%3E"), "{html}");
        assert!(
            html.contains("01:02:03") && html.contains("too_old"),
            "{html}"
        );
        assert!(html.contains("3 more"), "{html}");
        assert!(written(&[], 0).starts_with("retry:"));
    }
}

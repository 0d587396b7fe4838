//! The receipt of an event: what is known of it from its arrival to Meta's answer.

mod trail;

use askama::Template;
use axum::http::header::HOST;
use serde_json::json;

use super::super::call::Members;
use super::super::issues::Shown;
use super::super::search::{self, Kept, MAX_SHOWN, Matches};
use super::super::work::beside;
use super::super::{dead, events, issues};
use super::shell::Shell;
use super::words::{Moment, counted};
use super::{Done, Problem, View, Visit};
use crate::event::Wanted;
use crate::receipts::{Receipt, State};
use crate::time::UnixMs;
use trail::{Trail, word};

/// Where the page is.
const PAGE: &str = "/console/receipt";
/// Bytes of what is typed into the box.
const MAX_TEXT: usize = 1024;

#[derive(Template)]
#[template(path = "receipt.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    /// The id that is known, never what was typed into the box otherwise.
    event_id: String,
    /// What was searched, or why nothing was found.
    says: Option<String>,
    trails: Vec<Trail>,
    found: Vec<Found>,
    /// What is known of events that were found and have ended; their ids are not.
    ended: Vec<Trail>,
    /// Why an event was not accepted.
    refused: Vec<Refused>,
    more: bool,
    curl: String,
}

/// What was wrong with an event that was not accepted.
struct Refused {
    title: String,
    pixel: String,
    cause: String,
    fix: String,
    /// When the issue was last seen, with this event or another.
    last: Moment,
}

/// An event that a search has found.
struct Found {
    receipt: String,
    event_id: String,
    event_name: String,
    pixel: String,
    state: &'static str,
    at: Option<Moment>,
}

/// `GET /console/receipt`.
pub(super) fn show(mut visit: Visit) -> Done {
    Box::pin(async move {
        let event_id = visit.members.text("event_id")?;
        let Visit { members, .. } = visit;
        members.end()?;
        let Some(event_id) = event_id else {
            return View::of(&Page::empty(visit.shell, None));
        };
        let host = visit.headers.get(HOST).and_then(|host| host.to_str().ok());
        let curl = curl(host, &event_id);
        let known = known(&visit.admin, &event_id).await?;
        let inner = visit.admin.0;
        let now = inner.clock.now();
        let Some((answer, kept)) = known else {
            let refused = issues::of_event(&inner, &event_id).into_iter();
            let refused: Vec<Refused> = refused.map(|one| Refused::of(one, now)).collect();
            let says = match refused.as_slice() {
                [] => {
                    "No event with this event_id is known: it was never accepted here (then the answer to its request said why), or its end is longer ago than receipts.keep."
                }
                _ => {
                    "An event with this event_id came and was not accepted, so nothing of it is kept. This is what was wrong:"
                }
            };
            return View::of(&Page {
                refused,
                ..Page::empty(visit.shell, Some(says.to_owned()))
            });
        };
        let mut kept: Vec<Kept> = kept.waiting.into_iter().chain(kept.dead).collect();
        let mut trails: Vec<Trail> = Vec::new();
        for receipt in answer {
            let own = kept.iter().position(|one| is_of(one, &receipt));
            let own = own.map(|at| kept.remove(at));
            trails.push(Trail::of(&receipt, own, now));
        }
        // dead letters are kept for longer than receipts
        for one in kept.into_iter().filter(|one| one.letter.is_some()) {
            let receipt = one.receipt.clone();
            trails.push(Trail::of(&receipt, Some(one), now));
        }
        View::of(&Page {
            event_id,
            trails,
            curl,
            ..Page::empty(visit.shell, None)
        })
    })
}

/// Receipts, and what is kept in full; none where nothing is known.
async fn known(
    admin: &super::Admin,
    event_id: &str,
) -> Result<Option<(Vec<Receipt>, Matches)>, Problem> {
    let receipts = match events::known(admin, event_id.to_owned()).await {
        Ok(answer) => answer.events,
        Err(problem) if problem.code == "not_found" => Vec::new(),
        Err(problem) => return Err(problem),
    };
    let is_ended = |receipt: &Receipt| {
        let state = receipt.state;
        matches!(state, State::Delivered | State::Filtered | State::Accepted)
    };
    let kept = if !receipts.is_empty() && receipts.iter().all(is_ended) {
        // nothing of it is kept in full
        Matches::default()
    } else {
        searched(admin, Wanted::event_id(event_id)).await?
    };
    let is_known = !receipts.is_empty() || !kept.dead.is_empty();
    Ok(is_known.then_some((receipts, kept)))
}

async fn searched(admin: &super::Admin, wanted: Wanted) -> Result<Matches, Problem> {
    let place = admin.0.places.take()?;
    let admin = admin.clone();
    let found = beside(move || {
        let _place = place;
        search::look(&admin.0, &wanted)
    });
    found.await?
}

/// Whether what is kept in full is what a receipt is about.
fn is_of(kept: &Kept, receipt: &Receipt) -> bool {
    let is_dead = receipt.state == State::Dead;
    kept.receipt.pixel == receipt.pixel
        && kept.letter.is_some() == is_dead
        && (!is_dead || kept.receipt.at == receipt.at)
        && receipt.state != State::Delivered
}

/// `POST /console/receipt`: what is typed into the box comes in a body, and is not told again.
pub(super) fn search(mut visit: Visit) -> Done {
    Box::pin(async move {
        let typed = visit.members.text("q")?.unwrap_or_default();
        visit.members.end()?;
        let typed = typed.trim();
        if typed.is_empty() || typed.len() > MAX_TEXT {
            let says = format!(
                "Type an event_id, an order_id or an e-mail address, up to {MAX_TEXT} bytes."
            );
            return View::of(&Page::empty(visit.shell, Some(says)));
        }
        let (by, wanted) = if typed.contains('@') {
            ("of this address", search::by_email(typed)?)
        } else {
            if known(&visit.admin, typed).await?.is_some() {
                let id: String = url::form_urlencoded::byte_serialize(typed.as_bytes()).collect();
                return Ok(View::Own(super::go(&format!("{PAGE}?event_id={id}"))));
            }
            ("with this order_id or event_id", Wanted::order_id(typed))
        };
        let matches = searched(&visit.admin, wanted).await?;
        let now = visit.admin.0.clock.now();
        let found: Vec<Found> = (matches.waiting.into_iter())
            .chain(matches.dead)
            .map(|kept| Found::of(kept, now))
            .collect();
        let ended = matches.ended.iter();
        let ended: Vec<Trail> = ended.map(|one| Trail::of(one, None, now)).collect();
        let says = match found.len() + ended.len() {
            0 => format!("No event {by} was found. Searched: {}.", matches.searched),
            1 => format!("One event {by} was found. Searched: {}.", matches.searched),
            n if matches.more => format!(
                "Found {n} events {by}; there are more. Shown are at most {MAX_SHOWN} that wait, {MAX_SHOWN} that are dead, and the newest {MAX_SHOWN} that have ended. Searched: {}.",
                matches.searched
            ),
            n => format!(
                "Found {} {by}. Searched: {}.",
                counted(n as u64, "event"),
                matches.searched
            ),
        };
        View::of(&Page {
            found,
            ended,
            more: matches.more,
            ..Page::empty(visit.shell, Some(says))
        })
    })
}

/// `POST /console/receipt/resend`: one dead letter, by the redrive.
pub(super) fn resend(mut visit: Visit) -> Done {
    Box::pin(async move {
        let letter = visit.members.text("letter")?;
        let event_id = visit.members.text("event_id")?.unwrap_or_default();
        let letter =
            letter.ok_or_else(|| Problem::bad("letter", "send the id of a dead letter"))?;
        let members = Members::of([("ids", json!([letter])), ("dry_run", json!(false))]);
        let call = visit.call("", members);
        visit.taken().end()?;
        let report = visit.done(dead::redrive(call).await?).await;
        let said = match (&report["redriven"], &report["refusals"][0]) {
            (sent, _) if sent == 1 => "It is on its way again.".to_owned(),
            (_, refusal) if refusal.is_object() => {
                let text = |name: &str| refusal[name].as_str().unwrap_or_default().to_owned();
                let (code, path, rule) = (text("code"), text("path"), text("rule"));
                format!("It was not sent: {code} {path}: {rule}")
            }
            _ => match report["stopped"].as_str() {
                Some(why) => format!("It was not sent, since this stopped it: {why}."),
                None => "It was not sent: there is no such dead letter any more.".to_owned(),
            },
        };
        let id: String = url::form_urlencoded::byte_serialize(event_id.as_bytes()).collect();
        Ok(View::Go(format!("{PAGE}?event_id={id}"), said))
    })
}

impl Page {
    fn empty(shell: Shell, says: Option<String>) -> Self {
        Self {
            shell,
            event_id: String::new(),
            says,
            trails: Vec::new(),
            found: Vec::new(),
            ended: Vec::new(),
            refused: Vec::new(),
            more: false,
            curl: String::new(),
        }
    }
}

impl Refused {
    fn of(shown: Shown, now: UnixMs) -> Self {
        Self {
            title: shown.words.title,
            pixel: shown.issue.kind.pixel.to_string(),
            cause: shown.words.cause,
            fix: shown.words.fix,
            last: Moment::of(shown.issue.last_seen, now),
        }
    }
}

impl Found {
    fn of(kept: Kept, now: UnixMs) -> Self {
        let receipt = kept.receipt;
        let id = receipt.event_id.unwrap_or_default();
        let query: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let at = receipt.at.or(receipt.received_at);
        Self {
            receipt: format!("{PAGE}?event_id={query}"),
            event_id: id,
            event_name: receipt.event_name.unwrap_or_default(),
            pixel: receipt.pixel.to_string(),
            state: word(receipt.state),
            at: at.map(|at| Moment::of(UnixMs(at), now)),
        }
    }
}

/// The same question to the admin API, with a placeholder for the key.
fn curl(host: Option<&str>, event_id: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".:-[]".contains(&b);
    let host = host.filter(|host| !host.is_empty() && host.bytes().all(plain));
    let host = host.unwrap_or("127.0.0.1:8081");
    let id: String = event_id
        .bytes()
        .map(|b| match b {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    // curl takes out `.` and `..` of a path
    let as_is = if matches!(event_id, "." | "..") {
        " --path-as-is"
    } else {
        ""
    };
    format!(
        "curl{as_is} -H \"Authorization: Bearer $CAPIGATE_ADMIN_KEY\" 'http://{host}/events/{id}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_one_command_whatever_the_id_is() {
        let said = curl(Some("127.0.0.1:8081"), "a'b $(c)");
        assert!(
            said.ends_with("'http://127.0.0.1:8081/events/a%27b%20%24%28c%29'"),
            "{said}"
        );
        assert!(!curl(Some("x'y"), "a").contains("x'y"));
        for (id, is_as_is) in [("..", true), (".", true), ("a..b", false)] {
            let said = curl(None, id);
            assert_eq!(said.contains("--path-as-is"), is_as_is, "{said}");
        }
    }
}

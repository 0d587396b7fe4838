//! The first run: from no pixel to going live, one step after the other.

use std::sync::Arc;

use askama::Template;

use super::super::call::Members;
use super::super::{Inner, config};
use super::shell::Shell;
use super::stream::{self, Kind};
use super::{Done, View, Visit};
use crate::app::reload::InForce;
use crate::config::sources::Source;
use crate::pixel::PixelId;
use crate::text::counted;
use crate::traffic::WINDOW;

/// The page.
const HOME: &str = "/console/first";
/// What stands where a pixel's id goes.
const EXAMPLE: &str = "1234567890123456";

#[derive(Template)]
#[template(path = "first.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    now: Now,
}

#[derive(Template)]
#[template(path = "first_now.html", config = "src/app/admin/console/askama.toml")]
struct Now {
    steps: Vec<Step>,
    /// Where the configuration is.
    file: String,
}

struct Step {
    title: &'static str,
    state: State,
    says: String,
    lines: Vec<Lines>,
    /// Where to look at it, and what that is.
    link: Option<(String, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Next,
    Later,
}

/// What is to be copied.
struct Lines {
    id: &'static str,
    what: &'static str,
    text: String,
}

/// `GET /console/first`.
pub(super) fn show(visit: Visit) -> Done {
    Box::pin(async move {
        let now = Now::of(visit.inner());
        visit.members.end()?;
        View::of(&Page {
            shell: visit.shell,
            now,
        })
    })
}

/// `GET /console/first/stream`: how far it is.
pub(super) fn stream(visit: Visit) -> Done {
    Box::pin(async move { stream::again(visit, Kind::Page, |inner| Now::of(inner).render().ok()) })
}

/// `POST /console/first/reload`.
pub(super) fn reload(mut visit: Visit) -> Done {
    Box::pin(async move {
        let call = visit.call("", Members::none());
        visit.taken().end()?;
        let said = visit.done(config::reload(call).await?).await;
        let said = match said["result"].as_str() {
            Some("applied") => "The changed configuration is in force.",
            _ => "The files say what is in force already: save the lines first.",
        };
        Ok(View::Go(HOME.to_owned(), said.to_owned()))
    })
}

impl Now {
    fn of(inner: &Inner) -> Self {
        let in_force = inner.in_force();
        let layers = inner.reloader().and_then(|reloader| reloader.layers());
        let file = layers.and_then(|layers| layers.files.first());
        // the one that is furthest leads
        let ways = in_force
            .config
            .pixels
            .keys()
            .map(|id| Way::of(inner, &in_force, *id));
        let mut ways: Vec<Way> = ways.take(100).collect();
        ways.sort_by_key(|way| std::cmp::Reverse(way.done()));
        let way = ways.into_iter().next().unwrap_or_default();
        Self {
            steps: steps(&in_force, &way),
            file: file.map_or_else(
                || {
                    "the configuration file, with which the gateway is started (--config FILE)"
                        .to_owned()
                },
                |file| file.display().to_string(),
            ),
        }
    }
}

/// How far a pixel is.
#[derive(Default)]
struct Way {
    pixel: Option<PixelId>,
    has_token: bool,
    source: Option<String>,
    events: u64,
    delivered: u64,
    has_code: bool,
}

impl Way {
    fn of(inner: &Inner, in_force: &InForce, pixel: PixelId) -> Self {
        let config = &in_force.config;
        let configured = config.pixels.get(&pixel);
        let may_post = |source: &Source| {
            let is_known = !source.keys.is_empty() || !source.origins.is_empty();
            is_known && source.pixels.contains(&pixel)
        };
        let source = config.sources.iter().find(|(_, source)| may_post(source));
        let report = inner.traffic.report(pixel, WINDOW).unwrap_or_default();
        let active = inner.test_mode.active();
        Self {
            pixel: Some(pixel),
            has_token: configured.is_some_and(|pixel| pixel.token.is_some())
                || in_force.held.contents.pixels.contains_key(&pixel),
            source: source.map(|(name, _)| name.clone()),
            events: report.events,
            delivered: report.delivered,
            has_code: active.iter().any(|entry| entry.pixel == pixel),
        }
    }

    fn done(&self) -> usize {
        self.all().into_iter().take_while(|done| *done).count()
    }

    fn all(&self) -> [bool; 5] {
        [
            self.pixel.is_some(),
            self.has_token,
            self.source.is_some(),
            self.events > 0,
            self.delivered > 0 && !self.has_code,
        ]
    }
}

fn steps(in_force: &Arc<InForce>, way: &Way) -> Vec<Step> {
    let id = way
        .pixel
        .map_or_else(|| EXAMPLE.to_owned(), |id| id.to_string());
    let mut is_next = true;
    let contents = [
        pixel(in_force, way),
        token(way, &id),
        source(way, &id),
        event(in_force, way, &id),
        live(way, &id),
    ];
    let steps = contents.into_iter().zip(way.all());
    steps
        .map(|(mut step, is_done)| {
            step.state = match (is_done, is_next) {
                (true, _) => State::Done,
                (false, true) => State::Next,
                (false, false) => State::Later,
            };
            is_next &= is_done;
            if step.state == State::Done {
                step.lines.clear();
            }
            step
        })
        .collect()
}

fn step(title: &'static str, says: impl Into<String>, lines: Vec<Lines>) -> Step {
    Step {
        title,
        state: State::Later,
        says: says.into(),
        lines,
        link: None,
    }
}

fn lines(id: &'static str, what: &'static str, text: impl Into<String>) -> Lines {
    let text = text.into();
    Lines { id, what, text }
}

fn pixel(in_force: &InForce, way: &Way) -> Step {
    let says = match way.pixel {
        Some(id) => format!("Pixel {id} is configured."),
        None => "Which pixel (Meta also says dataset) are the events for? Its id is in the Events Manager, under Data sources. Put these lines into the configuration, with the id in place of the example, and reload.".to_owned(),
    };
    let text = format!(
        "[pixels.{EXAMPLE}]\nname = \"Example Shop, web\"\nsite = \"https://shop.example\""
    );
    let mut all = Vec::new();
    // a pixel without a token is taken where there is a vault that may get one
    if in_force.held.vault.is_none() {
        all.push(lines(
            "vault-command",
            "command that makes a key for the vault of tokens, and says which lines the configuration needs for it (these take a restart of the gateway, all others a reload)",
            "capigate token init",
        ));
    }
    all.push(lines("pixel-lines", "lines for the configuration", text));
    step("Pixel", says, all)
}

fn token(way: &Way, id: &str) -> Step {
    if way.has_token {
        let mut step = step("Token", format!("Pixel {id} has a token."), Vec::new());
        step.link = Some((format!("/console/pixels?pixel={id}"), "See what it may do"));
        return step;
    }
    let all = vec![
        lines(
            "guide-command",
            "command that leads through Meta’s pages to a token",
            "capigate token guide",
        ),
        lines(
            "token-command",
            "command that takes a token, checks it and seals it into the vault",
            format!("capigate token add --pixel {id}"),
        ),
    ];
    let says = "The gateway sends with a token of Meta’s. On the machine of the gateway, with the same --config as it has; then reload.";
    let mut step = step("Token", says, all);
    let form = |pixel| format!("/console/pixels/rotate?pixel={pixel}");
    step.link = way.pixel.map(|pixel| (form(pixel), "Or paste it here"));
    step
}

fn source(way: &Way, id: &str) -> Step {
    if let Some(name) = &way.source {
        return step(
            "Source key",
            format!("Source {name} may post for it."),
            Vec::new(),
        );
    }
    let text = format!(
        "[sources.shop]\nkeys = [{{ file = \"/etc/capigate/shop.key\" }}]\npixels = [\"{id}\"]"
    );
    step(
        "Source key",
        "Who posts shows a key of your choice: it stands where Meta’s access token stood. Make one, put the lines into the configuration, and reload.",
        vec![
            lines(
                "key-command",
                "command that makes a key",
                "(umask 077; openssl rand -hex 32 > /etc/capigate/shop.key)",
            ),
            lines("source-lines", "lines for the configuration", text),
        ],
    )
}

fn event(in_force: &InForce, way: &Way, id: &str) -> Step {
    if way.events > 0 {
        let says = format!("{} came in the last hour.", counted(way.events, "event"));
        return step("First event", says, Vec::new());
    }
    let config = &in_force.config;
    let scheme = if config.listen.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let (address, version) = (config.listen.ingest, &config.graph.version);
    let event = r#"{"data":[{"event_name":"PageView","event_time":'"$(date +%s)"',"event_id":"first-run","action_source":"website","event_source_url":"https://shop.example/","user_data":{"em":"jane.doe@example.com","client_user_agent":"first run"}}]}"#;
    let text = format!(
        "curl -sS '{scheme}://{address}/{version}/{id}/events' \\\n  -H \"Authorization: Bearer $(cat /etc/capigate/shop.key)\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{event}'"
    );
    let says = "Let the shop post to the gateway in place of graph.facebook.com, or post one event by hand. It counts as a real one: with a test code (Test lab) it shows up under Test events as well. This page notices when it comes.";
    let mut step = step(
        "First event",
        says,
        vec![lines("event-command", "command that posts an event", text)],
    );
    step.link = Some((
        format!("/console/lab?pixel={id}&preset=PageView"),
        "Or send one from the Test lab",
    ));
    step
}

fn live(way: &Way, id: &str) -> Step {
    let says = match (way.delivered, way.has_code) {
        (0, _) => "The checklist says what is left to do before all traffic comes here.".to_owned(),
        (count, has_code) => {
            let code = if has_code {
                "; a test code is still active"
            } else {
                ""
            };
            let events = counted(count, "event");
            format!("Meta has taken {events} in the last hour{code}.")
        }
    };
    let mut step = step("Go live", says, Vec::new());
    step.link = Some((
        format!("/console/lab?pixel={id}#go-live"),
        "See the checklist",
    ));
    step
}

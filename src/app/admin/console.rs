//! The console: pages for a person, on the admin listener.
//!
//! **Promises.** No page without a session, which an admin key opens; what the key may do, the session
//! may, and it ends when the key is configured no more. Every change carries a token of its session,
//! comes from a page of the same origin, runs to its end and leaves a line in the log, as the admin
//! API's do. Pages have no third party, no script but one of ours, and no token and no personal value.
//! **Refuses.** To be framed, and forms from elsewhere.
//! **Limits.** 64 streams at once. Sessions live for 12 hours, one without requests, and 64 of them for a key at once, in memory:
//! a restart ends them. Wrong keys count with those of the admin API: ten a minute from an address.

mod access;
mod assets;
mod choice;
mod dead;
mod first;
mod funnel;
mod issues;
mod lab;
mod live;
mod masked;
mod meta;
mod overview;
mod pixels;
mod quality;
mod receipt;
mod seen;
mod session;
mod shell;
mod spark;
mod stopped;
mod stream;
mod system;
mod words;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{HOST, LOCATION, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::routing::{self, on, post};

use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::subject::{self, Subject};
use super::table::{Row, ask, audited, change, get};
use super::{Admin, Inner};
use crate::app::letters;
use crate::ingest::listener::Peer;

pub(super) use session::Sessions;
use session::Viewer;
use shell::{Shell, failure};
pub(super) use stream::Streams;

/// Where the console begins.
pub(super) const HOME: &str = "/console";
/// The member of every form that changes something.
const CSRF: &str = "csrf";

/// What a page comes to.
type Done = Pin<Box<dyn Future<Output = Result<View, Problem>> + Send>>;

type Run = fn(Visit) -> Done;
/// One page, or one change that a page asks for. A question is a form whose words must be in no
/// address.
type Page = Row<Run>;

/// All of them. What changes something is a POST, needs the role of an admin and is audited.
const PAGES: &[Page] = &[
    get(HOME, overview::show),
    get("/console/overview/stream", overview::stream),
    get("/console/funnel", funnel::show),
    get("/console/stopped", stopped::show),
    get("/console/quality", quality::show),
    get("/console/quality/meta", meta::show),
    get("/console/quality/meta/stream", meta::stream),
    get("/console/issues", issues::show),
    change(
        "/console/issues/{id}/acknowledge",
        issues::acknowledge as Run,
    )
    .about(&["undo"]),
    change("/console/issues/{id}/mute", issues::mute as Run).about(&["for", "undo"]),
    change("/console/issues/{id}/redrive", issues::redrive),
    get("/console/dead", dead::show),
    get("/console/dead/export", dead::export as Run)
        .for_admin()
        .audited()
        .about(letters::KEYS),
    get("/console/dead/redrive", dead::plan_redrive as Run).for_admin(),
    change("/console/dead/redrive", dead::redrive as Run).about(letters::CHANGE),
    get("/console/dead/purge", dead::plan_purge as Run).for_admin(),
    change("/console/dead/purge", dead::purge as Run).about(letters::CHANGE),
    get("/console/dead/{id}", dead::one),
    get("/console/pixels", pixels::show),
    change("/console/pixels/hold", pixels::hold as Run).about(&["pixel", "for"]),
    change("/console/pixels/release", pixels::release as Run).about(&["id"]),
    get("/console/pixels/verify", pixels::may_verify),
    change("/console/pixels/verify", pixels::ask_meta as Run).about(&["token"]),
    get("/console/pixels/rotate", pixels::form_to_rotate),
    change(
        "/console/pixels/rotate/check",
        pixels::check_to_rotate as Run,
    )
    .about(&["pixel"]),
    change("/console/pixels/rotate", pixels::put_in_place),
    get("/console/lab", lab::show),
    ask("/console/lab/check", lab::check),
    change("/console/lab/send", lab::send as Run).about(&["pixel", "source"]),
    change("/console/lab/start", lab::start as Run).about(&["pixel", "for", "mirror"]),
    change("/console/lab/stop", lab::stop as Run).about(&["pixel"]),
    get("/console/first", first::show),
    get("/console/first/stream", first::stream),
    change("/console/first/reload", first::reload),
    get("/console/receipt", receipt::show),
    ask("/console/receipt", receipt::search),
    change("/console/receipt/resend", receipt::resend as Run).about(&["letter"]),
    get("/console/live", live::show),
    get("/console/live/stream", live::stream),
    get("/console/system", system::show),
    get("/console/system/stream", system::stream),
    change("/console/system/reload", system::reload),
    // whatever else is asked for
    get("/console/{*path}", nowhere),
];

/// What the head of every page links to.
const NAV: &[(&str, &str)] = &[
    (HOME, "Overview"),
    ("/console/funnel", "Funnel"),
    ("/console/live", "Live tail"),
    ("/console/receipt", "Receipt"),
    ("/console/issues", "Issues"),
    ("/console/dead", "Dead letters"),
    ("/console/quality", "Quality"),
    ("/console/pixels", "Pixels"),
    ("/console/lab", "Test lab"),
    ("/console/system", "System"),
];

/// One request for a page, by somebody who is signed in.
struct Visit {
    admin: Admin,
    /// What every page shows.
    shell: Shell,
    /// The parameter of the path, decoded; empty where there is none.
    id: String,
    /// The query of a GET, the form of a POST without its [`CSRF`].
    members: Members,
    headers: HeaderMap,
    /// How many things it has changed, for the audit line.
    changed: Arc<AtomicU64>,
    /// What it is about, for that line, where the form does not say it.
    subject: Subject,
}

/// What is shown.
enum View {
    /// A page.
    Html(String),
    /// Another page, with a sentence on it that says what came of a change.
    Go(String, String),
    /// Something of its own, such as a download or a stream.
    Own(Response<Body>),
}

impl View {
    fn of(page: &impl askama::Template) -> Result<Self, Problem> {
        let html = page.render();
        html.map(Self::Html)
            .map_err(|_| Problem::failed("page", "report it"))
    }
}

impl Visit {
    /// The configuration, rooms and counts.
    fn inner(&self) -> &Inner {
        &self.admin.0
    }

    /// The members that are left, for whoever takes them on or wants to know that there are none.
    fn taken(&mut self) -> Members {
        std::mem::replace(&mut self.members, Members::none())
    }

    /// The value of an answer of the admin API's; what it has changed counts as changed by this visit.
    async fn done(&self, reply: Reply) -> serde_json::Value {
        let changed = reply.changed.unwrap_or_default();
        self.changed.fetch_add(changed, Ordering::Relaxed);
        reply.value().await
    }

    /// The same question to a route of the admin API, with these members.
    fn call(&self, id: &str, members: Members) -> Call {
        Call {
            admin: self.admin.clone(),
            id: id.to_owned(),
            members,
            content_type: None,
            encodings: Ok(Vec::new()),
            by: self.shell.key.clone(),
            body: bytes::Bytes::new(),
        }
    }
}

/// The pages, their style and their script.
pub(super) fn router(admin: &Admin) -> Router {
    let mut router = assets::router();
    for page in PAGES {
        let admin = admin.clone();
        let answer = move |path: Option<Path<Vec<(String, String)>>>, request: Request<Body>| {
            let id = path.and_then(|path| path.0.into_iter().next());
            let id = id.map(|(_, id)| id).unwrap_or_default();
            answer(admin.clone(), page, id, request)
        };
        router = router.route(page.path, on(page.filter(), answer));
    }
    let (one, two, three) = (admin.clone(), admin.clone(), admin.clone());
    router
        .route("/console/", routing::get(async || go(HOME)))
        .route(
            "/console/login",
            routing::get(async move |request| access::form(&one, &request))
                .post(async move |request| access::sign_in(&two, request).await),
        )
        .route(
            "/console/logout",
            post(async move |request| access::sign_out(&three, request).await),
        )
}

fn nowhere(_: Visit) -> Done {
    let problem = Problem::not_found("there is no such page", "go on from one of the pages above");
    Box::pin(async { Err(problem) })
}

async fn answer(
    admin: Admin,
    page: &'static Page,
    id: String,
    request: Request<Body>,
) -> Response<Body> {
    let viewer = {
        let keys = &admin.0.in_force().secrets.admin;
        if keys.is_empty() {
            return failure(None, super::auth::no_keys());
        }
        let is_person = page.method == Method::GET && wants_html(request.headers());
        let now = admin.0.clock.now();
        (admin.0.sessions).viewer(request.headers(), keys, now, is_person)
    };
    let Some(viewer) = viewer else {
        return access::ask(&page.method, request.uri());
    };
    let shell = Shell::of(&admin.0, &viewer, page.path);
    match visit(admin, page, id, request, &viewer, shell.clone()).await {
        Ok(response) => response,
        Err(problem) => failure(Some(shell), problem),
    }
}

async fn visit(
    admin: Admin,
    page: &'static Page,
    id: String,
    request: Request<Body>,
    viewer: &Viewer,
    shell: Shell,
) -> Result<Response<Body>, Problem> {
    page.admit(&viewer.caller)?;
    let peer = peer(&request);
    let (head, body) = request.into_parts();
    let members = if page.method == Method::GET {
        Members::of_query(head.uri.query().unwrap_or_default())?.filled()
    } else {
        let mut form = Members::of_form(body).await?;
        let csrf = form.text(CSRF)?.unwrap_or_default();
        if !viewer.has_sent(&csrf) || !is_ours(&head.headers) {
            return Err(foreign());
        }
        form
    };
    let headers = head.headers.clone();
    let about = Subject::default();
    if page.is_audited {
        about.note(subject::of(&id, &members, page.about));
    }
    let visit = Visit {
        admin: admin.clone(),
        shell,
        id,
        members,
        headers: head.headers,
        changed: Arc::default(),
        subject: about.clone(),
    };
    let view = if page.is_audited {
        let caller = viewer.caller.clone();
        let is_change = page.method == Method::POST;
        let changed = Arc::clone(&visit.changed);
        let done = async move { (page.run)(visit).await };
        audited(&admin, page.path, about, caller, peer, done, move |_| {
            let changed = is_change.then(|| changed.load(Ordering::Relaxed));
            (StatusCode::OK, changed)
        })
        .await
    } else {
        (page.run)(visit).await
    };
    Ok(match view? {
        View::Html(html) => shell::html(StatusCode::OK, html),
        View::Own(response) => response,
        View::Go(to, said) => {
            admin.0.sessions.say(&headers, said);
            go(&to)
        }
    })
}

/// Sends the browser on.
fn go(to: &str) -> Response<Body> {
    let mut response = shell::html(StatusCode::SEE_OTHER, String::new());
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn peer(request: &Request<Body>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0.ip())
}

/// A script that asks for a piece of a page must not use up what a person is to read.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(axum::http::header::ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"))
}

/// Whether a form was sent by a page of this origin, as far as the browser says. One that says nothing
/// still has to know the session's token.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let site = headers.get("sec-fetch-site");
    let is_site = site.is_none_or(|site| site == "same-origin");
    let is_origin = text(ORIGIN).is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, rest)| rest);
        authority.is_some() && authority == text(HOST)
    });
    is_site && is_origin
}

fn foreign() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "foreign_form",
        "the form was not sent by a page of this session",
        "open the page again, and send its form from there; a proxy in between must pass the Host header on",
    )
}

/// Whether a browser asks, which is better served by the console than by JSON.
pub(super) fn is_for_people(headers: &HeaderMap) -> bool {
    wants_html(headers)
}

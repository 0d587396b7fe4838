//! What is around every page.

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::super::Inner;
use super::super::problem::Problem;
use super::seen::seen;
use super::session::Viewer;
use super::{HOME, NAV};
use crate::config::Role;

/// What a page may load: our own, and nothing written into the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page shows besides its own.
#[derive(Clone)]
pub(super) struct Shell {
    /// The page's own place in the head's links.
    pub(super) path: &'static str,
    /// Where the console begins.
    pub(super) home: &'static str,
    /// The links of the head.
    pub(super) nav: &'static [(&'static str, &'static str)],
    /// Whose key it is, such as `admin.keys[0]`.
    pub(super) key: String,
    /// What it may do.
    pub(super) role: &'static str,
    /// Whether that is to change things.
    pub(super) may_change: bool,
    /// To be sent with each change, as the member `csrf`.
    pub(super) csrf: String,
    /// What came of the last change.
    pub(super) said: Option<String>,
    /// The program's.
    pub(super) version: &'static str,
    /// Whether Graph is played by a sandbox, as far as its address says.
    pub(super) is_simulated: bool,
}

/// The address and the name of a page.
type Link = (&'static str, &'static str);

/// Words of the admin API's problems, what they are on a page, and where that is.
const IN_PAGES: [(&str, &str, Option<Link>); 6] = [
    (
        "with GET /holds",
        "on the page of pixels",
        Some(("/console/pixels", "Pixels")),
    ),
    (
        "send \"replace\": true (`capigate holds add --replace`) to put",
        "tick there that you want to put",
        Some(("/console/pixels", "Pixels")),
    ),
    (
        "with GET /issues",
        "on the page of issues",
        Some(("/console/issues", "Issues")),
    ),
    (
        "with GET /dead (`capigate dead list`)",
        "on the page of dead letters",
        Some(("/console/dead", "Dead letters")),
    ),
    (
        "that GET /funnel counts",
        "that the funnel counts",
        Some(("/console/funnel", "Funnel")),
    ),
    (
        "leave it out, or see /openapi.json for what this route takes",
        "leave it out, or open the page again and use its forms",
        None,
    ),
];

#[derive(Template)]
#[template(path = "problem.html", config = "src/app/admin/console/askama.toml")]
struct Failure<'a> {
    shell: &'a Shell,
    problem: &'a Problem,
    next: String,
    /// The page that it speaks of, and its name.
    link: Option<Link>,
}

/// What to do next, in the words of the pages.
fn in_pages(next: &str) -> (String, Option<Link>) {
    let known = IN_PAGES.iter().find(|(api, _, _)| next.contains(api));
    known.map_or_else(
        || (next.to_owned(), None),
        |(api, page, link)| (next.replace(api, page), *link),
    )
}

#[derive(Template)]
#[template(path = "closed.html", config = "src/app/admin/console/askama.toml")]
struct Closed<'a> {
    problem: &'a Problem,
}

impl Shell {
    pub(super) fn of(inner: &Inner, viewer: &Viewer, path: &'static str) -> Self {
        Self {
            path: NAV
                .iter()
                .map(|(to, _)| *to)
                .filter(|to| path.starts_with(*to))
                .max_by_key(|to| to.len())
                .unwrap_or(HOME),
            home: HOME,
            nav: NAV,
            key: viewer.caller.name.clone(),
            role: viewer.caller.role.code(),
            may_change: viewer.caller.role == Role::Admin,
            csrf: viewer.csrf.clone(),
            said: viewer.said.clone(),
            version: env!("CARGO_PKG_VERSION"),
            is_simulated: inner.is_simulated(),
        }
    }
}

/// The page that says what went wrong, and what to do.
#[expect(
    clippy::needless_pass_by_value,
    reason = "whoever shows a problem is done with it"
)]
pub(super) fn failure(shell: Option<Shell>, problem: Problem) -> Response<Body> {
    let html = match &shell {
        Some(shell) => {
            let (next, link) = in_pages(&problem.next);
            Failure {
                shell,
                problem: &problem,
                next,
                link,
            }
            .render()
        }
        None => Closed { problem: &problem }.render(),
    };
    let mut response = self::html(problem.status, html.unwrap_or_default());
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A page, with all that keeps others out of it.
pub(super) fn html(status: StatusCode, html: String) -> Response<Body> {
    let mut response = Response::new(Body::from(seen(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    guarded(headers);
    response
}

/// The headers of whatever the console answers.
pub(super) fn guarded(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
}

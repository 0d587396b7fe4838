//! Signing in and out.

use askama::Template;
use axum::body::Body;
use axum::http::header::{ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::super::call::Members;
use super::super::problem::Problem;
use super::shell::{self, failure};
use super::{Admin, CSRF, HOME, foreign, go, is_ours, peer};
use crate::secret::KeyDigest;

/// Bytes of an address that is gone back to.
const MAX_PLACE: usize = 2048;
/// Where the form is.
const FORM: &str = "/console/login";

#[derive(Template)]
#[template(path = "login.html", config = "src/app/admin/console/askama.toml")]
struct Form<'a> {
    to: &'a str,
    /// Why the last key did not do.
    says: Option<&'a str>,
}

/// Sends somebody who is not signed in to the form, and from there back.
pub(super) fn ask(method: &Method, uri: &Uri) -> Response<Body> {
    let to = if *method == Method::GET {
        uri.path_and_query().map_or(HOME, |to| to.as_str())
    } else {
        HOME
    };
    // clients take no header of any length
    let to = if to.len() > MAX_PLACE { HOME } else { to };
    let to: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
    go(&format!("{FORM}?to={to}"))
}

/// The form.
pub(super) fn form(admin: &Admin, request: &Request<Body>) -> Response<Body> {
    if admin.0.in_force().secrets.admin.is_empty() {
        return failure(None, super::super::auth::no_keys());
    }
    let mut pairs =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let to = pairs.find(|(name, _)| name == "to");
    show(StatusCode::OK, to.as_ref().map_or(HOME, |(_, to)| to), None)
}

/// Opens a session for the owner of a key.
pub(super) async fn sign_in(admin: &Admin, request: Request<Body>) -> Response<Body> {
    let (from, headers) = (peer(&request), request.headers().clone());
    let mut to = HOME.to_owned();
    match let_in(admin, &headers, from, request, &mut to).await {
        Ok(response) => response,
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
            show(problem.status, &to, Some(&problem.message))
        }
        Err(problem) => failure(None, problem),
    }
}

async fn let_in(
    admin: &Admin,
    headers: &HeaderMap,
    from: Option<std::net::IpAddr>,
    request: Request<Body>,
    to: &mut String,
) -> Result<Response<Body>, Problem> {
    if !is_ours(headers) {
        return Err(foreign());
    }
    let mut form = Members::of_form(request.into_body()).await?;
    place(form.text("to")?.as_deref().unwrap_or(HOME)).clone_into(to);
    let key = KeyDigest::of(form.text("key")?.unwrap_or_default().trim());
    let now = admin.0.clock.now();
    let in_force = admin.0.in_force();
    let keys = &in_force.secrets.admin;
    if keys.is_empty() {
        return Err(super::super::auth::no_keys());
    }
    let caller = admin.0.guard.admit_key(keys, &key, from, now)?;
    let known = keys.iter().find(|known| key.is(&known.digest));
    let known = known.ok_or_else(super::super::auth::no_keys)?;
    // a browser says where it is: behind a proxy that speaks TLS, nothing else does
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    let is_https = origin.is_some_and(|origin| origin.starts_with(b"https:"));
    let cookie = admin.0.sessions.open(known.digest, now, is_https)?;
    tracing::info!(
        admin.key = caller.name,
        admin.fingerprint = caller.fingerprint,
        admin.role = caller.role.code(),
        admin.peer = from.map(tracing::field::display),
        "signed in to the console"
    );
    let mut response = go(to);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Ends the session.
pub(super) async fn sign_out(admin: &Admin, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let out = async {
        let mut form = Members::of_form(body).await?;
        let csrf = form.text(CSRF)?.unwrap_or_default();
        let in_force = admin.0.in_force();
        let (keys, now) = (&in_force.secrets.admin, admin.0.clock.now());
        let viewer = admin.0.sessions.viewer(&head.headers, keys, now, false);
        if viewer.is_some_and(|viewer| !viewer.has_sent(&csrf)) || !is_ours(&head.headers) {
            return Err(foreign());
        }
        let mut response = go(FORM);
        let cookie = admin.0.sessions.end(&head.headers)?;
        response.headers_mut().insert(SET_COOKIE, cookie);
        Ok(response)
    };
    out.await.unwrap_or_else(|problem| failure(None, problem))
}

fn show(status: StatusCode, to: &str, says: Option<&str>) -> Response<Body> {
    let page = Form {
        to: place(to),
        says,
    };
    match page.render() {
        Ok(html) => shell::html(status, html),
        Err(_) => failure(None, Problem::failed("page", "report it")),
    }
}

/// Only pages of the console are gone on to.
fn place(to: &str) -> &str {
    let rest = to.strip_prefix(HOME);
    let is_ours = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        && to.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !to.contains("//");
    if is_ours { to } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_gone_on_to() {
        for to in ["/console", "/console/dead?pixel=1", "/console?a=b"] {
            assert_eq!(place(to), to);
        }
        for to in [
            "https://evil.example/console",
            "//evil.example",
            "/console//evil.example",
            "/console\\evil",
            "/consoleevil",
            "/console/\r\nset-cookie: a",
            "",
        ] {
            assert_eq!(place(to), HOME, "{to}");
        }
    }
}

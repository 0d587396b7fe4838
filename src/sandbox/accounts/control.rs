//! The control API of the accounts: tokens made and spoiled, time moved, calls listed.

use hyper::{Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use bytes::Bytes;
use http_body_util::Full;

use super::quirks::Quirks;
use super::reading::expected;
use super::span::parse_span;
use super::tokens::fingerprint;
use super::trouble::TokenChange;
use super::world::DialogMood;
use crate::sandbox::answer;
use crate::sandbox::control::wrong;
use crate::sandbox::core::Core;
use crate::sandbox::settings::SandboxToken;

/// How far the clock is moved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    advance: String,
}

/// Answers a request below `/sandbox`, if it is about the accounts. No token is shown but where
/// its value is asked for by name.
pub(in crate::sandbox) fn answer(
    core: &Core,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Option<Response<Full<Bytes>>> {
    let segments: Vec<&str> = path.split('/').skip(2).collect();
    let get = method == Method::GET;
    let post = method == Method::POST;
    Some(match segments[..] {
        ["accounts"] if get => accounts(core),
        ["tokens"] if get => tokens(core),
        ["tokens"] if post => with(body, |spec| mint(core, spec)),
        ["tokens", handle, "value"] if get => value(core, handle),
        ["tokens", handle] if post => with(body, |change| spoil(core, handle, &change)),
        ["clock"] if get => clock(core),
        ["clock"] if post => with(body, |change| advance(core, &change)),
        ["calls"] if get => calls(core),
        ["calls"] if method == Method::DELETE => {
            core.accounts.lock().calls.clear();
            calls(core)
        }
        ["dialog"] if get => dialog(core),
        ["dialog"] if post => with(body, |mood| set_dialog(core, mood)),
        ["quirks"] if get => quirks(core),
        ["quirks"] if post => with(body, |wanted: Quirks| {
            core.accounts.lock().quirks = wanted;
            quirks(core)
        }),
        _ => return None,
    })
}

/// Reads the body, and goes on with it. What is wrong is said without a value: it may be a token.
fn with<T: DeserializeOwned>(
    body: &[u8],
    go_on: impl FnOnce(T) -> Response<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    match serde_json::from_slice(body) {
        Ok(read) => go_on(read),
        Err(error) => {
            let said = expected(&error.to_string(), "the body is no JSON of this route");
            wrong(400, "body", &said)
        }
    }
}

fn accounts(core: &Core) -> Response<Full<Bytes>> {
    let registry = core.accounts.lock();
    let world = &registry.world;
    let apps = world.apps.iter().map(|app| {
        json!({
            "id": app.id, "name": app.name, "business": app.business, "mode": app.mode,
            "redirect_uris": app.redirect_uris, "require_proof": app.require_proof,
        })
    });
    let named = |id: &str, name: &str| json!({ "id": id, "name": name });
    let people = world.people.iter().map(|p| named(&p.id, &p.name));
    let pages = world.pages.iter().map(|p| named(&p.id, &p.name));
    let businesses = world.businesses.iter().map(|b| named(&b.id, &b.name));
    let users = world.system_users.iter().map(|user| {
        json!({
            "id": user.id, "name": user.name, "role": user.role, "business": user.business,
            "apps": user.apps, "pixels": user.pixels,
        })
    });
    let pixels = world.pixels.iter().map(|pixel| {
        json!({
            "id": pixel.id, "name": pixel.name, "unavailable": pixel.unavailable,
            "last_fired_time": pixel.last_fired_time,
        })
    });
    let body = json!({
        "apps": apps.collect::<Vec<_>>(),
        "people": people.collect::<Vec<_>>(),
        "pages": pages.collect::<Vec<_>>(),
        "businesses": businesses.collect::<Vec<_>>(),
        "system_users": users.collect::<Vec<_>>(),
        "pixels": pixels.collect::<Vec<_>>(),
        "tokens": registry.infos(core.accounts.now().secs()),
    });
    answer::json(200, &body)
}

fn tokens(core: &Core) -> Response<Full<Bytes>> {
    let now = core.accounts.now().secs();
    let infos = core.accounts.lock().infos(now);
    answer::json(200, &json!({ "tokens": infos }))
}

fn mint(core: &Core, spec: SandboxToken) -> Response<Full<Bytes>> {
    let now = core.accounts.now().secs();
    match core.accounts.lock().mint(spec, now) {
        Ok(value) => {
            let body = json!({ "fingerprint": fingerprint(&value), "access_token": value });
            answer::json(200, &body)
        }
        Err(error) => wrong(400, error.code(), &error.to_string()),
    }
}

fn value(core: &Core, handle: &str) -> Response<Full<Bytes>> {
    match core.accounts.lock().book.by_handle(handle) {
        Some(token) => answer::json(200, &json!({ "access_token": token.value })),
        None => no_such_token(),
    }
}

fn spoil(core: &Core, handle: &str, change: &TokenChange) -> Response<Full<Bytes>> {
    if let Err(said) = change.check() {
        return wrong(400, "status", said);
    }
    let now = core.accounts.now().secs();
    let changed = core.accounts.lock().change(handle, change, now);
    if changed {
        tokens(core)
    } else {
        no_such_token()
    }
}

fn no_such_token() -> Response<Full<Bytes>> {
    let message = "no token has this fingerprint or name; GET /sandbox/tokens lists them";
    wrong(404, "no_such_token", message)
}

fn clock(core: &Core) -> Response<Full<Bytes>> {
    answer::json(200, &json!({ "now": core.accounts.now().secs() }))
}

fn advance(core: &Core, change: &ClockChange) -> Response<Full<Bytes>> {
    match parse_span(&change.advance) {
        Some(span) => {
            core.accounts.advance(span);
            clock(core)
        }
        None => wrong(
            400,
            "advance",
            "advance is a length of time such as \"61d\"",
        ),
    }
}

fn calls(core: &Core) -> Response<Full<Bytes>> {
    let registry = core.accounts.lock();
    let calls = &registry.calls;
    let body: Value = json!({ "total": calls.total(), "calls": calls.kept() });
    answer::json(200, &body)
}

fn dialog(core: &Core) -> Response<Full<Bytes>> {
    answer::json(200, &core.accounts.lock().mood)
}

fn set_dialog(core: &Core, mood: DialogMood) -> Response<Full<Bytes>> {
    {
        let mut registry = core.accounts.lock();
        let unknown = |id: &String| registry.world.person(id).is_none();
        if mood.person.as_ref().is_some_and(unknown) {
            return wrong(
                400,
                "person",
                "person is the id of one of the people of the world",
            );
        }
        registry.mood = mood;
    }
    dialog(core)
}

fn quirks(core: &Core) -> Response<Full<Bytes>> {
    answer::json(200, &core.accounts.lock().quirks)
}

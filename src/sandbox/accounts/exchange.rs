//! One call to an account edge, from its first byte to its answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::header::{HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::{Request, Response};
use serde_json::Value;

use super::call::{Call, Place};
use super::calls::{AccountCall, CallOutcome, CallParam};
use super::dataset_quality;
use super::refusal::class;
use super::registry::Registry;
use super::route::{Asked, Edge};
use crate::pixel::PixelId;
use crate::sandbox::answer::{self, Reply};
use crate::sandbox::core::Core;
use crate::sandbox::edge::{self, MAX_WAIT, sorry};
use crate::sandbox::faults::{Action, Headers};
use crate::sandbox::graph_error::GraphError;

/// What an edge answers.
pub(super) enum Outcome {
    Json(Value),
    /// Back to the app: 302.
    Redirect(String),
    /// A page for a person.
    Page {
        status: u16,
        reason: &'static str,
        html: String,
    },
    Refused(Box<GraphError>),
}

impl From<Result<Value, Box<GraphError>>> for Outcome {
    fn from(result: Result<Value, Box<GraphError>>) -> Self {
        match result {
            Ok(value) => Self::Json(value),
            Err(error) => Self::Refused(error),
        }
    }
}

/// A call under way, as the ledger will hold it.
struct Exchange<'a> {
    core: &'a Core,
    call: Call,
    fault: Option<Action>,
    trace: String,
}

/// Answers a call to an account edge.
pub(in crate::sandbox) async fn serve(core: &Core, request: Request<Body>, asked: Asked) -> Reply {
    let (head, body) = request.into_parts();
    let body = match edge::read_body(body).await {
        Ok(body) => body,
        Err(refusal) => return Reply::Answer(edge::refuse(core, refusal)),
    };
    let mut call = Call::read(&head, &body, asked);
    drop(body);
    call.asked.edge = core.accounts.lock().settle(&call);
    if call.asked.edge == Edge::DatasetQuality {
        call.asked.subject = call.get("dataset_id").unwrap_or_default().to_owned();
    }
    let pixel: Option<PixelId> = call.asked.subject.parse().ok();
    for (kind, path) in call.findings() {
        core.violate(kind, pixel, path);
    }
    let token = call.get("access_token");
    let known = token.and_then(|value| core.accounts.lock().known(value));
    if call.proof().value.is_some() && known.is_some_and(|token| !token.has_secret) {
        core.violate("proof_without_secret", pixel, "appsecret_proof".to_owned());
    }
    if !core.latency.is_zero() {
        tokio::time::sleep(core.latency).await;
    }
    let exchange = Exchange {
        core,
        fault: core.script.take_call(call.asked.edge, pixel),
        call,
        trace: core.trace(),
    };
    exchange.answer().await
}

impl Registry {
    /// The edge a call means, now that it is known what its id stands for.
    pub(super) fn settle(&self, call: &Call) -> Edge {
        let id = call.asked.subject.as_str();
        match call.asked.edge {
            Edge::Pixel if self.world.page(id).is_some() => Edge::Page,
            Edge::Pixel if self.world.person(id).is_some() => Edge::Me,
            Edge::Pixel if self.world.system_user(id).is_some() => Edge::Me,
            edge => edge,
        }
    }

    pub(super) fn answer(&mut self, call: &Call, now: i64) -> Outcome {
        let outcome = match call.asked.edge {
            Edge::Dialog => self.dialog(call, now),
            Edge::Oauth => self.oauth(call, now).into(),
            Edge::Revoke => self.revoke(call, now).into(),
            Edge::DebugToken => self.debug_token(call, now).into(),
            Edge::Me => self.me(call, now).into(),
            Edge::Permissions => self.permissions(call, now).into(),
            Edge::Accounts => self.accounts(call, now).into(),
            Edge::Page => self.page(call, now).into(),
            // events and what is made of them have answers of their own
            Edge::Pixel | Edge::Events | Edge::DatasetQuality => self.pixel(call, now).into(),
            Edge::SystemUsers => self.system_users(call, now).into(),
            Edge::Applications => self.applications(call, now).into(),
            Edge::AccessTokens => self.access_tokens(call, now).into(),
        };
        match outcome {
            Outcome::Refused(error) => Outcome::Refused(self.bent(error)),
            other => other,
        }
    }
}

impl Exchange<'_> {
    async fn answer(mut self) -> Reply {
        match self.fault.take() {
            None => self.usual(None, &Headers::new()),
            Some(fault) => self.spoiled(fault).await,
        }
    }

    /// The answer with a fault of the script in it.
    async fn spoiled(self, fault: Action) -> Reply {
        let name = Some(fault.name());
        let none = Headers::new();
        match fault {
            Action::Headers { headers } => self.usual(name, &headers),
            Action::Slow { ms, accept_first } => {
                let wait = Duration::from_millis(ms).min(MAX_WAIT);
                if accept_first {
                    let reply = self.usual(name, &none);
                    tokio::time::sleep(wait).await;
                    reply
                } else {
                    tokio::time::sleep(wait).await;
                    self.usual(name, &none)
                }
            }
            Action::BadToken { subcode } => {
                let now = self.core.accounts.now().secs();
                let token = self.call.get("access_token");
                let error = self.core.accounts.lock().bad_token(token, subcode, now);
                self.close(name, Outcome::Refused(error), &none)
            }
            Action::Cut {} => {
                let _unheard = self.page(name, 0, "cut");
                Reply::HangUp
            }
            Action::CutAfterAccept {} => {
                // whatever was done is done, and nobody hears of it
                let _unheard = self.usual(name, &none);
                Reply::HangUp
            }
            Action::Html { status } => self.page(name, status, "html"),
            Action::HtmlAfterAccept { status } => {
                let _unheard = self.usual(name, &none);
                sorry(status)
            }
            Action::WrongJson { accept } => {
                if accept {
                    let _unheard = self.usual(name, &none);
                } else {
                    let _unheard = self.page(name, 200, "wrong_json");
                }
                let torn = "{\"data\":";
                Reply::Answer(answer::raw(200, "application/json; charset=UTF-8", torn))
            }
            other => {
                let value = self.call.get("access_token").map(str::to_owned);
                let Some((mut error, headers)) = other.graph_error() else {
                    // the others are of the events edge and fit no call
                    return self.usual(name, &none);
                };
                error.echo(value.as_deref().unwrap_or_default());
                self.close(name, Outcome::Refused(Box::new(error)), &headers)
            }
        }
    }

    /// The answer a faultless sandbox gives.
    fn usual(self, fault: Option<&'static str>, headers: &Headers) -> Reply {
        let now = self.core.accounts.now().secs();
        let outcome = match self.call.asked.edge {
            Edge::DatasetQuality => dataset_quality::answer(self.core, &self.call, now).into(),
            _ => self.core.accounts.lock().answer(&self.call, now),
        };
        self.close(fault, outcome, headers)
    }

    /// A page of some proxy.
    fn page(self, fault: Option<&'static str>, status: u16, reason: &'static str) -> Reply {
        let outcome = CallOutcome {
            status,
            reason,
            code: None,
            subcode: None,
        };
        self.note(fault, outcome);
        sorry(status)
    }

    /// Writes the answer, and the call into the ledger.
    fn close(self, fault: Option<&'static str>, outcome: Outcome, headers: &Headers) -> Reply {
        let mut noted = CallOutcome {
            status: 200,
            reason: "ok",
            code: None,
            subcode: None,
        };
        let response = match outcome {
            Outcome::Json(value) => answer::json(200, &value),
            Outcome::Redirect(to) => {
                noted.status = 302;
                redirect(&to)
            }
            Outcome::Page {
                status,
                reason,
                html,
            } => {
                (noted.status, noted.reason) = (status, reason);
                answer::raw(status, "text/html; charset=utf-8", html)
            }
            Outcome::Refused(error) => {
                noted = CallOutcome {
                    status: error.status,
                    reason: error.reason,
                    code: Some(error.code),
                    subcode: error.subcode,
                };
                let mut response = answer::json(error.status, &error.body(&self.trace));
                if self.call.asked.edge.is_login() {
                    challenge(&mut response, &error);
                }
                response
            }
        };
        self.note(fault, noted);
        Reply::Answer(answer::with_headers(response, headers))
    }

    fn note(&self, fault: Option<&'static str>, outcome: CallOutcome) {
        let param = |(name, place): (String, Place)| CallParam { name, place };
        let mut registry = self.core.accounts.lock();
        let token = self.call.get("access_token");
        let token = token.and_then(|value| registry.book.find(value));
        let token = token.map(|token| token.name.clone());
        registry.calls.add(AccountCall {
            number: 0,
            at_ms: self.core.accounts.now().0,
            edge: self.call.asked.edge,
            method: self.call.method.to_string(),
            version: self.call.asked.version.clone(),
            params: self.call.names().into_iter().map(param).collect(),
            token,
            outcome,
            fault,
            fbtrace_id: self.trace.clone(),
        });
    }
}

fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut response = answer::raw(302, "text/html; charset=utf-8", "");
    match HeaderValue::from_str(to) {
        Ok(to) => {
            response.headers_mut().insert(LOCATION, to);
            response
        }
        Err(_) => answer::raw(400, "text/plain", "the redirect URI fits into no header"),
    }
}

/// The header login endpoints send along with an error.
fn challenge(response: &mut Response<Full<Bytes>>, error: &GraphError) {
    let Some(class) = class(error.code) else {
        return;
    };
    let message = error.message.replace('"', "'");
    let value = format!("OAuth \"Facebook Platform\" \"{class}\" \"{message}\"");
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
}

//! The events edge: one request from its first byte to its answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming as Body;
use hyper::http::request::Parts;
use hyper::{Request, Version};
use serde_json::json;

use super::answer::{self, Reply};
use super::core::Core;
use super::faults::{Action, Headers, refused_index};
use super::graph_error::GraphError;
use super::ledger::{BatchRecord, Outcome};
use super::refusal::{self as no, Refusal};
use super::request::Incoming;
use super::violations::MAX_PER_REQUEST;
use super::{rules, scan};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Largest body read, in bytes; larger ones are answered with 413.
pub const MAX_BODY: usize = 16 << 20;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest wait of a `slow` fault.
pub(super) const MAX_WAIT: Duration = Duration::from_mins(10);

/// Marks an answer that tells of an accepted batch, with the number of the batch.
#[derive(Clone, Copy)]
struct Accepted(u64);

/// One request, as the ledger will hold it, and its answer in the making.
struct Exchange<'a> {
    core: &'a Core,
    incoming: Incoming,
    record: BatchRecord,
    clean: bool,
}

/// Answers a post to the events edge of `pixel`.
pub(super) async fn post(
    core: &Core,
    request: Request<Body>,
    pixel: PixelId,
    version: &str,
) -> Reply {
    let (head, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(refusal) => {
            let exchange = Exchange::new(core, &head, b"", pixel, version);
            return exchange.refused(GraphError::of(refusal, None), &Headers::new());
        }
    };
    let exchange = Exchange::new(core, &head, &body, pixel, version);
    drop(body);
    // even a sleep of nothing waits for the next millisecond
    if !core.latency.is_zero() {
        tokio::time::sleep(core.latency).await;
    }
    let reply = exchange.answer().await;
    if let Reply::Answer(answer) = &reply
        && let Some(Accepted(number)) = answer.extensions().get()
    {
        core.ledger().told(*number, core.clock.now().0);
    }
    reply
}

/// Reads a whole body within [`MAX_BODY`].
pub(super) async fn read_body(body: Body) -> Result<Bytes, &'static Refusal> {
    let read = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(&no::TOO_LARGE),
        Ok(Err(_)) | Err(_) => Err(&no::BODY_LATE),
    }
}

/// A plain refusal that is not about a batch.
pub(super) fn refuse(
    core: &Core,
    refusal: &'static Refusal,
) -> hyper::Response<http_body_util::Full<Bytes>> {
    let error = GraphError::of(refusal, None);
    answer::json(error.status, &error.body(&core.trace()))
}

/// A page as proxies make them.
pub(super) fn sorry(status: u16) -> Reply {
    let page = "<!DOCTYPE html><html><body><h1>Sorry, something went wrong.</h1></body></html>";
    Reply::Answer(answer::raw(status, "text/html; charset=utf-8", page))
}

impl<'a> Exchange<'a> {
    fn new(core: &'a Core, head: &Parts, body: &[u8], pixel: PixelId, version: &str) -> Self {
        let at_ms = core.clock.now().0;
        let incoming = Incoming::read(head, body, core.light);
        let mut findings = scan::options(&incoming.members, MAX_PER_REQUEST);
        if !core.light {
            let raw_ids = core.raw_external_id;
            findings.extend(scan::events(&incoming.events, raw_ids, MAX_PER_REQUEST));
        }
        let clean = findings.is_empty() && !core.light;
        if incoming.token_in_url {
            core.violate("token_in_url", Some(pixel), "access_token".to_owned());
        }
        for finding in findings {
            core.violate(finding.kind, Some(pixel), finding.path);
        }
        let given = incoming.token.as_ref();
        let token = given.and_then(|given| core.accounts.lock().known(&given.value));
        let provable = token.as_ref().is_none_or(|token| token.has_secret);
        if incoming.proof.is_some() && !provable {
            let path = "appsecret_proof".to_owned();
            core.violate("proof_without_secret", Some(pixel), path);
        }
        let record = BatchRecord {
            number: 0,
            at_ms,
            pixel,
            version: version.to_owned(),
            size: incoming.events.len(),
            bytes: body.len(),
            options: incoming.options(),
            token: token.map(|token| token.name),
            token_place: incoming.token.as_ref().map(|token| token.place),
            http: if head.version == Version::HTTP_2 {
                "2"
            } else {
                "1.1"
            },
            outcome: Outcome::Dropped,
            told_ms: None,
            fault: None,
            fbtrace_id: core.trace(),
        };
        Self {
            core,
            incoming,
            record,
            clean,
        }
    }

    async fn answer(mut self) -> Reply {
        let fault = self
            .core
            .script
            .take(self.record.pixel, &self.incoming.events);
        self.record.fault = fault.as_ref().map(Action::name);
        match fault {
            None => self.usual(&Headers::new()),
            Some(Action::Headers { headers }) => self.usual(&headers),
            Some(Action::Slow { ms, accept_first }) => {
                let wait = Duration::from_millis(ms).min(MAX_WAIT);
                if accept_first {
                    let reply = self.usual(&Headers::new());
                    tokio::time::sleep(wait).await;
                    reply
                } else {
                    tokio::time::sleep(wait).await;
                    self.usual(&Headers::new())
                }
            }
            Some(Action::BadToken { subcode }) => {
                let now = self.core.accounts.now().secs();
                let token = self.incoming.token.as_ref().map(|token| &*token.value);
                let error = self.core.accounts.lock().bad_token(token, subcode, now);
                self.refused(*error, &Headers::new())
            }
            Some(Action::RefuseEvent {
                event_id,
                index,
                code,
                subcode,
                blame,
            }) => self.refuse_event(event_id.as_deref(), index, code, subcode, blame),
            Some(Action::HtmlAfterAccept { status }) => {
                let _unheard = self.usual(&Headers::new());
                sorry(status)
            }
            Some(Action::Html { status }) => self.page(status, "html"),
            Some(Action::TooLarge { .. }) => self.page(413, "too_large"),
            Some(Action::Cut {}) => {
                self.close();
                Reply::HangUp
            }
            Some(Action::CutAfterAccept {}) => {
                // whatever the verdict was, nobody hears it
                let _unheard = self.usual(&Headers::new());
                Reply::HangUp
            }
            Some(Action::Short { missing }) => self.verdict(missing, &Headers::new()),
            Some(Action::WrongJson { accept }) => {
                if accept {
                    let _unheard = self.usual(&Headers::new());
                } else {
                    self.record.outcome = Outcome::Refused {
                        status: 200,
                        code: None,
                        subcode: None,
                        reason: "wrong_json",
                        event_index: None,
                    };
                    self.close();
                }
                let torn = "{\"events_received\":";
                Reply::Answer(answer::raw(200, "application/json; charset=UTF-8", torn))
            }
            Some(other) => match other.graph_error() {
                Some((mut error, headers)) => {
                    let token = self.incoming.token.as_ref().map(|token| &*token.value);
                    error.echo(token.unwrap_or_default());
                    self.refused(error, &headers)
                }
                None => self.usual(&Headers::new()),
            },
        }
    }

    /// The answer a faultless sandbox gives.
    fn usual(self, headers: &Headers) -> Reply {
        self.verdict(0, headers)
    }

    fn verdict(mut self, missing: usize, headers: &Headers) -> Reply {
        if let Err(error) = self.judge() {
            return self.refused(*error, headers);
        }
        let events_received = self.record.size.saturating_sub(missing);
        let body = json!({
            "events_received": events_received,
            "messages": [],
            "fbtrace_id": self.record.fbtrace_id,
        });
        self.record.outcome = Outcome::Accepted { events_received };
        let number = self.close();
        let mut answer = answer::with_headers(answer::json(200, &body), headers);
        answer.extensions_mut().insert(Accepted(number));
        Reply::Answer(answer)
    }

    /// Who asks comes first, then the request, then its events: the index is that of an event.
    fn judge(&self) -> Result<(), Box<GraphError>> {
        let token = self.incoming.token.as_ref().map(|token| &*token.value);
        let accounts = &self.core.accounts;
        let now = accounts.now().secs();
        let proof = self.incoming.proof();
        let pixel = self.record.pixel;
        accounts.lock().admit(token, proof, pixel, now)?;
        if let Some(fault) = self.incoming.fault {
            return Err(GraphError::boxed(fault));
        }
        if self.core.light {
            return Ok(());
        }
        // ages are counted from the arrival of the request
        let arrival = UnixMs(self.record.at_ms);
        rules::judge(&self.incoming.events, arrival, self.core.raw_external_id)
            .map_err(|(index, row)| Box::new(GraphError::of(row, Some(index))))
    }

    fn refuse_event(
        self,
        event_id: Option<&str>,
        index: Option<usize>,
        code: i64,
        subcode: Option<i64>,
        blame: bool,
    ) -> Reply {
        // a bad token or a plain fault would have been named first
        if let Err(error) = self.judge() {
            return self.refused(*error, &Headers::new());
        }
        let at = refused_index(event_id, index, &self.incoming.events);
        let error = GraphError {
            status: 400,
            reason: "refuse_event",
            kind: "OAuthException",
            message: "Invalid parameter".to_owned(),
            code,
            subcode,
            is_transient: Some(false),
            title: Some("Refused by script"),
            detail: None,
            event_index: at,
            ..GraphError::default()
        };
        self.refused_saying(error, &Headers::new(), blame)
    }

    /// A page of some proxy.
    fn page(mut self, status: u16, reason: &'static str) -> Reply {
        self.record.outcome = Outcome::Refused {
            status,
            code: None,
            subcode: None,
            reason,
            event_index: None,
        };
        self.close();
        sorry(status)
    }

    fn refused(self, error: GraphError, headers: &Headers) -> Reply {
        self.refused_saying(error, headers, false)
    }

    /// Refuses; the answer names the event only if `blame`, the ledger always does.
    fn refused_saying(mut self, mut error: GraphError, headers: &Headers, blame: bool) -> Reply {
        self.record.outcome = Outcome::Refused {
            status: error.status,
            code: Some(error.code),
            subcode: error.subcode,
            reason: error.reason,
            event_index: error.event_index,
        };
        if !blame {
            error.event_index = None;
        }
        let body = error.body(&self.record.fbtrace_id);
        self.close();
        Reply::Answer(answer::with_headers(
            answer::json(error.status, &body),
            headers,
        ))
    }

    /// Hands the exchange to the ledger, and says under which number it stands there.
    fn close(self) -> u64 {
        self.core
            .record(self.record, self.incoming.events, self.clean)
    }
}

//! What the gateway and, as far as is known, Meta would say of events, before any is sent.
//!
//! Nothing is stored, counted or sent. Every check is the ingest path's own: a body is read by
//! [`crate::ingest::request`], an event by [`crate::ingest::events::check`].
//!
//! **Promises.** What it shows of `user_data` is what `RawEvent::look` tells: digests, and of what
//! becomes one at most a first letter and a top-level domain. The request is shown byte for byte as
//! it would be sent, but for the token; so what Meta wants in clear (addresses, user agents, ids)
//! is in it as it came.

mod shown;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::codes;
use crate::event::{Look, RawEvent};
use crate::graph::client::{Settings as Graph, TokenIn};
use crate::graph::payload::{self, Members};
use crate::ingest::Sources;
use crate::ingest::answer::Rejection;
use crate::ingest::auth::Source;
use crate::ingest::coded::Coded;
use crate::ingest::events::{Checked, Job, Posted, check};
use crate::ingest::request::{self, Kind};
use crate::journal::RequestOptions;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::test_mode::TestMode;
use crate::time::UnixMs;

pub use shown::{Finding, Linted, Outgoing, Seen, Totals, Verdict};

/// What stands in the place of the token.
const TOKEN: &str = "<the access token of the pixel>";
/// What stands in the place of the proof that is made with an app secret.
const PROOF: &str = "<appsecret_proof>";

/// Everything that decides about events: sources, pixels, and the address of Graph.
#[derive(Clone)]
pub struct Desk {
    sources: Sources,
    test_mode: TestMode,
    graph: Graph,
    max_events: usize,
}

/// For whom events are looked at, and when.
#[derive(Clone, Debug)]
pub struct Case {
    /// The pixel they are for.
    pub pixel: PixelId,
    /// The source they come from, by its name.
    pub source: String,
    /// What stands beside them.
    pub options: RequestOptions,
    /// When they arrive.
    pub now: UnixMs,
    /// Whether the pixel has an app secret, so that a proof goes with the token.
    pub has_proof: bool,
}

/// A body that has been read.
#[derive(Debug)]
pub struct Body {
    /// The events' JSON texts, in order.
    pub events: Vec<String>,
    /// What stands beside them.
    pub options: RequestOptions,
    /// What the sender should know of the body itself.
    pub findings: Vec<Finding>,
}

/// A source that is not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no source of the configuration has this name")]
pub struct NoSource;

impl Desk {
    /// `max_events` is `ingest.max_events`.
    pub fn new(sources: Sources, test_mode: TestMode, graph: Graph, max_events: usize) -> Self {
        Self {
            sources,
            test_mode,
            graph,
            max_events,
        }
    }

    /// Reads a body as the front door does: its events, and the options beside them.
    ///
    /// # Errors
    /// A body that would be refused as a whole.
    pub fn read(&self, kind: &Kind, body: &[u8]) -> Result<Body, Rejection> {
        let members = kind.members(body, self.max_events)?;
        let query = request::Members::default();
        let parsed = request::read(&query, &members, self.max_events)?;
        let events = parsed.events.into_iter().map(Cow::into_owned);
        let code = codes::UNKNOWN_MEMBER;
        let unknown = parsed
            .unknown_members
            .then(|| Finding::new("warning", "", code, code.row().rule));
        Ok(Body {
            events: events.collect(),
            options: parsed.options,
            findings: unknown.into_iter().collect(),
        })
    }

    /// Whether the source may post for the pixel.
    ///
    /// # Errors
    /// What the front door would answer to every request of such a case; a source that is not
    /// configured may post for none.
    pub fn admit(&self, case: &Case) -> Result<(), Rejection> {
        let source = self.sources.named(&case.source);
        if source.is_some_and(|source| source.pixels.contains(&case.pixel)) {
            Ok(())
        } else {
            Err(Rejection::Forbidden)
        }
    }

    /// The options of a request, from the texts of its members.
    ///
    /// # Errors
    /// An option that would be refused.
    pub fn options(&self, members: &[(String, String)]) -> Result<RequestOptions, Rejection> {
        let mut body = String::from("{\"data\":[{}]");
        for (name, value) in members {
            body.extend([",\"", name, "\":", value]);
        }
        body.push('}');
        Ok(self.read(&Kind::Json, body.as_bytes())?.options)
    }

    /// Whether one request may have so many events.
    ///
    /// # Errors
    /// As the front door tells them.
    pub fn fits(&self, events: usize) -> Result<(), Rejection> {
        let events = vec!["{}"; events.min(self.max_events + 1)].join(",");
        let body = format!("{{\"data\":[{events}]}}");
        self.read(&Kind::Json, body.as_bytes()).map(|_| ())
    }

    /// What would become of one event. `index` is its place, which is told again.
    ///
    /// # Errors
    /// When the source is not configured.
    pub fn look(&self, index: usize, event: &str, case: &Case) -> Result<Linted, NoSource> {
        let source = self.sources.named(&case.source).ok_or(NoSource)?;
        let options = case.options.clone();
        let (coded, copies) =
            Coded::with_copies(&self.test_mode, case.pixel, source, options, case.now);
        let job = Job {
            pixel: case.pixel,
            options: coded.options,
            mirror: coded.mirror,
            source,
            sources: &self.sources,
            copies,
            now: case.now,
            // what a browser's request tells is not in its body
            visit: None,
        };
        let checked = check(&[Cow::Borrowed(event)], &job);
        let mut linted = self.linted(index, event, checked, source, case);
        if coded.left_out {
            let code = codes::TEST_CODE_LEFT_OUT;
            let finding = Finding::new("warning", "test_event_code", code, code.row().rule);
            linted.findings.push(finding);
        }
        Ok(linted)
    }

    fn linted(
        &self,
        index: usize,
        event: &str,
        checked: Checked,
        source: &Source,
        case: &Case,
    ) -> Linted {
        let mut findings: Vec<Finding> = Vec::new();
        for fault in &checked.faults {
            let error = &fault.error;
            findings.push(Finding::refused(error));
            // what was dropped before may be the cause
            findings.extend(error.notes().iter().map(Finding::warning));
        }
        findings.extend(
            checked
                .warnings
                .iter()
                .map(|(_, one)| Finding::warning(one)),
        );
        findings.extend(checked.filtered.iter().map(|one| {
            let (code, key) = (one.kept_back.policy, one.kept_back.key());
            Finding::new("filtered", "", code, format!("{} ({key})", code.row().rule))
        }));
        let is_filtered = checked.envelopes.is_empty() && !checked.filtered.is_empty();
        let verdict = match checked.faults.is_empty() {
            true if is_filtered => Verdict::Filtered,
            true => Verdict::Accepted,
            false => Verdict::Refused,
        };
        let is_changed = |finding: &Finding| finding.code != codes::MISSING.word();
        let envelopes = checked.envelopes.into_iter();
        let envelopes = envelopes.flat_map(Posted::into_envelopes);
        let requests = envelopes.map(|envelope| {
            let body = payload::body(
                std::iter::once(&envelope.event),
                Members {
                    options: &envelope.lane.options.to_stored(),
                    token: (self.graph.token_in == TokenIn::Body)
                        .then(|| Secret::new(TOKEN.to_owned()))
                        .as_ref(),
                    proof: case.has_proof.then_some(PROOF),
                },
            );
            Outgoing {
                method: "POST",
                url: self.graph.endpoint(envelope.lane.pixel).to_string(),
                headers: headers(self.graph.token_in),
                body: raw(body),
            }
        });
        let requests = requests.collect();
        let changed = verdict == Verdict::Accepted && findings.iter().any(is_changed);
        let user_data = self.seen(event, source, case).unwrap_or_default();
        Linted {
            index,
            verdict,
            changed,
            findings,
            user_data: user_data.into_iter().map(Seen::from).collect(),
            requests,
        }
    }

    /// The members of `user_data` as the policies leave them; of an event that they keep back,
    /// nothing is sent.
    fn seen(&self, event: &str, source: &Source, case: &Case) -> Option<Vec<Look>> {
        let mut event = RawEvent::parse(event).ok()?;
        source.policy.ask(&mut event, None).ok()?;
        if let Some(policy) = self.sources.policy(case.pixel) {
            policy.ask(&mut event, None).ok()?;
        }
        Some(event.look(&source.rules, case.now))
    }
}

fn headers(token_in: TokenIn) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if token_in == TokenIn::Header {
        headers.push(("authorization", format!("Bearer {TOKEN}")));
    }
    headers
}

fn raw(body: Vec<u8>) -> Box<RawValue> {
    // it is the JSON that the encoder and the options' serialiser have written
    let text = String::from_utf8(body).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;

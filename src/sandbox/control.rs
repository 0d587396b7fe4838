//! The control API under `/sandbox`: read the ledger, write the script.

use std::str::FromStr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::accounts::{self, ACCOUNT_REFUSALS, STATES};
use super::answer;
use super::core::Core;
use super::edge;
use super::faults::Fault;
use super::ledger::Filter;
use super::refusal::REFUSALS;

/// Most rows of one answer when the caller names no `limit`.
const DEFAULT_ROWS: usize = 1_000;

/// What a person who finds the sandbox is told.
pub(super) const BANNER: &str = "capigate sandbox: this is not Meta\n\
\n\
It simulates POST /{version}/{pixel_id}/events of Meta's Graph API, the login dialog and the\n\
endpoints for tokens, keeps what it was sent in memory, and forwards nothing. Send it made-up\n\
tokens and test data only.\n\
\n\
  GET    /sandbox/health       counts\n\
  GET    /sandbox/ledger       accepted events: ?pixel= ?event_name= ?event_id= ?offset= ?limit=\n\
  DELETE /sandbox/ledger       forget events, batches and test events\n\
  GET    /sandbox/batches      requests and what became of them, newest first: ?offset= ?limit=\n\
  GET    /sandbox/test_events  events sent with a test_event_code, by code\n\
  GET    /sandbox/refusals     every way to be refused, and how well each is known\n\
  GET    /sandbox/violations   what a correct sender never does\n\
  DELETE /sandbox/violations   forget them\n\
  GET    /sandbox/faults       the script, as far as it is not used up\n\
  POST   /sandbox/faults       append one fault, or an array of them; \"edge\" says where\n\
  DELETE /sandbox/faults       clear the script\n\
\n\
  GET    /sandbox/accounts     apps, people, pages, businesses, system users, pixels, tokens\n\
  GET    /sandbox/tokens       tokens by fingerprint and name, without their values\n\
  POST   /sandbox/tokens       make one: {\"app\":…,\"holder\":…,\"scopes\":[…],\"expires_in\":\"60d\"}\n\
  POST   /sandbox/tokens/{fingerprint or name}        {\"state\":\"revoked\"}, {\"subcode\":…}\n\
  GET    /sandbox/tokens/{fingerprint or name}/value  its value\n\
  GET    /sandbox/clock        the time of tokens, codes and proofs\n\
  POST   /sandbox/clock        {\"advance\":\"61d\"}\n\
  GET    /sandbox/calls        calls to the account endpoints, without any value\n\
  DELETE /sandbox/calls        forget them\n\
  GET    /sandbox/dialog       how the login dialog ends\n\
  POST   /sandbox/dialog       {\"outcome\":\"deny\"}, {\"person\":…,\"decline\":[…]}\n\
  GET    /sandbox/quirks       where answers differ from case to case, the one that is given\n\
  POST   /sandbox/quirks       {\"omit_expires_in\":true}\n";

/// Answers a request to `/`, `/sandbox` or below.
pub(super) async fn answer(core: &Core, request: Request<Body>) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let query = Query::of(&request);
    match (request.method(), path.as_str()) {
        (&Method::GET, "" | "/sandbox") => answer::raw(200, "text/plain; charset=UTF-8", BANNER),
        (&Method::GET, "/sandbox/health") => health(core),
        (&Method::GET, "/sandbox/ledger") => ledger(core, &query),
        (&Method::GET, "/sandbox/batches") => batches(core, &query),
        (&Method::GET, "/sandbox/test_events") => {
            answer::json(200, &json!({ "test_events": core.ledger().test_events() }))
        }
        (&Method::GET, "/sandbox/refusals") => refusals(),
        (&Method::GET, "/sandbox/violations") => violations(core),
        (&Method::GET, "/sandbox/faults") => script(core),
        (&Method::POST, "/sandbox/faults") => add_faults(core, request).await,
        (&Method::DELETE, "/sandbox/faults") => {
            core.script.clear();
            script(core)
        }
        (&Method::DELETE, "/sandbox/ledger") => {
            core.clear_ledger();
            health(core)
        }
        (&Method::DELETE, "/sandbox/violations") => {
            core.violations().clear();
            violations(core)
        }
        _ => accounts(core, request, &path).await,
    }
}

/// What is about the accounts.
async fn accounts(core: &Core, request: Request<Body>, path: &str) -> Response<Full<Bytes>> {
    let method = request.method().clone();
    let body = match edge::read_body(request.into_body()).await {
        Ok(body) => body,
        Err(refusal) => return edge::refuse(core, refusal),
    };
    let answer = accounts::control::answer(core, &method, path, &body);
    answer.unwrap_or_else(|| wrong(404, "no_such_route", "GET /sandbox lists what there is"))
}

/// Every way to be refused, of all three tables.
fn refusals() -> Response<Full<Bytes>> {
    let body = json!({
        "refusals": &REFUSALS[..],
        "account_refusals": &ACCOUNT_REFUSALS[..],
        "token_states": &STATES[..],
    });
    answer::json(200, &body)
}

pub(super) fn wrong(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let error = json!({ "code": code, "message": message });
    answer::json(status, &json!({ "error": error }))
}

fn health(core: &Core) -> Response<Full<Bytes>> {
    let totals = core.ledger().totals();
    let violations = core.violations().total();
    let body = json!({
        "what": "capigate sandbox, not Meta",
        "light": core.light,
        "totals": totals,
        "violations": violations,
        "faults": core.script.list().len(),
        "account_calls": core.accounts.lock().call_count(),
    });
    answer::json(200, &body)
}

fn ledger(core: &Core, query: &Query) -> Response<Full<Bytes>> {
    let Ok(pixel) = query.parse("pixel") else {
        return wrong(400, "pixel", "pixel is a number");
    };
    let Ok((offset, limit)) = query.page() else {
        return wrong(400, "page", "offset and limit are whole numbers");
    };
    let filter = Filter {
        pixel,
        event_name: query.text("event_name"),
        event_id: query.text("event_id"),
    };
    let ledger = core.ledger();
    let events: Vec<_> = ledger.events(&filter).skip(offset).take(limit).collect();
    let body = json!({ "totals": ledger.totals(), "events": events });
    answer::json(200, &body)
}

fn batches(core: &Core, query: &Query) -> Response<Full<Bytes>> {
    let Ok((offset, limit)) = query.page() else {
        return wrong(400, "page", "offset and limit are whole numbers");
    };
    let ledger = core.ledger();
    let newest = ledger.batches().iter().rev();
    let rows: Vec<_> = newest.skip(offset).take(limit).collect();
    let body = json!({ "totals": ledger.totals(), "batches": rows });
    answer::json(200, &body)
}

fn violations(core: &Core) -> Response<Full<Bytes>> {
    let log = core.violations();
    let body = json!({ "total": log.total(), "violations": log.kept() });
    answer::json(200, &body)
}

fn script(core: &Core) -> Response<Full<Bytes>> {
    answer::json(200, &json!({ "faults": core.script.list() }))
}

async fn add_faults(core: &Core, request: Request<Body>) -> Response<Full<Bytes>> {
    let body = match edge::read_body(request.into_body()).await {
        Ok(body) => body,
        Err(refusal) => return edge::refuse(core, refusal),
    };
    let faults = match read_faults(&body) {
        Ok(faults) => faults,
        // the writer of a fault must see what is wrong with it; there are no secrets in one
        Err(error) => return wrong(400, "fault", &error.to_string()),
    };
    match core.script.add_checked(faults) {
        Ok(()) => script(core),
        Err(error) => wrong(400, error.code(), &error.to_string()),
    }
}

/// One fault, or an array of them. Read in two steps, so that the error names the member.
fn read_faults(body: &[u8]) -> Result<Vec<Fault>, serde_json::Error> {
    match serde_json::from_slice(body)? {
        Value::Array(many) => many.into_iter().map(serde_json::from_value).collect(),
        one => Ok(vec![serde_json::from_value(one)?]),
    }
}

/// The query of a request.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Request<Body>) -> Self {
        let text = request.uri().query().unwrap_or_default();
        Self(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    fn text(&self, key: &str) -> Option<String> {
        let pair = self.0.iter().find(|(name, _)| name == key);
        pair.map(|(_, value)| value.clone())
    }

    fn parse<T: FromStr>(&self, key: &str) -> Result<Option<T>, T::Err> {
        self.text(key).map(|text| text.parse()).transpose()
    }

    fn page(&self) -> Result<(usize, usize), std::num::ParseIntError> {
        let offset = self.parse("offset")?.unwrap_or(0);
        Ok((offset, self.parse("limit")?.unwrap_or(DEFAULT_ROWS)))
    }
}

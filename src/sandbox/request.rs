//! A request to the events edge, taken apart: events, options, token and proof.

use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::accounts::proof::Proof;
use super::refusal::{self as no, Refusal};
use super::rules::MAX_BATCH;

/// The members beside `data` that the ledger keeps.
const OPTIONS: [&str; 9] = [
    "test_event_code",
    "partner_agent",
    "upload_tag",
    "upload_id",
    "upload_source",
    "namespace_id",
    "platforms",
    "progress",
    "trace",
];

/// The options whose type is plain: a string.
const TEXT_OPTIONS: [&str; 6] = [
    "test_event_code",
    "partner_agent",
    "upload_tag",
    "upload_id",
    "upload_source",
    "namespace_id",
];

/// What a request held. A request that cannot be read has no events and says why in `fault`.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub events: Vec<Value>,
    /// The members beside `data`, credentials taken out.
    pub members: Map<String, Value>,
    pub token: Option<Token>,
    pub proof: Option<String>,
    /// `appsecret_time`, of a timed proof.
    pub proof_time: Option<String>,
    /// A token stood in the URL, whether or not it was the one used.
    pub token_in_url: bool,
    pub fault: Option<&'static Refusal>,
}

/// A token and where it was.
pub(super) struct Token {
    pub value: String,
    pub place: &'static str,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(in the {})", self.place)
    }
}

impl Incoming {
    pub(super) fn proof(&self) -> Proof<'_> {
        Proof {
            value: self.proof.as_deref(),
            time: self.proof_time.as_deref(),
        }
    }

    /// Reads the head and the whole body. The token of the body counts before that of the header,
    /// and that before the one in the URL. With `light`, events have a name and an id only.
    pub(super) fn read(head: &Parts, body: &[u8], light: bool) -> Self {
        let mut incoming = Self::default();
        let mut place = "body";
        match members(head, body, light) {
            Ok((found, is_form)) => {
                incoming.members = found;
                if is_form {
                    place = "form";
                }
            }
            Err(refusal) => incoming.fault = Some(refusal),
        }
        let mut from_url = Map::new();
        let query = head.uri.query().unwrap_or_default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            from_url.insert(key.into_owned(), value.into_owned().into());
        }
        let mut credential = |key: &str| {
            let text = |value: Option<Value>| match value? {
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            (
                text(incoming.members.remove(key)),
                text(from_url.remove(key)),
            )
        };
        let (in_body, in_url) = credential("access_token");
        let (proof, proof_in_url) = credential("appsecret_proof");
        let (time, time_in_url) = credential("appsecret_time");
        incoming.proof = proof.or(proof_in_url);
        incoming.proof_time = time.or(time_in_url);
        incoming.token_in_url = in_url.is_some();
        incoming.token = [
            (in_body, place),
            (bearer(head), "header"),
            (in_url, "query"),
        ]
        .into_iter()
        .find_map(|(value, place)| value.map(|value| Token { value, place }));
        for (key, value) in from_url {
            incoming.members.entry(key).or_insert(value);
        }
        incoming.take_events();
        incoming
    }

    fn take_events(&mut self) {
        let data = match self.members.remove("data") {
            // a form carries the list as text
            Some(Value::String(text)) => serde_json::from_str(&text).ok(),
            other => other,
        };
        let fault = match data {
            Some(Value::Array(events)) if !events.is_empty() => {
                let too_many = events.len() > MAX_BATCH;
                self.events = events.into_iter().map(unfold).collect();
                too_many.then_some(&no::DATA_TOO_LONG)
            }
            _ => Some(&no::DATA_MISSING),
        };
        let wrong_option = TEXT_OPTIONS
            .iter()
            .filter_map(|key| self.members.get(*key))
            .any(|value| !(value.is_string() || value.is_null()));
        self.fault = self
            .fault
            .or(fault)
            .or(wrong_option.then_some(&no::OPTION_TYPE));
    }

    /// The members the ledger keeps, each no longer than it may be.
    pub(super) fn options(&self) -> Map<String, Value> {
        OPTIONS
            .iter()
            .filter_map(|key| Some((*key, self.members.get(*key)?)))
            .map(|(key, value)| {
                let kept = match value {
                    Value::String(text) => super::ledger::shown(text),
                    other => super::ledger::shown(&other.to_string()),
                };
                (key.to_owned(), Value::String(kept))
            })
            .collect()
    }
}

/// An event sent as a JSON string, as one of Meta's SDKs does, becomes what it says.
fn unfold(event: Value) -> Value {
    match &event {
        Value::String(text) => serde_json::from_str(text).unwrap_or(event),
        _ => event,
    }
}

fn bearer(head: &Parts) -> Option<String> {
    let value = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

/// The members of a JSON or form body, and whether it was a form.
fn members(
    head: &Parts,
    body: &[u8],
    light: bool,
) -> Result<(Map<String, Value>, bool), &'static Refusal> {
    let text = |name| head.headers.get(name).and_then(|v| v.to_str().ok());
    if text(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(&no::ENCODING);
    }
    let kind = text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("multipart/") {
        return Err(&no::ENCODING);
    }
    // curl labels whatever it sends with -d as a form, so a leading brace decides
    let is_json = body.trim_ascii_start().starts_with(b"{");
    if kind.starts_with("application/x-www-form-urlencoded") && !is_json {
        let members = form_urlencoded::parse(body)
            .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
            .collect();
        return Ok((members, true));
    }
    let read = if light {
        serde_json::from_slice::<LightBody>(body).and_then(serde_json::to_value)
    } else {
        serde_json::from_slice(body)
    };
    match read {
        Ok(Value::Object(members)) => Ok((members, false)),
        _ => Err(&no::BODY_UNREADABLE),
    }
}

/// A body of which little is read: what is not named here is skipped, not built.
#[derive(Deserialize, Serialize)]
struct LightBody {
    data: Vec<LightEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    appsecret_proof: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    appsecret_time: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_event_code: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct LightEvent {
    event_name: String,
    event_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn read(uri: &str, headers: &[(&str, &str)], body: &str) -> Incoming {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        Incoming::read(&head, body.as_bytes(), false)
    }

    fn token(incoming: &Incoming) -> Option<(&str, &str)> {
        let token = incoming.token.as_ref()?;
        Some((token.value.as_str(), token.place))
    }

    #[test]
    fn the_token_is_found_in_all_four_places_and_taken_out() {
        let json = r#"{"data":[{}],"access_token":"t","appsecret_proof":"p","upload_tag":"u"}"#;
        let incoming = read("/v1.0/1/events", &[], json);
        assert_eq!(token(&incoming), Some(("t", "body")));
        assert_eq!(incoming.proof.as_deref(), Some("p"));
        assert_eq!(incoming.members.len(), 1);
        let header = [("authorization", "bearer t")];
        let incoming = read("/v1.0/1/events", &header, r#"{"data":[{}]}"#);
        assert_eq!(token(&incoming), Some(("t", "header")));
        assert!(!incoming.token_in_url);
        let incoming = read("/v1.0/1/events?access_token=u", &header, r#"{"data":[{}]}"#);
        assert_eq!(token(&incoming), Some(("t", "header")));
        assert!(incoming.token_in_url);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let incoming = read(
            "/v1.0/1/events",
            &form,
            "access_token=t&data=%5B%7B%7D%5D&test_event_code=TEST1",
        );
        assert_eq!(token(&incoming), Some(("t", "form")));
        assert_eq!(incoming.events.len(), 1);
        assert_eq!(incoming.options()["test_event_code"], "TEST1");
        assert!(!format!("{incoming:?}").contains("\"t\""));
    }

    #[test]
    fn events_may_be_json_strings() {
        let incoming = read("/", &[], r#"{"data":["{\"event_name\":\"Lead\"}","{"]}"#);
        assert_eq!(incoming.events[0]["event_name"], "Lead");
        assert!(incoming.events[1].is_string());
        assert!(incoming.fault.is_none());
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let bomb = format!("{{\"data\":{}", "[".repeat(100_000));
        let long = format!("{{\"data\":[{}0]}}", "0,".repeat(MAX_BATCH));
        let cases = [
            ("", "body_unreadable"),
            ("[]", "body_unreadable"),
            ("\u{0}", "body_unreadable"),
            (&bomb, "body_unreadable"),
            ("{}", "data_missing"),
            (r#"{"data":[]}"#, "data_missing"),
            (&long, "data_too_long"),
            (r#"{"data":[{}],"upload_tag":7}"#, "option_type"),
        ];
        for (body, reason) in cases {
            assert_eq!(read("/", &[], body).fault.unwrap().reason, reason);
        }
        for header in [
            ("content-encoding", "gzip"),
            ("content-type", "multipart/form-data"),
        ] {
            let fault = read("/", &[header], "{}").fault.unwrap();
            assert_eq!(fault.reason, "encoding_unread");
        }
    }
}

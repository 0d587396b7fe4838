//! Looks for what must never arrive: raw personal data, and members where they do not belong.
//!
//! Findings name a place, never what was found there. A key that is not a plain word is shown as
//! `?`, for a key may itself be an address.

use std::fmt;

use serde_json::{Map, Value};

use super::privacy::{HASHED, has_email, is_nothing, looks_hashed, present};

/// `user_data` keys that travel in clear.
const CLEAR: [&str; 18] = [
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    "instagram_business_account_id",
    "ig_sid",
    "whatsapp_business_account_id",
    "app_user_id",
    "partner_id",
];

/// The SHA-256 of the empty string: the mark of a hash of nothing.
const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Something found in a request that a correct sender never sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub kind: &'static str,
    pub path: String,
}

/// A step into a JSON value; rendered only when something is found.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    fn root(key: &'a str) -> Self {
        Self {
            parent: None,
            step: Step::Key(key),
        }
    }

    fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        let dot = if self.parent.is_some() { "." } else { "" };
        match self.step {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) if is_word(key) => write!(f, "{dot}{key}"),
            Step::Key(_) => write!(f, "{dot}?"),
        }
    }
}

/// A key safe to show: a short identifier without a run of digits long enough for a phone number.
fn is_word(key: &str) -> bool {
    key.len() <= 64
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && key.bytes().filter(u8::is_ascii_digit).count() < 6
}

/// Looks through all events of a request; at most `most` findings.
pub(super) fn events(data: &[Value], raw_external_id: bool, most: usize) -> Vec<Finding> {
    let mut scan = Scan {
        found: Vec::new(),
        raw_external_id,
        most,
    };
    let root = Path::root("data");
    for (index, event) in data.iter().enumerate() {
        let path = root.index(index);
        match event {
            Value::Object(event) => scan.event(&path, event),
            other => scan.emails(&path, other),
        }
    }
    scan.found
}

/// Looks through the members beside `data`.
pub(super) fn options(members: &Map<String, Value>, most: usize) -> Vec<Finding> {
    let mut scan = Scan {
        found: Vec::new(),
        raw_external_id: false,
        most,
    };
    for (key, value) in members {
        let path = Path::root(key);
        scan.emails(&path, value);
        if has_email(key) {
            scan.add("email_in_body", &path);
        }
        if matches!(
            key.as_str(),
            "event_id" | "opt_out" | "data_processing_options"
        ) {
            scan.add("event_member_on_request", &path);
        }
    }
    if let Some(Value::String(agent)) = members.get("partner_agent") {
        let letters = agent.chars().filter(|c| c.is_alphabetic()).count();
        if agent.chars().count() >= 23 || letters < 2 {
            scan.add("partner_agent", &Path::root("partner_agent"));
        }
    }
    scan.found
}

struct Scan {
    found: Vec<Finding>,
    raw_external_id: bool,
    most: usize,
}

impl Scan {
    fn add(&mut self, kind: &'static str, path: &Path<'_>) {
        if self.found.len() < self.most {
            let path = path.to_string();
            self.found.push(Finding { kind, path });
        }
    }

    fn event(&mut self, at: &Path<'_>, event: &Map<String, Value>) {
        for (key, value) in event {
            let path = at.key(key);
            match (key.as_str(), value) {
                ("user_data", Value::Object(user)) => self.user(&path, user),
                _ => self.emails(&path, value),
            }
            if has_email(key) {
                self.add("email_in_body", &path);
            }
        }
        if event.get("event_time").is_some_and(Value::is_string) {
            self.add("wire_type", &at.key("event_time"));
        }
        if let Some(Value::Object(custom)) = event.get("custom_data")
            && custom.contains_key("event_id")
        {
            let custom = at.key("custom_data");
            self.add("event_id_in_custom_data", &custom.key("event_id"));
        }
    }

    fn user(&mut self, at: &Path<'_>, user: &Map<String, Value>) {
        for (key, value) in user {
            let path = at.key(key);
            let hashed = HASHED.contains(&key.as_str());
            if hashed && !(self.raw_external_id && key == "external_id") {
                self.digests(&path, value);
                continue;
            }
            self.emails(&path, value);
            let known = hashed || CLEAR.contains(&key.as_str()) || key == "partner_name";
            if !known {
                self.add("unknown_user_data_key", &path);
            }
            let wants_integer = matches!(key.as_str(), "lead_id" | "fb_login_id");
            // one that a JSON number cannot hold exactly, or that begins with 0, stays a text
            let fits = |text: &str| text.parse().is_ok_and(|id: u64| id.to_string() == text);
            if wants_integer && value.as_str().is_some_and(fits) {
                self.add("wire_type", &path);
            }
            if key == "client_ip_address" && !is_nothing(value) && !is_ip(value) {
                self.add("client_ip_address", &path);
            }
        }
    }

    fn digests(&mut self, at: &Path<'_>, value: &Value) {
        for (index, value) in present(value) {
            let indexed;
            let path = match index {
                Some(index) => {
                    indexed = at.index(index);
                    &indexed
                }
                None => at,
            };
            match value.as_str() {
                Some(text) if text.starts_with(HASH_OF_NOTHING) => {
                    self.add("hash_of_nothing", path);
                }
                Some(text) if looks_hashed(text) => {}
                _ => self.add("unhashed_match_key", path),
            }
        }
    }

    // serde_json refuses what is nested deeper than 128, so this recursion is bounded
    fn emails(&mut self, at: &Path<'_>, value: &Value) {
        match value {
            Value::String(text) if has_email(text) => self.add("email_in_body", at),
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.emails(&at.index(index), value);
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    let path = at.key(key);
                    self.emails(&path, value);
                    if has_email(key) {
                        self.add("email_in_body", &path);
                    }
                }
            }
            _ => {}
        }
    }
}

/// An IPv4 or IPv6 address, with or without the Parameter Builder's appendix.
fn is_ip(value: &Value) -> bool {
    let parses = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    value.as_str().is_some_and(|text| {
        parses(text)
            || text
                .rsplit_once('.')
                .is_some_and(|(ip, tail)| matches!(tail.len(), 2 | 8) && parses(ip))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::DIGEST;
    use super::*;

    #[test]
    fn findings_name_the_place_and_never_the_value() {
        let data = [json!({
            "event_name": "Lead",
            "event_time": "1795341600",
            "event_source_url": "https://shop.example/?mail=a@shop.example",
            "user_data": {
                "em": [DIGEST, "john@shop.example", null],
                "ph": "16505551212",
                "fn": HASH_OF_NOTHING,
                "email": "x",
                "lead_id": "123456789012345",
                "client_ip_address": "256.1.1.1",
                "client_user_agent": "agent",
            },
            "custom_data": {
                "event_id": "e",
                "deep": [{ "note": "b@shop.example" }],
                "c@shop.example": 1,
                "16505551212": "d@shop.example",
            },
        })];
        let mut found: Vec<_> = events(&data, false, 100)
            .into_iter()
            .map(|f| format!("{} {}", f.kind, f.path))
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "client_ip_address data[0].user_data.client_ip_address",
                "email_in_body data[0].custom_data.?",
                "email_in_body data[0].custom_data.?",
                "email_in_body data[0].custom_data.deep[0].note",
                "email_in_body data[0].event_source_url",
                "event_id_in_custom_data data[0].custom_data.event_id",
                "hash_of_nothing data[0].user_data.fn",
                "unhashed_match_key data[0].user_data.em[1]",
                "unhashed_match_key data[0].user_data.ph",
                "unknown_user_data_key data[0].user_data.email",
                "wire_type data[0].event_time",
                "wire_type data[0].user_data.lead_id",
            ]
        );
        assert_eq!(events(&data, false, 3).len(), 3);
    }

    #[test]
    fn an_external_id_may_be_let_through_raw() {
        let data = [json!({"user_data": {"external_id": "customer-8123"}})];
        assert_eq!(events(&data, false, 9).len(), 1);
        assert_eq!(events(&data, true, 9), []);
        let data = [json!({"user_data": {"external_id": "a@shop.example"}})];
        assert_eq!(events(&data, true, 9)[0].kind, "email_in_body");
    }

    #[test]
    fn members_of_events_do_not_belong_to_the_request() {
        let Value::Object(options) = json!({
            "event_id": "x", "opt_out": true, "upload_tag": "me@shop.example",
            "partner_agent": "a platform with a long name",
        }) else {
            unreachable!()
        };
        let kinds: Vec<_> = super::options(&options, 9).iter().map(|f| f.kind).collect();
        assert_eq!(
            kinds,
            [
                "event_member_on_request",
                "event_member_on_request",
                "email_in_body",
                "partner_agent"
            ]
        );
    }
}

//! What an operator lets pass, keeps back and changes, for a source or a pixel.
//!
//! **Promises.** A policy is asked of the raw event, before it is checked and hashed: what is kept
//! back costs little and is never stored, and what an edit makes is checked and hashed like all
//! else. An event that is kept back is neither accepted nor bad; [`KeptBack`] says by what. The
//! answer of a [`Consent`] gate never goes on. The same event fares the same each time.
//!
//! **Order.** Consent and crawlers are asked of the event as it came. Then event names are
//! replaced and the edits made, in their order. Event names, hosts and samples are asked of what
//! would go out. What then says nothing about Limited Data Use gets the default.
//!
//! **Refuses.** Edits that would let personal data past hashing ([`EditError::Leaves`],
//! [`EditError::Clear`], [`EditError::External`]) or past the firewall ([`EditError::Named`],
//! [`EditError::Page`]), when they are read.

mod consent;
mod crawlers;
mod edit;
mod host;
mod limited;
mod path;
mod sample;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::field;
use super::json;
use super::raw::RawEvent;
use super::source::ActionSource;
use super::visit::Visit;
use crate::codes::{self, Code};

pub use consent::{Consent, ConsentError};
pub use crawlers::Crawlers;
pub use edit::{Edit, EditError, When, missing_after};
pub use host::{HostPattern, HostPatternError};
pub use limited::{LimitedDataUse, LimitedDataUseError, Place};
pub use path::{Path, PathError, Section};
pub use sample::{Share, ShareError};

/// What a policy says. The default lets everything pass as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRules {
    /// Event names of which only these pass; empty means all.
    pub allow_events: BTreeSet<String>,
    /// Event names that do not pass.
    pub block_events: BTreeSet<String>,
    /// Event names that are replaced, each by another.
    pub rename_events: BTreeMap<String, String>,
    /// Hosts of pages of which only these pass; empty means all.
    pub allow_hosts: BTreeSet<HostPattern>,
    /// Hosts of pages that do not pass.
    pub block_hosts: BTreeSet<HostPattern>,
    /// What becomes of events that a crawler has caused.
    pub crawlers: Crawlers,
    /// Where the client says whether the person agreed.
    pub consent: Option<Consent>,
    /// What an event gets that says nothing about Limited Data Use.
    pub limited_data_use: LimitedDataUse,
    /// Changes of members, in order.
    pub edits: Vec<Edit>,
    /// The share of the events of a name that passes.
    pub sample: BTreeMap<String, Share>,
}

/// A policy that can be asked. The default lets everything pass as it is.
#[derive(Clone, Debug)]
pub struct Policy {
    section: Arc<str>,
    rules: PolicyRules,
    /// What replaces an event name, as JSON text.
    names: BTreeMap<String, String>,
    /// Whether it says anything at all.
    is_idle: bool,
}

/// Why an event is not sent, though nothing is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBack {
    /// The policy; its word is the last part of its config key, such as `consent`.
    pub policy: Code,
    /// The section of that key, such as `sources.shop.policy`.
    pub section: Arc<str>,
}

/// Which policies have changed an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied(u8);

/// A bit and its stable word each.
const APPLIED: [(Applied, &str); 4] = [
    (Applied::EDITS, "edits"),
    (Applied::FAN_OUT, "fan_out"),
    (Applied::LIMITED_DATA_USE, "limited_data_use"),
    (Applied::RENAME_EVENTS, "rename_events"),
];

impl Applied {
    /// One of the edits had something to change.
    pub const EDITS: Self = Self(1);
    /// It is a copy for another pixel.
    pub const FAN_OUT: Self = Self(2);
    /// It got the default.
    pub const LIMITED_DATA_USE: Self = Self(4);
    /// It got another name.
    pub const RENAME_EVENTS: Self = Self(8);

    /// These, and others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their stable words, in their order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let own = APPLIED.iter().filter(move |(bit, _)| self.0 & bit.0 != 0);
        own.map(|(_, word)| *word)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new("", PolicyRules::default())
    }
}

impl Policy {
    /// The policy of a section of the configuration, such as `sources.shop.policy`.
    pub fn new(section: &str, rules: PolicyRules) -> Self {
        let raw = |name: &str| {
            let mut raw = Vec::with_capacity(name.len() + 2);
            json::write_text(&mut raw, name);
            // it was UTF-8, and only ASCII is escaped
            String::from_utf8(raw).unwrap_or_default()
        };
        let names = rules.rename_events.iter();
        if rules.crawlers == Crawlers::Drop {
            crawlers::prepare();
        }
        Self {
            section: section.into(),
            names: names.map(|(from, to)| (from.clone(), raw(to))).collect(),
            is_idle: rules == PolicyRules::default(),
            rules,
        }
    }

    /// Whether it says nothing at all, so that there is nothing to ask.
    pub fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Asks whether the event may be sent, and changes it; says what was changed. `visit` is what
    /// the browser's request tells, if it comes from one.
    pub fn ask<'a>(
        &'a self,
        event: &mut RawEvent<'a>,
        visit: Option<&Visit>,
    ) -> Result<Applied, KeptBack> {
        if self.is_idle {
            return Ok(Applied::default());
        }
        let mut applied = Applied::default();
        let answer = match self.gate_as_sent(event, visit) {
            None => {
                applied = self.change(event);
                self.gate_as_changed(event)
            }
            kept_back => kept_back,
        };
        if let Some(policy) = answer {
            let section = Arc::clone(&self.section);
            return Err(KeptBack { policy, section });
        }
        if self.rules.limited_data_use.apply(event) {
            applied = applied.and(Applied::LIMITED_DATA_USE);
        }
        Ok(applied)
    }

    /// Takes out what Meta must not see. To be called after every policy was asked.
    pub fn strip(&self, event: &mut RawEvent<'_>) {
        for field in self.rules.consent.iter().flat_map(Consent::fields) {
            event.take(field);
        }
    }

    fn gate_as_sent(&self, event: &RawEvent<'_>, visit: Option<&Visit>) -> Option<Code> {
        let rules = &self.rules;
        if let Some(consent) = &rules.consent
            && !consent.permits(
                event.get(consent.field()),
                consent.other().and_then(|other| event.get(other)),
            )
        {
            return Some(codes::CONSENT);
        }
        if rules.crawlers == Crawlers::Drop && is_crawler(event, visit) {
            return Some(codes::CRAWLERS);
        }
        None
    }

    fn change<'a>(&'a self, event: &mut RawEvent<'a>) -> Applied {
        let mut applied = Applied::default();
        if !self.names.is_empty()
            && let Some(to) = text(event.event_name).and_then(|name| self.names.get(&*name))
        {
            event.event_name = Some(to);
            applied = Applied::RENAME_EVENTS;
        }
        for edit in &self.rules.edits {
            if edit.apply(event) {
                applied = applied.and(Applied::EDITS);
            }
        }
        applied
    }

    fn gate_as_changed(&self, event: &RawEvent<'_>) -> Option<Code> {
        let rules = &self.rules;
        // what has no name is refused for it later
        if let Some(name) = text(event.event_name) {
            if rules.block_events.contains(&*name) {
                return Some(codes::BLOCK_EVENTS);
            }
            if !rules.allow_events.is_empty() && !rules.allow_events.contains(&*name) {
                return Some(codes::ALLOW_EVENTS);
            }
        }
        if let Some(policy) = self.gate_hosts(event) {
            return Some(policy);
        }
        let share = text(event.event_name).and_then(|name| rules.sample.get(&*name));
        if share.is_some_and(|share| !share.takes(event)) {
            return Some(codes::SAMPLE);
        }
        None
    }

    fn gate_hosts(&self, event: &RawEvent<'_>) -> Option<Code> {
        let (allowed, blocked) = (&self.rules.allow_hosts, &self.rules.block_hosts);
        if allowed.is_empty() && blocked.is_empty() {
            return None;
        }
        let url = text(event.event_source_url).filter(|url| !url.trim().is_empty());
        let host = url.as_deref().and_then(host::host_of);
        let covers = |patterns: &BTreeSet<HostPattern>| {
            let host = host.as_deref();
            host.is_some_and(|host| patterns.iter().any(|pattern| pattern.covers(host)))
        };
        // what cannot be read may be one of them
        let is_unread = !blocked.is_empty() && url.is_some() && host.is_none();
        if is_unread || covers(blocked) {
            return Some(codes::BLOCK_HOSTS);
        }
        // an event of a till or a call centre has no page
        let has_page = url.is_some() || is_website(event);
        (!allowed.is_empty() && has_page && !covers(allowed)).then_some(codes::ALLOW_HOSTS)
    }
}

impl KeptBack {
    /// The config key of the policy, such as `sources.shop.policy.consent`.
    pub fn key(&self) -> String {
        format!("{}.{}", self.section, self.policy)
    }
}

fn text(raw: Option<&str>) -> Option<Cow<'_, str>> {
    json::text(raw?).ok()
}

fn is_website(event: &RawEvent<'_>) -> bool {
    let word = text(event.action_source);
    word.and_then(|word| ActionSource::read(word.trim())) == Some(ActionSource::Website)
}

/// An event that names no user agent has that of its request.
fn is_crawler(event: &RawEvent<'_>, visit: Option<&Visit>) -> bool {
    let members = event.user_data.iter().flatten();
    let field = field::index_of("client_user_agent");
    let mut agents = members.filter(|(key, _)| field::read(key) == field);
    let own = agents.find_map(|(_, agent)| text(Some(agent.open())));
    match own.filter(|agent| !agent.trim().is_empty()) {
        Some(agent) => crawlers::is_crawler(&agent),
        None => visit
            .and_then(|visit| visit.user_agent.as_deref())
            .is_some_and(crawlers::is_crawler),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{FILTER_POLICIES, POLICIES_APPLIED};

    /// A member of a policy, or its default.
    fn or<T: Default + serde::de::DeserializeOwned>(value: &serde_json::Value) -> T {
        serde_json::from_value(value.clone()).unwrap_or_else(|error| {
            assert!(value.is_null(), "{error}");
            T::default()
        })
    }

    fn rules(text: &str) -> PolicyRules {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        PolicyRules {
            allow_events: or(&value["allow_events"]),
            block_events: or(&value["block_events"]),
            rename_events: or(&value["rename_events"]),
            allow_hosts: or(&value["allow_hosts"]),
            block_hosts: or(&value["block_hosts"]),
            crawlers: or(&value["crawlers"]),
            consent: or(&value["consent"]),
            limited_data_use: or(&value["limited_data_use"]),
            edits: or(&value["edits"]),
            sample: or(&value["sample"]),
        }
    }

    /// What is said of an event: the policy that keeps it back, or those that were applied.
    fn ask(policy: &str, event: &str) -> String {
        let policy = Policy::new("sources.shop.policy", rules(policy));
        let mut event = RawEvent::parse(event).unwrap();
        match policy.ask(&mut event, None) {
            Ok(applied) => applied.words().collect::<Vec<_>>().join(" "),
            Err(kept_back) => {
                let key = kept_back.key();
                assert_eq!(key, format!("sources.shop.policy.{}", kept_back.policy));
                assert!(FILTER_POLICIES.contains(&kept_back.policy.word()), "{key}");
                format!("not sent: {}", kept_back.policy)
            }
        }
    }

    const SENT: &str = "";

    #[test]
    fn event_names_are_exact() {
        let lead = r#"{"event_name":"Lead"}"#;
        let policy = r#"{"allow_events":["Purchase","Lead"],"block_events":["Lead"]}"#;
        assert_eq!(ask(policy, lead), "not sent: block_events");
        assert_eq!(ask(policy, r#"{"event_name":"Purchase"}"#), SENT);
        assert_eq!(
            ask(policy, r#"{"event_name":"purchase"}"#),
            "not sent: allow_events"
        );
        assert_eq!(
            ask(policy, r#"{"event_name":"\u004cead"}"#),
            "not sent: block_events"
        );
        // a fault of the event, to be told as one
        assert_eq!(ask(policy, "{}"), SENT);
        assert_eq!(ask(policy, r#"{"event_name":7}"#), SENT);
    }

    #[test]
    fn hosts_of_pages() {
        let policy = r#"{"allow_hosts":["shop.example","*.shop.example"],"block_hosts":["dev.shop.example"]}"#;
        let at = |url: &str, source: &str| {
            let event = format!(r#"{{"event_source_url":{url},"action_source":"{source}"}}"#);
            ask(policy, &event)
        };
        assert_eq!(at(r#""https://www.Shop.example/a""#, "website"), SENT);
        assert_eq!(
            at(r#""https://DEV.shop.example/a""#, "website"),
            "not sent: block_hosts"
        );
        assert_eq!(
            at(r#""https://other.example/""#, "website"),
            "not sent: allow_hosts"
        );
        assert_eq!(
            at(r#""https://other.example/""#, "email"),
            "not sent: allow_hosts"
        );
        assert_eq!(at("null", "website"), "not sent: allow_hosts");
        assert_eq!(at(r#"" ""#, "website"), "not sent: allow_hosts");
        assert_eq!(at(r#""https://a b/""#, "chat"), "not sent: block_hosts");
        let any = r#"{"block_hosts":["bad.example"]}"#;
        for (url, want) in [
            ("https:/bad.example/", "not sent: block_hosts"),
            ("https:bad.example", "not sent: block_hosts"),
            ("https://a b/", "not sent: block_hosts"),
            ("https:/good.example/", SENT),
            (" ", SENT),
        ] {
            let event = format!(r#"{{"event_source_url":"{url}","action_source":"website"}}"#);
            assert_eq!(ask(any, &event), want, "{url}");
        }
        let allowed = r#"{"allow_hosts":["shop.example"]}"#;
        assert_eq!(
            ask(allowed, r#"{"event_source_url":"https://a b/"}"#),
            "not sent: allow_hosts"
        );
        assert_eq!(at("null", "physical_store"), SENT);
        let blocked = r#"{"block_hosts":["dev.shop.example"]}"#;
        assert_eq!(ask(blocked, r#"{"action_source":"website"}"#), SENT);
    }

    #[test]
    fn crawlers_by_their_user_agent() {
        let event = |key: &str, agent: &str| format!(r#"{{"user_data":{{"{key}":"{agent}"}}}}"#);
        let bot = event(
            "client_user_agent",
            "Mozilla/5.0 (compatible; Googlebot/2.1)",
        );
        assert_eq!(ask(r#"{"crawlers":"drop"}"#, &bot), "not sent: crawlers");
        assert_eq!(ask(r#"{"crawlers":"keep"}"#, &bot), SENT);
        let alias = event("User_Agent", "Googlebot/2.1");
        assert_eq!(ask(r#"{"crawlers":"drop"}"#, &alias), "not sent: crawlers");
        let person = event("client_user_agent", "Mozilla/5.0 Firefox/127.0");
        assert_eq!(ask(r#"{"crawlers":"drop"}"#, &person), SENT);
        assert_eq!(ask(r#"{"crawlers":"drop"}"#, "{}"), SENT);
    }

    #[test]
    fn consent_is_asked_before_the_edits_and_stripped_after_all() {
        let policy = r#"{"consent":{"field":"consent"},"edits":[{"drop":"consent"}]}"#;
        assert_eq!(ask(policy, r#"{"consent":"denied"}"#), "not sent: consent");
        assert_eq!(ask(policy, r#"{"consent":"granted"}"#), "edits");
        let policy = Policy::new(
            "pixels.1.policy",
            rules(r#"{"consent":{"field":"custom_data.agreed","required":true}}"#),
        );
        let mut event = RawEvent::parse(r#"{"custom_data":{"agreed":true,"value":1}}"#).unwrap();
        assert_eq!(policy.ask(&mut event, None), Ok(Applied::default()));
        policy.strip(&mut event);
        assert_eq!(event.custom_data, Some(vec![("value".into(), "1")]));
        // the same name in the other place
        let policy = Policy::new(
            "pixels.1.policy",
            rules(r#"{"consent":{"field":"consent"}}"#),
        );
        let text = r#"{"consent":"granted","custom_data":{"consent":"yes","value":1}}"#;
        let mut event = RawEvent::parse(text).unwrap();
        assert_eq!(policy.ask(&mut event, None), Ok(Applied::default()));
        policy.strip(&mut event);
        assert!(event.other.is_empty());
        assert_eq!(event.custom_data, Some(vec![("value".into(), "1")]));
        let mut denied = RawEvent::parse(r#"{"custom_data":{"consent":false}}"#).unwrap();
        assert!(policy.ask(&mut denied, None).is_err());
    }

    #[test]
    fn names_hosts_and_samples_are_asked_of_what_would_go_out() {
        let policy = r#"{"rename_events":{"Order Completed":"Purchase","a":"b","b":"c"},
            "allow_events":["Purchase","b"],"allow_hosts":["shop.example"],
            "edits":[{"set":"event_source_url","value":"https://shop.example/"}]}"#;
        let event = r#"{"event_name":"Order Completed","action_source":"website"}"#;
        assert_eq!(ask(policy, event), "edits rename_events");
        // once, not on and on
        assert_eq!(ask(policy, r#"{"event_name":"a"}"#), "edits rename_events");
        assert_eq!(
            ask(policy, r#"{"event_name":"b"}"#),
            "not sent: allow_events"
        );
        assert_eq!(
            ask(r#"{"sample":{"Lead":0}}"#, r#"{"event_name":"Lead"}"#),
            "not sent: sample"
        );
        assert_eq!(
            ask(r#"{"sample":{"Lead":0}}"#, r#"{"event_name":"lead"}"#),
            SENT
        );
    }

    #[test]
    fn every_word_has_its_label() {
        let words: Vec<_> = APPLIED.iter().map(|(_, word)| *word).collect();
        assert_eq!(words, POLICIES_APPLIED);
        let rows = codes::all().filter(|code| code.row().is_about(codes::About::Policy));
        let mut filters: Vec<_> = rows.map(Code::word).collect();
        filters.sort_unstable();
        assert_eq!(filters, FILTER_POLICIES);
        let all = APPLIED
            .iter()
            .fold(Applied::default(), |all, (bit, _)| all.and(*bit));
        assert_eq!(all.words().count(), APPLIED.len());
        assert!(!all.is_empty() && Applied::default().is_empty());
    }

    #[test]
    fn a_policy_that_says_nothing_changes_nothing() {
        let event = r#"{"event_name":"X","consent":"denied","user_data":{"client_user_agent":"Googlebot/2.1"}}"#;
        assert_eq!(ask("{}", event), SENT);
    }
}

//! `[sources.<name>.policy]` and `[pixels.<id>.policy]`: what may pass, and what is changed in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::event::policy::{
    Consent, Crawlers, Edit, HostPattern, LimitedDataUse, Share, missing_after,
};

/// Event names or hosts in one key.
const MAX_NAMES: usize = 256;
/// Edits in one policy.
const MAX_EDITS: usize = 100;

/// What of the events of a source or a pixel may pass, and what is changed in it. That of the
/// source is asked first, then that of the pixel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Event names, exact, as Meta compares them: only these are sent. None means all.
    ///
    /// Example: `["Purchase", "Lead"]`
    pub allow_events: BTreeSet<String>,
    /// Event names, exact, that are not sent.
    ///
    /// Example: `["PageView"]`
    pub block_events: BTreeSet<String>,
    /// Event names that are replaced, each by another, before all else is asked of them.
    ///
    /// Example: `{ "Order Completed" = "Purchase" }`
    pub rename_events: BTreeMap<String, String>,
    /// Hosts of event_source_url, exact or all below one: only events of these are sent. None means
    /// all. Events of websites must have a page then; others without one pass.
    ///
    /// Example: `["shop.example", "*.shop.example"]`
    pub allow_hosts: BTreeSet<HostPattern>,
    /// Hosts of event_source_url, exact or all below one, whose events are not sent; where any is
    /// set, neither is an event with a URL whose host cannot be read.
    ///
    /// Example: `["staging.shop.example", "localhost"]`
    pub block_hosts: BTreeSet<HostPattern>,
    /// What becomes of events whose client_user_agent is that of a known crawler: "keep" sends
    /// them, "drop" does not.
    pub crawlers: Crawlers,
    /// A gate: field is the member of the event ("consent") or of custom_data
    /// ("custom_data.consent") in which the client says whether the person agreed; an event with one of the answers in denied (or with one that is
    /// a list or an object) is not sent, and where required is true neither is one without an
    /// answer. A no in a member of the same name in the other place counts as one, too. Neither
    /// of the two goes to Meta.
    ///
    /// Example: `{ field = "consent", denied = ["denied", false, 0], required = false }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// What an event gets that has no data_processing_options: "pass" adds nothing, a table asks
    /// for Limited Data Use in a place, by Meta's codes; 0 and 0 lets Meta find it. Options of the
    /// client's, also [], keep their meaning; a country or state that it gives without options
    /// stays, where the policy completes it to a pair.
    ///
    /// Example: `{ country = 1, state = 1000 }`
    pub limited_data_use: LimitedDataUse,
    /// Changes of members, in order: of the event, or of user_data, custom_data or app_data with a
    /// dot in between. A value that is there already is not replaced by one that is renamed; when
    /// is "always", "absent" or "present". What is in user_data cannot leave it, and what comes
    /// into it must be hashed there; nothing is renamed to user_data.external_id. A field of
    /// user_data is meant under all its names (em, email). What a name says to be a phone number,
    /// an e-mail address or a token keeps such a name or is hashed; addresses of pages stay such.
    ///
    /// Example: `[{ rename = "custom_data.total", to = "custom_data.value" }, { drop = "custom_data.note" }, { set = "custom_data.currency", value = "EUR", when = "absent" }]`
    pub edits: Vec<Edit>,
    /// Event names, each with the share of its events that is sent, from 0 to 1. The event_id
    /// decides, so a repeated event and its twin fare alike.
    ///
    /// Example: `{ PageView = 0.1 }`
    pub sample: BTreeMap<String, Share>,
}

impl Policy {
    /// Adds what is wrong with it to the faults; `path` is that of its owner.
    pub(super) fn validate(&self, path: &str, faults: &mut Vec<Fault>) {
        let is_name = |name: &String| !name.trim().is_empty();
        let mut expect = |key: &str, expected: String| {
            faults.push(Fault::cross(format!("{path}.policy.{key}"), expected));
        };
        let counts = [
            ("allow_events", self.allow_events.len()),
            ("block_events", self.block_events.len()),
            ("rename_events", self.rename_events.len()),
            ("allow_hosts", self.allow_hosts.len()),
            ("block_hosts", self.block_hosts.len()),
            ("sample", self.sample.len()),
        ];
        for (key, _) in counts.iter().filter(|(_, count)| *count > MAX_NAMES) {
            expect(key, format!("at most {MAX_NAMES}"));
        }
        if self.edits.len() > MAX_EDITS {
            expect("edits", format!("at most {MAX_EDITS}"));
        }
        if let Some(name) = missing_after(&self.edits) {
            let expected =
                format!("edits that leave {name} in place: every event would be refused without");
            expect("edits", expected);
        }
        let names = [
            ("allow_events", &self.allow_events),
            ("block_events", &self.block_events),
        ];
        for (key, _) in names.iter().filter(|(_, names)| !names.iter().all(is_name)) {
            expect(key, "event names that are not empty".to_owned());
        }
        if !self.sample.keys().all(is_name) {
            expect("sample", "event names that are not empty".to_owned());
        }
        let renames = &self.rename_events;
        if !renames.keys().chain(renames.values()).all(is_name) {
            expect("rename_events", "event names that are not empty".to_owned());
        }
        if renames.iter().any(|(from, to)| from == to) {
            expect("rename_events", "another name than before".to_owned());
        }
        if self
            .allow_events
            .iter()
            .any(|name| self.block_events.contains(name))
        {
            let expected = "other names than allow_events has: what is in both is not sent";
            expect("block_events", expected.to_owned());
        }
    }
}

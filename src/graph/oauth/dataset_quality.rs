//! Meta's Dataset Quality API: what Meta says of the events it got for a dataset, which is a pixel.
//!
//! Everything in an answer may be missing, and is none or empty then. Meta's table of fields spells one
//! of them `dedup_key_feedback`, its examples `dedupe_key_feedback`: the latter is asked for, both are
//! read. Source: Meta's Dataset Quality API, which was called Setup and Integration Quality before.

use serde::Serialize;

use super::OauthClient;
use super::answer::Node;
use super::error::OauthError;
use super::wire::Call;
use crate::graph::scrub::Text;
use crate::pixel::PixelId;
use crate::secret::Secret;

/// Event names of an answer that are read.
pub const MAX_EVENT_NAMES: usize = 50;
/// Entries that are read of each list about an event name.
pub const MAX_ENTRIES: usize = 40;

/// What is asked for.
const FIELDS: &str = "web{event_name,\
    event_match_quality{composite_score,\
    match_key_feedback{identifier,coverage{percentage},potential_aly_acr_increase{percentage,description}},\
    diagnostics{name,description,solution,percentage,affected_event_count,total_event_count}},\
    event_coverage{percentage,goal_percentage,description},\
    dedupe_key_feedback{dedupe_key,browser_events_with_dedupe_key{percentage},\
    server_events_with_dedupe_key{percentage},overall_browser_coverage_from_dedupe_key{percentage}},\
    data_freshness{upload_frequency,description},\
    acr{percentage,description},event_potential_aly_acr_increase{percentage,description}}";

/// The same of a version of the API that lacks some of it.
const FEWER_FIELDS: &str = "web{event_name,event_match_quality,event_coverage}";

/// Meta's words for what identifies a person, and the member of `user_data` that it is. Those that
/// Meta's examples do not have are guesses: what is not here is shown as Meta calls it.
const IDENTIFIERS: [(&str, &str); 33] = [
    ("email", "em"),
    ("em", "em"),
    ("phone", "ph"),
    ("phone_number", "ph"),
    ("ph", "ph"),
    ("external_id", "external_id"),
    ("ip_address", "client_ip_address"),
    ("client_ip_address", "client_ip_address"),
    ("user_agent", "client_user_agent"),
    ("client_user_agent", "client_user_agent"),
    ("fbc", "fbc"),
    ("click_id", "fbc"),
    ("fbp", "fbp"),
    ("browser_id", "fbp"),
    ("fb_login_id", "fb_login_id"),
    ("lead_id", "lead_id"),
    ("first_name", "fn"),
    ("fn", "fn"),
    ("last_name", "ln"),
    ("ln", "ln"),
    ("city", "ct"),
    ("ct", "ct"),
    ("state", "st"),
    ("st", "st"),
    ("zip", "zp"),
    ("zip_code", "zp"),
    ("zp", "zp"),
    ("country", "country"),
    ("date_of_birth", "db"),
    ("birthday", "db"),
    ("db", "db"),
    ("gender", "ge"),
    ("ge", "ge"),
];

/// What Meta says of a dataset's web events.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DatasetQuality {
    /// By event name, in Meta's order; empty for a dataset without data.
    pub events: Vec<EventQuality>,
    /// Event names beyond [`MAX_EVENT_NAMES`], which were not read.
    pub left_out: usize,
}

/// What Meta says of the events of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventQuality {
    /// The name.
    pub event_name: Text,
    /// Event match quality, from 0 to 10.
    pub score: Option<f64>,
    /// How many events have what identifies a person.
    pub match_keys: Vec<MatchKey>,
    /// What Meta finds wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// How many of the browser's events came from the server, too.
    pub coverage: Option<Coverage>,
    /// How many events have what tells duplicates.
    pub dedup_keys: Vec<DedupKey>,
    /// How soon events come.
    pub freshness: Option<Freshness>,
    /// Additional conversions reported because of the server's events.
    pub acr: Option<Figure>,
    /// How many more it could be.
    pub potential_acr: Option<Figure>,
}

/// A figure with Meta's words about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// In per cent.
    pub percent: Option<f64>,
    /// What it means.
    pub description: Option<Text>,
}

/// The share of events that have something which identifies a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatchKey {
    /// Meta's word for it, such as `email`.
    pub identifier: Text,
    /// The member of `user_data` that it is, if it is known.
    pub key: Option<&'static str>,
    /// In per cent.
    pub percent: Option<f64>,
    /// What it could bring if all events had it.
    pub potential_acr: Option<Figure>,
}

/// Something that Meta finds wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// A few words.
    pub name: Option<Text>,
    /// What it is.
    pub description: Option<Text>,
    /// What to do.
    pub solution: Option<Text>,
    /// The share of events that it concerns, in per cent.
    pub percent: Option<f64>,
    /// How many those are.
    pub affected_events: Option<i64>,
    /// Of how many.
    pub total_events: Option<i64>,
}

/// The share of the browser's events that the server has sent, too, with the same id: of 7 days.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// In per cent.
    pub percent: Option<f64>,
    /// What Meta wants it to be, in per cent.
    pub goal_percent: Option<f64>,
    /// What it means.
    pub description: Option<Text>,
}

/// The shares of events that have something which tells duplicates, in per cent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DedupKey {
    /// Such as `event_id`.
    pub key: Text,
    /// Of the browser's.
    pub browser_percent: Option<f64>,
    /// Of the server's.
    pub server_percent: Option<f64>,
    /// Of the browser's, those that the server's can be told to be the same as.
    pub overall_percent: Option<f64>,
}

/// How soon events come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Freshness {
    /// Such as `real_time` or `hourly`.
    pub upload_frequency: Option<Text>,
    /// What it means.
    pub description: Option<Text>,
}

/// What a token with these scopes lacks to read the figures, in words; none if nothing. Source: Meta's
/// page on the API, and the only scope of the tokens that the Events Manager makes.
pub fn lacking_scopes(scopes: &[String]) -> Option<&'static str> {
    let has = |scope| scopes.iter().any(|one| one == scope);
    let manages = has("ads_management") || has("business_management");
    match (has("read_ads_dataset_quality"), has("ads_read"), manages) {
        (true, ..) | (_, true, true) => None,
        (_, true, false) => Some("ads_management or business_management"),
        (_, false, true) => Some("ads_read"),
        (_, false, false) => Some("ads_read, and ads_management or business_management"),
    }
}

impl DatasetQuality {
    /// None where it is no object, or `web` is no list.
    fn read(root: Node<'_>) -> Option<Self> {
        if !root.is_object() {
            return None;
        }
        if root.get("web").is_none() {
            return Some(Self::default());
        }
        let all = root.list("web")?;
        let mut named = all.filter_map(EventQuality::read);
        let events = named.by_ref().take(MAX_EVENT_NAMES).collect();
        Some(Self {
            events,
            left_out: named.count(),
        })
    }
}

impl EventQuality {
    fn read(event: Node<'_>) -> Option<Self> {
        let matching = event.get("event_match_quality");
        let lists = |key: &str| {
            let all = matching.and_then(|matching| matching.list(key));
            all.into_iter().flatten()
        };
        let dedup = ["dedupe_key_feedback", "dedup_key_feedback"];
        let dedup = dedup.into_iter().find_map(|key| event.list(key));
        Some(Self {
            event_name: event.text("event_name")?,
            score: matching.and_then(|matching| matching.number("composite_score")),
            match_keys: lists("match_key_feedback")
                .filter_map(MatchKey::read)
                .take(MAX_ENTRIES)
                .collect(),
            diagnostics: lists("diagnostics")
                .filter_map(Diagnostic::read)
                .take(MAX_ENTRIES)
                .collect(),
            coverage: event.get("event_coverage").map(Coverage::read),
            dedup_keys: (dedup.into_iter().flatten())
                .filter_map(DedupKey::read)
                .take(MAX_ENTRIES)
                .collect(),
            freshness: event.get("data_freshness").map(Freshness::read),
            acr: Figure::read(event, "acr"),
            potential_acr: Figure::read(event, "event_potential_aly_acr_increase"),
        })
    }
}

impl Figure {
    /// An object, or the number alone.
    fn read(node: Node<'_>, key: &str) -> Option<Self> {
        let description = node.get(key)?.text("description");
        let percent = percent(node, key);
        (percent.is_some() || description.is_some()).then_some(Self {
            percent,
            description,
        })
    }
}

/// `{"percentage": …}` in `key`, or the number alone.
fn percent(node: Node<'_>, key: &str) -> Option<f64> {
    let inner = node.get(key)?.number("percentage");
    inner.or_else(|| node.number(key))
}

impl MatchKey {
    fn read(node: Node<'_>) -> Option<Self> {
        let identifier = node.text("identifier")?;
        let known = |(word, _): &&(&str, &str)| identifier.as_str().eq_ignore_ascii_case(word);
        Some(Self {
            key: IDENTIFIERS.iter().find(known).map(|(_, key)| *key),
            identifier,
            percent: percent(node, "coverage"),
            potential_acr: Figure::read(node, "potential_aly_acr_increase"),
        })
    }
}

impl Diagnostic {
    fn read(node: Node<'_>) -> Option<Self> {
        let (name, description) = (node.text("name"), node.text("description"));
        (name.is_some() || description.is_some()).then_some(Self {
            name,
            description,
            solution: node.text("solution"),
            percent: percent(node, "percentage"),
            affected_events: node.integer("affected_event_count"),
            total_events: node.integer("total_event_count"),
        })
    }
}

impl Coverage {
    fn read(node: Node<'_>) -> Self {
        Self {
            percent: percent(node, "percentage"),
            goal_percent: percent(node, "goal_percentage"),
            description: node.text("description"),
        }
    }
}

impl DedupKey {
    fn read(node: Node<'_>) -> Option<Self> {
        // as the name of the list, these may be spelt in both ways
        let both = ["dedupe_key", "dedup_key"];
        let share = |of: &str| {
            let mut names = both.into_iter().map(|key| format!("{of}{key}"));
            names.find_map(|name| percent(node, &name))
        };
        Some(Self {
            key: both.into_iter().find_map(|key| node.text(key))?,
            browser_percent: share("browser_events_with_"),
            server_percent: share("server_events_with_"),
            overall_percent: share("overall_browser_coverage_from_"),
        })
    }
}

impl Freshness {
    fn read(node: Node<'_>) -> Self {
        Self {
            upload_frequency: node.text("upload_frequency"),
            description: node.text("description"),
        }
    }
}

impl OauthClient {
    /// Asks what Meta says of a dataset's web events. Where its version of the API does not know one
    /// of the fields, it is asked a second time, for those that it has had from the beginning.
    pub async fn dataset_quality(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
        dataset: PixelId,
    ) -> Result<DatasetQuality, OauthError> {
        let id = dataset.to_string();
        let read = |fields| {
            Call::get("dataset_quality")
                .open("dataset_id", id.as_str())
                .open("fields", fields)
                .bearer(token)
                .proven(token, app_secret)
        };
        let answer = match self.call(read(FIELDS)).await {
            Err(OauthError::Meta(error)) if is_about_a_field(&error) => {
                self.call(read(FEWER_FIELDS)).await?
            }
            other => other?,
        };
        DatasetQuality::read(answer.root()).ok_or(OauthError::Missing("web"))
    }
}

fn is_about_a_field(error: &super::MetaError) -> bool {
    let said = error.message.as_ref().map_or("", Text::as_str);
    error.code == 100 && said.to_ascii_lowercase().contains("nonexisting field")
}

//! `dataset_quality`: made-up figures about the events that the sandbox really got.
//!
//! Coverage of match keys and the server's share of deduplication keys are counted, over the website
//! events that are kept as they came. The score is the sandbox's own sum of those; what only somebody
//! who also gets the browser's events could know is the same for all. Each text says that it is made up.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::call::Call;
use super::refusal as no;
use super::registry::Registry;
use crate::pixel::PixelId;
use crate::sandbox::core::Core;
use crate::sandbox::graph_error::GraphError;

/// Everything that can be asked for.
const KNOWN: &str = "web{event_name,\
    event_match_quality{composite_score,\
    match_key_feedback{identifier,coverage{percentage},potential_aly_acr_increase{percentage,description}},\
    diagnostics{name,description,solution,percentage,affected_event_count,total_event_count}},\
    event_coverage{percentage,goal_percentage,description},\
    dedupe_key_feedback{dedupe_key,browser_events_with_dedupe_key{percentage},\
    server_events_with_dedupe_key{percentage},overall_browser_coverage_from_dedupe_key{percentage}},\
    data_freshness{upload_frequency,description},\
    acr{percentage,description},event_potential_aly_acr_increase{percentage,description}}";

/// What a token needs one of; a list is needed whole.
const NEEDED: [&[&str]; 3] = [
    &["read_ads_dataset_quality"],
    &["ads_read", "ads_management"],
    &["ads_read", "business_management"],
];

/// Match keys, the word for each in an answer, and its part of the score, in tenths.
const KEYS: [(&str, &str, u32); 7] = [
    ("em", "email", 30),
    ("ph", "phone", 20),
    ("external_id", "external_id", 15),
    ("fbp", "fbp", 10),
    ("fbc", "fbc", 10),
    ("client_ip_address", "ip_address", 8),
    ("client_user_agent", "user_agent", 7),
];

/// The share of events with an e-mail address below which there is a diagnostic, in per cent.
const FEW: f64 = 50.0;

/// Braces within each other that are read; the API has fewer.
const MAX_DEPTH: usize = 8;

const SAYS: &str = "Simulated by the capigate sandbox, not Meta: ";

/// The names in a list such as `a,b{c,d}`, each with those in its braces.
#[derive(Debug, Default, PartialEq)]
struct Fields(BTreeMap<String, Fields>);

/// What was counted of the events of one name.
#[derive(Default)]
struct Counted {
    events: u32,
    with_event_id: u32,
    keys: BTreeMap<&'static str, u32>,
}

/// What the edge answers.
pub(super) fn answer(core: &Core, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
    let dataset = core.accounts.lock().may_read_quality(call, now)?;
    let known = Fields::of(KNOWN);
    let asked = call.get("fields").map(Fields::of);
    let asked = asked.unwrap_or_else(|| Fields::of("web{event_name,event_match_quality}"));
    if !asked.is_within(&known) {
        return Err(GraphError::boxed(&no::FIELD));
    }
    let events: Vec<Value> = count(core, dataset)
        .iter()
        .map(|(name, counted)| counted.shown(name))
        .collect();
    if events.is_empty() {
        return Ok(json!({}));
    }
    Ok(asked.pick(&json!({ "web": events })))
}

impl Registry {
    /// Which dataset it is about, if the token may read its quality.
    fn may_read_quality(&self, call: &Call, now: i64) -> Result<PixelId, Box<GraphError>> {
        let token = self.holder(call, now).map_err(|error| self.bent(error))?;
        let may = |scopes: &&[&str]| {
            (scopes.iter()).all(|scope| token.scopes.iter().any(|has| has == scope))
        };
        let dataset = call.get("dataset_id");
        let dataset = dataset.ok_or_else(|| GraphError::boxed(&no::DATASET_MISSING))?;
        let dataset = dataset.parse().ok();
        let dataset = dataset.filter(|id| self.world.has_pixel(*id));
        let dataset = dataset.ok_or_else(|| self.bent(GraphError::boxed(&no::DATASET_UNKNOWN)))?;
        if NEEDED.iter().any(may) && self.reaches(&token, dataset) {
            Ok(dataset)
        } else {
            Err(GraphError::boxed(&no::QUALITY_PERMISSION))
        }
    }
}

fn count(core: &Core, dataset: PixelId) -> BTreeMap<String, Counted> {
    let ledger = core.ledger();
    let mut all: BTreeMap<String, Counted> = BTreeMap::new();
    for (name, body) in ledger.bodies(dataset) {
        // the score is for web events only
        if body["action_source"] != "website" {
            continue;
        }
        let counted = all.entry(name.to_owned()).or_default();
        counted.events += 1;
        counted.with_event_id += u32::from(body["event_id"].is_string());
        for (key, ..) in KEYS {
            let there = match &body["user_data"][key] {
                Value::Null => false,
                Value::Array(values) => !values.is_empty(),
                _ => true,
            };
            *counted.keys.entry(key).or_default() += u32::from(there);
        }
    }
    all
}

/// To a tenth.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl Counted {
    fn percent(&self, of: u32) -> f64 {
        rounded(f64::from(of) * 100.0 / f64::from(self.events.max(1)))
    }

    fn with(&self, key: &str) -> u32 {
        self.keys.get(key).copied().unwrap_or_default()
    }

    fn shown(&self, name: &str) -> Value {
        let mut score = 0.0;
        let mut feedback = Vec::new();
        for (key, word, part) in KEYS {
            let percent = self.percent(self.with(key));
            score += percent / 100.0 * f64::from(part) / 10.0;
            if percent > 0.0 {
                feedback.push(json!({
                    "identifier": word,
                    "coverage": { "percentage": percent },
                    "potential_aly_acr_increase": figure(0.0, "it knows of no conversions"),
                }));
            }
        }
        let server = |with: u32| json!({ "percentage": self.percent(with) });
        let dedup = [
            ("event_id", self.with_event_id),
            ("external_id", self.with("external_id")),
            ("fbp", self.with("fbp")),
        ];
        let dedup = dedup.map(|(key, with)| {
            json!({
                "dedupe_key": key,
                // it gets no browser's events, as if all of them had the key
                "browser_events_with_dedupe_key": { "percentage": 100 },
                "server_events_with_dedupe_key": server(with),
                "overall_browser_coverage_from_dedupe_key": server(with),
            })
        });
        json!({
            "event_name": name,
            "event_match_quality": {
                "composite_score": rounded(score),
                "match_key_feedback": feedback,
                "diagnostics": self.diagnostics(),
            },
            "event_coverage": {
                "percentage": self.percent(self.with_event_id),
                "goal_percentage": 75,
                "description": format!("{SAYS}the share of events with an event_id, since it gets no browser's events."),
            },
            "dedupe_key_feedback": dedup,
            "data_freshness": {
                "upload_frequency": "real_time",
                "description": format!("{SAYS}always the same."),
            },
            "acr": figure(12.0, "always the same"),
            "event_potential_aly_acr_increase": figure(8.0, "always the same"),
        })
    }

    fn diagnostics(&self) -> Vec<Value> {
        let without = self.events - self.with("em").min(self.events);
        let percent = self.percent(without);
        if percent <= 100.0 - FEW {
            return Vec::new();
        }
        vec![json!({
            "name": "Few events have an email",
            "description": format!("{SAYS}events come without an email address."),
            "solution": "Send em, hashed, where the customer has given the address.",
            "percentage": percent,
            "affected_event_count": without,
            "total_event_count": self.events,
        })]
    }
}

fn figure(percent: f64, says: &str) -> Value {
    json!({ "percentage": percent, "description": format!("{SAYS}{says}.") })
}

impl Fields {
    fn of(list: &str) -> Self {
        Self::read(&mut list.chars(), MAX_DEPTH)
    }

    /// Up to the brace that closes it, or the end. A brace that is too deep is part of a name, which
    /// nothing has.
    fn read(letters: &mut std::str::Chars<'_>, depth: usize) -> Self {
        let mut all = BTreeMap::new();
        let mut name = String::new();
        let enter = |all: &mut BTreeMap<_, _>, name: &mut String, inner: Self| {
            if !name.is_empty() {
                all.insert(std::mem::take(name), inner);
            }
        };
        while let Some(letter) = letters.next() {
            match letter {
                '{' if depth > 0 => {
                    let inner = Self::read(letters, depth - 1);
                    enter(&mut all, &mut name, inner);
                }
                '}' => break,
                ',' => enter(&mut all, &mut name, Self::default()),
                ' ' => {}
                other => name.push(other),
            }
        }
        enter(&mut all, &mut name, Self::default());
        Self(all)
    }

    fn is_within(&self, known: &Self) -> bool {
        self.0.iter().all(|(name, inner)| {
            let known = known.0.get(name);
            known.is_some_and(|known| inner.is_within(known))
        })
    }

    /// The members that are asked for; all, where none is named.
    fn pick(&self, value: &Value) -> Value {
        match value {
            _ if self.0.is_empty() => value.clone(),
            Value::Array(items) => items.iter().map(|item| self.pick(item)).collect(),
            Value::Object(members) => {
                let asked = |(name, inner): (&String, &Self)| {
                    Some((name.clone(), inner.pick(members.get(name)?)))
                };
                Value::Object(self.0.iter().filter_map(asked).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_picked_at_every_depth() {
        let fields = Fields::of("a, b{c{d},e},f");
        assert!(fields.is_within(&Fields::of("a{x},b{c{d,z},e},f,g")));
        assert!(!Fields::of("a{y}").is_within(&Fields::of("a{x}")));
        let value = json!({"a": {"x": 1}, "b": [{"c": {"d": 2, "z": 3}, "e": 4, "q": 5}], "g": 6});
        let picked = json!({"a": {"x": 1}, "b": [{"c": {"d": 2}, "e": 4}]});
        assert_eq!(fields.pick(&value), picked);
        assert_eq!(Fields::of("}{,}{"), Fields::default());
        let deep = "a{".repeat(50_000);
        assert!(!Fields::of(&deep).is_within(&Fields::of(KNOWN)));
    }

    #[test]
    fn the_parts_of_the_score_are_ten() {
        assert_eq!(KEYS.iter().map(|(.., part)| part).sum::<u32>(), 100);
    }
}

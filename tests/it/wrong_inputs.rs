//! What a sender may do wrong, and what it is told: every row of `tests/wrong_inputs.toml` against
//! one gateway, which takes good events all the while.

mod sent;

use std::collections::{BTreeMap, BTreeSet};

use capigate::codes::{self, About};
use capigate::config::{KeyRef, Policy, Source};
use capigate::pixel::PixelId;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::sent::Sent;
use super::harness::{Gateway, purchase};

/// As many rows there are at least.
const ROWS: usize = 330;
/// So many of them have something in them that must not come back.
const WITH_CANARY: usize = 190;

/// What stands in for personal values, in small letters.
const CANARIES: [&str; 2] = ["canary", "8675309"];

/// What rows send on purpose though Graph should not see it, by kind and path.
const PASSES: [(&str, &str); 2] = [
    ("event_id_in_custom_data", ".custom_data.event_id"),
    ("email_in_body", ".user_data.subscription_id"),
];

/// Codes no single input leads to, and the tests that do.
const ELSEWHERE: [(&str, &str, &str); 5] = [
    (
        "rate",
        "a_source_over_its_rate_is_told_when_to_come_back",
        include_str!("ingest.rs"),
    ),
    (
        "body_timeout",
        "slow_clients_are_cut_off",
        include_str!("ingest.rs"),
    ),
    (
        "overloaded",
        "bytes_in_flight_are_bounded_and_given_back",
        include_str!("ingest.rs"),
    ),
    (
        "unavailable",
        "a_failed_sync_stops_everything_and_the_next_start_has_what_was_acknowledged",
        include_str!("durability.rs"),
    ),
    (
        "stopping",
        "what_the_journal_says_has_its_code",
        include_str!("../../src/ingest/answer.rs"),
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// More sources than `shop`; each that is none of pages gets a key and the pixels of that.
    sources: BTreeMap<String, Source>,
    /// Policies of pixels.
    pixels: BTreeMap<PixelId, Policy>,
    base: BTreeMap<String, BTreeMap<String, String>>,
    rows: BTreeMap<String, Vec<Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    path: Option<String>,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    pack: Option<String>,
    source: Option<String>,

    base: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    more: String,
    #[serde(default)]
    beside: String,
    data: Option<String>,
    body: Option<String>,
    raw: Option<String>,

    is: Is,
    #[serde(default)]
    code: String,
    #[serde(default)]
    at: String,
    status: u16,
    index: Option<u64>,
    limit: Option<String>,
    #[serde(default)]
    also: Vec<String>,
    taken: Option<u64>,
    operation: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Is {
    Request,
    Event,
    Warning,
    Policy,
    /// Not even a body.
    Nothing,
}

impl Row {
    /// The part of an answer that the row is about.
    fn part_of(&self, (status, text): (u16, String)) -> (u16, String) {
        let Some(operation) = self.operation else {
            return (status, text);
        };
        assert_eq!(status, 200, "{}: {text}", self.name);
        let answers: Value = serde_json::from_str(&text).unwrap();
        let answer = &answers[operation];
        let status = answer["code"]
            .as_u64()
            .and_then(|code| code.try_into().ok());
        let text = answer["body"].as_str().unwrap_or_default().to_owned();
        (status.unwrap_or(0), text)
    }
}

/// One of `errors` or `warnings`: index, path, code.
type Said = (Option<u64>, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_input_is_told_what_is_wrong_and_harms_nothing() {
    let table: Table = toml::from_str(include_str!("../wrong_inputs.toml")).unwrap();
    let mut gateway = Gateway::with(|config| {
        config.ingest.max_body = "2MiB".parse().unwrap();
        let pixels = config.sources["shop"].pixels.clone();
        for (name, source) in &table.sources {
            let mut source = source.clone();
            if source.origins.is_empty() {
                let key = Sha256::digest(key_of(name).as_bytes()).into();
                source.keys = vec![KeyRef::Sha256(key)];
                source.pixels.clone_from(&pixels);
            }
            config.sources.insert(name.clone(), source);
        }
        for (id, policy) in &table.pixels {
            config.pixels.get_mut(id).unwrap().policy = policy.clone();
        }
    })
    .await;
    gateway.violations = PASSES.to_vec();
    let (mut rows, mut with_canary, mut accepted) = (0, 0, 0);
    let mut codes = BTreeSet::new();
    let mut wrong = Vec::new();
    for (group, list) in &table.rows {
        for row in list {
            let name = format!("{group}: {}", row.name);
            rows += 1;
            codes.insert(row.code.as_str());
            let sent = Sent::of(row, &table.base, rows);
            with_canary += usize::from(CANARIES.iter().any(|canary| sent.has(canary)));
            let (status, text) = row.part_of(sent.send(&gateway).await);
            if let Some(what) = wrong_with(row, status, &text) {
                wrong.push(format!("{name}: {what}"));
            }
            assert!(
                row.is == Is::Nothing || wanted(row).status == row.status,
                "{name}"
            );

            let before = accepted;
            accepted = gateway.metric("capigate_accepted_total").await;
            let taken = row.taken.unwrap_or(u64::from(row.is == Is::Warning));
            if accepted != before + taken {
                wrong.push(format!("{name}: {} events taken", accepted - before));
            }
            let good = gateway.post(vec![purchase(&format!("good-{rows}"))]).await;
            assert_eq!(good.status, 200, "after {name}: {}", good.body);
            assert_eq!(good.body.get("warnings"), None, "after {name}");
            accepted += 1;
        }
    }
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n"));
    assert!(rows >= ROWS, "only {rows} rows");
    assert!(with_canary >= WITH_CANARY, "only {with_canary} canaries");
    every_code_is_reached(&codes);

    // what was taken with a warning is nothing that Graph refuses
    gateway.delivered(accepted).await;
    assert_eq!(gateway.metric("capigate_dead_total").await, 0);
    gateway.finish().await;
}

fn key_of(source: &str) -> String {
    format!("the key of {source}")
}

fn every_code_is_reached(by_rows: &BTreeSet<&str>) {
    for (word, test, file) in ELSEWHERE {
        assert!(!by_rows.contains(word), "{word} has a row by now");
        assert!(
            file.contains(&format!("fn {test}()")),
            "{word}: no test {test}"
        );
    }
    for code in codes::all() {
        let elsewhere = ELSEWHERE.iter().any(|(word, ..)| *word == code.word());
        // its rows carry the codes of the events
        let is_events = code == codes::EVENTS;
        assert!(
            elsewhere || is_events || by_rows.contains(code.word()),
            "{code}: no wrong input leads to it"
        );
    }
}

/// What an answer says, as far as a row has an opinion.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    code: Option<String>,
    graph: i64,
    subcode: Option<u64>,
    limit: Option<String>,
    errors: Vec<Said>,
    warnings: Vec<Said>,
    filtered: Vec<Said>,
}

/// What is wrong with the answer to a row.
fn wrong_with(row: &Row, status: u16, text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    if let Some(canary) = CANARIES.iter().find(|canary| lower.contains(*canary)) {
        return Some(format!("{canary} came back: {text}"));
    }
    if row.is == Is::Nothing {
        let good = status == row.status && text.is_empty();
        return (!good).then(|| format!("{status} {text}"));
    }
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        return Some(format!("{status}, no JSON: {text}"));
    };
    let error = &body["error"];
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let told = Told {
        status,
        code: word(&error["error_data"]["code"]),
        graph: error["code"].as_i64().unwrap_or(0),
        subcode: error["error_subcode"].as_u64(),
        limit: word(&error["error_data"]["limit"]),
        errors: said(&body["errors"]),
        warnings: said(&body["warnings"]),
        filtered: said(&body["filtered"]),
    };
    let want = wanted(row);
    if told != want {
        return Some(format!("wanted {want:?}\n  told {told:?}\n  {text}"));
    }
    let in_words = match status {
        200 => body["messages"].as_array().is_some_and(|m| !m.is_empty()),
        _ => error["message"].as_str().is_some_and(|m| m.len() > 10),
    };
    (!in_words).then(|| format!("says nothing in words: {text}"))
}

fn wanted(row: &Row) -> Told {
    let code = codes::find(&row.code).unwrap();
    let about = match row.is {
        Is::Event => About::Event,
        Is::Warning => About::Warning,
        Is::Policy => About::Policy,
        _ => About::Request,
    };
    assert!(code.row().is_about(about), "{code} is said of other things");
    let index = match row.is {
        Is::Event | Is::Policy => Some(row.index.unwrap_or(0)),
        // what stands beside the events has none
        // what is said about the request as a whole
        Is::Warning if row.code == "test_code_left_out" || row.at == "partner_agent" => None,
        Is::Warning if !row.at.is_empty() => Some(row.index.unwrap_or(0)),
        _ => None,
    };
    let main = (index, row.at.clone(), row.code.clone());
    let also = row.also.iter().map(|also| {
        let (path, code) = also.rsplit_once(' ').unwrap();
        (index, path.to_owned(), code.to_owned())
    });
    let also = also.collect::<Vec<_>>();
    let (errors, warnings, filtered) = match row.is {
        Is::Warning => (vec![], [vec![main], also].concat(), vec![]),
        Is::Policy => (vec![], also, vec![main]),
        _ => (vec![main], also, vec![]),
    };
    // a request is refused for its events, with the first one's subcode
    let outer = match row.is {
        _ if row.status == 200 => None,
        Is::Event => Some(codes::EVENTS),
        _ => Some(code),
    };
    Told {
        status: outer.map_or(200, |outer| outer.row().status),
        code: outer.map(|outer| outer.word().to_owned()),
        graph: outer.map_or(0, |outer| outer.row().graph),
        subcode: outer.and(code.row().subcode).map(u64::from),
        limit: row.limit.clone(),
        errors,
        warnings,
        filtered,
    }
}

/// Reads a list of the answer, each with all it must have.
fn said(list: &Value) -> Vec<Said> {
    let readme = include_str!("../../README.md");
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| {
            let any = |names: [&str; 3]| {
                let found = names.into_iter().find_map(|name| item[name].as_str());
                found.unwrap_or_else(|| panic!("no {names:?} in {item}"))
            };
            let word = any(["code", "policy", ""]);
            assert!(any(["rule", "text", "key"]).len() > 5, "{item}");
            let docs = item["docs"].as_str().unwrap();
            let anchor = docs.strip_prefix("README.md#").unwrap();
            let place = format!("<a id=\"{anchor}\"></a>`{word}`");
            assert!(readme.contains(&place), "{docs}");
            let path = any(["path", "key", ""]);
            (item["index"].as_u64(), path.to_owned(), word.to_owned())
        })
        .collect()
}

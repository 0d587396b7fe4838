//! What a sender may do wrong, and what it is told: every row of `tests/wrong_inputs.toml` against
//! one gateway, which takes good events all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use capigate::codes::{self, About};
use capigate::config::{KeyRef, SecretRef};
use capigate::time::Clock;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::{Gateway, KEY, OTHER_KEY, PIXEL, purchase};

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
const ELSEWHERE: [(&str, &str, &str); 7] = [
    (
        "forbidden_origin",
        "a_page_of_an_allowed_origin_needs_no_key",
        include_str!("browser.rs"),
    ),
    (
        "hashed",
        "external_ids_go_out_in_the_sources_form",
        include_str!("../../src/event/tests.rs"),
    ),
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
    #[serde(default)]
    strict: bool,

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
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Is {
    Request,
    Event,
    Warning,
    /// Not even a body.
    Nothing,
}

/// One of `errors` or `warnings`: index, path, code.
type Said = (Option<u64>, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_input_is_told_what_is_wrong_and_harms_nothing() {
    let table: Table = toml::from_str(include_str!("../wrong_inputs.toml")).unwrap();
    let mut gateway = Gateway::with(|config| {
        config.ingest.max_body = "2MiB".parse().unwrap();
        let mut strict = config.sources["shop"].clone();
        strict.keys = vec![KeyRef::Secret(SecretRef::Env("OTHER_KEY".to_owned()))];
        strict.strict = true;
        config.sources.insert("strict".to_owned(), strict);
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
            let (status, text) = sent.send(&gateway).await;
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
        _ => About::Request,
    };
    assert!(code.row().is_about(about), "{code} is said of other things");
    let index = match row.is {
        Is::Event => Some(row.index.unwrap_or(0)),
        // what stands beside the events has none
        Is::Warning if !row.at.is_empty() => Some(row.index.unwrap_or(0)),
        _ => None,
    };
    let main = (index, row.at.clone(), row.code.clone());
    let also = row.also.iter().map(|also| {
        let (path, code) = also.rsplit_once(' ').unwrap();
        (index, path.to_owned(), code.to_owned())
    });
    let (errors, warnings) = match row.is {
        Is::Warning => (Vec::new(), std::iter::once(main).chain(also).collect()),
        _ => (vec![main], also.collect()),
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
    }
}

/// Reads a list of the answer, each with all it must have.
fn said(list: &Value) -> Vec<Said> {
    let readme = include_str!("../../README.md");
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| {
            let word = item["code"].as_str().unwrap();
            let rule = item.get("rule").or(item.get("text")).unwrap();
            assert!(rule.as_str().is_some_and(|rule| rule.len() > 5), "{item}");
            let docs = item["docs"].as_str().unwrap();
            let anchor = docs.strip_prefix("README.md#").unwrap();
            let place = format!("<a id=\"{anchor}\"></a>`{word}`");
            assert!(readme.contains(&place), "{docs}");
            let path = item["path"].as_str().unwrap();
            (item["index"].as_u64(), path.to_owned(), word.to_owned())
        })
        .collect()
}

/// A request, ready to go.
struct Sent {
    path: String,
    method: String,
    headers: BTreeMap<String, String>,
    /// Before it is packed.
    plain: Vec<u8>,
    body: Vec<u8>,
    is_raw: bool,
}

impl Sent {
    fn of(row: &Row, bases: &BTreeMap<String, BTreeMap<String, String>>, number: usize) -> Self {
        let text = match (&row.raw, &row.body, &row.data) {
            (Some(raw), ..) => raw.clone(),
            (_, Some(body), _) => body.clone(),
            (_, _, Some(data)) => format!("{{\"data\":[{data}]{}}}", row.beside),
            _ => {
                let base = &bases[row.base.as_deref().unwrap_or("lead")];
                format!("{{\"data\":[{}]{}}}", event(base, row, number), row.beside)
            }
        };
        let plain = expand(&text);
        let key = if row.strict { OTHER_KEY } else { KEY };
        let mut headers = BTreeMap::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {key}")),
        ]);
        headers.extend(row.headers.clone());
        headers.retain(|_, value| !value.is_empty());
        let path = row.path.clone();
        Self {
            path: path.map_or_else(
                || format!("/v26.0/{PIXEL}/events"),
                |path| String::from_utf8(expand(&path)).unwrap(),
            ),
            method: row.method.clone().unwrap_or_else(|| "POST".to_owned()),
            headers,
            body: pack(row.pack.as_deref(), &plain),
            is_raw: row.raw.is_some(),
            plain,
        }
    }

    /// Whether a text is anywhere in it.
    fn has(&self, text: &str) -> bool {
        let headers = self
            .headers
            .values()
            .map(String::as_str)
            .collect::<String>();
        let head = format!("{}{}{headers}", self.path, self.method).to_lowercase();
        let body = String::from_utf8_lossy(&self.plain).to_lowercase();
        head.contains(text) || body.contains(text)
    }

    /// Status and body of the answer.
    async fn send(&self, gateway: &Gateway) -> (u16, String) {
        if self.is_raw {
            return self.send_raw(gateway).await;
        }
        let method = reqwest::Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = gateway.http.request(method, gateway.url(&self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.body(self.body.clone()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn send_raw(&self, gateway: &Gateway) -> (u16, String) {
        let addr = gateway.running().ingest_addr();
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        // it may have said no before it has read all
        let _ = stream.write_all(&self.body).await;
        let _ = stream.shutdown().await;
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        let got = String::from_utf8(got).unwrap();
        let (head, body) = got.split_once("\r\n\r\n").unwrap_or((&got, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }
}

/// The JSON text of a base event with what the row changes about it.
fn event(base: &BTreeMap<String, String>, row: &Row, number: usize) -> String {
    let mut members = base.clone();
    members.insert("event_id".to_owned(), format!("\"row-{number}\""));
    let section = |key: &str| key.split_once('.').map(|(section, _)| section.to_owned());
    // a section that is set or dropped as a whole goes with all that is in it
    let gone = |key: &String| row.drop.contains(key) || row.set.contains_key(key);
    members.retain(|key, _| !gone(key) && !section(key).is_some_and(|section| gone(&section)));
    members.extend(row.set.clone());
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut parts = Vec::new();
    for (key, raw) in &members {
        match key.split_once('.') {
            Some((section, key)) => sections
                .entry(section.to_owned())
                .or_default()
                .push(format!("\"{key}\":{raw}")),
            None => parts.push(format!("\"{key}\":{raw}")),
        }
    }
    for (section, inner) in sections {
        parts.push(format!("\"{section}\":{{{}}}", inner.join(",")));
    }
    format!("{{{}{}}}", parts.join(","), row.more)
}

/// Replaces what stands between `«` and `»`, the innermost first.
fn expand(text: &str) -> Vec<u8> {
    let (open, close) = ("«".as_bytes(), "»".as_bytes());
    let at = |bytes: &[u8], mark: &[u8]| bytes.windows(2).position(|two| two == mark);
    let mut done = Vec::new();
    let mut rest = text.as_bytes().to_vec();
    while let Some(end) = at(&rest, close) {
        let start = rest[..end].windows(2).rposition(|two| two == open).unwrap();
        let inner = String::from_utf8(rest[start + 2..end].to_vec()).unwrap();
        let tail = rest.split_off(end + 2);
        rest.truncate(start);
        rest.extend(value(&inner));
        // nothing before the next mark is looked at again
        if at(&rest, open).is_none() {
            done.append(&mut rest);
        }
        rest.extend(tail);
    }
    done.extend(rest);
    done
}

fn value(text: &str) -> Vec<u8> {
    let now = Clock::Real.now();
    if let Some(byte) = text.strip_prefix("0x") {
        return vec![u8::from_str_radix(byte, 16).unwrap()];
    }
    if text == "nowms" {
        return now.0.to_string().into_bytes();
    }
    if let Some(shift) = text.strip_prefix("now") {
        let seconds = match shift.strip_suffix('d') {
            Some(days) => days.parse::<i64>().unwrap() * 86_400,
            None => shift.parse().unwrap(),
        };
        return (now.secs() + seconds).to_string().into_bytes();
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: usize = text[..digits].parse().unwrap();
    let (kind, what) = text[digits..].split_at(1);
    match kind {
        "*" => what.repeat(count).into_bytes(),
        _ => (0..count)
            .flat_map(|n| what.replace('#', &n.to_string()).into_bytes())
            .collect(),
    }
}

fn pack(how: Option<&str>, plain: &[u8]) -> Vec<u8> {
    let Some(how) = how else {
        return plain.to_vec();
    };
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    let mut packed = encoder.finish().unwrap();
    match how {
        "gzip" => {}
        "gzip-cut" => packed.truncate(packed.len() / 2),
        "gzip-sum" => {
            let at = packed.len() - 8;
            packed[at] ^= 1;
        }
        "gzip-more" => packed.extend(b"canary"),
        other => panic!("no such packing: {other}"),
    }
    packed
}

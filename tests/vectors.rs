//! The conformance vectors and the sample events, through the public way of an event:
//! parse, hash, encode, and read the JSON that would be stored.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_macros,
    reason = "a test may fail loudly, and says how many cases it ran"
)]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use capigate::event::{EventError, RawEvent, Rules, Visit, subdomain_index};
use capigate::ingest::address;
use capigate::pixel::PixelId;
use capigate::time::UnixMs;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// 2026-11-22T10:00:00Z, the clock of the sample events.
const T0: UnixMs = UnixMs(1_795_341_600_000);

fn pixel() -> PixelId {
    "1234567890123456".parse().unwrap()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What is stored of an event, as JSON, and its warnings.
fn stored(event: &str, rules: &Rules, now: UnixMs) -> Result<(Value, Vec<String>), EventError> {
    let hashed = RawEvent::parse(event)?.hash(pixel(), rules, now)?;
    let encoded = hashed.encode()?;
    let warnings = hashed.warnings().iter().map(ToString::to_string).collect();
    let value = serde_json::from_slice(encoded.as_bytes()).expect("the stored event is JSON");
    Ok((value, warnings))
}

#[derive(Deserialize)]
struct FieldCase<'a> {
    id: String,
    field: String,
    #[serde(borrow)]
    raw: &'a RawValue,
    normalized: Value,
    sha256: Value,
    context: Option<Value>,
}

/// One value or a list, as a list.
fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    }
}

/// Text or digits.
fn as_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A decimal number without what does not change its value.
fn as_decimal(value: &Value) -> String {
    let text = as_text(value);
    let (sign, text) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |t| ("-", t));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0');
    format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

fn as_address(value: &Value) -> (Option<IpAddr>, String) {
    let text = as_text(value);
    if let Ok(address) = text.parse() {
        return (Some(address), String::new());
    }
    let (head, appendix) = text.rsplit_once('.').unwrap_or((&text, ""));
    (head.parse().ok(), appendix.to_owned())
}

#[test]
fn normalize_vectors() {
    let file = read(&repository("tests/vectors/normalize.json"));
    let cases: Vec<FieldCase<'_>> = serde_json::from_str(&file).unwrap();
    assert!(!cases.is_empty(), "no case in the file");
    let mut failed = Vec::new();
    for case in &cases {
        if let Err(why) = check_field(case) {
            failed.push(format!("{} ({}): {why}", case.id, case.field));
        }
    }
    println!(
        "normalize.json: {} cases, all run, {} failed",
        cases.len(),
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn check_field(case: &FieldCase<'_>) -> Result<(), String> {
    let mut rules = Rules::default();
    if let Some(context) = &case.context {
        let country = context["country"]
            .as_str()
            .ok_or("a context without a country")?;
        let code = country.to_lowercase().into_bytes();
        rules.default_country = Some(code.try_into().map_err(|_| "no country code")?);
    }
    let raw = case.raw.get();
    // a second match key, so that an event whose field is dropped still identifies someone
    let other = if case.field == "madid" {
        "anon_id"
    } else {
        "madid"
    };
    let custom_key = case.field.strip_prefix("custom_data.");
    let (user_data, custom_data) = match custom_key {
        Some(key) => (
            format!("{{\"{other}\":\"m\"}}"),
            format!("{{\"{key}\":{raw}}}"),
        ),
        None => (
            format!("{{\"{other}\":\"m\",\"{}\":{raw}}}", case.field),
            "{}".to_owned(),
        ),
    };
    let event = format!(
        "{{\"event_name\":\"Test\",\"event_time\":{},\"action_source\":\"website\",\
         \"user_data\":{user_data},\"custom_data\":{custom_data}}}",
        T0.secs(),
    );
    let (value, warnings) = stored(&event, &rules, T0).map_err(|e| e.to_string())?;
    let got = match custom_key {
        Some(key) => &value["custom_data"][key],
        None => &value["user_data"][&case.field],
    };
    let want = if case.sha256.is_null() {
        &case.normalized
    } else {
        &case.sha256
    };
    if want.is_null() {
        if !got.is_null() {
            return Err(format!("should be dropped, is {got}"));
        }
        return warnings
            .iter()
            .any(|warning| warning.starts_with(&path_of(&case.field)))
            .then_some(())
            .ok_or_else(|| "dropped without a warning".to_owned());
    }
    let (got, want) = (as_list(got), as_list(want));
    let same = got.len() == want.len()
        && got
            .iter()
            .zip(&want)
            .all(|(got, want)| match case.field.as_str() {
                "client_ip_address" => as_address(got) == as_address(want),
                "custom_data.value"
                | "custom_data.predicted_ltv"
                | "custom_data.net_revenue"
                | "custom_data.num_items" => as_decimal(got) == as_decimal(want),
                "lead_id" | "fb_login_id" => as_text(got) == as_text(want),
                _ => got == want,
            });
    same.then_some(())
        .ok_or_else(|| format!("want {want:?}, got {got:?}"))
}

fn path_of(field: &str) -> String {
    if field.starts_with("custom_data.") {
        format!("{field}: dropped")
    } else {
        format!("user_data.{field}: dropped")
    }
}

#[derive(Deserialize)]
struct ClickCase {
    id: String,
    kind: String,
    input: Value,
    expected: Option<Value>,
}

/// Why a case does not apply: the gateway reads cookies and stores none.
fn left_out(case: &ClickCase) -> Option<&'static str> {
    (case.input["gateway_sets_cookies"] == json!(true)).then_some("no cookie is stored")
}

#[test]
fn click_id_vectors() {
    let file = read(&repository("tests/vectors/fbc_fbp.json"));
    let cases: Vec<ClickCase> = serde_json::from_str(&file).unwrap();
    let (mut ran, mut out, mut failed) = (0, Vec::new(), Vec::new());
    for case in &cases {
        if let Some(why) = left_out(case) {
            out.push(format!("{}: {why}", case.id));
            continue;
        }
        ran += 1;
        if let Err(why) = check_click(case) {
            failed.push(format!("{}: {why}", case.id));
        }
    }
    println!(
        "fbc_fbp.json: {} cases, {ran} run, {} failed, left out:",
        cases.len(),
        failed.len()
    );
    for line in &out {
        println!("  {line}");
    }
    assert!(ran > 0, "no case was run");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn check_click(case: &ClickCase) -> Result<(), String> {
    let input = &case.input;
    let want = case.expected.clone().unwrap_or(Value::Null);
    let index = subdomain_index(input["cookie_domain"].as_str());
    let got = if case.kind == "subdomain_index" {
        json!(index)
    } else {
        sent(case, index)?
    };
    let same = match case.kind.as_str() {
        "client_ip" if !want.is_null() => as_address(&got) == as_address(&want),
        _ => got == want,
    };
    same.then_some(())
        .ok_or_else(|| format!("want {want}, got {got}"))
}

/// What the gateway sends of the case's field, when a browser posts the event.
fn sent(case: &ClickCase, subdomain_index: u8) -> Result<Value, String> {
    let input = &case.input;
    let mut user_data = input["user_data"].as_object().cloned().unwrap_or_default();
    user_data.insert("madid".to_owned(), json!("m"));
    let now = UnixMs(input["received_at_ms"].as_i64().unwrap_or(T0.0));
    let mut event = json!({
        "event_name": "Test",
        "event_time": now.secs(),
        "action_source": "website",
        "user_data": user_data,
    });
    for key in ["event_source_url", "referrer_url"] {
        if let Some(url) = input.get(key) {
            event[key] = url.clone();
        }
    }
    let rules = Rules {
        subdomain_index,
        ..Rules::default()
    };
    // the cases are those of a library that believes the whole header; where no other end of the
    // connection is given, it is one that is not public
    let peer = input["remote_addr"]
        .as_str()
        .and_then(|peer| peer.trim().parse().ok());
    let peer = peer.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let everyone = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let address = address::find(
        peer,
        input["x_forwarded_for"].as_str().into_iter(),
        &everyone,
    );
    let cookies = cookie_header(&input["cookies"]);
    let visit = Visit::read(Some(address.customer), None, [cookies.as_bytes()]);
    let event = event.to_string();
    let hashed = RawEvent::parse(&event)
        .and_then(|raw| raw.hash_visit(pixel(), &rules, now, &visit))
        .and_then(|hashed| hashed.encode())
        .map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(hashed.as_bytes()).unwrap();
    let key = match case.kind.as_str() {
        "client_ip" => "client_ip_address",
        kind => kind,
    };
    Ok(value["user_data"][key].clone())
}

/// The cookies as a browser sends them, their values percent-encoded as Meta's script writes them.
fn cookie_header(cookies: &Value) -> String {
    let mut pairs = Vec::new();
    for (name, value) in cookies.as_object().into_iter().flatten() {
        let mut encoded = String::new();
        for byte in value.as_str().unwrap_or_default().bytes() {
            match byte {
                b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    encoded.push(char::from(byte));
                }
                _ => write!(encoded, "%{byte:02X}").unwrap(),
            }
        }
        pairs.push(format!("{name}={encoded}"));
    }
    pairs.join("; ")
}

fn samples(folder: &str) -> Vec<(String, Vec<String>)> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(repository(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let text = read(path);
            let body: Body<'_> = serde_json::from_str(&text).unwrap();
            let events = body.data.iter().map(|raw| raw.get().to_owned()).collect();
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                events,
            )
        })
        .collect()
}

#[test]
fn valid_samples_are_stored_unchanged() {
    let samples = samples("tests/events/valid");
    assert_eq!(samples.len(), 5);
    for (name, events) in samples {
        for event in events {
            let (value, warnings) = stored(&event, &Rules::default(), T0)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(warnings, Vec::<String>::new(), "{name}");
            let sent: Value = serde_json::from_str(&event).unwrap();
            assert_eq!(value, sent, "{name}");
        }
    }
}

#[test]
fn invalid_samples_are_refused_as_meta_would() {
    // code, path and Graph's subcode of an event's error; nothing when it is taken
    type Refusal = Option<(&'static str, &'static str, Option<u32>)>;
    let want: &[(&str, &[Refusal])] = &[
        (
            "01-stale-event-8-days",
            &[Some(("too_old", "event_time", Some(2_804_003)))],
        ),
        (
            "02-batch-with-one-stale-event",
            &[None, Some(("too_old", "event_time", Some(2_804_003))), None],
        ),
        (
            "03-too-broad-match-keys",
            &[Some(("no_match_keys", "user_data", Some(2_804_050)))],
        ),
        (
            "04-empty-user-data",
            &[Some(("no_match_keys", "user_data", Some(2_804_050)))],
        ),
        (
            "05-purchase-without-value",
            &[Some((
                "without_value",
                "custom_data.value",
                Some(2_804_009),
            ))],
        ),
        (
            "06-purchase-without-currency",
            &[Some(("without_currency", "custom_data.currency", None))],
        ),
        (
            "07-app-event-empty-os-version",
            &[Some(("os_version", "app_data.extinfo[4]", Some(2_804_043)))],
        ),
        (
            "08-business-messaging-lead-name",
            &[Some(("messaging_name", "event_name", Some(2_804_066)))],
        ),
        // the gateway makes these two right
        ("09-event-time-in-milliseconds", &[None]),
        ("10-unhashed-contact-information", &[None]),
    ];
    let samples = samples("tests/events/invalid");
    assert_eq!(samples.len(), want.len());
    for ((name, events), (want_name, want)) in samples.iter().zip(want) {
        assert_eq!(name, want_name);
        assert_eq!(events.len(), want.len(), "{name}");
        for (event, want) in events.iter().zip(*want) {
            let error = stored(event, &Rules::default(), T0).err();
            let got = error
                .as_ref()
                .map(|e| (e.code().word(), e.path(), e.graph_subcode()));
            assert_eq!(got, *want, "{name}");
        }
    }
}

#[test]
fn what_the_gateway_makes_right() {
    let samples = samples("tests/events/invalid");
    let event = |name: &str| {
        let (_, events) = samples.iter().find(|(n, _)| n.starts_with(name)).unwrap();
        stored(&events[0], &Rules::default(), T0).unwrap()
    };
    let (value, warnings) = event("09");
    assert_eq!(value["event_time"], json!(1_795_341_600));
    assert!(
        warnings[0].starts_with("event_time: read as milliseconds"),
        "{warnings:?}"
    );
    let (value, warnings) = event("10");
    assert_eq!(
        value["user_data"]["em"],
        json!(["62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"])
    );
    assert_eq!(
        value["user_data"]["ph"],
        json!(["e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"])
    );
    assert!(warnings.is_empty());
}

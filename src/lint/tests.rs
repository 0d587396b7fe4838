use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use governor::Quota;

use super::*;
use crate::event::Rules;
use crate::event::policy::{Edit, Policy, PolicyRules};
use crate::telemetry::metrics::Metrics;
use crate::test_mode::{Code, Configured, SourceRule};
use crate::time::Clock;

const NOW: UnixMs = UnixMs(1_795_341_600_000);
const GOOD: &str = r#"{"event_name":"Purchase","event_time":1795341558,"event_id":"o-1","action_source":"website","event_source_url":"https://shop.example/","user_data":{"email":" Jane.Doe@Example.com ","ph":["+49 30 1234567","nonsense"],"ge":"f","client_user_agent":"canary agent","shoe":"canary"},"custom_data":{"value":129.90,"currency":"EUR"}}"#;

fn desk(token_in: TokenIn) -> Desk {
    desk_with(token_in, crate::ingest::Pixel::default())
}

fn desk_with(token_in: TokenIn, of_pixel: crate::ingest::Pixel) -> Desk {
    let pixel: PixelId = "7".parse().unwrap();
    let source = Source::new(
        "shop".to_owned(),
        Vec::new(),
        BTreeSet::from([pixel]),
        false,
        Rules::default(),
        Quota::per_second(NonZeroU32::MIN),
    );
    let code = Code {
        code: "TEST9".to_owned(),
        until: None,
        mirror: false,
    };
    let rule = SourceRule {
        pixels: BTreeSet::from([pixel]),
        code: None,
        takes_clients: true,
    };
    let configured = Configured {
        pixels: BTreeMap::from([(pixel, Some(code))]),
        sources: BTreeMap::from([("shop".to_owned(), rule)]),
    };
    let nowhere = std::path::Path::new("/nowhere");
    let metrics = Metrics::new().unwrap();
    let test_mode = TestMode::open(nowhere, configured, false, Clock::Real, metrics);
    let graph = Graph {
        url: "https://graph.facebook.com".parse().unwrap(),
        version: "v26.0".to_owned(),
        timeout: std::time::Duration::from_secs(1),
        connect_timeout: std::time::Duration::from_secs(1),
        token_in,
    };
    Desk::new(
        Sources::new(vec![source], [(pixel, of_pixel)].into()),
        test_mode,
        graph,
        1000,
    )
}

fn case() -> Case {
    Case {
        pixel: "7".parse().unwrap(),
        source: "shop".to_owned(),
        options: RequestOptions::default(),
        now: NOW,
        has_proof: false,
    }
}

fn paths(linted: &Linted) -> Vec<(&str, &str)> {
    let findings = linted.findings.iter();
    findings.map(|one| (one.path.as_str(), one.code)).collect()
}

#[test]
fn the_request_is_what_would_be_sent_and_nobody_is_named_beside_it() {
    let linted = desk(TokenIn::Header).look(3, GOOD, &case()).unwrap();
    assert_eq!(
        (linted.index, linted.verdict, linted.changed),
        (3, Verdict::Accepted, true)
    );
    assert_eq!(
        paths(&linted),
        [
            ("user_data.email", "alias"),
            ("user_data.ph", "dropped"),
            ("user_data.shoe", "unknown_key"),
        ]
    );
    let desk = desk(TokenIn::Header);
    let job = Job {
        pixel: case().pixel,
        options: RequestOptions::default().into(),
        mirror: None,
        source: desk.sources.named("shop").unwrap(),
        sources: &desk.sources,
        copies: Vec::new(),
        now: NOW,
        visit: None,
    };
    let stored = check(&[Cow::Borrowed(GOOD)], &job);
    let stored = stored.envelopes[0].envelope.event.as_bytes().clone();
    let stored = std::str::from_utf8(&stored).unwrap();
    let request = &linted.requests[0];
    assert_eq!(request.url, "https://graph.facebook.com/v26.0/7/events");
    assert_eq!(
        request.body.get(),
        format!("{{\"data\":[{stored}],\"test_event_code\":\"TEST9\"}}")
    );
    assert!(
        request
            .headers
            .iter()
            .any(|(name, _)| *name == "authorization")
    );
    let mut view = serde_json::to_value(&linted).unwrap();
    view["requests"].take();
    let view = view.to_string();
    for raw in [
        "canary", "Jane", "jane", "oe@", "xample", "1234567", "nonsense",
    ] {
        assert!(!view.contains(raw), "{raw}: {view}");
    }
    assert!(view.contains("j***@***.com"), "{view}");
    assert!(view.contains("11 characters"), "{view}");
}

#[test]
fn a_refusal_names_rule_example_and_pages() {
    let event = GOOD.replace("129.90", "\"a lot\"");
    let linted = desk(TokenIn::Body).look(0, &event, &case()).unwrap();
    assert_eq!(linted.verdict, Verdict::Refused);
    assert!(linted.requests.is_empty());
    let finding = &linted.findings[0];
    assert_eq!(
        (finding.kind, finding.path.as_str(), finding.code),
        ("refused", "custom_data.value", "without_value")
    );
    assert!(finding.example.is_some() && finding.meta.is_some());
    assert_eq!(finding.docs, "README.md#code-without_value");
    assert!(!finding.next.is_empty());
    // what was dropped on the way is told, too
    assert!(paths(&linted).contains(&("custom_data.value", "dropped")));
    let linted = desk(TokenIn::Body).look(0, "{\"canary", &case()).unwrap();
    assert_eq!(linted.verdict, Verdict::Refused);
    assert!(!format!("{linted:?}").contains("canary"));
}

#[test]
fn bodies_are_read_as_at_the_front_door() {
    let desk = desk(TokenIn::Header);
    let form = "data=%5B%7B%22a%22%3A1%7D%5D&test_event_code=T1";
    let Body {
        events, options, ..
    } = desk.read(&Kind::Form, form.as_bytes()).unwrap();
    assert_eq!(events, [r#"{"a":1}"#]);
    assert_eq!(options.test_event_code.as_deref(), Some("T1"));
    let (name, value) = ("upload_tag".to_owned(), "\"store-7\"".to_owned());
    let options = desk.options(&[(name.clone(), value)]).unwrap();
    assert_eq!(options.upload_tag.as_deref(), Some("store-7"));
    let refused = desk.options(&[(name, "\"a@b\"".to_owned())]).unwrap_err();
    assert_eq!(refused.code(), codes::MALFORMED);
    let stranger = Case {
        source: "nobody".to_owned(),
        ..case()
    };
    assert_eq!(desk.look(0, GOOD, &stranger).err(), Some(NoSource));
}

#[test]
fn the_token_is_never_there() {
    let with_proof = Case {
        has_proof: true,
        ..case()
    };
    let linted = desk(TokenIn::Body).look(0, GOOD, &with_proof).unwrap();
    let body = linted.requests[0].body.get();
    assert!(body.contains(TOKEN) && body.contains(PROOF), "{body}");
    let mut totals = Totals::default();
    totals.add(&linted);
    totals.add_error(codes::NOT_UTF8);
    assert!(!totals.is_good());
    assert_eq!(totals.events, 2);
}

#[test]
fn what_the_front_door_says_of_a_whole_request_is_said() {
    let desk = desk(TokenIn::Header);
    assert!(desk.admit(&case()).is_ok());
    let other = Case {
        pixel: "8".parse().unwrap(),
        ..case()
    };
    let refused = desk.admit(&other).unwrap_err();
    assert_eq!(refused.code(), codes::FORBIDDEN_PIXEL);
    for (body, said) in [
        (r#"{"data":[{}],"foo":1}"#, vec!["unknown_member"]),
        (r#"{"data":[{}],"upload_tag":"a"}"#, Vec::new()),
    ] {
        let read = desk.read(&Kind::Json, body.as_bytes()).unwrap();
        let codes: Vec<&str> = read.findings.iter().map(|one| one.code).collect();
        assert_eq!(codes, said, "{body}");
    }
}

#[test]
fn what_a_policy_drops_or_keeps_back_is_not_shown_as_sent() {
    let judged = |rules: PolicyRules| {
        let of_pixel = crate::ingest::Pixel {
            policy: Policy::new("pixels.7.policy", rules),
            ..crate::ingest::Pixel::default()
        };
        let linted = desk_with(TokenIn::Header, of_pixel).look(0, GOOD, &case());
        let linted = linted.unwrap();
        let shown = serde_json::to_string(&linted.user_data).unwrap();
        (linted.verdict, shown.contains("email"), shown == "[]")
    };
    let none = PolicyRules::default();
    assert_eq!(judged(none.clone()), (Verdict::Accepted, true, false));
    let dropping = PolicyRules {
        edits: vec![Edit::Drop("user_data.em".parse().unwrap())],
        ..none.clone()
    };
    assert_eq!(judged(dropping), (Verdict::Accepted, false, false));
    let blocking = PolicyRules {
        block_events: ["Purchase".to_owned()].into_iter().collect(),
        ..none
    };
    assert_eq!(judged(blocking), (Verdict::Filtered, false, true));
}

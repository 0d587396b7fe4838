use serde_json::{Value as Json, json};

use super::*;

/// Where a refusal points and its word.
type Fault = (&'static str, &'static str);

fn fault_of(rejection: &Rejection) -> Fault {
    match rejection {
        Rejection::Body { code, path, .. } => (path, code.word()),
        other => ("", other.code().word()),
    }
}

fn parsed<T>(
    query: &str,
    kind: &Kind,
    body: &[u8],
    then: impl FnOnce(&Parsed<'_>) -> T,
) -> Result<T, Fault> {
    let read = || {
        let query = parse_form(query.as_bytes(), 3)?;
        let body = kind.members(body, 3)?;
        Ok(then(&read(&query, &body, 3)?))
    };
    read().map_err(|rejection: Rejection| {
        let shown = format!("{rejection:?}");
        assert!(!shown.contains("canary"), "{shown}");
        fault_of(&rejection)
    })
}

fn events(kind: &Kind, body: &str) -> Result<Vec<Json>, Fault> {
    parsed("", kind, body.as_bytes(), |parsed| {
        let event = |text: &Cow<'_, str>| serde_json::from_str(text).unwrap();
        parsed.events.iter().map(event).collect()
    })
}

fn json_fault(body: &[u8]) -> Fault {
    parsed("", &Kind::Json, body, |_| ()).unwrap_err()
}

fn multipart(parts: &[(&str, &str)]) -> Vec<u8> {
    let part = |(head, text): &(&str, &str)| {
        format!("--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n")
    };
    let parts: String = parts.iter().map(part).collect();
    format!("{parts}--xyz--\r\n").into_bytes()
}

fn boundary() -> Kind {
    Kind::Multipart("xyz".to_owned())
}

#[test]
fn events_stay_text_and_apart() {
    let body = br#" {"data":[{"a":1.10},"{\"b\":2}", 5],"test_event_code":"TEST1","access_token":"k\u0065y","x":1} "#;
    parsed("", &Kind::Json, body, |parsed| {
        assert_eq!(parsed.events, [r#"{"a":1.10}"#, r#"{"b":2}"#, "5"]);
        assert_eq!(parsed.options.test_event_code.as_deref(), Some("TEST1"));
        assert_eq!(parsed.key, Some("key"));
        assert!(parsed.unknown_members);
    })
    .unwrap();
}

#[test]
fn data_may_be_written_in_every_way_in_every_encoding() {
    let array = r#"[{"a":"é & +"},{"b":[1.10]}]"#;
    let strings = r#"["{\"a\":\"é & +\"}","{\"b\":[1.10]}"]"#;
    let expected: Vec<Json> = serde_json::from_str(array).unwrap();
    for data in [array, strings] {
        let in_json = format!("{{\"data\":{data}}}");
        let in_string = format!("{{\"data\":{}}}", Json::from(data));
        let in_form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("data", data)
            .finish();
        let in_query = in_form.clone();
        let in_part = multipart(&[("name=\"data\"", data)]);
        let in_file = multipart(&[(
            "name=\"data\"; filename=\"events.json\"",
            &format!("\u{feff}{data}\n"),
        )]);
        let as_file = String::from_utf8(in_file).unwrap();
        assert_eq!(events(&Kind::Json, &in_json), Ok(expected.clone()));
        assert_eq!(events(&Kind::Json, &in_string), Ok(expected.clone()));
        // `curl -d '{…}'` without a header says that it is a form
        assert_eq!(events(&Kind::Form, &in_json), Ok(expected.clone()));
        assert_eq!(events(&Kind::Other, &in_json), Ok(expected.clone()));
        assert_eq!(events(&Kind::Form, &in_form), Ok(expected.clone()));
        assert_eq!(
            events(&boundary(), std::str::from_utf8(&in_part).unwrap()),
            Ok(expected.clone())
        );
        assert_eq!(events(&boundary(), &as_file), Ok(expected.clone()));
        let all = parsed(&in_query, &Kind::Unsaid, b"", |parsed| parsed.events.len());
        assert_eq!(all, Ok(2));
    }
}

#[test]
fn events_may_be_spread_over_fields_as_php_does() {
    for form in [
        r#"data[0]={"a":1}&data[1]={"b":2}"#,
        r#"data%5B0%5D={"a":1}&data%5B1%5D={"b":2}"#,
        r#"data[]={"a":1}&data[]={"b":2}"#,
        // as Ruby's Faraday writes lists
        r#"data={"a":1}&data={"b":2}"#,
    ] {
        let expected = vec![json!({"a": 1}), json!({"b": 2})];
        assert_eq!(events(&Kind::Form, form), Ok(expected), "{form}");
    }
    let deep = "data[0][event_name]=Purchase&data[0][user_data][em][0]=x&data[0][user_data][em][1]=y&data[0][custom_data][content_ids][]=z&data[1][event_name]=Lead";
    let expected = vec![
        json!({"event_name": "Purchase", "user_data": {"em": ["x", "y"]}, "custom_data": {"content_ids": ["z"]}}),
        json!({"event_name": "Lead"}),
    ];
    assert_eq!(events(&Kind::Form, deep), Ok(expected));
    for (form, code) in [
        ("data[1]={}", "malformed"),
        ("data[0]={}&data[2]={}", "malformed"),
        ("data[0]={}&data[0]={}", "malformed"),
        ("data[0]={}&data[0][a]=1", "malformed"),
        ("data[0][a]=1&data[0][a]=2", "malformed"),
        ("data[0][a]=1&data[0][a][b]=2", "malformed"),
        ("data[0][a]=1&data[1][a]=1&data[0][b]=2", "malformed"),
        ("data[-1]={}", "malformed"),
        ("data[canary]={}", "malformed"),
        ("data[0]canary={}", "malformed"),
        ("data[0][a][b][c][d][e][f][g][h]=1", "malformed"),
        ("data[]={}&data[]={}&data[]={}&data[]={}", "too_many_events"),
        ("data=[{}]&data[]={}", "duplicate_key"),
    ] {
        assert_eq!(events(&Kind::Form, form).unwrap_err().1, code, "{form}");
    }
}

#[test]
fn options_are_the_same_in_every_place() {
    let expected = RequestOptions {
        test_event_code: Some("TEST1".to_owned()),
        partner_agent: Some("shop soft".to_owned()),
        trace: Some(7),
        progress: serde_json::from_str(r#"{"start_inclusive":0,"end_exclusive":9}"#).unwrap(),
        platforms: serde_json::from_str(r#"[{"name":"a","type":"b"}]"#).unwrap(),
        ..RequestOptions::default()
    };
    let form = r#"test_event_code=TEST1&partner_agent=shop+soft&trace=7&progress={"start_inclusive":0,"end_exclusive":9}&platforms=[{"name":"a","type":"b"}]&upload_tag="#;
    let options = |query, kind, body: &str| {
        parsed(query, kind, body.as_bytes(), |parsed| {
            assert!(!parsed.unknown_members);
            parsed.options.clone()
        })
    };
    assert_eq!(
        options(form, &Kind::Json, r#"{"data":[1]}"#),
        Ok(expected.clone())
    );
    let with_data = format!("data=[1]&{form}");
    assert_eq!(options("", &Kind::Form, &with_data), Ok(expected.clone()));
    let json = r#"{"data":[1],"test_event_code":"TEST1","partner_agent":"shop soft","trace":7,"progress":{"start_inclusive":0,"end_exclusive":9},"platforms":[{"name":"a","type":"b"}],"upload_id":null}"#;
    assert_eq!(options("", &Kind::Json, json), Ok(expected.clone()));
    // the same in two places is no contradiction
    assert_eq!(options(form, &Kind::Form, &with_data), Ok(expected));
    for (query, body) in [
        ("test_event_code=TEST1", "data=[1]&test_event_code=TEST2"),
        ("data=[2]", "data=[1]"),
        ("", "data=[1]&data=[1]"),
        ("upload_tag=a&upload_tag=a", "data=[1]"),
    ] {
        let fault = parsed(query, &Kind::Form, body.as_bytes(), |_| ()).unwrap_err();
        assert_eq!(fault.1, "duplicate_key", "{query} {body}");
    }
}

#[test]
fn what_sdks_add_for_any_call_is_no_fault() {
    let form = "data=[1]&id=7&fields=&method=POST&format=json&debug=all&locale=en_US&pretty=0&suppress_http_code=1&appsecret_proof=ab&appsecret_time=1";
    let unknown = |query: &str, body: &str| {
        parsed(query, &Kind::Form, body.as_bytes(), |parsed| {
            parsed.unknown_members
        })
    };
    assert_eq!(unknown("", form), Ok(false));
    assert_eq!(unknown("utm_source=a&utm_source=b", "data=[1]"), Ok(false));
    assert_eq!(unknown("", "data=[1]&eventz=1&eventz=2"), Ok(true));
    assert_eq!(unknown("method=delete", "data=[1]"), Err(("", "method")));
}

#[test]
fn each_bad_body_has_its_code() {
    for (body, code) in [
        (&b""[..], "bad_json"),
        (br#"{"data":[{}"#, "bad_json"),
        (b"[]", "bad_json"),
        (br#"{"data":[{}]} x"#, "bad_json"),
        (b"{\"data\":[\"\xff\"]}", "not_utf8"),
        (b"{}", "missing"),
        (br#"{"data":[]}"#, "no_events"),
        (br#"{"data":{}}"#, "malformed"),
        (br#"{"data":null}"#, "malformed"),
        (br#"{"data":"x"}"#, "malformed"),
        (br#"{"data":"[1] x"}"#, "malformed"),
        (br#"{"data":"\ud800"}"#, "malformed"),
        (br#"{"data":[1,2,3,4]}"#, "too_many_events"),
        (br#"{"data":[1],"data":[1]}"#, "duplicate_key"),
        (br#"{"data":[1],"test_event_code":7}"#, "malformed"),
        (
            br#"{"data":[1],"test_event_code":"4915209876543"}"#,
            "malformed",
        ),
        (
            br#"{"data":[1],"upload_tag":"canary@example.com"}"#,
            "malformed",
        ),
        (
            br#"{"data":[1],"test_event_code":["canary@example.com"]}"#,
            "malformed",
        ),
        (
            br#"{"data":[1],"platforms":[{"name":"canary@example.com","type":"a"}]}"#,
            "malformed",
        ),
        (br#"{"data":[1],"platforms":[{"name":"a"}]}"#, "malformed"),
        (
            br#"{"data":[1],"platforms":{"name":"a","type":"b"}}"#,
            "malformed",
        ),
        (
            br#"{"data":[1],"progress":{"start_inclusive":5,"end_exclusive":1}}"#,
            "malformed",
        ),
        (br#"{"data":[1],"trace":-1}"#, "malformed"),
        (br#"{"data":[1],"trace":"canary"}"#, "malformed"),
        (br#"{"data":"canary@example.com"}"#, "malformed"),
        (br#""canary@example.com""#, "bad_json"),
        (
            br#"{"canary@example.com":1,"canary@example.com":2}"#,
            "duplicate_key",
        ),
    ] {
        assert_eq!(
            json_fault(body).1,
            code,
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let many: Vec<String> = (0..65).map(|n| format!("\"k{n}\":1")).collect();
    assert_eq!(
        json_fault(format!("{{{}}}", many.join(",")).as_bytes()).1,
        "bad_json"
    );
}

#[test]
fn each_bad_form_has_its_code() {
    for (body, code) in [
        ("", "missing"),
        ("x", "missing"),
        ("data=", "malformed"),
        ("data=[", "malformed"),
        ("data=%FF", "not_utf8"),
        ("data=[1]&test_event_code=canary%40example.com", "malformed"),
    ] {
        assert_eq!(events(&Kind::Form, body).unwrap_err().1, code, "{body}");
    }
    let many: Vec<String> = (0..65).map(|n| format!("k{n}=1")).collect();
    assert_eq!(
        events(&Kind::Form, &many.join("&")).unwrap_err().1,
        "bad_form"
    );
    let good = String::from_utf8(multipart(&[("name=\"data\"", "[1]")])).unwrap();
    assert!(events(&boundary(), &good).is_ok());
    for bad in [
        "",
        "x",
        "--xyz",
        &good.replace("xyz--", "xyz"),
        &good.replace("xyz", "canary"),
        &good.replace("\r\n\r\n", "\r\n"),
        &good[..good.len() / 2],
    ] {
        assert_eq!(events(&boundary(), bad).unwrap_err().1, "bad_form", "{bad}");
    }
    let latin = [
        b"--xyz\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n\xff",
        &good.as_bytes()[good.len() - 11..],
    ]
    .concat();
    assert_eq!(
        parsed("", &boundary(), &latin, |_| ()).unwrap_err().1,
        "not_utf8"
    );
    assert_eq!(
        events(&Kind::Other, "<data/>").unwrap_err().1,
        "content_type"
    );
}

#[test]
fn content_types_have_their_kinds() {
    let kind = |text: &'static str| Kind::of(Some(&HeaderValue::from_static(text)));
    for json in [
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "text/plain;charset=UTF-8",
        "application/ld+json",
    ] {
        assert_eq!(kind(json).unwrap(), Kind::Json, "{json}");
    }
    assert_eq!(Kind::of(None).unwrap(), Kind::Unsaid);
    assert_eq!(
        kind("application/x-www-form-urlencoded; charset=UTF-8").unwrap(),
        Kind::Form
    );
    assert_eq!(
        kind("multipart/form-data; boundary=\"xyz\"").unwrap(),
        boundary()
    );
    assert_eq!(kind("application/xml").unwrap(), Kind::Other);
    assert_eq!(
        kind("multipart/form-data").unwrap_err().code().word(),
        "bad_form"
    );
}

#[test]
fn ten_thousand_levels_do_not_overflow() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for (kind, body) in [
        (Kind::Json, format!("{{\"data\":[{deep}]}}")),
        (Kind::Form, format!("data=[{deep}]")),
    ] {
        let events = parsed("", &kind, body.as_bytes(), |parsed| parsed.events.len());
        assert_eq!(events, Ok(1));
    }
    let open = format!("{{\"data\":{}", "[".repeat(10_000));
    assert_eq!(json_fault(open.as_bytes()).1, "bad_json");
    let brackets = format!("data{}=1", "[a]".repeat(10_000));
    assert_eq!(events(&Kind::Form, &brackets).unwrap_err().1, "malformed");
}

/// Of an operation of a batch: its path and number of events, or its fault.
type Operated = Result<(String, usize), Fault>;

fn operations(query: &str, kind: &Kind, body: &str) -> Result<Vec<Operated>, Fault> {
    let read = || {
        let query = parse_form(query.as_bytes(), 3)?;
        let body = kind.members(body.as_bytes(), 3)?;
        let batch = parse_batch(&query, &body)?;
        let one = |operation: Result<Operation<'_>, Rejection>| {
            let operation = operation?;
            let (query, body) = (operation.query(3)?, operation.members(3)?);
            let parsed = super::read(&query, &body, 3)?;
            Ok((operation.path().to_owned(), parsed.events.len()))
        };
        let operations = batch.operations.into_iter();
        Ok(operations
            .map(|operation| one(operation).map_err(|r: Rejection| fault_of(&r)))
            .collect())
    };
    read().map_err(|rejection: Rejection| fault_of(&rejection))
}

#[test]
fn a_batch_is_read_as_each_sdk_writes_it() {
    let good = |path: &str, events| vec![Ok((path.to_owned(), events))];
    // Python: a form whose operations have forms
    let batch = r#"[{"method":"POST","relative_url":"7/events","body":"data=%5B1%2C2%5D&upload_tag=a+b","headers":[{"name":"a","value":"b"}]}]"#;
    let form: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("batch", batch)
        .finish();
    assert_eq!(operations("", &Kind::Form, &form), Ok(good("7/events", 2)));
    assert_eq!(
        operations(&form, &Kind::Json, "{}"),
        Ok(good("7/events", 2))
    );
    // Node: JSON whose operations have forms that are not encoded
    let node = r#"{"batch":[{"method":"POST","relative_url":"7/events","body":"data=[\"{}\"]&fields=","attachedFiles":""}]}"#;
    assert_eq!(operations("", &Kind::Json, node), Ok(good("7/events", 1)));
    // JSON all the way, and the members in the address
    let all = r#"{"batch":[{"method":"post","relative_url":"/v26.0/7/events?upload_tag=a","body":{"data":[1,2]}},{"method":"POST","relative_url":"7/events","body":"{\"data\":[1]}"},{"method":"POST","relative_url":"7/events?data=[1]"}]}"#;
    let expected = [("v26.0/7/events", 2), ("7/events", 1), ("7/events", 1)];
    let expected = expected.map(|(path, events)| Ok((path.to_owned(), events)));
    assert_eq!(operations("", &Kind::Json, all), Ok(expected.to_vec()));
}

#[test]
fn a_bad_operation_hides_no_other() {
    let body = r#"{"batch":[
        7,
        {"relative_url":"7/events"},
        {"method":"GET","relative_url":"me"},
        {"method":"POST"},
        {"method":"POST","relative_url":"7/events","body":"data=[1]","attached_files":"source0"},
        {"method":"POST","relative_url":"7/events","body":"data=[1]","depends_on":"first"},
        {"method":"POST","relative_url":"7/events","body":"data=["},
        {"method":"POST","relative_url":"7/events","body":"data=[1,2,3,4]"},
        {"method":"POST","relative_url":"7/events","body":"data=[1]"}
    ]}"#;
    let codes: Vec<_> = operations("", &Kind::Json, body)
        .unwrap()
        .into_iter()
        .map(|one| one.map_or_else(|(path, code)| (path, code), |_| ("", "ok")))
        .collect();
    assert_eq!(
        codes,
        [
            ("batch", "malformed"),
            ("method", "missing"),
            ("", "method"),
            ("relative_url", "missing"),
            ("attached_files", "malformed"),
            ("depends_on", "malformed"),
            ("data", "malformed"),
            ("", "too_many_events"),
            ("", "ok"),
        ]
    );
}

#[test]
fn a_bad_batch_has_its_code() {
    let operation = r#"{"method":"POST","relative_url":"7/events","body":"data=[1]"}"#;
    let many = |n| format!("{{\"batch\":[{}]}}", vec![operation; n].join(","));
    assert_eq!(
        operations("", &Kind::Json, &many(50)).map(|all| all.len()),
        Ok(50)
    );
    for (body, code) in [
        ("{}", "missing"),
        (r#"{"batch":[]}"#, "malformed"),
        (r#"{"batch":"x"}"#, "malformed"),
        (r#"{"batch":{}}"#, "malformed"),
        (r#"{"batch":[1],"access_token":7}"#, "malformed"),
        (many(51).as_str(), "too_many_operations"),
    ] {
        assert_eq!(
            operations("", &Kind::Json, body).unwrap_err().1,
            code,
            "{body}"
        );
    }
    let twice = operations("batch=[1]", &Kind::Json, r#"{"batch":[2]}"#);
    assert_eq!(twice, Err(("batch", "duplicate_key")));
}

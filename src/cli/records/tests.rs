use super::*;

const HEADER: &str = "event_name,event_time,action_source,email,value,currency,contents\n";

struct Found {
    records: Vec<Record>,
    end: Result<(), String>,
    options: Vec<(String, String)>,
}

fn read(name: &str, bytes: &[u8], reading: &Reading) -> anyhow::Result<Found> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    crate::private_file::replace(&path, bytes, u64::MAX).unwrap();
    let source = Source::open(&path, reading)?;
    let options = source.options.clone();
    let mut records = Vec::new();
    let end = source.read(&mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    });
    Ok(Found {
        records,
        end: end.map_err(|error| error.to_string()),
        options,
    })
}

fn events(name: &str, bytes: &[u8]) -> Vec<String> {
    let found = read(name, bytes, &Reading::default()).unwrap();
    assert_eq!(found.end, Ok(()), "{name}");
    let events = found.records.into_iter();
    events.map(|record| record.event.unwrap()).collect()
}

/// Line and code of each record.
fn outcome(found: &Found) -> Vec<(u64, &'static str)> {
    let code = |record: &Record| {
        record
            .event
            .as_ref()
            .map_or_else(|fault| fault.code.word(), |_| "ok")
    };
    let records = found.records.iter();
    records.map(|record| (record.line, code(record))).collect()
}

#[test]
fn every_shape_of_json_gives_its_events_as_they_are() {
    let two = [r#"{"event_id":"a","x":1.10}"#, r#"{"event_id":"b"}"#];
    for (name, text) in [
        ("a.json", format!("[{},\n {}]", two[0], two[1])),
        (
            "a.json",
            format!("\u{feff}{{\"data\":[{},{}]}}", two[0], two[1]),
        ),
        (
            "a.json",
            format!(
                "{{\"test_event_code\":\"T1\",\"data\":[{},{}],\"x\":1}}\n",
                two[0], two[1]
            ),
        ),
        ("a.ndjson", format!("{}\r\n\n{}", two[0], two[1])),
        ("a", format!("{}\n{}\n", two[0], two[1])),
    ] {
        assert_eq!(events(name, text.as_bytes()), two, "{text}");
    }
    let quoted = serde_json::json!({"data": two}).to_string();
    assert_eq!(events("a.json", quoted.as_bytes()), two);
    let text = serde_json::json!({"data": format!("[{},{}]", two[0], two[1])}).to_string();
    assert_eq!(events("a.json", text.as_bytes()), two);
    let one = "{\"event_id\" : \"a\",\n \"x\":1.10}";
    assert_eq!(events("a.json", one.as_bytes()), [two[0]]);
}

#[test]
fn options_of_a_body_are_found_wherever_they_stand() {
    let body = br#"{"data":[{"event_id":"a@b.example"},{"event_id":7}],"test_event_code":"TEST1","access_token":"secret","odd":1}"#;
    let found = read("a.json", body, &Reading::default()).unwrap();
    let code = ("test_event_code".to_owned(), "\"TEST1\"".to_owned());
    assert_eq!(found.options, [code]);
    // one that may be an address is not shown
    assert_eq!(found.records[0].event_id, None);
    assert_eq!(found.records[1].event_id.as_deref(), Some("7"));
}

#[test]
fn a_broken_line_costs_its_neighbours_nothing() {
    let mut text = b"{\"event_id\":\"a\"}\n{\"canary\":\n\"x\xff\"\n".to_vec();
    text.extend(format!("{{\"x\":\"{}\"}}\n", "y".repeat(MAX_EVENT)).bytes());
    text.extend(b"\n{\"event_id\":\"b\"}");
    let found = read("a.ndjson", &text, &Reading::default()).unwrap();
    let want = [
        (1, "ok"),
        (2, "bad_json"),
        (3, "not_utf8"),
        (4, "too_large"),
        (6, "ok"),
    ];
    assert_eq!(outcome(&found), want);
    assert!(!format!("{:?}", found.records[1]).contains("canary"));
}

#[test]
fn a_json_file_is_read_up_to_its_fault() {
    let text = "[{\"event_id\":\"a\"},\n{\"event_id\":\n\"b\"},\n{\"canary\":]";
    let found = read("a.json", text.as_bytes(), &Reading::default()).unwrap();
    assert_eq!(outcome(&found), [(1, "ok"), (2, "ok")]);
    let error = found.end.unwrap_err();
    assert!(
        error.contains("line 4 column") && !error.contains("canary"),
        "{error}"
    );
    for text in ["7", "{\"data\":{}}", "[1", "{\"data\":[1]} x"] {
        let found = read("a.json", text.as_bytes(), &Reading::default()).unwrap();
        assert!(found.end.is_err(), "{text}");
    }
    let huge = format!("[\"{}\"]", "x".repeat(MAX_RECORD as usize));
    let found = read("a.json", huge.as_bytes(), &Reading::default()).unwrap();
    assert!(found.end.unwrap_err().contains("8 MiB"));
    let large = format!("[\"{}\",{{}}]", "x".repeat(MAX_EVENT));
    let found = read("a.json", large.as_bytes(), &Reading::default()).unwrap();
    assert_eq!(outcome(&found), [(1, "too_large"), (1, "ok")]);
}

#[test]
fn rows_become_events() {
    let text = format!(
        "\u{feff}{HEADER}Purchase,1795341558,physical_store,\"jane@example.com\",129.90,EUR,\"[{{\"\"id\"\":\"\"a\"\"}}]\"\r\n"
    );
    assert_eq!(
        events("a.csv", text.as_bytes()),
        [
            r#"{"event_name":"Purchase","event_time":1795341558,"action_source":"physical_store","user_data":{"em":"jane@example.com"},"custom_data":{"value":129.90,"currency":"EUR","contents":[{"id":"a"}]}}"#
        ]
    );
    let reading = Reading {
        default: vec![
            ("event_name".to_owned(), "Purchase".to_owned()),
            ("action_source".to_owned(), "physical_store".to_owned()),
        ],
        ..Reading::default()
    };
    let text = "em_1;em_2;event_time;content_ids\na;b;1795341558;x|y\n;;1795341559;\n;;;\n";
    let found = read("a.csv", text.as_bytes(), &reading).unwrap();
    let events: Vec<&String> = found
        .records
        .iter()
        .filter_map(|r| r.event.as_ref().ok())
        .collect();
    assert_eq!(
        events,
        [
            r#"{"event_time":1795341558,"event_name":"Purchase","action_source":"physical_store","user_data":{"em":["a","b"]},"custom_data":{"content_ids":["x","y"]}}"#,
            r#"{"event_time":1795341559,"event_name":"Purchase","action_source":"physical_store"}"#,
        ]
    );
}

#[test]
fn faults_of_rows_have_their_line_and_column_and_no_value() {
    let rows = [
        "Lead,1795341558,other,a,1,EUR,",
        "\"Le\nad\",1795341558,other,a,1,EUR,",
        "Lead,canary,other,a,1,EUR,",
        "Lead,1795341558,other,a,\"canary,5\",EUR,",
        "",
        ",,,,,,",
        "Lead,1795341558,other,a",
        "Lead,1795341558,other,a,1,EUR,\"a\nb\nc\"",
        "Lead,1795341558,other,a,1,EUR,",
    ];
    let want = [
        (2, "ok"),
        (3, "malformed"),
        (5, "malformed"),
        (6, "malformed"),
        (9, "malformed"),
        (10, "malformed"),
        (13, "ok"),
    ];
    for (ending, last) in [("\n", ""), ("\n", "\n"), ("\r\n", ""), ("\r\n", "\r\n")] {
        let mut text = HEADER.trim_end().to_owned();
        for row in rows {
            text.push_str(ending);
            text.push_str(row);
        }
        text.push_str(last);
        let found = read("a.csv", text.as_bytes(), &Reading::default()).unwrap();
        assert_eq!(outcome(&found), want, "{ending:?} {last:?}");
        assert!(!format!("{:?}", found.records).contains("canary"));
        let fault = found.records[3].event.clone().unwrap_err();
        assert_eq!(fault.path, "custom_data.value");
        assert!(
            fault.message.starts_with("column 5 (value): a number"),
            "{fault:?}"
        );
    }
    let mut text = HEADER.as_bytes().to_vec();
    text.extend(b"Lead,1795341558,other,\xe4,1,EUR,\nLead,1795341558,other,a,1,EUR,\n");
    let found = read("a.csv", &text, &Reading::default()).unwrap();
    assert_eq!(outcome(&found), [(2, "not_utf8"), (3, "ok")]);
}

#[test]
fn a_quotation_mark_that_is_wrong_swallows_no_row_unseen() {
    let row = |cell: &str| format!("Lead,1795341558,other,{cell},1,EUR,\n");
    for ending in ["", "\n"] {
        let text = format!("{HEADER}{}{}{}", row("a"), row("\"canary"), row("b"));
        let text = format!("{}{ending}", text.trim_end());
        let found = read("a.csv", text.as_bytes(), &Reading::default()).unwrap();
        assert_eq!(outcome(&found), [(2, "ok")]);
        let error = found.end.unwrap_err();
        assert!(error.contains("begins on line 3"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let text = format!(
        "{HEADER}{}{}{}{}{}",
        row("\"a\"\"b\" "),
        row("\"5\" nails\""),
        row("\"a"),
        row("\"b\""),
        row("c"),
    );
    for text in [text.clone(), text.replace('\n', "\r\n")] {
        let found = read("a.csv", text.as_bytes(), &Reading::default()).unwrap();
        assert_eq!(found.end, Ok(()));
        assert_eq!(
            outcome(&found),
            [(2, "ok"), (3, "malformed"), (4, "malformed"), (6, "ok")]
        );
        let fault = found.records[2].event.clone().unwrap_err();
        assert!(fault.message.contains("line 4 to line 5"), "{fault:?}");
    }
}

#[test]
fn a_cell_may_be_large_but_not_without_end() {
    let row = |cell: &str| format!("Lead,1795341558,other,{cell},1,EUR,\n");
    let text = format!("{HEADER}{}{}", row(&"x".repeat(MAX_EVENT)), row("a"));
    let found = read("a.csv", text.as_bytes(), &Reading::default()).unwrap();
    assert_eq!(outcome(&found), [(2, "too_large"), (3, "ok")]);
    let text = format!(
        "{HEADER}{}{}",
        row("a"),
        row(&format!("\"{}", "x".repeat(9 << 20)))
    );
    let found = read("a.csv", text.as_bytes(), &Reading::default()).unwrap();
    assert_eq!(outcome(&found), [(2, "ok")]);
    let error = found.end.unwrap_err();
    assert!(
        error.contains("near line 3") && error.contains("quotation"),
        "{error}"
    );
}

#[test]
fn what_is_no_list_of_events_is_refused_at_once() {
    let csv = Reading {
        zone: Some(jiff::tz::TimeZone::UTC),
        ..Reading::default()
    };
    for (name, bytes, reading, words) in [
        ("a.csv", &b"\xff\xfea\0"[..], Reading::default(), "UTF-16"),
        ("a.csv", b"a\0,\0b\0\n\0", Reading::default(), "UTF-16"),
        ("a.csv", b" \n", Reading::default(), "empty"),
        (
            "a.csv",
            b"na\xefme,x\n1,2\n",
            Reading::default(),
            "column 1 is not UTF-8",
        ),
        ("a.json", b"{}", csv, "for CSV files"),
    ] {
        let error = read(name, bytes, &reading).err().unwrap().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    let error = Source::open(Path::new("/dev/null"), &Reading::default());
    assert!(error.err().unwrap().to_string().contains("standard input"));
}

//! `capigate send`, as a process of its own, against a gateway that is a process, too.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use capigate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::harness::purchase;
use crate::support::{PIXEL, Process, Site, signal};

const ROWS: usize = 10_000;
const HEADER: &str = "event_id,event_name,event_time,action_source,email,value,currency\n";

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let said = Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        };
        let all = format!("{}{}", said.out, said.err);
        assert!(!all.contains("canary"), "{all}");
        said
    }
}

fn command(gateway: &str, key: &str, file: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capigate"));
    command
        .arg("send")
        .arg(file)
        .args(["--to", gateway, "--pixel", PIXEL])
        .args(args)
        .env("CAPIGATE_INGEST_KEY", key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn send(gateway: &Process, site: &Site, file: &Path, args: &[&str]) -> Said {
    let output = command(&gateway.ingest, &site.key, file, args).output();
    Said::of(&output.unwrap())
}

async fn site(extra: &str) -> (Sandbox, Site) {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    extra.clone_into(&mut site.extra);
    (sandbox, site)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", file.display()))
}

/// Rows that the state file says are confirmed.
fn confirmed(file: &Path) -> u64 {
    let state = std::fs::read(beside(file, ".capigate-progress")).unwrap_or_default();
    let state: Value = serde_json::from_slice(&state).unwrap_or_default();
    state["rows"].as_u64().unwrap_or(0)
}

fn until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("still waiting for: {what}");
}

fn until_row(file: &Path, row: u64) {
    until("a row", || confirmed(file) >= row);
}

/// Status and code of each row, in order.
fn results(file: &Path) -> Vec<(String, String)> {
    let path = beside(file, ".results.csv");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let mut sheet = csv::Reader::from_reader(text.as_bytes());
    let rows = sheet.records().enumerate().map(|(at, row)| {
        let row = row.unwrap();
        assert_eq!(row[0], (at + 1).to_string());
        (row[3].to_owned(), row[4].to_owned())
    });
    rows.collect()
}

fn finished(child: Child) -> Said {
    Said::of(&child.wait_with_output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_arrive_once_though_both_sides_are_interrupted() {
    let (sandbox, mut site) = site("[duplicates]\nevents = \"all\"\n").await;
    site.socket = Some(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    // nothing goes out before all is in, so that what is counted is what was taken in
    sandbox.add_fault(Fault::status(503).forever());
    let file = site.dir.path().join("rows.csv");
    let now = Clock::Real.now().secs();
    let mut text = HEADER.to_owned();
    for row in 1..=ROWS {
        let row = format!(
            "row-{row},Purchase,{},website,canary{row}@example.com,12.5,EUR\n",
            now - 60
        );
        text.push_str(&row);
    }
    std::fs::write(&file, text).unwrap();

    let mut gateway = site.start(None, "info").unwrap();
    let slow = ["--batch", "100", "--rate", "4000/s", "--parallel", "3"];
    let child = command(&gateway.ingest, &site.key, &file, &slow)
        .spawn()
        .unwrap();
    until_row(&file, 1000);
    gateway.kill();
    gateway = site.start(None, "info").unwrap();
    until_row(&file, 4000);
    signal(child.id(), "INT");
    let said = finished(child);
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(
        said.err.contains("the same command goes on"),
        "{}",
        said.err
    );
    assert!(confirmed(&file) < ROWS as u64);

    // a run that is killed has noted nothing after its last batch
    let mut child = command(&gateway.ingest, &site.key, &file, &slow)
        .spawn()
        .unwrap();
    until_row(&file, 7000);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = send(&gateway, &site, &file, &["--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("going on behind row"), "{}", said.err);
    let summary: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&summary["rows"], &summary["whole"]),
        (&json!(ROWS), &json!(true))
    );
    let rows = results(&file);
    assert_eq!(rows.len(), ROWS);
    assert!(
        rows.iter()
            .all(|(status, _)| status == "accepted" || status == "duplicate")
    );
    let said = send(&gateway, &site, &file, &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("nothing is left to send"), "{}", said.err);

    sandbox.clear_faults();
    let pixel = PIXEL.parse().unwrap();
    until("all to arrive", || {
        sandbox.totals().events_accepted >= ROWS as u64
    });
    for row in 1..=ROWS {
        assert_eq!(
            sandbox.times_accepted(pixel, &format!("row-{row}")),
            1,
            "{row}"
        );
    }
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(sandbox.totals().events_accepted, ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_of_a_store_go_out_as_meta_wants_them() {
    let (sandbox, site) = site("").await;
    let gateway = site.start(None, "info").unwrap();
    let sample = include_str!("../events/offline-purchases.csv");
    let day = jiff::Timestamp::from_second(Clock::Real.now().secs() - 3 * 86_400).unwrap();
    let day = day.strftime("%Y-%m-%d").to_string();
    let file = site.dir.path().join("offline-purchases.csv");
    std::fs::write(&file, sample.replace("2026-11-21", &day)).unwrap();
    let said = send(&gateway, &site, &file, &["--no-progress"]);
    assert_eq!(said.code, 64);
    assert!(
        said.err.contains("--default action_source=physical_store"),
        "{}",
        said.err
    );
    let with = [
        "--default",
        "action_source=physical_store",
        "--upload-tag",
        "store-7",
    ];
    let said = send(&gateway, &site, &file, &with);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("5 rows answered for: 5 accepted"),
        "{}",
        said.out
    );
    until("all to arrive", || sandbox.totals().events_accepted >= 5);
    let ledger = serde_json::to_string(&sandbox.ledger()).unwrap();
    assert!(ledger.contains("S-20014"), "{ledger}");
    assert!(!ledger.contains("jane.doe"), "{ledger}");
    assert!(
        sandbox.violations().is_empty(),
        "{:?}",
        sandbox.violations()
    );
    assert!(!gateway.whole_log().contains("jane.doe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_answered_for_and_no_value_is_told() {
    let (sandbox, site) = site("").await;
    let gateway = site.start(None, "trace").unwrap();
    let now = Clock::Real.now().secs();
    let file = site.dir.path().join("rows.csv");
    let mut text = HEADER.trim_end().as_bytes().to_vec();
    for row in [
        format!("good,Purchase,{now},website,canary@example.com,1,EUR"),
        format!("dear,Purchase,{now},website,canary@example.com,\"canary 1,50\",EUR"),
        format!(
            "old,Purchase,{},website,canary@example.com,1,EUR",
            now - 90 * 86_400
        ),
        "then,Purchase,canary,website,canary@example.com,1,EUR".to_owned(),
        format!("none,Purchase,{now},website,canary@example.com,,EUR"),
        format!("\"canary@example.com\nx\",Lead,{now},website,canary@example.com,,"),
        format!("short,Lead,{now}"),
        format!("huge,Lead,{now},website,{},,", "canary".repeat(200_000)),
    ] {
        text.extend(b"\r\n");
        text.extend(row.as_bytes());
    }
    text.extend(b"\r\n");
    text.extend(
        format!("latin,Lead,{now},website,can\u{e4}ry,,\r\n")
            .bytes()
            .filter(|b| *b != 0xc3),
    );
    std::fs::write(&file, &text).unwrap();
    let said = send(&gateway, &site, &file, &[]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let rows = results(&file);
    let rows: Vec<(&str, &str)> = rows.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("accepted", "missing"),
            ("error", "malformed"),
            ("refused", "too_old"),
            ("error", "malformed"),
            ("refused", "without_value"),
            ("error", "malformed"),
            ("error", "malformed"),
            ("error", "too_large"),
            ("error", "not_utf8"),
        ]
    );
    let text = std::fs::read_to_string(beside(&file, ".results.csv")).unwrap();
    assert!(
        text.contains("4,5,then,error,malformed,event_time,\"column 3 (event_time): "),
        "{text}"
    );
    assert!(text.contains("7,9,,error"), "{text}");
    let state = std::fs::read_to_string(beside(&file, ".capigate-progress")).unwrap();
    assert!(!state.contains("canary"), "{state}");
    // a file that has changed is another one
    std::fs::write(&file, HEADER).unwrap();
    let said = send(&gateway, &site, &file, &[]);
    assert_eq!(said.code, 64);
    assert!(
        said.err.contains("has changed") && said.err.contains("--restart"),
        "{}",
        said.err
    );
    until("the good ones to arrive", || {
        sandbox.totals().events_accepted >= 1
    });
    assert!(!gateway.whole_log().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_told_before_anything_is_sent() {
    let (sandbox, mut site) = site("").await;
    site.extra = format!("{}strict = true\n", site.extra);
    let gateway = site.start(None, "info").unwrap();
    let file = site.dir.path().join("rows.csv");
    let row = format!(
        "a,Lead,{},website,canary@example.com,,,canary\n",
        Clock::Real.now().secs()
    );
    std::fs::write(&file, format!("{},Notes\n{row}", HEADER.trim_end())).unwrap();
    let said = send(&gateway, &site, &file, &[]);
    assert_eq!(said.code, 64);
    assert!(
        said.err.contains("column 8 (Notes) is not understood"),
        "{}",
        said.err
    );
    assert!(!beside(&file, ".results.csv").exists());

    let ignore = ["--ignore", "notes", "--give-up", "0s"];
    let run = |gateway: &str, key: &str, args: &[&str]| {
        let args = [&ignore[..], args, &["--restart"]].concat();
        Said::of(&command(gateway, key, &file, &args).output().unwrap())
    };
    for (to, key, args, code, words) in [
        (
            "http://127.0.0.1:1",
            "key",
            &[][..],
            6,
            "no gateway answers",
        ),
        (&gateway.ingest, "canary-key", &[], 64, "(unauthorized)"),
        (&gateway.admin, &site.key, &[], 64, "no ingest address"),
        (&gateway.ingest, &site.key, &["--pixel", "7"], 64, "--pixel"),
        (
            &gateway.ingest,
            &site.key,
            &["--key-env", "NO_SUCH"],
            64,
            "NO_SUCH",
        ),
        (
            &gateway.ingest,
            &site.key,
            &["--test-event-code", "a@b"],
            64,
            "test_event_code",
        ),
        (
            &gateway.ingest,
            &site.key,
            &["--dry-run"],
            0,
            "1 event: 1 accepted",
        ),
    ] {
        let said = run(to, key, args);
        let all = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, code, "{args:?}: {all}");
        assert!(all.contains(words), "{args:?}: {all}");
    }
    assert_eq!(sandbox.totals().events_accepted, 0);
    // one that never began goes on, too
    for _ in 0..2 {
        let output = command("http://127.0.0.1:1", "key", &file, &ignore).output();
        let said = Said::of(&output.unwrap());
        assert_eq!(said.code, 6, "{}", said.err);
    }

    // from standard input, to a source that refuses good events for bad ones
    let mut child = command(
        &gateway.ingest,
        &site.key,
        Path::new("-"),
        &["--format", "ndjson"],
    )
    .stdin(Stdio::piped())
    .spawn()
    .unwrap();
    let mut bad = purchase("canary");
    bad["event_time"] = json!(1);
    let lines = format!(
        "{}\n{bad}\n{{\"canary\n{}\n",
        purchase("one"),
        purchase("two")
    );
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), lines.as_bytes()).unwrap();
    drop(child.stdin.take());
    let said = finished(child);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.out.contains("2 accepted, 1 error, 1 refused") || said.out.contains("2 accepted"),
        "{}",
        said.out
    );
    assert!(
        said.err.contains("line 2: refused: event_time"),
        "{}",
        said.err
    );
    assert!(said.err.contains("line 3: error: "), "{}", said.err);
    until("both to arrive", || sandbox.totals().events_accepted >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_code_that_is_left_out_stops_after_one_event() {
    let (sandbox, site) = site("").await;
    let mut gateway = site.start(None, "info").unwrap();
    let file = site.dir.path().join("rows.ndjson");
    let lines: Vec<String> = (0..20)
        .map(|n| purchase(&format!("row-{n}")).to_string())
        .collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let said = send(
        &gateway,
        &site,
        &file,
        &[
            "--test-event-code",
            "TEST1",
            "--parallel",
            "4",
            "--batch",
            "5",
        ],
    );
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("sources.NAME.allow_test_event_code") && said.err.contains("took 1 of"),
        "{}",
        said.err
    );
    until("the one to arrive", || {
        sandbox.totals().events_accepted >= 1
    });
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(sandbox.totals().events_accepted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_written_over_and_lost_results_are_told() {
    let (_sandbox, site) = site("").await;
    let gateway = site.start(None, "info").unwrap();
    let file = site.dir.path().join("rows.ndjson");
    let text = format!("{}\n", purchase("one"));
    std::fs::write(&file, &text).unwrap();
    let link = site.dir.path().join("link");
    std::fs::hard_link(&file, &link).unwrap();
    let new = site.dir.path().join("new");
    let paths = [&file, &link, &new].map(|path| path.to_str().unwrap());
    for args in [
        &["--results", paths[0]][..],
        &["--results", paths[1]],
        &["--state", paths[0]],
        &["--state", paths[2], "--results", paths[2]],
    ] {
        let said = send(&gateway, &site, &file, &[args, &["--restart"]].concat());
        assert_eq!(said.code, 64, "{args:?} {}", said.err);
        assert!(said.err.contains("written over"), "{}", said.err);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(send(&gateway, &site, &file, &[]).code, 0);
    // what is sent otherwise is another sending
    let said = send(&gateway, &site, &file, &["--test-event-code", "TEST1"]);
    assert_eq!(said.code, 64);
    assert!(
        said.err.contains("another --test-event-code") && said.err.contains("--restart"),
        "{}",
        said.err
    );
    std::fs::remove_file(beside(&file, ".results.csv")).unwrap();
    let said = send(&gateway, &site, &file, &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("what rows 1 to 1 came to is lost"),
        "{}",
        said.err
    );
    assert!(!said.out.contains("each row"), "{}", said.out);
}

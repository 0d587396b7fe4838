//! The way of an event, from the text a client sent to the bytes that are stored: processor time,
//! throughput and allocations, for one event, for 1,000, and for the body of a request of 100.
//!
//! `cargo bench --bench event` measures; with `-- --test` everything runs once, unmeasured, but the
//! allocations are still held against [`MOST_ALLOCATIONS`]. `-- --count NAME EVENTS` does nothing
//! but take an input its way so many times: `benches/instructions.sh` counts instructions of that.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use capigate::event::{EncodedEvent, RawEvent, Rules};
use capigate::ingest::request::{parse_form, parse_json, read};
use capigate::pixel::PixelId;
use capigate::time::UnixMs;
use rustix::time::{ClockId, clock_gettime};

const NOW: UnixMs = UnixMs(1_795_341_600_000);

/// A purchase of about 1.1 KB with eight values to hash.
const PURCHASE: &str = include_str!("event.json");

/// What much has to be said about: other names of fields, unknown keys, personal values where they
/// do not belong, values that are no good.
const WARNED: &str = r#"{"event_name":"Lead","event_time":1795341558123,"action_source":"website","event_source_url":"https://shop.example/?email=jane%40example.com&phone=%2B16505551212","user_data":{"email":"Jane@Example.com","phone":"0151 1234567","first_name":"Jane","zip":"1","gender":"unknown","shoe_size":"42","jane@example.com":"x","country":"nowhere"},"custom_data":{"value":"a lot","currency":"gold","event_id":"1","note":"call jane@example.com","contents":[{"id":7,"title":"for jane@example.com"}]},"order_id":"7","access_token":"EAAB","test_event_code":"TEST1"}"#;

/// How many rounds of the measurement are made; the fastest counts, as the least disturbed.
const ROUNDS: usize = 7;

/// How many allocations the purchase may take. It is a number that repeats, on any machine.
const MOST_ALLOCATIONS: u64 = 8;

/// What is measured.
struct Input {
    name: &'static str,
    about: &'static str,
    text: Text,
    events: usize,
    repeats: usize,
}

enum Text {
    Events(Vec<String>),
    /// Of a request, which is taken apart first.
    Body(String),
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let inputs = inputs()?;
    if let Some(at) = arguments.iter().position(|argument| argument == "--count") {
        return count(arguments.get(at + 1..).unwrap_or_default(), &inputs);
    }
    // cargo passes `--bench` only when it is to be measured
    let once = has("--test") || !has("--bench");
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "event: {} bytes received, {} bytes stored",
        PURCHASE.len(),
        store(PURCHASE)?.as_bytes().len()
    )?;
    for input in &inputs {
        let allocations = allocations(input)?;
        if input.name != "warned" && allocations > MOST_ALLOCATIONS as f64 {
            return Err(io::Error::other(format!(
                "{}: {allocations} allocations an event are more than {MOST_ALLOCATIONS}",
                input.about
            )));
        }
        if once {
            writeln!(
                out,
                "{}: ran once, {allocations} allocations an event",
                input.about
            )?;
            continue;
        }
        let (cpu, wall) = measure(input)?;
        let count = (input.repeats * input.events) as f64;
        writeln!(
            out,
            "{}: {:.2} us of processor time and {allocations} allocations an event, {:.0} events/s",
            input.about,
            cpu.as_secs_f64() * 1e6 / count,
            count / wall.as_secs_f64(),
        )?;
    }
    Ok(())
}

fn inputs() -> io::Result<[Input; 5]> {
    let stored = String::from_utf8(store(PURCHASE)?.as_bytes().to_vec());
    let numbered = |n: usize| PURCHASE.replace("100234", &format!("{}", 100_000 + n));
    let body: Vec<String> = (0..100).map(numbered).collect();
    let events = |name, about, events: Vec<String>, repeats| Input {
        name,
        about,
        events: events.len(),
        text: Text::Events(events),
        repeats,
    };
    Ok([
        events("typical", "one event", vec![PURCHASE.to_owned()], 20_000),
        events(
            "many",
            "1,000 events",
            (0..1000).map(numbered).collect(),
            20,
        ),
        Input {
            name: "request",
            about: "the body of a request of 100 events",
            events: body.len(),
            text: Text::Body(format!("{{\"data\":[{}]}}", body.join(","))),
            repeats: 200,
        },
        events(
            "hashed",
            "one event, hashed by the client",
            vec![stored.map_err(io::Error::other)?],
            20_000,
        ),
        events(
            "warned",
            "one event with many warnings",
            vec![WARNED.to_owned()],
            20_000,
        ),
    ])
}

/// Processor time and time of the fastest round.
fn measure(input: &Input) -> io::Result<(Duration, Duration)> {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (cpu, wall) = (processor_time(), Instant::now());
        run(input, input.repeats)?;
        best = best.min((processor_time().saturating_sub(cpu), wall.elapsed()));
    }
    Ok(best)
}

/// How many allocations an event takes, on average; one that moves because it grows counts again.
fn allocations(input: &Input) -> io::Result<f64> {
    // what is made once for all events is made before
    run(input, 1)?;
    let mut outcome = Ok(());
    let counted = allocation_counter::measure(|| outcome = run(input, 1));
    outcome?;
    Ok(counted.count_total as f64 / input.events as f64)
}

/// Takes as many events their way as are named, and does nothing else: not even look at a clock,
/// which some versions of valgrind do not survive.
fn count(arguments: &[String], inputs: &[Input]) -> io::Result<()> {
    let usage = "give an input and a number of events: --count typical 2000";
    let [name, events, ..] = arguments else {
        return Err(io::Error::other(usage));
    };
    let events: usize = events.parse().map_err(|_| io::Error::other(usage))?;
    let input = inputs.iter().find(|input| input.name == name);
    let input = input.ok_or_else(|| io::Error::other(usage))?;
    run(input, events / input.events)
}

fn run(input: &Input, repeats: usize) -> io::Result<()> {
    for _ in 0..repeats {
        match &input.text {
            Text::Events(events) => {
                for event in events {
                    black_box(store(black_box(event))?);
                }
            }
            Text::Body(body) => {
                let refused = |refused| io::Error::other(format!("{refused:?}"));
                let none = parse_form(b"", 0).map_err(refused)?;
                let members =
                    parse_json(black_box(body).as_bytes(), input.events).map_err(refused)?;
                let parsed = read(&none, &members, input.events).map_err(refused)?;
                for event in &parsed.events {
                    black_box(store(event)?);
                }
            }
        }
    }
    Ok(())
}

/// All of the way.
fn store(json: &str) -> io::Result<EncodedEvent> {
    let pixel = PixelId::from_u64(1_234_567_890_123_456);
    let pixel = pixel.ok_or_else(|| io::Error::other("pixel"))?;
    let encoded = RawEvent::parse(json).and_then(|raw| raw.hash(pixel, &RULES, NOW)?.encode());
    encoded.map_err(io::Error::other)
}

static RULES: LazyLock<Rules> = LazyLock::new(Rules::default);

/// Processor time of this process so far, user and system.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

//! What a receipt and a claim cost: CPU time of the whole process and bytes on disk, an event.
//!
//! `cargo bench --bench receipts` takes a few seconds, `-- --test` runs everything once.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

use std::sync::Arc;
use std::time::Duration;

use capigate::event::{EncodedEvent, RawEvent, Rules};
use capigate::journal::segment::disk::RealDisk;
use capigate::pixel::PixelId;
use capigate::receipts::{Attempt, Ending, Outcome, Receipts, Settings};
use capigate::telemetry::metrics::Metrics;
use capigate::time::{Clock, UnixMs};
use rustix::time::{ClockId, clock_gettime};

const NOW: UnixMs = UnixMs(1_795_341_600_000);

/// Of about 600 bytes, each with its own id.
fn event(pixel: PixelId, id: usize) -> EncodedEvent {
    let json = format!(
        r#"{{"event_name":"Purchase","event_time":1795341558,"event_id":"order-{id}",
"action_source":"website","event_source_url":"https://shop.example/checkout/thank-you",
"user_data":{{"em":["someone@shop.example"],"ph":["+1 650 555 1212"],
"client_ip_address":"2001:db8::7334","client_user_agent":"Mozilla/5.0 (X11; Linux x86_64)",
"fbp":"fb.1.1795255200668.1116446470"}},"custom_data":{{"value":129.9,"currency":"USD",
"order_id":"100234","content_ids":["sku-1","sku-2"],"num_items":2}}}}"#
    );
    let event = RawEvent::parse(&json).unwrap();
    event
        .hash(pixel, &Rules::default(), NOW)
        .unwrap()
        .encode()
        .unwrap()
}

/// CPU time of a clock, in seconds.
fn cpu(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The request by which a batch of so many was delivered.
fn delivered(events: u64) -> Attempt {
    Attempt {
        at: NOW.0,
        outcome: "delivered".into(),
        events,
        of_batch: Some(events),
        code: None,
        subcode: None,
        trace_id: Some("ABCdefGHIjklMNOpqrSTUvw".to_owned()),
        took_ms: 123,
    }
}

fn main() {
    let is_test = std::env::args().any(|arg| arg == "--test");
    let (pixel, count) = ("7".parse().unwrap(), if is_test { 2_000 } else { 500_000 });
    let events: Vec<EncodedEvent> = (0..count.min(50_000)).map(|id| event(pixel, id)).collect();
    let cases = [1, 50, 1000].map(|size| [(size, false), (size, true)]);
    for (size, by_keys) in cases.into_iter().flatten() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new().unwrap();
        let settings = Settings {
            dir: dir.path().to_owned(),
            keep: Duration::from_hours(168),
            max_bytes: 1 << 30,
            by_keys,
        };
        let clock = Clock::manual(NOW);
        let receipts = Receipts::open(settings, Arc::new(RealDisk), clock, &metrics);
        let begun = cpu(ClockId::ProcessCPUTime);
        let mut noting = 0.0;
        let batches = events.chunks(size).cycle().take(count / size);
        for (number, batch) in batches.enumerate() {
            let start = cpu(ClockId::ThreadCPUTime);
            receipts.note(Ending {
                pixel,
                at: NOW,
                outcome: Outcome::Delivered {
                    trace_id: Some("ABCdefGHIjklMNOpqrSTUvw".to_owned()),
                    received: size as u64,
                },
                batch_events: size,
                events: batch.iter().cloned().map(Into::into).collect(),
                attempts: vec![delivered(size as u64)],
            });
            noting += cpu(ClockId::ThreadCPUTime) - start;
            // waits for the thread, so that the queue never overflows
            if number % (20_000 / size).min(1000) == 0 {
                receipts.find("none", 100).unwrap();
            }
        }
        receipts.close(Duration::from_mins(1));
        let all = cpu(ClockId::ProcessCPUTime) - begun;
        let kept = (count / size * size) as f64;
        let micros = |seconds: f64| seconds * 1e6 / kept;
        println!(
            "receipts, batches of {size:4}, by other keys {by_keys:5}: {:.3} us an event, {:.3} of them for the caller; {:.1} bytes; {} lost",
            micros(all),
            micros(noting),
            metrics.receipts_bytes.get() as f64 / kept,
            metrics.receipts_lost.get(),
        );
        let start = cpu(ClockId::ProcessCPUTime);
        let asked = if is_test { 10 } else { 1000 };
        for id in 0..asked {
            let found = receipts.find(&format!("order-{id}"), 100).unwrap();
            assert!(!found.is_empty(), "order-{id}");
        }
        let took = cpu(ClockId::ProcessCPUTime) - start;
        println!("  a look-up: {:.1} us", took * 1e6 / f64::from(asked));
    }
}

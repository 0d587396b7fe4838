//! The way of an event, from the text a client sent to the bytes that are stored: processor time
//! and throughput, for one event and for a request of 1,000.
//!
//! `cargo bench --bench event` measures; with `-- --test` everything runs once, unmeasured.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use capigate::event::{EncodedEvent, EventError, RawEvent, Rules};
use capigate::pixel::PixelId;
use capigate::time::UnixMs;
use rustix::time::{ClockId, clock_gettime};

const NOW: UnixMs = UnixMs(1_795_341_600_000);

/// A purchase of about 1.1 KB with eight values to hash.
const PURCHASE: &str = include_str!("event.json");

/// How many rounds of the measurement are made; the fastest counts, as the least disturbed.
const ROUNDS: usize = 7;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    // cargo passes `--bench` only when it is to be measured
    let once = has("--test") || !has("--bench");
    let pixel =
        PixelId::from_u64(1_234_567_890_123_456).ok_or_else(|| io::Error::other("pixel"))?;
    let rules = Rules::default();
    let mut out = io::stdout().lock();
    let request: Vec<String> = (0..1000)
        .map(|n| PURCHASE.replace("100234", &format!("{}", 100_000 + n)))
        .collect();
    let one = [PURCHASE.to_owned()];
    let stored = store(PURCHASE, pixel, &rules).map_err(io::Error::other)?;
    let hashed_already = [String::from_utf8(stored.as_bytes().to_vec()).map_err(io::Error::other)?];
    writeln!(
        out,
        "event: {} bytes received, {} bytes stored",
        PURCHASE.len(),
        stored.as_bytes().len()
    )?;
    for (name, events, repeats) in [
        ("one event", &one[..], 20_000),
        ("1,000 events", &request[..], 20),
        (
            "one event, hashed by the client",
            &hashed_already[..],
            20_000,
        ),
    ] {
        let repeats = if once { 1 } else { repeats };
        let rounds = if once { 1 } else { ROUNDS };
        let mut best: Option<(Duration, Duration)> = None;
        for _ in 0..rounds {
            let (cpu, wall) = (processor_time(), Instant::now());
            for _ in 0..repeats {
                for event in events {
                    black_box(store(black_box(event), pixel, &rules).map_err(io::Error::other)?);
                }
            }
            let spent = (processor_time().saturating_sub(cpu), wall.elapsed());
            best = Some(best.map_or(spent, |best| best.min(spent)));
        }
        let Some((cpu, wall)) = best.filter(|_| !once) else {
            writeln!(out, "{name}: ran once")?;
            continue;
        };
        let count = (repeats * events.len()) as f64;
        writeln!(
            out,
            "{name}: {:.2} us of processor time an event, {:.0} events/s",
            cpu.as_secs_f64() * 1e6 / count,
            count / wall.as_secs_f64(),
        )?;
    }
    Ok(())
}

/// All of the way.
fn store(json: &str, pixel: PixelId, rules: &Rules) -> Result<EncodedEvent, EventError> {
    RawEvent::parse(json)?.hash(pixel, rules, NOW)?.encode()
}

/// Processor time of this process so far, user and system.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

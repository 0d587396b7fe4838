//! Where the gateway runs: its directory, its configuration, its tokens.

use std::path::PathBuf;
use std::time::Duration;

use capigate::sandbox::SandboxToken;
use fastrand::Rng;

use super::books::pixel_id;
use super::load::{CANARY, KEY, PIXELS};
use super::support::Site;

/// How long the gateway waits for an answer of Graph.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);
/// Pixels that share a token.
const PIXELS_A_TOKEN: usize = 2;
/// Each with a second one, which a reload may put in its place.
const TOKENS: usize = PIXELS / PIXELS_A_TOKEN;

fn token(n: usize) -> String {
    format!("EAA{}TOKEN{n:04}", CANARY.to_ascii_uppercase())
}

/// All tokens, as the simulated Graph knows them.
pub(crate) fn tokens() -> Vec<SandboxToken> {
    (0..2 * TOKENS)
        .map(|n| SandboxToken::new(format!("t{n}"), token(n)))
        .collect()
}

/// A place for a gateway that sends to this Graph.
pub(crate) fn site(graph: String) -> Site {
    let mut site = Site::new(graph);
    KEY.clone_into(&mut site.key);
    let full = disk_control(&site).display().to_string();
    site.vars.push(("FAILPOINT_DISK_FULL".to_owned(), full));
    site.vars
        .extend((0..2 * TOKENS).map(|n| (format!("SOAK_TOKEN_{n}"), token(n))));
    configure(&mut site, &mut Rng::with_seed(0));
    site
}

/// The file that makes the gateway's disk full.
pub(crate) fn disk_control(site: &Site) -> PathBuf {
    site.dir.path().join("disk-is-full")
}

/// Short waits, so that a soak of a minute sees many of each. What may change while the gateway
/// runs is drawn.
pub(crate) fn configure(site: &mut Site, rng: &mut Rng) {
    let max_events = rng.u32(50..400);
    let linger_ms = rng.u32(20..100);
    let ids: Vec<String> = (0..PIXELS).map(|n| pixel_id(n).to_string()).collect();
    let journal = site.journal();
    let mut text = format!(
        r#"
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "{journal}"
segment_bytes = "1MiB"
max_bytes = "512MiB"
settle_sync = "100ms"
[lanes]
linger = "{linger_ms}ms"
max_events = {max_events}
rate = "10000/s"
rate_per_pixel = "1000/s"
backoff_min = "20ms"
backoff_max = "300ms"
throttle_min = "200ms"
throttle_max = "1s"
probe_interval = "1s"
messaging = "at_most_once"
[duplicates]
events = "all"
[graph]
url = "{graph}"
timeout = "{timeout}ms"
[telemetry]
log_format = "json"
[shutdown]
grace = "0s"
[sources.soak]
keys = [{{ env = "TEST_KEY" }}]
pixels = {ids:?}
rate = "1000000/s"
"#,
        journal = journal.display(),
        graph = site.graph,
        timeout = TIMEOUT.as_millis(),
    );
    let tokens: Vec<usize> = (0..TOKENS).map(|n| n + rng.usize(..2) * TOKENS).collect();
    for (n, id) in ids.iter().enumerate() {
        let token = tokens[n / PIXELS_A_TOKEN];
        let pixel = format!("[pixels.{id}]\ntoken = {{ env = \"SOAK_TOKEN_{token}\" }}\n");
        text.push_str(&pixel);
    }
    site.whole = Some(text);
}

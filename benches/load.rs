//! What the benches of the whole gateway share: processes to measure, servers to compare with, and a
//! client that costs little beside them.

#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod client;
pub(crate) mod process;
pub(crate) mod serve;

/// A purchase of about 1.1 KB with eight values to hash.
pub(crate) const EVENT: &str = include_str!("event.json");
pub(crate) const PIXEL: &str = "1234567890123456";
pub(crate) const KEY: &str = "bench-key";
pub(crate) const TOKEN: &str = "bench-token";

/// Whether the bench is to run everything once instead of measuring: cargo passes `--bench` only
/// when it is to measure.
pub(crate) fn once() -> bool {
    let mut arguments = std::env::args();
    let arguments: Vec<String> = arguments.by_ref().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    has("--test") || !has("--bench")
}

/// The value behind `--name` on the command line.
pub(crate) fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    arguments.next()
}

/// Whether a part of the bench is to run: all do, unless one of them stands behind `--part`.
pub(crate) fn is_wanted(part: &str, parts: &[&str]) -> bool {
    let Some(wanted) = argument("--part") else {
        return true;
    };
    assert!(
        parts.contains(&wanted.as_str()),
        "--part is one of {parts:?}"
    );
    wanted == part
}

/// The middle of an odd number of values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

//! A soak: the real binary under load, while everything goes wrong that can, and in the end every
//! event is accounted for.
//!
//! Forty pixels are posted to without a pause. The simulated Graph is in this process, so its
//! ledger is the truth; what it answers walks at random through every verdict, for each pixel on
//! its own. The gateway is killed, stopped, reloaded, and its disk fills and frees. Then all
//! faults heal, the gateway drains, and the laws of `laws.rs` must hold.
//!
//! `tests/soak.sh` runs it. `SOAK_SECONDS` is how long the faults go on; without it nothing is
//! run. `SOAK_SEED` repeats the choices of a run, though not the moment of each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "tests may panic, print, and use the file system as they like"
)]

mod books;
mod disk;
mod laws;
mod lives;
mod load;
mod place;
#[expect(dead_code, reason = "shared with the other test binaries")]
#[path = "../support/mod.rs"]
mod support;
mod weather;

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let Ok(seconds) = std::env::var("SOAK_SECONDS") else {
        println!("SOAK_SECONDS is not set: nothing is run; see tests/soak.sh");
        return ExitCode::SUCCESS;
    };
    let seconds: u64 = seconds.parse().expect("SOAK_SECONDS is a number");
    let seed = match std::env::var("SOAK_SEED") {
        Ok(seed) => seed.parse().expect("SOAK_SEED is a number"),
        Err(_) => fastrand::u64(..=u64::from(u32::MAX)),
    };
    let repeat = format!("SOAK_SEED={seed} SOAK_SECONDS={seconds} tests/soak.sh");
    println!("{repeat}");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let found = runtime.block_on(lives::run(seed, Duration::from_secs(seconds)));
    for broken in &found.broken {
        println!("BROKEN: {broken}");
    }
    if !found.broken.is_empty() {
        println!("repeat with: {repeat}");
    }
    println!("{}", found.summary);
    ExitCode::from(u8::from(!found.broken.is_empty()))
}

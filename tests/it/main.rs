//! The whole gateway in this process, against the simulated Graph, through its real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "tests may panic, print, and use the file system as they like"
)]

mod admin;
mod alerts;
mod backup;
mod browser;
mod check;
mod commands;
mod console;
mod console_desk;
mod console_losses;
mod console_numbers;
mod console_pixels;
mod console_trail;
mod custody;
mod dataset_quality;
mod dead;
mod delivery;
mod desk;
mod duplicates;
mod durability;
mod faults;
mod formats;
mod gauges;
mod go_live;
mod harness;
mod ingest;
mod issues;
mod lint;
mod login;
#[cfg(feature = "otlp")]
mod otlp;
mod policy;
mod process;
mod refused;
mod reload;
mod restart;
mod rotation;
mod secrecy;
mod send;
mod setup;
#[expect(dead_code, reason = "shared with the other test binaries")]
#[path = "../support/mod.rs"]
mod support;
mod test_mode;
mod token_secrecy;
mod tokens;
mod ways;
mod wrong_inputs;

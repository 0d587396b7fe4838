//! The whole gateway in this process, against the simulated Graph, through its real sockets.

mod delivery;
mod durability;
mod harness;
mod ingest;
mod secrecy;
#[expect(dead_code, reason = "shared with the other test binaries")]
#[path = "../support/mod.rs"]
mod support;
